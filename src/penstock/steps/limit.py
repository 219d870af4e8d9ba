"""Keeps the first rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, field_validator

from penstock.graph.nodes import Limit
from penstock.registry import Descriptor
from penstock.steps.params import StepParams

if TYPE_CHECKING:
    from penstock.steps.api import Scope


class LimitParams(StepParams):
    """``limit: n``."""

    short: ClassVar[str | None] = "rows"

    rows: int = Field(ge=0, le=2**63 - 1, description="How many rows stay, by the order of a `sort` before.")

    @field_validator("rows", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        if isinstance(value, bool):  # which Python takes for 0 or 1
            raise ValueError("takes a whole number")  # noqa: TRY004 -- pydantic tells a ValueError
        return value


def make(params: LimitParams, scope: Scope) -> str:
    """One Limit: in = out + filtered."""
    return scope.add(Limit(scope.node_id(), input=scope.input, rows=params.rows))


LIMIT = Descriptor(
    name="limit",
    group="steps",
    summary="Keeps the first rows.",
    params=LimitParams,
    make=make,
    example="limit: 100",
    short="rows",
    notes=("Without a `sort` right before it, which rows stay is not said.",),
)
