"""Turns the fields of structs into columns of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from penstock.fields import Names
from penstock.graph.nodes import Column, Project
from penstock.registry import Descriptor
from penstock.steps.collect import each
from penstock.steps.params import StepParams
from penstock.trees import column, field_of
from penstock.types.logical import List, Struct

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.steps.api import Scope
    from penstock.types import LogicalType


class FlattenParams(StepParams):
    """``flatten: address`` or ``flatten: {columns, separator, depth}``."""

    short: ClassVar[str | None] = "columns"

    columns: Names | None = Field(default=None, description="The structs; without it every column that is one.")
    separator: str = Field(default="_", description="What stands between a column's name and its field's.")
    depth: int | None = Field(default=None, ge=1, description="How many levels of structs are opened; default all.")


def make(params: FlattenParams, scope: Scope) -> str:
    """One Project: in = out; a struct's fields stand in its place, and are null where the struct is.

    Raises ConfigError CMP-203 (no such column), CMP-256 (not a struct), CMP-209 (two columns of one name).
    """
    structs = each(params.columns or (), lambda name: (_struct(scope, name), getattr(name, "at", None)))
    places = dict(structs)
    chosen = set(places) if params.columns is not None else set(scope.schema.names)
    columns: list[Column] = []
    for item in scope.schema:
        depth = (params.depth or -1) if item.name in chosen else 0
        whole = Column(item.name, column(item.name), places.get(item.name))
        columns.extend(_opened(whole, item.type, separator=params.separator, depth=depth))
    return scope.add(Project(scope.node_id(), input=scope.input, columns=tuple(columns)))


def _struct(scope: Scope, name: str) -> str:
    known = scope.column(name).name
    kind = scope.schema[known].type
    if not isinstance(kind, Struct):
        hint = "use the step `explode`" if isinstance(kind, List) else None
        scope.fail("CMP-256", f'column "{known}" is {kind}, not a struct', at=name, hint=hint)
    return known


def _opened(item: Column, kind: LogicalType, *, separator: str, depth: int) -> Iterator[Column]:
    """``depth`` levels more are opened; a negative number opens all."""
    if depth == 0 or not isinstance(kind, Struct):
        yield item
        return
    for inner in kind.fields:
        part = field_of(item.value, inner.name)
        opened = Column(f"{item.name}{separator}{inner.name}", part, item.at)
        yield from _opened(opened, inner.type, separator=separator, depth=depth - 1)


FLATTEN = Descriptor(
    name="flatten",
    group="steps",
    summary="Turns the fields of structs into columns.",
    params=FlattenParams,
    make=make,
    example="flatten: {columns: [address], separator: '.', depth: 1}",
    short="columns",
)
