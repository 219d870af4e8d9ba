"""Every value of a column is as long as it should be: texts by characters, lists by elements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator
from sqlglot import exp

from penstock.fields import Name
from penstock.registry import Descriptor
from penstock.rules.api import Violation
from penstock.rules.params import RuleParams
from penstock.rules.values import sized_column
from penstock.steps.rewrite import shown
from penstock.trees import call

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

    from penstock.rules.api import Scope


class LengthParams(RuleParams):
    """``length: {column: symbol, min: 3, max: 8}``."""

    column: Name = Field(description="A column of text, or of lists.")
    min: int | None = Field(default=None, ge=0, description="The least number of characters or elements.")
    max: int | None = Field(default=None, ge=0, description="The largest number of characters or elements.")

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("needs min or max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is more than max")
        return self


def make(params: LengthParams, scope: Scope) -> Sequence[Violation]:
    """One violation per bound. Raises ConfigError CMP-203, CMP-371 (neither text nor a list)."""
    return tuple(_violations(params, sized_column(scope, params.column)))


def _violations(params: LengthParams, column: exp.Column) -> Iterator[Violation]:
    length = call("len", column)
    if params.min is not None:
        short = exp.LT(this=length.copy(), expression=exp.Literal.number(params.min))
        yield Violation(short, shown(column.name, column, f"is shorter than {params.min}"), column.name)
    if params.max is not None:
        long = exp.GT(this=length.copy(), expression=exp.Literal.number(params.max))
        yield Violation(long, shown(column.name, column, f"is longer than {params.max}"), column.name)


LENGTH = Descriptor(
    name="length",
    group="rules",
    dimension="validity",
    summary="Every text or list of a column is as long as it should be.",
    params=LengthParams,
    make=make,
    example="length: {column: symbol, min: 3, max: 8}",
    notes=(
        "Null passes, an empty text is 0 long.",
        "A character is a code point: a letter with a combining mark is two.",
    ),
)
