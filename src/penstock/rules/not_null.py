"""No value of the columns is null."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field
from sqlglot import exp

from penstock.fields import Names
from penstock.registry import Descriptor
from penstock.rules.api import Violation
from penstock.rules.params import RuleParams
from penstock.steps.collect import each
from penstock.trees import is_null

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.rules.api import Scope


class NotNullParams(RuleParams):
    """``not_null: [crude, price_date]``."""

    short: ClassVar[str | None] = "columns"

    columns: Names = Field(description="The columns, none of which may be null.")


def make(params: NotNullParams, scope: Scope) -> Sequence[Violation]:
    """One violation per column. Raises ConfigError CMP-203."""
    return each(params.columns, lambda name: null_in(scope.column(name)))


def null_in(column: exp.Column) -> Violation:
    """The row has no value there."""
    return Violation(is_null(column), exp.Literal.string(f'"{column.name}" is null'), column.name)


NOT_NULL = Descriptor(
    name="not_null",
    group="rules",
    dimension="completeness",
    summary="No value of the columns is null.",
    params=NotNullParams,
    make=make,
    example="not_null: [crude, price_date]",
    short="columns",
    notes=("An empty text and NaN are values, not null.",),
)
