"""A column never goes back along an order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field
from sqlglot import exp

from penstock.fields import Name, Names, SortTexts
from penstock.graph.select import order
from penstock.registry import Descriptor
from penstock.rules.api import Violation
from penstock.rules.params import AcrossRowsParams
from penstock.rules.values import is_nan, ordered_column
from penstock.steps.collect import each, together
from penstock.steps.rewrite import shown
from penstock.steps.ties import tie_break

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.rules.api import Scope

# By whether values rise, and whether strictly: the comparison that violates the rule, and what is said of it.
_BACK: Final[dict[tuple[bool, bool], tuple[type[exp.Binary], str]]] = {
    (True, False): (exp.LT, "is less than a value before"),
    (True, True): (exp.LTE, "is not more than every value before"),
    (False, False): (exp.GT, "is more than a value before"),
    (False, True): (exp.GTE, "is not less than every value before"),
}


class MonotonicParams(AcrossRowsParams):
    """``monotonic: {column: counter, order_by: read_at}``."""

    column: Name = Field(description="A column of numbers, dates or times.")
    order_by: SortTexts = Field(min_length=1, description="The order along which it is looked at, such as `read_at`.")
    direction: Literal["increasing", "decreasing"] = Field(default="increasing", description="Where its values go.")
    strictly: bool = Field(default=False, description="Whether two rows with the same value are one too many.")
    partition_by: Names = Field(default=(), description="Columns whose values each have a series of their own.")


def make(params: MonotonicParams, scope: Scope) -> Sequence[Violation]:
    """One violation. Raises ConfigError CMP-203, CMP-371 (a column without an order) and what an order may have wrong."""
    with together() as part:
        with part():
            column = ordered_column(scope, params.column)
        with part():
            parts = each(params.partition_by, scope.column)
        with part():
            sorting = [order(key) for key in scope.sort_keys(params.order_by)]
    rising = params.direction == "increasing"
    nan = is_nan(column, scope.schema[column.name].type)
    value: exp.Expr = (
        column if nan is None else exp.Case(ifs=[exp.If(this=exp.Not(this=nan.copy()), true=column.copy())])
    )
    # Rows that the order leaves equal stand as the column goes, so that among them nothing goes back.
    last = exp.Ordered(this=column.copy(), desc=not rising, nulls_first=False)
    ties = tie_break(scope.schema, [*parts, *(item.this for item in sorting), column])
    window = exp.Window(
        this=exp.Max(this=value.copy()) if rising else exp.Min(this=value.copy()),
        partition_by=[item.copy() for item in parts],
        order=exp.Order(expressions=[*sorting, last, *ties]),
        spec=exp.WindowSpec(
            kind="ROWS", start="UNBOUNDED", start_side="PRECEDING", end=exp.Literal.number(1), end_side="PRECEDING"
        ),
    )
    before = scope.mark(window)
    comparison, words = _BACK[rising, params.strictly]
    violated: exp.Expr = comparison(this=column.copy(), expression=before)
    if nan is not None:
        violated = exp.or_(nan, violated)
    return (Violation(violated, shown(column.name, column, words), column.name),)


MONOTONIC = Descriptor(
    name="monotonic",
    group="rules",
    dimension="consistency",
    summary="A column never goes back along an order.",
    params=MonotonicParams,
    make=make,
    example="monotonic: {column: counter, order_by: read_at, partition_by: meter}",
    notes=(
        "Null passes; NaN does not.",
        "A value is compared with the largest (decreasing: the smallest) before it, so that what passes is monotonic.",
        "All rows that come in are looked at together, those too that another rule of the place rejects.",
    ),
)
