"""Keeps the columns that are named, in that order, computed or as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from penstock.fields import ColumnList
from penstock.graph.nodes import Project
from penstock.registry import Descriptor
from penstock.steps.params import StepParams

if TYPE_CHECKING:
    from penstock.steps.api import Scope


class SelectParams(StepParams):
    """``select: [a, {new: expression}]`` or ``select: {new: expression}``."""

    short: ClassVar[str | None] = "columns"
    whole: ClassVar[bool] = True

    columns: ColumnList = Field(description="The columns that stay, in this order: names, or new: expression.")


def make(params: SelectParams, scope: Scope) -> str:
    """One Project with just these columns: in = out."""
    return scope.add(Project(scope.node_id(), input=scope.input, columns=scope.expressions(params.columns)))


SELECT = Descriptor(
    name="select",
    group="steps",
    summary="Keeps the columns that are named, in that order.",
    params=SelectParams,
    make=make,
    example="select: [crude, {price_usd: price * rate}]",
    short="columns",
)
