"""The mean, the standard deviation and quantiles of a column lie between bounds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pydantic import Field, model_validator
from sqlglot import exp

from penstock.fields import Name, Params, Share
from penstock.graph.history import highest, lowest, told
from penstock.graph.nodes import Baseline, Column, Method
from penstock.registry import Descriptor
from penstock.rules.api import TableViolation
from penstock.rules.params import TableRuleParams
from penstock.rules.values import finite, number_column
from penstock.structs import Frozen
from penstock.trees import call, column, text_of, when

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from penstock.rules.api import Scope

_PERCENTILE: Final = re.compile(r"p(100|[0-9]{1,2}(\.[0-9]{1,4})?)")


class Bounds(Params):
    """Where a figure lies, by itself or beside those of earlier runs."""

    min: float | None = Field(default=None, allow_inf_nan=False, description="The lowest figure that is right.")
    max: float | None = Field(default=None, allow_inf_nan=False, description="The highest figure that is right.")
    drift: Share | None = Field(
        default=None, description="How far from the median of the runs before it may lie, as a share of that."
    )
    deviations: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="How many standard deviations from the mean of the runs before it may lie.",
    )

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.min is None and self.max is None and not self.is_historic:
            raise ValueError("needs min or max, drift or deviations")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"has no number between {self.min:g} and {self.max:g}")
        if self.drift is not None and self.deviations is not None:
            raise ValueError("takes drift or deviations, not both")
        return self

    @property
    def is_historic(self) -> bool:
        """Whether it is compared with earlier runs."""
        return self.drift is not None or self.deviations is not None

    def baseline(self, measure: str, min_history: int, window: int) -> Baseline | None:
        if self.drift is not None:
            return Baseline(measure, Method.DRIFT, float(self.drift), min_history, window)
        if self.deviations is not None:
            return Baseline(measure, Method.ZSCORE, self.deviations, min_history, window)
        return None


class DistributionParams(TableRuleParams):
    """``distribution: {column: price_usd, mean: {min: 20, drift: 25 %}, quantiles: {p99: {max: 300}}}``."""

    column: Name = Field(description="A column of numbers.")
    mean: Bounds | None = Field(default=None, description="Where the mean lies.")
    stddev: Bounds | None = Field(default=None, description="Where the standard deviation (of a sample) lies.")
    quantiles: dict[Name, Bounds] = Field(
        default_factory=dict,
        description="Where percentiles lie: p50 is the median, p99.9 has 99.9 % of values below it.",
    )
    min_history: int = Field(
        default=14, ge=1, description="With fewer runs before it drift and deviations let a figure pass."
    )
    window: int = Field(default=100, ge=1, le=1000, description="How many of the newest runs these look at.")

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if self.mean is None and self.stddev is None and not self.quantiles:
            raise ValueError("needs mean, stddev or quantiles")
        if not all(_PERCENTILE.fullmatch(name) for name in self.quantiles):
            raise ValueError("takes quantiles by their names, from p0 to p100")
        if self.min_history > self.window:
            raise ValueError(f"looks at {self.window} runs, which are never {self.min_history}")
        return self


class _Asked(Frozen):
    """One figure: its ``name`` in the document, what it is measured as, and where it lies."""

    name: str
    value: exp.Expr
    bounds: Bounds
    of: str

    @property
    def measure(self) -> str:
        """With the column's name where it is compared with others of that measure."""
        return f"{self.name} of {self.of}" if self.bounds.is_historic else self.name


def make(params: DistributionParams, scope: Scope) -> TableViolation:
    """A figure for each that is asked for, none of which is null but without a value. Raises ConfigError CMP-203, CMP-371
    (no numbers).
    """
    found = number_column(scope, params.column)
    value = finite(scope, found)
    asked: list[_Asked] = []
    if params.mean is not None:
        asked.append(_Asked("mean", exp.Avg(this=value.copy()), params.mean, found.name))
    if params.stddev is not None:
        asked.append(_Asked("stddev", exp.StddevSamp(this=value.copy()), params.stddev, found.name))
    for name, bounds in params.quantiles.items():
        share = exp.Literal.number(repr(float(name[1:]) / 100))
        asked.append(_Asked(str(name), call("approx_quantile", value, share), bounds, found.name))
    said = [part for item in asked for part in _said(item)]
    baselines = (item.bounds.baseline(item.measure, params.min_history, params.window) for item in asked)
    return TableViolation(
        tuple(Column(item.measure, item.value) for item in asked),
        exp.or_(
            *(condition for item in asked for condition in (_outside(item), _unlike(item)) if condition is not None)
        ),
        call("concat_ws", exp.Literal.string(", "), *said),
        (found.name,),
        baselines=tuple(one for one in baselines if one is not None),
    )


def _outside(item: _Asked) -> exp.Expr | None:
    parts: list[exp.Expr] = []
    if item.bounds.min is not None:
        parts.append(exp.LT(this=column(item.measure), expression=_number(item.bounds.min)))
    if item.bounds.max is not None:
        parts.append(exp.GT(this=column(item.measure), expression=_number(item.bounds.max)))
    return exp.or_(*parts) if parts else None


def _unlike(item: _Asked) -> exp.Expr | None:
    if not item.bounds.is_historic:
        return None
    below = exp.LT(this=column(item.measure), expression=lowest(item.measure))
    return exp.or_(below, exp.GT(this=column(item.measure), expression=highest(item.measure)))


def _number(value: float) -> exp.Expr:
    return exp.Cast(this=exp.Literal.string(repr(value)), to=exp.DataType.build("double"))


def _said(item: _Asked) -> Iterator[exp.Expr]:
    """What is said of the figure, null where there is nothing to say."""
    outside, unlike = _outside(item), _unlike(item)
    if outside is not None:
        least = f"at least {item.bounds.min:g}" if item.bounds.min is not None else ""
        most = f"at most {item.bounds.max:g}" if item.bounds.max is not None else ""
        asked = " and ".join(filter(None, (least, most)))
        yield when(outside, _words(item, exp.Literal.string(f", and should be {asked}")))
    if unlike is not None:
        yield when(unlike, _words(item, exp.Literal.string(", and should be "), told(item.measure)))


def _words(item: _Asked, *after: exp.Expr) -> exp.Expr:
    before = exp.Literal.string(f'the {item.name} of "{item.of}" is ')
    figure = exp.Case(
        ifs=[exp.If(this=call("isnan", _double(item)), true=exp.Literal.string("none that a double can hold"))],
        default=text_of(column(item.measure)),
    )
    return exp.Concat(expressions=[before, figure, *after], safe=True, coalesce=True)


def _double(item: _Asked) -> exp.Expr:
    return exp.Cast(this=column(item.measure), to=exp.DataType.build("double"))


DISTRIBUTION = Descriptor(
    name="distribution",
    group="rules",
    dimension="accuracy",
    summary="The mean, the standard deviation and quantiles of a column lie between bounds, fixed ones or those of earlier runs.",
    params=DistributionParams,
    make=make,
    example="distribution: {column: price_usd, mean: {min: 20, max: 150}, stddev: {drift: 25 %}, quantiles: {p99: {max: 300}}}",
    notes=(
        "Null, NaN and infinities do not count; a column without a value passes.",
        "Quantiles are approximate, so that any number of rows takes little memory.",
        (
            "`drift` and `deviations` look at sealed epochs of the pipeline, as `anomaly` does; with too little history they let "
            "a figure pass, and the quality report says how much there is of how much."
        ),
    ),
)
