"""Every value of a column is one of a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import Field
from sqlglot import exp

from penstock.fields import Name
from penstock.registry import Descriptor
from penstock.rules.api import Violation
from penstock.rules.params import RuleParams
from penstock.rules.values import plain_column
from penstock.steps.collect import each
from penstock.steps.literals import Scalar, literal
from penstock.steps.rewrite import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.rules.api import Scope

NOTES: Final = ("Null passes. Texts are compared to the letter; NaN is NaN, and -0.0 is 0.",)


class InSetParams(RuleParams):
    """``in_set: {column: crude, values: [brent, wti]}``."""

    column: Name = Field(description="The column.")
    values: tuple[Scalar, ...] = Field(min_length=1, description="The values, of the column's type.")


def make(params: InSetParams, scope: Scope) -> Sequence[Violation]:
    """One violation. Raises ConfigError CMP-203, CMP-258 (a value not of the column's type), CMP-371."""
    column, found = is_one_of(params, scope)
    return (Violation(exp.Not(this=found), shown(column.name, column, "is not among the values"), column.name),)


def is_one_of(params: InSetParams, scope: Scope) -> tuple[exp.Column, exp.In]:
    """The column, and whether its value is one of those; null for null."""
    column = plain_column(scope, params.column)
    kind = scope.schema[column.name].type
    values = each(params.values, lambda value: literal(scope, value, kind, of=column.name))
    return column, exp.In(this=column.copy(), expressions=list(values))


IN_SET = Descriptor(
    name="in_set",
    group="rules",
    dimension="validity",
    summary="Every value of a column is one of a list.",
    params=InSetParams,
    make=make,
    example="in_set: {column: crude, values: [brent, wti]}",
    notes=NOTES,
)
