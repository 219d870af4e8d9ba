"""Every text of a column is a date or a time in one format."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pydantic import Field, field_validator
from sqlglot import exp

from penstock.fields import Name
from penstock.registry import Descriptor
from penstock.rules.api import Violation
from penstock.rules.params import RuleParams
from penstock.rules.values import text_column
from penstock.steps.rewrite import shown
from penstock.trees import call, is_not_null, is_null

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.rules.api import Scope

# The parts that DuckDB's strptime knows; those of one or two digits may have a "-" for no leading zero.
_PART: Final = re.compile(r"%(-?[dHIjmMSy]|[aAbBcfgGhnpTuUVwWxXYzZ%])")


class DateFormatParams(RuleParams):
    """``date_format: {column: day, format: "%d.%m.%Y"}``."""

    column: Name = Field(description="A column of text.")
    format: Name = Field(description="The format of strptime, such as %d.%m.%Y or %Y-%m-%d %H:%M:%S.")

    @field_validator("format")
    @classmethod
    def _is_a_format(cls, value: str) -> str:
        rest, parts = _PART.subn("", value)
        if not parts or "%" in rest or value != value.strip():
            raise ValueError("takes a format of strptime, such as %d.%m.%Y")
        return value


def make(params: DateFormatParams, scope: Scope) -> Sequence[Violation]:
    """One violation. Raises ConfigError CMP-203, CMP-371 (not text)."""
    column = text_column(scope, params.column)
    parsed = call("try_strptime", column, exp.Literal.string(params.format))
    # strptime looks past white space at either end.
    spaced = call("regexp_matches", column, exp.Literal.string(r"^\s|\s$"))
    violated = exp.and_(is_not_null(column), exp.or_(is_null(parsed), spaced))
    message = shown(column.name, column, f"is not written as {params.format}")
    return (Violation(violated, message, column.name),)


DATE_FORMAT = Descriptor(
    name="date_format",
    group="rules",
    dimension="validity",
    summary="Every text of a column is a date or a time in one format.",
    params=DateFormatParams,
    make=make,
    example="date_format: {column: delivered, format: '%d.%m.%Y'}",
    notes=("Null passes, an empty text does not.", "A day, month or hour may lack its leading zero."),
)
