"""The values that divide an Iceberg table, in SQL.

pyiceberg-core computes the transforms, over Arrow arrays, as functions of our own DuckDB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from penstock.trees import call, column, is_null
from penstock.types import Kind, Primitive
from penstock.types.duckdb import to_duckdb_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa

    from penstock.connectors.iceberg.partitions import Division
    from penstock.connectors.lake.duck import Duck
    from penstock.types import LogicalType


def values_of(own: Duck, divisions: Sequence[tuple[Division, LogicalType]]) -> list[exp.Expr]:
    """The value of each division, over a column of that type; functions that compute them are made for it."""
    return [_value(own, number, division, logical) for number, (division, logical) in enumerate(divisions)]


def _value(own: Duck, number: int, division: Division, logical: LogicalType) -> exp.Expr:
    value: exp.Expr = column(division.column)
    if division.transform == "identity":
        return value
    kind = to_duckdb_text(logical)
    if division.transform == "bucket" and logical == Primitive(Kind.UUID):  # its bytes; DuckDB would give its text
        value = call("unhex", call("replace", _text(value), exp.Literal.string("-"), exp.Literal.string("")))
        kind = "BLOB"
    name = f"transform_{number}"
    gives = kind if division.transform == "truncate" else "INTEGER"
    own.define(name, _computed(division.transform, division.width), kind, gives)
    return call(name, value)


def _computed(transform: str, width: int | None) -> Callable[[Any], pa.Array]:
    import pyarrow as pa
    import pyiceberg_core.transform as core

    compute = getattr(core, transform)

    def computed(array: pa.Array) -> pa.Array:
        found = compute(array) if width is None else compute(array, width)
        return found.cast(pa.int32()) if transform == "day" else found

    # DuckDB would evaluate a function's annotations, and finds no names for them.
    return lambda values: computed(values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values)


def place_of(values: list[exp.Expr]) -> exp.Expr:
    """A short text that is the same for rows of one partition, and for no others: it names a folder."""
    parts: list[exp.Expr] = []
    for value in values:
        code = call("hex", _text(value))
        parts += [exp.Case().when(is_null(value), exp.Literal.string("n")).else_(code), exp.Literal.string("/")]
    return call("md5", call("concat", *parts))


def _text(value: exp.Expr) -> exp.Cast:
    return exp.Cast(this=value.copy(), to=exp.DataType.build("text"))
