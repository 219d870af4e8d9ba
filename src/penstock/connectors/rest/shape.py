"""The place of the records, and their columns, as the structures that DuckDB's ``from_json`` takes."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlglot import exp

from penstock.connectors.rest.database import TEXT
from penstock.trees import call, field_of
from penstock.types.duckdb import to_duckdb_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.connectors.rest.path import Path
    from penstock.faithful import Reading


class Shape(StrEnum):
    """What stands at the place of the records."""

    ARRAY = "array"  # a list of records
    OBJECT = "object"  # one record
    NOTHING = "nothing"  # null, or no content at all: no records


def identifier(name: str) -> exp.Identifier:
    return exp.to_identifier(name, quoted=True)


def structure_of(readings: Iterable[tuple[str, Reading]]) -> dict[str, str]:
    """One record with these columns, as they are read."""
    return {name: to_duckdb_text(reading.held) for name, reading in readings}


def records_of(place: Path, shape: Shape, record: dict[str, str] | str) -> exp.Expr:
    """The records of a page as a list of ``record``: its columns' types, or one type for it all."""
    wanted: object = [record] if shape is Shape.ARRAY else record
    for name in reversed(place):
        wanted = {name: wanted}
    parsed = from_json(exp.column(TEXT), wanted)
    found = member(parsed, place)
    return found if shape is Shape.ARRAY else exp.Array(expressions=[found])


def member(value: exp.Expr, place: Path) -> exp.Expr:
    """The part of a struct at that place."""
    for name in place:
        value = field_of(value, name)
    return value


def from_json(text: exp.Expr, structure: object) -> exp.Expr:
    """A value that does not fit its type becomes null: whoever calls this looks for such nulls (faults.py)."""
    literal = exp.Literal.string(json.dumps(structure, ensure_ascii=False))
    return call("from_json", text, literal)
