"""There are as many rows as expected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator
from sqlglot import exp

from penstock.registry import Descriptor
from penstock.rules.figures import counted, outside, said
from penstock.rules.params import TableRuleParams

if TYPE_CHECKING:
    from typing import Self

    from penstock.rules.api import Scope, TableViolation


class RowCountParams(TableRuleParams):
    """``row_count: {min: 1000, max: 5000}``."""

    min: int | None = Field(default=None, ge=0, description="The fewest rows that are right.")
    max: int | None = Field(default=None, ge=0, description="The most rows that are right.")

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        counted(self.min, self.max)
        return self


def make(params: RowCountParams, _scope: Scope) -> TableViolation:
    """The number of rows, under ``rows``."""
    rows = exp.Count(this=exp.Star())
    return outside("rows", rows, params.min, params.max, message=said("there are ", "rows", " rows"))


ROW_COUNT = Descriptor(
    name="row_count",
    group="rules",
    dimension="completeness",
    summary="There are as many rows as expected.",
    params=RowCountParams,
    make=make,
    example="row_count: {min: 1000, max: 5000}",
    notes=(
        "The rows of one epoch are counted, as they come in.",
        (
            "Of a source with `incremental` these are the new ones: none where only another source had news. A run that finds "
            "nothing new makes no epoch, of which this rule says nothing, however often it looks: `freshness` tells of a source "
            "that has stopped."
        ),
    ),
)
