"""One row per group: counts, sums, averages, extremes, quantiles, first and last by an order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from penstock.fields import AlsoCalled, ColumnList, ColumnMap
from penstock.graph.nodes import Aggregate, Column
from penstock.registry import Descriptor
from penstock.steps.aggregates import check_grouped, settled
from penstock.steps.collect import each, together
from penstock.steps.params import StepParams
from penstock.structs import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.steps.api import Scope


class AggregateParams(StepParams):
    """``by`` and ``measures`` in this order are the columns of the result."""

    by: Annotated[ColumnList, AlsoCalled(("group_by", "keys"))] = Field(
        default=(), description="What makes a group: column names, or new: expression."
    )
    measures: ColumnMap = Field(default=(), description="new: an expression of aggregates, such as sum(amount).")


def make(params: AggregateParams, scope: Scope) -> str:
    """One Aggregate: in = sum of group sizes. Null keys are a group of their own."""
    if not params.by and not params.measures:
        scope.fail("CMP-288", "an aggregate needs `by` or `measures`", hint="write `measures: {rows: count(*)}`")
    with together() as part:
        with part():
            by = scope.expressions(params.by)
        with part():
            measures = scope.expressions(params.measures, allows="aggregate")
    measures = measured(measures, by, scope)
    return scope.add(Aggregate(scope.node_id(), input=scope.input, by=by, measures=measures))


def measured(measures: Sequence[Column], by: Sequence[Column], scope: Scope) -> tuple[Column, ...]:
    """The measures, their values independent of the order of rows."""

    def measure(item: Column) -> Column:
        check_grouped(item, by, scope)
        return replace(item, value=settled(item.value, scope, item.at))

    return each(measures, measure)


AGGREGATE = Descriptor(
    name="aggregate",
    group="steps",
    summary="Makes one row of each group.",
    params=AggregateParams,
    make=make,
    example='aggregate: {by: [crude], measures: {days: "count(distinct price_date)", last: "last(price order by price_date)"}}',
    notes=(
        "Null keys form a group of their own; without `by` the result is one row, also of an empty input.",
        (
            "first and last take their order inside: `first(price order by day)`; rows that the order leaves equal are "
            "told apart by their other columns, so that every run gives the same row."
        ),
        "Lists and joined texts without an order come in the order of their values; any_value is the smallest one.",
        "A sum of integers is decimal(38,0). Sums and averages of floats may differ in the last digit from run to run.",
    ),
)
