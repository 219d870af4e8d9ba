"""Says how the nodes of a `from:` list are put together: by name or by position, with or without equal rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from penstock.graph.nodes import Column, Filter, Project, Union
from penstock.registry import Descriptor
from penstock.steps.params import StepParams
from penstock.steps.ties import first_of
from penstock.trees import column
from penstock.types.families import comparable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.steps.api import Scope


class UnionParams(StepParams):
    """Stands first in a transform whose `from` is a list; without it the list is a union by name."""

    by: Literal["name", "position"] = Field(
        default="name", description="Whether columns meet by their names (a missing one is null) or by their places."
    )
    distinct: bool = Field(default=False, description="Whether equal rows are kept only once.")


def make(params: UnionParams, scope: Scope) -> str:
    """A Union, sum of in = out; where ``distinct`` a Filter behind it: in = out + deduplicated."""
    if len(scope.members) == 1:
        scope.fail(
            "CMP-298",
            "a union has nothing to put together here",
            hint="it stands first in a transform whose `from` is a list: `from: [a, b]`",
        )
    current = scope.input if params.by == "name" else _by_position(scope)
    if not params.distinct:
        return current
    schema = scope.schema_of(current)
    once = first_of(schema, [column(name) for name in schema.names], ())
    return scope.add(Filter(scope.node_id("distinct"), input=current, condition=once, why="deduplicate"))


def _by_position(scope: Scope) -> str:
    """The names are those of the first; the types those that the engine finds for each place."""
    schemas = [scope.schema_of(member) for member in scope.members]
    names = schemas[0].names
    first = _owner(scope.members[0])
    for member, schema in zip(scope.members[1:], schemas[1:], strict=True):
        if len(schema) != len(names):
            scope.fail(
                "CMP-299",
                f'"{first}" has {len(names)} columns, "{_owner(member)}" has {len(schema)}',
                detail=f"{', '.join(names)} against {', '.join(schema.names)}.",
                hint="select the same columns on each side, or unite by name",
            )
        for mine, theirs in zip(schemas[0], schema, strict=True):
            if not comparable(mine.type, theirs.type):
                scope.fail(
                    "CMP-300",
                    f'"{mine.name}" of "{first}" and "{theirs.name}" of "{_owner(member)}" cannot stand in one '
                    f"column: {mine.type} and {theirs.type}",
                    hint="cast one of them, or put the columns in the same order",
                )
    aligned = [_named(scope, place, names) for place in range(len(schemas))]
    return scope.add(Union(scope.node_id(), members=tuple(aligned)))


def _owner(node_id: str) -> str:
    """The name in the document of the node that a member stands for."""
    return node_id.partition(".")[0]


def _named(scope: Scope, place: int, names: Sequence[str]) -> str:
    member = scope.members[place]
    own = scope.schema_of(member).names
    if own == tuple(names):
        return member
    columns = tuple(Column(new, column(old)) for new, old in zip(names, own, strict=True))
    return scope.add(Project(scope.node_id(str(place + 1)), input=member, columns=columns))


UNION = Descriptor(
    name="union",
    group="steps",
    summary="Puts the nodes of a `from:` list together, by name or by position.",
    params=UnionParams,
    make=make,
    example="union: {by: position, distinct: true}",
    notes=(
        "By name, a column that a node lacks is null in its rows; by position, the first node names the columns.",
        "Rows stay as often as they come, unless `distinct` is true.",
    ),
)
