"""Leaves out columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from penstock.fields import Names
from penstock.graph.nodes import Project
from penstock.registry import Descriptor
from penstock.steps.collect import each
from penstock.steps.params import StepParams

if TYPE_CHECKING:
    from penstock.steps.api import Scope


class DropParams(StepParams):
    """``drop: [a, b]``."""

    short: ClassVar[str | None] = "columns"

    columns: Names = Field(description="The columns that are left out.")


def make(params: DropParams, scope: Scope) -> str:
    """One Project: in = out. Raises ConfigError CMP-203 (no such column), CMP-253 (none would be left)."""
    dropped = [found.name for found in each(params.columns, scope.column)]
    columns = scope.carried(without=dropped)
    if not columns:
        scope.fail("CMP-253", "no column would be left", hint="keep at least one")
    return scope.add(Project(scope.node_id(), input=scope.input, columns=columns))


DROP = Descriptor(
    name="drop",
    group="steps",
    summary="Leaves out columns.",
    params=DropParams,
    make=make,
    example="drop: [series, note]",
    short="columns",
)
