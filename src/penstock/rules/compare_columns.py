"""Two columns of each row stand in a relation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field
from sqlglot import exp

from penstock.fields import Name
from penstock.registry import Descriptor
from penstock.rules.api import Violation
from penstock.rules.params import RuleParams
from penstock.steps.collect import each
from penstock.types.families import comparable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.rules.api import Scope

_COMPARISONS: Final[dict[str, type[exp.Binary]]] = {
    "=": exp.EQ, "!=": exp.NEQ, "<": exp.LT, "<=": exp.LTE, ">": exp.GT, ">=": exp.GTE,
}  # fmt: skip


class CompareColumnsParams(RuleParams):
    """``compare_columns: {left: low, op: "<=", right: high}``."""

    left: Name = Field(description="A column.")
    op: Literal["=", "!=", "<", "<=", ">", ">="] = Field(description="The relation that holds in every row.")
    right: Name = Field(description="Another column.")


def make(params: CompareColumnsParams, scope: Scope) -> Sequence[Violation]:
    """One violation. Raises ConfigError CMP-203, CMP-242 (columns of different kinds)."""
    left, right = each((params.left, params.right), scope.column)
    one, other = scope.schema[left.name].type, scope.schema[right.name].type
    if not comparable(one, other):
        scope.fail(
            "CMP-242",
            f'"{left.name}", which is {one}, cannot be compared with "{right.name}", which is {other}',
            at=params.right,
            hint="cast one of them in a step before",
        )
    holds = _COMPARISONS[params.op](this=left, expression=right)
    message = exp.Literal.string(f'"{left.name}" {params.op} "{right.name}" does not hold')
    return (Violation(exp.Not(this=exp.Paren(this=holds)), message),)


COMPARE_COLUMNS = Descriptor(
    name="compare_columns",
    group="rules",
    dimension="consistency",
    summary="Two columns of each row stand in a relation.",
    params=CompareColumnsParams,
    make=make,
    example="compare_columns: {left: low, op: '<=', right: high}",
    notes=("A row in which one of the two is null passes.", "NaN equals NaN and is larger than any number."),
)
