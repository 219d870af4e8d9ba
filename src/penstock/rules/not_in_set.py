"""No value of a column is one of a list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.registry import Descriptor
from penstock.rules.api import Violation
from penstock.rules.in_set import NOTES, InSetParams, is_one_of
from penstock.steps.rewrite import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.rules.api import Scope


class NotInSetParams(InSetParams):
    """``not_in_set: {column: country, values: [XX, ZZ]}``."""


def make(params: NotInSetParams, scope: Scope) -> Sequence[Violation]:
    """One violation. Raises ConfigError CMP-203, CMP-258 (a value not of the column's type), CMP-371."""
    column, found = is_one_of(params, scope)
    return (Violation(found, shown(column.name, column, "is among the values"), column.name),)


NOT_IN_SET = Descriptor(
    name="not_in_set",
    group="rules",
    dimension="validity",
    summary="No value of a column is one of a list.",
    params=NotInSetParams,
    make=make,
    example="not_in_set: {column: country, values: [XX, n/a]}",
    notes=NOTES,
)
