"""The parameters of every rule; a rule's own model derives from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from penstock.fields import Name, Share
from penstock.graph.nodes import Threshold
from penstock.steps.params import StepParams

if TYPE_CHECKING:
    from typing import Self


class AnyRuleParams(StepParams):
    """They may stand beside the rule's name too, which is where they stand beside a short form."""

    name: Name | None = Field(
        default=None,
        description="What rejects and reports call it, unique among the rules of one place; unsaid, the rule's own name.",
    )
    weight: float = Field(
        default=1, ge=0, allow_inf_nan=False, description="How much it counts in the quality score, beside other rules."
    )
    description: str = Field(default="", description="What it is for, for people.")


class TableRuleParams(AnyRuleParams):
    """Of a rule about all rows together."""

    on_fail: Literal["warn", "fail", "info"] = Field(
        default="warn",
        description="What comes of rows that violate it: a warning, a run that fails before anything is committed, or a "
        "figure in the report.",
    )


class RuleParams(AnyRuleParams):
    """Of a rule about rows, each by itself."""

    on_fail: Literal["reject", "warn", "fail", "info"] = Field(
        default="reject",
        description="What a row does that violates it: it goes to rejects, passes and is told with a warning, fails the run, "
        "or passes and is counted.",
    )
    max_rows: int | None = Field(default=None, ge=0, description="More rows than that violate it: the run fails.")
    max_share: Share | None = Field(
        default=None, description="A larger share of the rows than that violate it: the run fails."
    )

    @model_validator(mode="after")
    def _thresholds_mean_something(self) -> Self:
        if self.on_fail == "fail" and (self.max_rows is not None or self.max_share is not None):
            raise ValueError("on_fail: fail lets no row pass, so that max_rows and max_share say nothing")
        return self

    @property
    def threshold(self) -> Threshold | None:
        return None if self.max_rows is None and self.max_share is None else Threshold(self.max_rows, self.max_share)


class AcrossRowsParams(RuleParams):
    """Of a rule that looks at other rows than its own."""

    scope: Literal["epoch"] | None = Field(
        default=None, description="Over an incremental input: the rows of one epoch are meant, not all there are."
    )
