"""Every value of a column lies between bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field, model_validator
from sqlglot import exp

from penstock.fields import AlsoCalled, Name
from penstock.registry import Descriptor
from penstock.rules.api import Violation
from penstock.rules.params import RuleParams
from penstock.rules.values import is_nan, ordered_column
from penstock.steps.literals import Scalar, literal
from penstock.steps.rewrite import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

    from penstock.rules.api import Scope

# The parameters, the comparison that a value violates them by, and what is said of it.
_BOUNDS: Final[dict[str, tuple[type[exp.Binary], str]]] = {
    "min": (exp.LT, "is less than {}"),
    "above": (exp.LTE, "is not above {}"),
    "max": (exp.GT, "is more than {}"),
    "below": (exp.GTE, "is not below {}"),
}

_LOW: Final = ("min", "above")
_HIGH: Final = ("max", "below")


class RangeParams(RuleParams):
    """``range: {column: price_usd, min: -50, max: 500}``."""

    column: Name = Field(description="A column of numbers, dates or times.")
    min: Scalar | None = Field(default=None, description="The lowest value that is right.")
    above: Annotated[Scalar | None, AlsoCalled(("exclusive_min", "exclusiveminimum", "gt"))] = Field(
        default=None, description="The highest value that is too low."
    )
    max: Scalar | None = Field(default=None, description="The highest value that is right.")
    below: Annotated[Scalar | None, AlsoCalled(("exclusive_max", "exclusivemaximum", "lt"))] = Field(
        default=None, description="The lowest value that is too high."
    )

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        given = self.bounds
        if not given:
            raise ValueError("needs min, max, above or below")
        for one, other in (_LOW, _HIGH):
            if {one, other} <= given.keys():
                raise ValueError(f"takes either {one} or {other}")
        low, high = (next((given[name] for name in names if name in given), None) for names in (_LOW, _HIGH))
        if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
            raise ValueError(f"has no value between {low} and {high}")
        return self

    @property
    def bounds(self) -> dict[str, str | int | float | bool]:
        values = {name: getattr(self, name) for name in _BOUNDS}
        return {name: value for name, value in values.items() if value is not None}


def make(params: RangeParams, scope: Scope) -> Sequence[Violation]:
    """One violation per bound. Raises ConfigError CMP-203, CMP-258 (a bound that is no value of the column), CMP-371 (a
    column without an order).
    """
    return tuple(_violations(params, scope))


def _violations(params: RangeParams, scope: Scope) -> Iterator[Violation]:
    column = ordered_column(scope, params.column)
    kind = scope.schema[column.name].type
    bounds = {name: literal(scope, value, kind, of=column.name) for name, value in params.bounds.items()}
    for name, bound in bounds.items():
        comparison, words = _BOUNDS[name]
        violated: exp.Expr = comparison(this=column.copy(), expression=bound)
        nan = is_nan(column, kind)
        if nan is not None:
            violated = exp.or_(nan, violated)
        yield Violation(violated, shown(column.name, column, words.format(params.bounds[name])), column.name)


RANGE = Descriptor(
    name="range",
    group="rules",
    dimension="validity",
    summary="Every value of a column lies between bounds.",
    params=RangeParams,
    make=make,
    example="range: {column: price_usd, min: -50, below: 500}",
    notes=("Null passes. NaN lies between no bounds; -0.0 is 0.",),
)
