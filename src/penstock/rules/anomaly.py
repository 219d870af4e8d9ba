"""A figure of all rows is like it was in the runs before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, assert_never

from pydantic import Field, model_validator
from sqlglot import exp

from penstock.fields import Name
from penstock.graph.history import highest, lowest, told
from penstock.graph.nodes import Baseline, Column, Method
from penstock.registry import Descriptor
from penstock.rules.api import TableViolation
from penstock.rules.figures import null_share
from penstock.rules.params import TableRuleParams
from penstock.rules.values import finite, number_column
from penstock.trees import call, column, text_of

if TYPE_CHECKING:
    from typing import Self

    from penstock.rules.api import Scope

_SENSITIVITY: Final = {"zscore": 3.0, "mad": 3.5, "iqr": 3.0, "seasonal": 3.5}
_HISTORY: Final = {"zscore": 14, "mad": 14, "iqr": 14, "seasonal": 4}
_WINDOW: Final = 100
Metric = Literal["row_count", "null_share", "distinct_count", "mean", "stddev", "sum", "min", "max"]


class AnomalyParams(TableRuleParams):
    """``anomaly: {metric: null_share, column: price, method: mad}``."""

    metric: Metric = Field(description="The figure.")
    column: Name | None = Field(default=None, description="The column that it is of; of `row_count` none.")
    method: Literal["zscore", "mad", "iqr", "seasonal"] = Field(
        default="mad",
        description="What tells how far apart the figures were: standard deviations from their mean, median absolute deviations "
        "from their median (which a few odd runs do not move), interquartile ranges from their quartiles; or `seasonal`, as "
        "`mad`, among the runs of the same weekday (UTC).",
    )
    sensitivity: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="How many of these a figure may lie away; unsaid 3 with zscore and iqr, 3.5 with mad and seasonal.",
    )
    side: Literal["both", "above", "below"] = Field(default="both", description="Where a figure is odd.")
    min_history: int | None = Field(
        default=None, ge=1, description="With fewer figures to compare with it passes; unsaid 14, with seasonal 4."
    )
    window: int = Field(
        default=_WINDOW,
        ge=1,
        le=1000,
        description="How many of the newest runs are looked at; with seasonal, of those of the weekday.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.metric == "row_count") != (self.column is None):
            raise ValueError(
                "takes no column with row_count"
                if self.column is not None
                else f"needs the column of its {self.metric}"
            )
        if self.min_history is not None and self.min_history > self.window:
            raise ValueError(f"looks at {self.window} runs, which are never {self.min_history}")
        return self


def make(params: AnomalyParams, scope: Scope) -> TableViolation:
    """The figure, under its metric's name and its column's. Raises ConfigError CMP-203, CMP-371 (no numbers)."""
    found = None if params.column is None else _column(params.metric, scope, params.column)
    name = params.metric if found is None else f"{params.metric} of {found.name}"
    value = exp.Count(this=exp.Star()) if found is None else _of_column(params.metric, scope, found)
    method = Method(params.method)
    baseline = Baseline(
        name,
        method,
        params.sensitivity or _SENSITIVITY[method],
        min_history=params.min_history or _HISTORY[method],
        window=params.window,
        side=params.side,
    )
    below = exp.LT(this=column(name), expression=lowest(name))
    above = exp.GT(this=column(name), expression=highest(name))
    words = [
        exp.Literal.string(f"{name} is "),
        text_of(column(name)),
        exp.Literal.string(", and should be "),
        told(name),
    ]
    return TableViolation(
        (Column(name, value),),
        exp.or_(below, above),
        exp.Concat(expressions=words, safe=True, coalesce=True),
        () if found is None else (found.name,),
        baselines=(baseline,),
    )


def _column(metric: Metric, scope: Scope, name: str) -> exp.Column:
    return scope.column(name) if metric in ("null_share", "distinct_count") else number_column(scope, name)


def _of_column(metric: Metric, scope: Scope, found: exp.Column) -> exp.Expr:
    """Null without a value, but for the two that count."""
    match metric:
        case "null_share":
            return null_share(found)
        case "distinct_count":
            return call("approx_count_distinct", found)
        case "mean":
            return exp.Avg(this=finite(scope, found))
        case "stddev":
            return exp.StddevSamp(this=finite(scope, found))
        case "sum":
            return exp.Sum(this=finite(scope, found))
        case "min":
            return exp.Min(this=finite(scope, found))
        case "max":
            return exp.Max(this=finite(scope, found))
        case "row_count":
            return exp.Count(this=exp.Star())
    assert_never(metric)


ANOMALY = Descriptor(
    name="anomaly",
    group="rules",
    dimension="accuracy",
    summary="A figure of all rows is like it was in the runs before.",
    params=AnomalyParams,
    make=make,
    example="anomaly: {metric: null_share, column: price_usd, method: mad, sensitivity: 3.5, min_history: 14}",
    notes=(
        (
            "Its history are its own figures in sealed epochs of the pipeline, those that it found odd among them, so that it "
            "gets used to a new level. What another rule, or the same under another name, measured is not looked at."
        ),
        (
            "A replay, an interval that is read again and the first load of an incremental source are no history, and are not "
            "compared."
        ),
        "A run that finds nothing new makes no epoch, and none of which this rule speaks: `freshness` tells of a source that has stopped.",
        "With too little history it passes, and the quality report says how much there is of how much.",
        "Of numbers NaN and infinities do not count. `distinct_count` is approximate, so that it takes little memory.",
        "Where all figures before were the same, any other is odd.",
    ),
)
