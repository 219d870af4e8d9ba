"""The branches of CASE in an expression: which rows come to one of them, each guarded by those that stand around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SHOWN: Final = 60  # characters of a condition


class Choice(Frozen):
    """A CASE (or ``if``): ``taken`` gives for a row the place of the branch that it takes, from 0 on, the last one being
    ``else``; null where the row does not come to the CASE at all. ``branches`` are their names, for people.
    """

    taken: exp.Expr
    branches: tuple[str, ...]


def choices_of(tree: exp.Expr, *, written: bool = True) -> Iterator[Choice]:
    """Of every CASE in the tree that is a matter of one row: none that holds an aggregate, a window or a lambda's variable.
    ``written``: only those that an author wrote, whose columns know their places.
    """
    for case in tree.find_all(exp.Case, exp.If):
        if isinstance(case, exp.If) and isinstance(case.parent, exp.Case):
            continue
        if case.find(exp.AggFunc, exp.Window, exp.Query) or case.find_ancestor(exp.Lambda, exp.Window):
            continue
        if not written or any("start" in name.meta for name in case.find_all(exp.Identifier)):
            yield Choice(_guarded(case, _numbered(case)), tuple(_names(case)))


def _branches(case: exp.Expr) -> tuple[list[exp.If], exp.Expr | None]:
    """The conditions with their results, and what stands behind ELSE."""
    if isinstance(case, exp.Case):
        return list(case.args["ifs"]), case.args.get("default")
    return [exp.If(this=case.this, true=case.args.get("true"))], case.args.get("false")


def _numbered(case: exp.Expr) -> exp.Case:
    ifs, _ = _branches(case)
    numbers = [exp.Literal.number(place) for place in range(len(ifs) + 1)]
    return _with_results(case, numbers[:-1], numbers[-1])


def _with_results(case: exp.Expr, results: Sequence[exp.Expr], default: exp.Expr) -> exp.Case:
    """The CASE with other results behind the same conditions."""
    ifs, _ = _branches(case)
    kept = [exp.If(this=item.this.copy(), true=result.copy()) for item, result in zip(ifs, results, strict=False)]
    subject = case.this.copy() if isinstance(case, exp.Case) and case.this is not None else None
    return exp.Case(this=subject, ifs=kept, default=default.copy())


def _guarded(case: exp.Expr, value: exp.Expr) -> exp.Expr:
    """``value`` for the rows that come to the CASE, else null."""
    inner: exp.Expr = case
    while inner.parent is not None:
        outer = inner.parent
        if isinstance(outer, exp.If) and isinstance(outer.parent, exp.Case):
            whole = outer.parent
            place = next(i for i, item in enumerate(whole.args["ifs"]) if item is outer)
            value = _behind(whole, place, value, is_result=inner.arg_key == "true")
            inner = whole
            continue
        if isinstance(outer, exp.Case) and inner.arg_key == "default":
            value = _with_results(outer, [exp.null() for _ in outer.args["ifs"]], value)
        elif isinstance(outer, exp.If) and inner.arg_key in {"true", "false"}:
            results = [value, exp.null()] if inner.arg_key == "true" else [exp.null(), value]
            value = _with_results(outer, results[:1], results[1])
        inner = outer
    return value


def _behind(whole: exp.Case, place: int, value: exp.Expr, *, is_result: bool) -> exp.Expr:
    """For the rows that come to the branch at that place: to its result, or to its condition."""
    nulls: list[exp.Expr] = [exp.null() for _ in range(place)]
    if is_result:
        return _with_results(whole, [*nulls, value], exp.null())
    return _with_results(whole, nulls, value) if nulls else value


def _names(case: exp.Expr) -> Iterator[str]:
    ifs, _ = _branches(case)
    for item in ifs:
        text = item.this.sql(dialect="duckdb", comments=False)
        yield f"when {text if len(text) <= _SHOWN else text[: _SHOWN - 1] + '…'}"
    yield "else"
