"""One row per element of a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from penstock.fields import Name
from penstock.graph.nodes import Explode
from penstock.registry import Descriptor
from penstock.steps.params import StepParams
from penstock.types.logical import List, Struct

if TYPE_CHECKING:
    from penstock.steps.api import Scope


class ExplodeParams(StepParams):
    """``explode: tags`` or ``explode: {column, as, position, keep_empty}``."""

    short: ClassVar[str | None] = "column"

    column: Name = Field(description="The list.")
    as_: Name | None = Field(default=None, alias="as", description="The element's column; default the list's name.")
    position: Name | None = Field(default=None, description="A column for the element's place in the list, from 1 on.")
    keep_empty: bool = Field(
        default=False, description="Whether a row with an empty list or null stays, with null for the element."
    )


def make(params: ExplodeParams, scope: Scope) -> str:
    """One Explode: rows in, rows out, rows with nothing to explode. The list's column goes; the element stands last.

    Raises ConfigError CMP-203 (no such column), CMP-257 (not a list), CMP-209 (a name that is there already).
    """
    value = scope.column(params.column)
    kind = scope.schema[value.name].type
    if not isinstance(kind, List):
        hint = "use the step `flatten`" if isinstance(kind, Struct) else None
        scope.fail("CMP-257", f'column "{value.name}" is {kind}, not a list', at=params.column, hint=hint)
    return scope.add(
        Explode(
            scope.node_id(),
            input=scope.input,
            value=value,
            as_=str(params.as_ or value.name),
            columns=scope.carried(without=[value.name]),
            position=None if params.position is None else str(params.position),
            keep_empty=params.keep_empty,
        )
    )


EXPLODE = Descriptor(
    name="explode",
    group="steps",
    summary="One row per element of a list.",
    params=ExplodeParams,
    make=make,
    example="explode: {column: tags, as: tag, position: place, keep_empty: true}",
    short="column",
    notes=("The element stands behind the other columns.",),
)
