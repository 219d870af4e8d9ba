"""A column has as many different values as expected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator
from sqlglot import exp

from penstock.fields import Name
from penstock.registry import Descriptor
from penstock.rules.figures import counted, outside, said
from penstock.rules.params import TableRuleParams

if TYPE_CHECKING:
    from typing import Self

    from penstock.rules.api import Scope, TableViolation


class DistinctCountParams(TableRuleParams):
    """``distinct_count: {column: crude, min: 2, max: 10}``."""

    column: Name = Field(description="The column.")
    min: int | None = Field(default=None, ge=0, description="The fewest values that are right.")
    max: int | None = Field(default=None, ge=0, description="The most values that are right.")

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        counted(self.min, self.max)
        return self


def make(params: DistinctCountParams, scope: Scope) -> TableViolation:
    """The number of different values, under ``distinct``. Raises ConfigError CMP-203."""
    column = scope.column(params.column)
    values = exp.Count(this=exp.Distinct(expressions=[column]))
    message = said(f'"{column.name}" has ', "distinct", " different values")
    return outside("distinct", values, params.min, params.max, message=message)


DISTINCT_COUNT = Descriptor(
    name="distinct_count",
    group="rules",
    dimension="uniqueness",
    summary="A column has as many different values as expected.",
    params=DistinctCountParams,
    make=make,
    example="distinct_count: {column: crude, min: 2, max: 10}",
    notes=(
        "Null is no value. The count is exact; many values take memory, and disk where that is short.",
        "The rows of one epoch are looked at, as they come in.",
    ),
)
