"""The mean, the standard deviation and quantiles of a column lie between bounds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pydantic import Field, model_validator
from sqlglot import exp

from penstock.fields import Name, Params
from penstock.graph.nodes import Column
from penstock.registry import Descriptor
from penstock.rules.api import TableViolation
from penstock.rules.params import TableRuleParams
from penstock.rules.values import is_nan, number_column
from penstock.trees import call, column, text_of, when

if TYPE_CHECKING:
    from typing import Self

    from penstock.rules.api import Scope

_PERCENTILE: Final = re.compile(r"p(100|[0-9]{1,2}(\.[0-9]{1,4})?)")


class Bounds(Params):
    """Where a figure lies."""

    min: float | None = Field(default=None, allow_inf_nan=False, description="The lowest figure that is right.")
    max: float | None = Field(default=None, allow_inf_nan=False, description="The highest figure that is right.")

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("needs min or max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"has no number between {self.min:g} and {self.max:g}")
        return self


class DistributionParams(TableRuleParams):
    """``distribution: {column: price_usd, mean: {min: 20, max: 150}, quantiles: {p99: {max: 300}}}``."""

    column: Name = Field(description="A column of numbers.")
    mean: Bounds | None = Field(default=None, description="Where the mean lies.")
    stddev: Bounds | None = Field(default=None, description="Where the standard deviation (of a sample) lies.")
    quantiles: dict[Name, Bounds] = Field(
        default_factory=dict,
        description="Where percentiles lie: p50 is the median, p99.9 has 99.9 % of values below it.",
    )

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if self.mean is None and self.stddev is None and not self.quantiles:
            raise ValueError("needs mean, stddev or quantiles")
        if not all(_PERCENTILE.fullmatch(name) for name in self.quantiles):
            raise ValueError("takes quantiles by their names, from p0 to p100")
        return self


def make(params: DistributionParams, scope: Scope) -> TableViolation:
    """A figure for each that is asked for, none of which is null but without a value. Raises ConfigError CMP-203, CMP-371
    (no numbers).
    """
    found = number_column(scope, params.column)
    value: exp.Expr = exp.Cast(this=found.copy(), to=exp.DataType.build("double"))
    if is_nan(found, scope.schema[found.name].type) is not None:
        value = when(call("isfinite", found), value)
    asked: dict[str, tuple[exp.Expr, Bounds]] = {}
    if params.mean is not None:
        asked["mean"] = exp.Avg(this=value.copy()), params.mean
    if params.stddev is not None:
        asked["stddev"] = exp.StddevSamp(this=value.copy()), params.stddev
    for name, bounds in params.quantiles.items():
        share = exp.Literal.number(repr(float(name[1:]) / 100))
        asked[str(name)] = call("approx_quantile", value, share), bounds
    outside = {name: _outside(column(name), bounds) for name, (_, bounds) in asked.items()}
    told = [when(outside[name], _told(found.name, name, bounds)) for name, (_, bounds) in asked.items()]
    measures = tuple(Column(name, figure) for name, (figure, _) in asked.items())
    message = call("concat_ws", exp.Literal.string(", "), *told)
    return TableViolation(measures, exp.or_(*outside.values()), message, (found.name,))


def _outside(figure: exp.Column, bounds: Bounds) -> exp.Expr:
    parts: list[exp.Expr] = []
    if bounds.min is not None:
        parts.append(exp.LT(this=figure.copy(), expression=_number(bounds.min)))
    if bounds.max is not None:
        parts.append(exp.GT(this=figure.copy(), expression=_number(bounds.max)))
    return exp.or_(*parts)


def _number(value: float) -> exp.Expr:
    return exp.Cast(this=exp.Literal.string(repr(value)), to=exp.DataType.build("double"))


def _told(name: str, figure: str, bounds: Bounds) -> exp.Expr:
    least = f"at least {bounds.min:g}" if bounds.min is not None else ""
    most = f"at most {bounds.max:g}" if bounds.max is not None else ""
    asked = " and ".join(filter(None, (least, most)))
    words = [
        exp.Literal.string(f'the {figure} of "{name}" is '),
        text_of(column(figure)),
        exp.Literal.string(f", and should be {asked}"),
    ]
    return exp.Concat(expressions=words, safe=True, coalesce=True)


DISTRIBUTION = Descriptor(
    name="distribution",
    group="rules",
    dimension="accuracy",
    summary="The mean, the standard deviation and quantiles of a column lie between bounds.",
    params=DistributionParams,
    make=make,
    example="distribution: {column: price_usd, mean: {min: 20, max: 150}, quantiles: {p99: {max: 300}}}",
    notes=(
        "Null, NaN and infinities do not count; a column without a value passes.",
        "Quantiles are approximate, so that any number of rows takes little memory.",
    ),
)
