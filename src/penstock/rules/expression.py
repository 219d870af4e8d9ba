"""A condition that is true of every row."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field
from sqlglot import exp

from penstock.fields import Expression
from penstock.graph.chance import has_draw
from penstock.registry import Descriptor
from penstock.rules.api import Violation
from penstock.rules.params import RuleParams
from penstock.types.logical import BOOLEAN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.rules.api import Scope

_SHOWN: int = 200


class ExpressionParams(RuleParams):
    """``expression: low <= high``."""

    short: ClassVar[str | None] = "condition"

    condition: Expression = Field(description="What is true of every row.")


def make(params: ExpressionParams, scope: Scope) -> Sequence[Violation]:
    """One violation. Raises ConfigError CMP-203, CMP-246 (neither true nor false), CMP-372 (random numbers),
    and what else an expression may have wrong.
    """
    text = params.condition
    condition = scope.expression(text)
    kind = scope.type_of(condition)
    if kind is not None and kind != BOOLEAN:
        scope.fail("CMP-246", f"a condition is true or false, and this is {kind}", at=text)
    if has_draw(condition):
        scope.fail(
            "CMP-372", "a rule cannot be left to chance", at=text, hint="compute the number in a `derive` step before"
        )
    columns = {found.name for found in condition.find_all(exp.Column)}
    message = exp.Literal.string(f"not true: {' '.join(text.sql.split())[:_SHOWN]}")
    column = columns.pop() if len(columns) == 1 else None
    return (Violation(exp.Not(this=exp.Paren(this=condition)), message, column, text.at),)


EXPRESSION = Descriptor(
    name="expression",
    group="rules",
    dimension="consistency",
    summary="A condition is true of every row.",
    params=ExpressionParams,
    make=make,
    example="expression: low <= high and high - low < 100",
    short="condition",
    notes=("A row for which the condition is null passes.",),
)
