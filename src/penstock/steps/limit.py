"""Keeps the first rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from penstock.graph.nodes import Limit
from penstock.registry import Descriptor
from penstock.steps.params import StepParams

if TYPE_CHECKING:
    from penstock.steps.api import Scope


class LimitParams(StepParams):
    """``limit: n``."""

    short: ClassVar[str | None] = "rows"

    rows: int = Field(
        ge=0, le=2**63 - 1, strict=True, description="How many rows stay, by the order of a `sort` before."
    )


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
