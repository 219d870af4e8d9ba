"""Puts the rows into an order."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from penstock.fields import SortTexts
from penstock.graph.nodes import Sort
from penstock.registry import Descriptor
from penstock.steps.params import StepParams

if TYPE_CHECKING:
    from penstock.steps.api import Scope


class SortParams(StepParams):
    """``sort: [a, b desc nulls first]``."""

    short: ClassVar[str | None] = "by"

    by: SortTexts = Field(description="Expressions, each with asc or desc, nulls first or nulls last (the default).")


def make(params: SortParams, scope: Scope) -> str:
    """One Sort: in = out. The order holds for a `limit` right behind it and for a sink that takes these rows."""
    return scope.add(Sort(scope.node_id(), input=scope.input, keys=scope.sort_keys(params.by)))


SORT = Descriptor(
    name="sort",
    group="steps",
    summary="Puts the rows into an order.",
    params=SortParams,
    make=make,
    example="sort: [day, price desc nulls first]",
    short="by",
    notes=("Only a `limit` right behind it and a sink see the order; other steps may lose it.",),
)
