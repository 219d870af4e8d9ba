"""Every text of a column matches a regular expression as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from penstock.fields import Name
from penstock.registry import Descriptor
from penstock.rules.params import RuleParams
from penstock.rules.values import unlike
from penstock.steps.patterns import check_pattern

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.rules.api import Scope, Violation


class PatternParams(RuleParams):
    """``pattern: {column: series, pattern: "[A-Z]{4,8}"}``."""

    column: Name = Field(description="A column of text.")
    pattern: Name = Field(description="The regular expression (RE2), which the whole text matches.")


def make(params: PatternParams, scope: Scope) -> Sequence[Violation]:
    """One violation. Raises ConfigError CMP-203, CMP-247 (no regular expression), CMP-371."""
    check_pattern(scope, params.pattern)
    return (unlike(scope, params.column, params.pattern, "does not match the pattern"),)


PATTERN = Descriptor(
    name="pattern",
    group="rules",
    dimension="validity",
    summary="Every text of a column matches a regular expression as a whole.",
    params=PatternParams,
    make=make,
    example="pattern: {column: series, pattern: '[A-Z]{4,8}'}",
    notes=("Null passes, an empty text is matched as any other.", "A dot matches no line break: `(?s)` lets it."),
)
