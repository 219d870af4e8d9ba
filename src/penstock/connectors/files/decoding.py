"""The rows of a sink's table where the engine cannot read its files: decoded here, partition values put beside them."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, TypeAlias

from sqlglot import exp

from penstock.connectors.api import Chunk
from penstock.connectors.database import open_database

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from penstock.connectors.api import Allowance, Position
    from penstock.types import Schema

# The rows of a file of the sink's format: exactly these columns, in the types that they were written from, null for
# those that the file lacks.
Decoder: TypeAlias = "Callable[[Path, Schema], Generator[pa.RecordBatch, None, None]]"


def decoded(
    decode: Decoder,
    files: Sequence[tuple[Path, Mapping[str, exp.Expr]]],
    *,
    schema: Schema,
    position: Position,
    allowance: Allowance,
) -> Iterator[Chunk]:
    """All rows of the files, each with the values of its partition columns. Errors as the decoder's."""
    for path, constants in files:
        values = _values(constants, schema, allowance=allowance)
        with closing(decode(path, schema.without(constants))) as batches:
            for batch in batches:
                yield Chunk(_beside(batch, values, schema), position)


def as_written(batch: pa.RecordBatch, form: pa.Schema) -> pa.RecordBatch:
    """The columns of ``form``, null for those that the batch lacks; ints were smaller, decimals whole numbers, text was
    json: what is in the file fits.
    """
    import pyarrow as pa

    names = set(batch.schema.names)
    arrays = [
        _narrowed(batch.column(field.name), field.type) if field.name in names else pa.nulls(batch.num_rows, field.type)
        for field in form
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=form)


def _narrowed(array: pa.Array, kind: pa.DataType) -> pa.Array:
    return array if array.type == kind else array.cast(kind)


def _values(constants: Mapping[str, exp.Expr], schema: Schema, *, allowance: Allowance) -> dict[str, pa.Array]:
    """One value each, as the engine reads it from the text that is kept of it."""
    if not constants:
        return {}
    from penstock.types.conform import conform_array

    named = [exp.alias_(value.copy(), f"c{place}") for place, value in enumerate(constants.values())]
    with closing(open_database(allowance, lossless=True)) as database:
        row = database.sql(exp.select(*named).sql(dialect="duckdb")).to_arrow_table()
    return {
        name: conform_array(row.column(place).combine_chunks(), schema[name].type, name=name)
        for place, name in enumerate(constants)
    }


def _beside(batch: pa.RecordBatch, values: dict[str, pa.Array], schema: Schema) -> pa.RecordBatch:
    import pyarrow as pa

    from penstock.types.arrow import to_arrow

    zeros = pa.nulls(batch.num_rows, pa.int64()).fill_null(0)
    arrays = [values[name].take(zeros) if name in values else batch.column(name) for name in schema.names]
    return pa.RecordBatch.from_arrays(arrays, schema=to_arrow(schema))
