"""A column adds up to what another node's column adds up to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field
from sqlglot import exp

from penstock.fields import Name
from penstock.graph.nodes import OTHER, Aggregate, Column
from penstock.registry import Descriptor
from penstock.rules.api import TableViolation
from penstock.rules.params import TableRuleParams
from penstock.rules.values import number_column, number_of
from penstock.trees import column, text_of

if TYPE_CHECKING:
    from penstock.rules.api import Scope

_SUM = "sum"


class SumEqualsParams(TableRuleParams):
    """``sum_equals: {column: amount, to: orders, of: total, tolerance: 0.01}``."""

    column: Name = Field(description="A column of numbers.")
    to: Name = Field(description="The other node: a source, a transform, or a sink, whose table is then read.")
    of: Name | None = Field(default=None, description="The other node's column; of the same name where not given.")
    tolerance: float = Field(default=0, ge=0, allow_inf_nan=False, description="How far apart the two sums may lie.")
    scope: Literal["epoch"] | None = Field(
        default=None, description="Over an incremental input: the rows of one epoch are meant, not all there are."
    )


def make(params: SumEqualsParams, scope: Scope) -> TableViolation:
    """The sum, under ``sum``; 0 without a value. Adds the node of the other sum. Raises ConfigError CMP-201, CMP-203,
    CMP-371 (no numbers).
    """
    own = number_column(scope, params.column)
    node = scope.resolve(params.to)
    other = number_of(scope, node, params.to, params.of or params.column)
    sums = Aggregate(scope.node_id("other"), input=node, by=(), measures=(Column(_SUM, _sum(other)),))
    there = column(_SUM, OTHER)
    apart = exp.Abs(this=exp.Sub(this=column(_SUM), expression=there))
    told = [
        exp.Literal.string(f'"{own.name}" adds up to '),
        text_of(column(_SUM)),
        exp.Literal.string(f', and "{other.name}" of "{params.to}" to '),
        text_of(there),
    ]
    return TableViolation(
        (Column(_SUM, _sum(own)),),
        exp.GT(this=apart, expression=exp.Literal.number(repr(params.tolerance))),
        exp.Concat(expressions=told, safe=True, coalesce=True),
        (own.name,),
        beside=scope.add(sums),
    )


def _sum(of: exp.Column) -> exp.Expr:
    return exp.func("coalesce", exp.Sum(this=of.copy()), exp.Literal.number(0))


SUM_EQUALS = Descriptor(
    name="sum_equals",
    group="rules",
    dimension="accuracy",
    summary="A column adds up to what another node's column adds up to.",
    params=SumEqualsParams,
    make=make,
    example="sum_equals: {column: amount, to: orders, of: total, tolerance: 0.01}",
    notes=(
        "Nulls add nothing. Sums of floating-point numbers depend on the order of rows: give them a tolerance.",
        "All rows that come in count, those too that another rule of the place rejects.",
    ),
)
