"""Copies of a pipeline, each with one change of its own logic: who tests the pipeline should notice every one.

Changed are comparisons, ``and`` and ``or``, signs, constants by one, branches of CASE, aggregates, kinds of joins, orders;
removed are steps, rules, conditions. What the change makes of the pipeline may not compile: that is for the caller to see.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, cast

from pydantic import BaseModel
from sqlglot import exp
from sqlglot.errors import SqlglotError

from penstock.compile.expressions import parse, parse_order, place_of
from penstock.errors import ConfigError
from penstock.fields import ExpressionText, Located
from penstock.steps.conditions import Comparison, Group
from penstock.structs import Frozen, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from penstock.document.models import Pipeline, RuleUse, Transform
    from penstock.errors import Location

GONE: Final = "(removed)"


class Mutant(Frozen):
    """``node`` is the source, transform or sink that was changed, ``before`` and ``after`` the part of it."""

    pipeline: Pipeline
    node: str
    at: Location | None
    before: str
    after: str


class _Change(Frozen):
    """Another value in the place of one."""

    value: Any
    before: str
    after: str
    at: Location | None = None


def mutants_of(pipeline: Pipeline) -> Iterator[Mutant]:
    """In the order of the document; the same ones for the same document."""
    for name, source in pipeline.sources.items():
        for rules, change in _rules(source.rules):
            changed = {**pipeline.sources, name: replace(source, rules=rules)}
            yield _mutant(replace(pipeline, sources=changed), name, change)
    for name, transform in pipeline.transforms.items():
        for other, change in _transform(transform):
            yield _mutant(replace(pipeline, transforms={**pipeline.transforms, name: other}), name, change)
    for name, sink in pipeline.sinks.items():
        for rules, change in _rules(sink.rules):
            yield _mutant(replace(pipeline, sinks={**pipeline.sinks, name: replace(sink, rules=rules)}), name, change)


def _mutant(pipeline: Pipeline, node: str, change: _Change) -> Mutant:
    return Mutant(pipeline, node, change.at, change.before, change.after)


def _transform(transform: Transform) -> Iterator[tuple[Transform, _Change]]:
    if transform.sql is not None:
        for change in _query(transform.sql):
            yield replace(transform, sql=change.value), change
    for place, step in enumerate(transform.steps):
        before, after = transform.steps[:place], transform.steps[place + 1 :]
        gone = _Change(None, step.descriptor.name, GONE, step.at)
        yield replace(transform, steps=(*before, *after)), gone
        for change in _model(step.params, is_order=step.descriptor.name == "sort"):
            placed = replace(change, at=change.at or step.at)
            yield replace(transform, steps=(*before, replace(step, params=change.value), *after)), placed
    for rules, change in _rules(transform.rules):
        yield replace(transform, rules=rules), change


def _rules(rules: Sequence[RuleUse]) -> Iterator[tuple[tuple[RuleUse, ...], _Change]]:
    for place, rule in enumerate(rules):
        before, after = tuple(rules[:place]), tuple(rules[place + 1 :])
        yield (*before, *after), _Change(None, f"rule {rule.descriptor.name}", GONE, rule.at)
        for change in _model(rule.params):
            placed = replace(change, at=change.at or rule.at)
            yield (*before, replace(rule, params=change.value), *after), placed


# ---------------------------------------------------------------- parameters

# Fields that say nothing about which rows come out, or how many may be bad.
_NOT_LOGIC: Final = frozenset(
    {"name", "description", "seed", "on_fail", "max_rows", "max_share", "max_bytes", "scope", "weight"}
)
_WORDS: Final = {
    "first": "last", "last": "first", "inner": "left", "left": "inner", "right": "inner", "full": "left",
    "semi": "anti", "anti": "semi", "asof": "asof_left", "asof_left": "asof",
}  # fmt: skip
_CHOSEN: Final = frozenset({"keep", "kind"})
_ORDERS: Final = frozenset({"order_by"})


def _model(params: Any, *, is_order: bool = False) -> Iterator[_Change]:
    for name in type(params).model_fields:
        if name in _NOT_LOGIC:
            continue
        value = getattr(params, name)
        for change in _value(value, name, is_order=is_order or name in _ORDERS):
            yield replace(change, value=params.model_copy(update={name: change.value}))


def _value(value: object, name: str, *, is_order: bool) -> Iterator[_Change]:
    match value:
        case ExpressionText():
            yield from _order(value) if is_order else _expression(value)
        case BaseModel():
            yield from _model(value)
        case Comparison():
            yield from _comparison(value)
        case Group():
            yield from _group(value)
        case bool():
            yield _Change(not value, f"{name}: {str(value).lower()}", f"{name}: {str(not value).lower()}")
        case int() | float():
            yield _Change(value + 1, f"{name}: {value}", f"{name}: {value + 1}")
        case str() if name in _CHOSEN and value in _WORDS:
            yield _Change(_WORDS[value], f"{name}: {value}", f"{name}: {_WORDS[value]}")
        case tuple() | list():
            for place, item in enumerate(value):
                for change in _value(item, name, is_order=is_order):
                    yield replace(change, value=type(value)((*value[:place], change.value, *value[place + 1 :])))
        case Frozen():
            yield from _parts(value, is_order=is_order)
        case _:
            return


def _parts(value: Frozen, *, is_order: bool) -> Iterator[_Change]:
    """Of a small value of several parts, such as ``new: expression``."""
    for name in value.__struct_fields__:
        part = getattr(value, name)
        if isinstance(part, ExpressionText):
            for change in _value(part, name, is_order=is_order):
                yield replace(change, value=replace(value, **{name: change.value}))


def _comparison(value: Comparison) -> Iterator[_Change]:
    at = value.column.at if isinstance(value.column, Located) else None
    other = _OPERATORS.get(value.op)
    if other is not None:
        yield _Change(replace(value, op=other), f"{value.column} {value.op}", f"{value.column} {other}", at)
    for place, item in enumerate(value.values):
        if isinstance(item, int | float) and not isinstance(item, bool):
            values = (*value.values[:place], item + 1, *value.values[place + 1 :])
            yield _Change(
                replace(value, values=values),
                f"{value.column} {value.op} {item}",
                f"{value.column} {value.op} {item + 1}",
                at,
            )


_OPERATORS: Final[Mapping[str, Any]] = {
    "=": "!=", "!=": "=", "<": "<=", "<=": "<", ">": ">=", ">=": ">", "in": "not_in", "not_in": "in",
    "is_null": "is_not_null", "is_not_null": "is_null", "like": "not_like", "not_like": "like",
    "starts_with": "contains", "ends_with": "contains",
}  # fmt: skip


def _group(value: Group) -> Iterator[_Change]:
    if value.kind in {"all", "any"} and len(value.parts) > 1:
        other: Literal["all", "any"] = "any" if value.kind == "all" else "all"
        yield _Change(replace(value, kind=other), value.kind, other)
    for place, part in enumerate(value.parts):
        before, after = value.parts[:place], value.parts[place + 1 :]
        for change in _value(part, "", is_order=False):
            yield replace(change, value=replace(value, parts=(*before, change.value, *after)))


# ---------------------------------------------------------------- expressions


def _expression(text: ExpressionText) -> Iterator[_Change]:
    try:
        tree = parse(text)
    except ConfigError:  # compiling tells
        return
    for changed, node, after in _trees(tree):
        sql = changed.sql(dialect="duckdb")
        yield _Change(ExpressionText(sql, text.place), _text(node), after, _place(node, text))


def _order(text: ExpressionText) -> Iterator[_Change]:
    try:
        keys = parse_order(text)
    except ConfigError:
        return
    if len(keys) == 1:
        value = keys[0].value.sql(dialect="duckdb")
        other = value if keys[0].descending else f"{value} desc"
        yield _Change(ExpressionText(other, text.place), text.sql, other, text.at)


def _query(text: Located) -> Iterator[_Change]:
    import sqlglot

    try:
        tree = sqlglot.parse_one(text, dialect="duckdb")
    except (SqlglotError, RecursionError):
        return
    whole = ExpressionText(str(text), text.place)
    for changed, node, after in _trees(tree):
        value = Located.of(changed.sql(dialect="duckdb"), text.at, text.place)
        yield _Change(value, _text(node), after, _place(node, whole))


def _trees(tree: exp.Expr) -> Iterator[tuple[exp.Expr, exp.Expr, str]]:
    """The tree with one of its nodes changed, that node as it was, and what became of it."""
    for place, node in enumerate(tree.walk()):
        if node.find_ancestor(exp.DataType):
            continue
        for change in _CHANGES:
            new = change(node.copy())
            if new is None:
                continue
            copied = tree.copy()
            target = next(item for i, item in enumerate(copied.walk()) if i == place)
            after = GONE if isinstance(new, exp.Placeholder) else _text(new)
            if isinstance(new, exp.Placeholder):
                target.pop()
            elif target is copied:
                copied = new
            else:
                target.replace(new)
            yield copied, node, after


_SHOWN: Final = 80


def _text(node: exp.Expr) -> str:
    text = " ".join(node.sql(dialect="duckdb", comments=False).split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _place(node: exp.Expr, text: ExpressionText) -> Location | None:
    """Of the part itself; of a constant that of the smallest part around it that has a place."""
    current: exp.Expr | None = node
    while current is not None and not any("start" in part.meta for part in current.find_all(exp.Identifier, exp.Func)):
        current = current.parent
    return place_of(current if current is not None else node, text)


# ---------------------------------------------------------------- what is changed in a tree

_SWAPPED: Final[Mapping[type[exp.Expr], type[exp.Expr]]] = {
    exp.LT: exp.LTE, exp.LTE: exp.LT, exp.GT: exp.GTE, exp.GTE: exp.GT, exp.EQ: exp.NEQ, exp.NEQ: exp.EQ,
    exp.And: exp.Or, exp.Or: exp.And, exp.Add: exp.Sub, exp.Sub: exp.Add, exp.Mul: exp.Div, exp.Div: exp.Mul,
    exp.Min: exp.Max, exp.Max: exp.Min, exp.Sum: exp.Max, exp.Avg: exp.Max,
}  # fmt: skip


def _swapped(node: exp.Expr) -> exp.Expr | None:
    """Another operator, or another aggregate, over the same operands."""
    other = _SWAPPED.get(type(node))
    if other is None:
        return None
    if isinstance(node, exp.AggFunc):
        return other(this=node.this)
    return other(this=node.this, expression=node.expression)


def _negated(node: exp.Expr) -> exp.Expr | None:
    """``not`` is left out, and put before what asks for null, or for one of several."""
    match node:
        case exp.Not():
            return cast("exp.Expr", node.this.unnest())
        case exp.Is() | exp.In() | exp.Between() | exp.Like():
            return exp.Not(this=node)
        case _:
            return None


def _off_by_one(node: exp.Expr) -> exp.Expr | None:
    if not isinstance(node, exp.Literal) or node.is_string:
        return None
    try:
        return exp.Literal.number(str(int(node.name) + 1))
    except ValueError:
        return exp.Paren(this=exp.Add(this=node, expression=exp.Literal.number(1)))


def _without_a_branch(node: exp.Expr) -> exp.Expr | None:
    """A CASE without its first branch; ``coalesce`` without what it falls back to."""
    match node:
        case exp.Case():
            ifs = node.args["ifs"]
            if len(ifs) == 1:
                return node.args.get("default") or exp.null()
            node.set("ifs", ifs[1:])
            return node
        case exp.Coalesce():
            return cast("exp.Expr", node.this)
        case _:
            return None


def _other_clause(node: exp.Expr) -> exp.Expr | None:
    """Of a SELECT: without its WHERE, with an outer join in the place of an inner one, and the other way round."""
    match node:
        case exp.Where() | exp.Distinct() if isinstance(node, exp.Where) or not node.expressions:
            return exp.Placeholder()
        case exp.Join() if not node.args.get("kind") and not node.args.get("method"):
            node.set("side", None if node.side else "LEFT")
            return node
        case exp.Ordered():
            node.set("desc", not node.args.get("desc"))
            return node
        case _:
            return None


_CHANGES: Final[tuple[Callable[[exp.Expr], exp.Expr | None], ...]] = (
    _swapped,
    _negated,
    _off_by_one,
    _without_a_branch,
    _other_clause,
)
