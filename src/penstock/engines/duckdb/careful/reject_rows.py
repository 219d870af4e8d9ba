"""Rejected records in the form of ``connectors.api.REJECT_COLUMNS``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.connectors.api import REJECT_COLUMNS
from penstock.engines.duckdb.errors import batches_of
from penstock.trees import call, identifier, struct, text_of
from penstock.types import Schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb
    import pyarrow as pa

    from penstock.connectors.api import Origin

SCHEMA: Final = Schema.of(REJECT_COLUMNS)
SHOWN_CHARACTERS: Final = 100
BATCH_ROWS: Final = 10_000


def null_text() -> exp.Expr:
    return text_of(exp.null())


def cause(code: exp.Expr, column: exp.Expr, message: exp.Expr) -> exp.Struct:
    return struct({"code": code, "column": column, "message": message})


def shown(value: exp.Expr) -> exp.Expr:
    """A value cut to what a person reads."""
    return call("left", value, exp.Literal.number(SHOWN_CHARACTERS))


def legible(record: bytes) -> str:
    """What is no UTF-8 as backslash, x and hex digits."""
    return record.decode("utf-8", "backslashreplace")


def position(origin: Origin, record: exp.Expr, byte: exp.Expr | None) -> exp.Expr:
    """JSON text: where a record stands; its byte where that is known and the same in the file."""
    own = exp.Add(this=record, expression=exp.Literal.number(origin.records)) if origin.records else record
    values = {"file": exp.Literal.string(origin.name), "record": own}
    if byte is not None and origin.skipped is not None:
        values["byte"] = exp.Add(this=byte, expression=exp.Literal.number(origin.skipped))
    return text_of(call("to_json", struct(values)))


def reject_query(place: exp.Expr, raw: exp.Expr, causes: exp.Expr, *, row: exp.Expr | None = None) -> exp.Select:
    """A SELECT of the four columns, still without FROM; ``row``: the texts of a record's columns (JSON), where these can be
    told apart.
    """
    values = {"position": place, "row": row or null_text(), "raw": raw, "causes": causes}
    return exp.select(*[exp.alias_(value, identifier(name)) for name, value in values.items()])


def collect(database: duckdb.DuckDBPyConnection, query: exp.Query) -> list[pa.RecordBatch]:
    """What such a query finds, in bounded batches."""
    from penstock.types.conform import conform

    found = batches_of(database.sql(query.sql(dialect="duckdb")), BATCH_ROWS)
    return [conform(batch, SCHEMA) for batch in found if batch.num_rows]


def no_rows(schema: Schema) -> pa.RecordBatch:
    """A batch without rows, beside which rejects travel."""
    import pyarrow as pa

    from penstock.types.arrow import to_arrow

    form = to_arrow(schema)
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in form], schema=form)


def made(
    positions: Sequence[str], raws: Sequence[str], causes: Sequence[Sequence[dict[str, str | None]]]
) -> pa.RecordBatch:
    """The few that are found here and not by a query."""
    import pyarrow as pa

    from penstock.types.arrow import to_arrow

    form = to_arrow(SCHEMA)
    columns = [
        pa.array(list(positions), pa.string()).cast(form.field("position").type),
        pa.nulls(len(positions), pa.string()).cast(form.field("row").type),
        pa.array(list(raws), pa.string()),
        pa.array([list(item) for item in causes], form.field("causes").type),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=form)
