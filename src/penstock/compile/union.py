"""Several inputs as one: a union by name, in which a column that an input lacks is null."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from penstock.errors import ConfigError
from penstock.graph.nodes import Column, Project, Union
from penstock.trees import column
from penstock.types.duckdb import to_duckdb
from penstock.types.families import comparable
from penstock.types.logical import fold_case

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.compile.scope import Builder
    from penstock.errors import Location
    from penstock.types import LogicalType


def union_by_name(builder: Builder, node_id: str, *, ids: Sequence[str], at: Location | None) -> str:
    """Columns in the order in which the inputs first name them; an input that has them all is taken as it is."""
    _check_case(builder, ids, at)
    _check_kinds(builder, ids, at)
    types: dict[str, LogicalType] = {}
    for member in ids:
        types = {item.name: item.type for item in builder.schema_of(member)} | types
    order = tuple(dict.fromkeys(name for member in ids for name in builder.schema_of(member).names))
    wanted = {name: types[name] for name in order}
    aligned = [
        _aligned(builder, f"{node_id}.{place}", member=member, wanted=wanted, at=at)
        for place, member in enumerate(ids, 1)
    ]
    return builder.add(Union(node_id, members=tuple(aligned), at=at))


def _check_case(builder: Builder, ids: Sequence[str], at: Location | None) -> None:
    """CMP-209 where two of the inputs write a column differently: it would be null in the rows of both."""
    first: dict[str, tuple[str, str]] = {}
    for member in ids:
        owner = member.partition(".")[0]
        for name in builder.schema_of(member).names:
            before, written = first.setdefault(fold_case(name), (owner, name))
            if written != name:
                raise ConfigError(
                    "CMP-209",
                    f'"{written}" of "{before}" and "{name}" of "{owner}" differ only in case',
                    at=at,
                    hint="rename one of them in a step before",
                )


def _check_kinds(builder: Builder, ids: Sequence[str], at: Location | None) -> None:
    """CMP-300 where a column is of different kinds in two of the inputs: the engine would make texts of it."""
    first: dict[str, tuple[str, LogicalType]] = {}
    for member in ids:
        owner = member.partition(".")[0]
        for item in builder.schema_of(member):
            before, kind = first.setdefault(item.name, (owner, item.type))
            if not comparable(kind, item.type):
                raise ConfigError(
                    "CMP-300",
                    f'the column "{item.name}" is {kind} in "{before}" and {item.type} in "{owner}"',
                    at=at,
                    hint="cast one of them in a step before",
                )


def _aligned(
    builder: Builder, node_id: str, *, member: str, wanted: Mapping[str, LogicalType], at: Location | None
) -> str:
    present = builder.schema_of(member).names
    if present == tuple(wanted):
        return member
    columns = tuple(
        # A bare null would be text to the next node, and turn the whole column into texts.
        Column(name, column(name) if name in present else exp.Cast(this=exp.null(), to=to_duckdb(kind)))
        for name, kind in wanted.items()
    )
    return builder.add(Project(node_id, input=member, columns=columns, at=at))
