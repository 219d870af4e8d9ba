"""The newest value of a column is not too old."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import Field
from sqlglot import exp

from penstock.fields import Duration, Name
from penstock.graph.nodes import Column
from penstock.registry import Descriptor
from penstock.rules.api import TableViolation
from penstock.rules.params import TableRuleParams
from penstock.rules.values import instant_column
from penstock.trees import call, column, text_of, when
from penstock.types.logical import DATE, TIMESTAMPTZ

if TYPE_CHECKING:
    from penstock.rules.api import Scope
    from penstock.types import LogicalType

_DAY: Final = 86_400
_UNITS: Final = (("days", _DAY), ("h", 3600), ("min", 60), ("s", 1))


class FreshnessParams(TableRuleParams):
    """``freshness: {column: price_date, within: 5 days}``."""

    column: Name = Field(description="A column of dates or timestamps.")
    within: Duration = Field(description="How long before the epoch's moment its newest value lies at most.")


def make(params: FreshnessParams, scope: Scope) -> TableViolation:
    """The age of the newest value in seconds, under ``age_s`` with the column's name. Raises ConfigError CMP-203, CMP-371 (no dates, no
    timestamps).
    """
    found = instant_column(scope, params.column)
    age = column(f"age_s of {found.name}")
    most = params.within.total_seconds()
    unit, seconds = next((item for item in _UNITS if most >= item[1]), _UNITS[-1])
    hundredths = exp.Ceil(
        this=exp.Div(this=age.copy(), expression=exp.Literal.number(seconds / 100))
    )  # never too fresh
    shown = exp.Div(this=hundredths, expression=exp.Literal.number(100))
    told = [
        exp.Literal.string(f'the newest "{found.name}" is '),
        text_of(shown),
        exp.Literal.string(f" {unit} old, and should be at most {most / seconds:g} {unit}"),
    ]
    message = exp.Concat(expressions=told, safe=True, coalesce=True)
    measure = Column(age.name, _age(found, scope.schema[found.name].type))
    violated = exp.GT(this=age, expression=exp.Literal.number(str(most)))
    return TableViolation((measure,), violated, message, (found.name,), aging=True)


def _age(found: exp.Column, kind: LogicalType) -> exp.Expr:
    """Seconds from the newest value that is no infinity to the epoch's moment; of dates whole days, counted as seconds."""
    newest = exp.Max(this=when(call("isfinite", found), found))
    if kind == DATE:
        days = exp.Sub(this=exp.CurrentDate(), expression=newest)
        return exp.Mul(this=exp.Paren(this=days), expression=exp.Literal.number(_DAY))
    now: exp.Expr = exp.CurrentTimestamp()
    if kind != TIMESTAMPTZ:
        now = exp.Cast(this=now, to=exp.DataType.build("timestamp"))
    return exp.Sub(this=call("epoch", now), expression=call("epoch", newest))


FRESHNESS = Descriptor(
    name="freshness",
    group="rules",
    dimension="timeliness",
    summary="The newest value of a column is not too old.",
    params=FreshnessParams,
    make=make,
    example="freshness: {column: price_date, within: 5 days}",
    notes=(
        "It is compared with the moment at which the epoch was planned, in UTC; of dates whole days count.",
        (
            "Of a source with `incremental` the newest value that came before goes on ageing: an epoch without a value here, and a "
            "run that finds nothing new and makes no epoch, go by that one."
        ),
        "A column that never had a value passes: `row_count` and `null_share` speak of that. So does a value to come.",
    ),
)
