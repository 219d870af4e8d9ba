"""Aggregate functions: which there are, and how those that look at the order of rows are made to give one answer.

The engine hands rows to an aggregate in any order, several threads at a time. ``first``, ``last``, ``arg_max`` and the
like therefore get an order that leaves no tie (ties.py); lists and joined texts without an order come in the order of
their own values; ``any_value`` is the smallest one; and what depends on the order in a way that cannot be settled is
refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from sqlglot import exp

from penstock.steps.ties import tie_break
from penstock.trees import call, is_not_null, when

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from penstock.graph.nodes import Column
    from penstock.steps.api import Scope

# Aggregates of DuckDB that the SQL parser does not know as such; a test compares them with the engine's own list.
UNPARSED: Final = frozenset({
    "arbitrary", "bitstring_agg", "count_star", "entropy", "favg", "fsum", "histogram", "histogram_exact", "kahan_sum",
    "kurtosis_pop", "mad", "mean", "product", "sem", "sumkahan",
})  # fmt: skip
# Their result depends on the order in which rows happen to come, or they are the engine's own business.
UNSETTLED: Final = frozenset({
    "approx_quantile", "approx_top_k", "arg_max_null", "arg_max_nulls_last", "arg_min_null", "arg_min_nulls_last",
    "combine_aggr", "decimal_average", "lttb", "reservoir_quantile", "sum_no_overflow", "variant_group_object",
})  # fmt: skip
_INSTEAD: Final = {
    "approx_quantile": "quantile_cont",
    "reservoir_quantile": "quantile_cont",
    "approx_top_k": "count, and a window",
}
WINDOW_ONLY: Final = (
    exp.RowNumber, exp.Rank, exp.DenseRank, exp.PercentRank, exp.CumeDist, exp.Ntile, exp.Lag, exp.Lead, exp.FirstValue,
    exp.LastValue, exp.NthValue,
)  # fmt: skip
# Window functions of DuckDB that the SQL parser does not know as such; they count equals of the order as equal.
UNPARSED_WINDOW: Final = frozenset({"fill", "rank_dense"})
_WRAPPERS = (exp.Filter, exp.IgnoreNulls, exp.RespectNulls, exp.WithinGroup)


def is_aggregate(node: exp.Expr) -> bool:
    if isinstance(node, exp.Anonymous):
        return node.name.lower() in UNPARSED | UNSETTLED
    return isinstance(node, exp.AggFunc) and not isinstance(node, WINDOW_ONLY)


def is_window_only(node: exp.Expr) -> bool:
    if isinstance(node, exp.Anonymous):
        return node.name.lower() in UNPARSED_WINDOW
    return isinstance(node, WINDOW_ONLY)


def calls(tree: exp.Expr) -> Iterator[exp.Expr]:
    """The outermost aggregate calls, each with the clauses that belong to it (FILTER, IGNORE NULLS, WITHIN GROUP)."""
    if is_aggregate(tree) or (isinstance(tree, _WRAPPERS) and is_aggregate(innermost(tree))):
        yield tree
        return
    for part in tree.iter_expressions():
        yield from calls(part)


def innermost(tree: exp.Expr) -> exp.Expr:
    """The function inside the clauses that belong to its call."""
    while isinstance(tree, _WRAPPERS):
        tree = tree.this
    return tree


def outermost(node: exp.Expr) -> exp.Expr:
    """The function with the clauses that belong to its call."""
    while isinstance(node.parent, _WRAPPERS) and node.parent.this is node:
        node = node.parent
    return node


# ---------------------------------------------------------------- one answer in every run


def settled(tree: exp.Expr, scope: Scope, at: object, order: Sequence[exp.Ordered] = ()) -> exp.Expr:
    """The tree with every aggregate in it independent of the order of rows; ``order`` is that of the window around it,
    without ties (the very same, so that the engine need not sort each frame again).

    Fails with CMP-286 for ``first`` and ``last`` without an order, and for what cannot be settled.
    """

    def settle(node: exp.Expr) -> exp.Expr:
        match node:
            case exp.IgnoreNulls() if isinstance(node.this, exp.AnyValue):
                return exp.Min(this=node.this.this)
            case exp.AnyValue():
                return exp.Min(this=node.this)
            case exp.Anonymous() if node.name.lower() == "arbitrary" and len(node.expressions) == 1:
                return exp.Min(this=node.expressions[0])
            case exp.First() | exp.Last():
                if not order and not isinstance(node.this, exp.Order):
                    _unordered(name_of(node), scope, at)
                _order(node, order, scope)
            case exp.ArgMax() | exp.ArgMin():
                _untie(node, scope)
            case exp.ArrayAgg() | exp.GroupConcat():
                _order(node, order, scope)
            case exp.Mode():
                _order(node, (), scope)
            case exp.ApproxQuantile() | exp.ApproxTopK() | exp.Anonymous() if name_of(node) in UNSETTLED:
                _refuse(name_of(node), scope, at)
        return node

    return tree.transform(settle)


def name_of(node: exp.Expr) -> str:
    return node.name.lower() if isinstance(node, exp.Anonymous) else node.sql_name().lower()  # type: ignore[attr-defined]  # every exp.Func has it


def _order(node: exp.Expr, order: Sequence[exp.Ordered], scope: Scope) -> None:
    """Puts the rows of one call in an order without ties: its own, else the one given, else that of its values."""
    argument = node.this
    own = argument.expressions if isinstance(argument, exp.Order) else []
    value = argument.this if isinstance(argument, exp.Order) else argument
    if not isinstance(value, exp.Expr):
        return
    if isinstance(value, exp.Distinct) or not (own or order):
        # Equal values are the same wherever they come from; DISTINCT takes no order but that of its values.
        itself = value.expressions[0] if isinstance(value, exp.Distinct) else value
        keys = [*(own or [exp.Ordered(this=itself, nulls_first=False)])]
    else:
        keys = [*own, *tie_break(scope.schema, [item.this for item in own])] if own else [*order]
    node.set("this", exp.Order(this=value.copy(), expressions=[item.copy() for item in keys]))


def _unordered(name: str, scope: Scope, at: object) -> NoReturn:
    scope.fail("CMP-286", f"{name} needs an order", at=at, hint=f"write {name}(… order by …), or min or max")


def _untie(node: exp.Expr, scope: Scope) -> None:
    """``arg_max(a, b)``: of the rows with the largest ``b`` one is chosen by the tie-break; null ``b`` stays ignored."""
    key = node.args["expression"]
    ties = tie_break(scope.schema, [key])
    if ties:
        node.set("expression", when(is_not_null(key), call("row", key, *(item.this for item in ties))))


def _refuse(name: str, scope: Scope, at: object) -> NoReturn:
    instead = _INSTEAD.get(name, "first or last with an order by" if name.startswith("arg_") else None)
    scope.fail(
        "CMP-286",
        f"the result of {name} would not be the same in every run",
        at=at,
        hint=f"use {instead}" if instead else None,
    )


# ---------------------------------------------------------------- columns of their own


def check_grouped(measure: Column, by: Sequence[Column], scope: Scope) -> None:
    """Fails with CMP-287 for a column that stands neither in an aggregate nor under ``by``."""
    grouped = {item.value.name for item in by if isinstance(item.value, exp.Column)}
    rest = measure.value.copy()
    for aggregate in list(calls(rest)):
        if aggregate is rest:
            return
        aggregate.replace(exp.null())
    if any(isinstance(node, exp.Anonymous) for node in rest.walk()):
        return  # perhaps an aggregate that is not known here: the engine decides
    loose = next((found for found in rest.find_all(exp.Column) if found.name not in grouped), None)
    if loose is not None:
        scope.fail(
            "CMP-287",
            f'column "{loose.name}" stands neither in an aggregate nor under `by`',
            at=measure.at,
            hint=f"aggregate it, such as max({loose.name}), or group by it",
        )
