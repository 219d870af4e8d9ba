r"""Arrow batches as the text that LOAD DATA reads: values apart by tabs, rows by line breaks, ``\N`` for null.

The engine makes one text of each row; the bytes of an Arrow array of them are what is sent, uncopied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.connectors.database import open_database
from penstock.connectors.mariadb.columns import BLOBS
from penstock.connectors.mariadb.sql import Sql, identifier, joined, sql
from penstock.connectors.years import outside_four_digits
from penstock.errors import DataError
from penstock.trees import call, column, text_of
from penstock.types import BINARY, BOOLEAN, FLOAT32, FLOAT64, JSON, STRING, TIMESTAMPTZ

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import duckdb
    import pyarrow as pa

    from penstock.connectors.api import Allowance
    from penstock.types import Field, Schema

PIECE_BYTES: Final = 1 << 20
_ESCAPED: Final = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\0", "\\0"))
_FLOATS: Final = (FLOAT32, FLOAT64)


class Encoder:
    """Batches of one schema. ``close`` is idempotent."""

    def __init__(self, schema: Schema, allowance: Allowance) -> None:
        self._schema = schema
        self._allowance = allowance
        values = [call("coalesce", _text(field), exp.Literal.string("\\N")) for field in schema]
        row = call("concat", call("concat_ws", _letter("\t"), *values), _letter("\n"))
        self._query = exp.select(exp.alias_(row, "row")).from_("batch").sql("duckdb")
        self._database: duckdb.DuckDBPyConnection | None = None

    def __call__(self, batch: pa.RecordBatch) -> Iterator[memoryview]:
        """Pieces of at most PIECE_BYTES. Raises DataError SNK-241 for a value that has no place in any column."""
        self._check(batch)
        if self._database is None:
            self._database = open_database(self._allowance)
        self._database.register("batch", _without_zones(batch, self._schema))
        rows = self._database.sql(self._query).to_arrow_table().column(0)
        self._database.unregister("batch")
        for chunk in rows.chunks:
            text = _bytes_of(chunk)
            for start in range(0, len(text), PIECE_BYTES):
                yield text[start : start + PIECE_BYTES]

    def _check(self, batch: pa.RecordBatch) -> None:
        import pyarrow.compute as pc

        years = outside_four_digits(batch, self._schema)
        if years is not None:
            raise DataError(
                "SNK-241", f'column "{years}" holds a day outside the years 1 to 9999, which MariaDB cannot hold'
            )
        for field in self._schema:
            values = batch.column(field.name)
            if field.type in _FLOATS and not pc.all(pc.is_finite(values), min_count=0).as_py():
                raise DataError(
                    "SNK-241",
                    f'column "{field.name}" holds NaN or an infinity, which MariaDB cannot hold',
                    hint="make it null in a step before, or cast the column to string",
                )

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None


def load_statement(table: Sql, schema: Schema, kinds: Mapping[str, str]) -> Sql:
    """What takes the text; ``kinds`` are those of the table's columns. The name of the file means nothing: the rows are
    sent by us, whatever file the server asks for.
    """
    places, changes = [], []
    for at, field in enumerate(schema):
        read = _READ.get("blob" if kinds[field.name] in BLOBS else kinds[field.name])
        places.append(Sql(f"@v{at}") if read else identifier(field.name))
        if read:
            changes.append(sql("{} = {}", identifier(field.name), sql(read, Sql(f"@v{at}"))))
    statement = sql(
        "LOAD DATA LOCAL INFILE 'rows' INTO TABLE {} CHARACTER SET utf8mb4"
        " FIELDS TERMINATED BY '\\t' ESCAPED BY '\\\\' LINES TERMINATED BY '\\n' ({})",
        table,
        joined(", ", places),
    )
    return sql("{} SET {}", statement, joined(", ", changes)) if changes else statement


# Where the column would take the text for something else.
_READ: Final = {"blob": "UNHEX({})", "bit": "CAST({} AS UNSIGNED)"}


def _text(field: Field) -> exp.Expr:
    value: exp.Expr = column(field.name)
    match field.type:
        case logical if logical in (STRING, JSON):
            for letter, escape in _ESCAPED:
                value = call("replace", value, _letter(letter), exp.Literal.string(escape))
            return value
        case logical if logical == BOOLEAN:
            return text_of(exp.cast(value, exp.DType.UTINYINT))
        case logical if logical in _FLOATS:
            return text_of(exp.cast(value, exp.DType.DOUBLE))
        case logical if logical == BINARY:
            return call("hex", value)
        case _:
            return text_of(value)


def _letter(letter: str) -> exp.Expr:
    return call("chr", exp.Literal.number(ord(letter)))


def _without_zones(batch: pa.RecordBatch, schema: Schema) -> pa.RecordBatch:
    """Instants as moments of UTC, which is the session's zone."""
    import pyarrow as pa

    columns = [
        values.view(pa.timestamp("us")) if field.type == TIMESTAMPTZ else values
        for values, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _bytes_of(texts: pa.Array) -> memoryview:
    """The texts, one after another."""
    import pyarrow.compute as pc

    size = pc.sum(pc.binary_length(texts), min_count=0).as_py()
    return memoryview(texts.buffers()[2] or b"")[:size]
