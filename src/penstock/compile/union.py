"""Several inputs as one: a union by name, in which a column that an input lacks is null."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from penstock.graph.nodes import Column, Project, Union
from penstock.graph.select import column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.compile.scope import Builder
    from penstock.errors import Location


def union_by_name(builder: Builder, node_id: str, ids: Sequence[str], at: Location | None) -> str:
    """Columns in the order in which the inputs first name them; an input that has them all is taken as it is."""
    names: dict[str, None] = {}
    for member in ids:
        names.update(dict.fromkeys(builder.schema_of(member).names))
    aligned = [_aligned(builder, f"{node_id}.{place}", member, tuple(names), at) for place, member in enumerate(ids, 1)]
    return builder.add(Union(node_id, members=tuple(aligned), at=at))


def _aligned(builder: Builder, node_id: str, member: str, names: tuple[str, ...], at: Location | None) -> str:
    present = builder.schema_of(member).names
    if present == names:
        return member
    columns = tuple(Column(name, column(name) if name in present else exp.null()) for name in names)
    return builder.add(Project(node_id, input=member, columns=columns, at=at))
