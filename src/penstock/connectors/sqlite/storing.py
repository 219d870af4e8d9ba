"""Arrow columns in the form in which SQLite keeps them: whole numbers, floats, text, bytes.

| type | kept as |
|---|---|
| decimal | text with all its places, `-0.50`; uint64 as text too |
| date, time | text: `2024-01-31`, `23:59:59.999999` |
| timestamp | text: `2024-01-31T23:59:59.000001`, six digits always, so that text sorts as time |
| timestamptz | the same in UTC, followed by `+00:00` |
| uuid, json | text |
| boolean | 0 and 1 |
| float | REAL; NaN as the text `NaN`, since SQLite would make it null; -0.0 becomes 0.0 |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp

from penstock import trees
from penstock.connectors.database import open_database
from penstock.connectors.years import outside_four_digits
from penstock.errors import DataError
from penstock.types import DATE, FLOAT32, FLOAT64, JSON, TIME, TIMESTAMP, TIMESTAMPTZ, UINT64, UUID, Decimal

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from penstock.connectors.api import Allowance
    from penstock.types import Field, LogicalType, Schema

NAN: Final = "NaN"


class Storing:
    """Columns as SQLite keeps them. ``close`` is idempotent."""

    def __init__(self, schema: Schema, allowance: Allowance) -> None:
        self._schema = schema
        self._allowance = allowance
        self._query: exp.Select | None = None
        trees = [_expression(column) for column in schema]
        if not all(isinstance(tree, exp.Column) for tree in trees):
            named = (exp.alias_(tree, item.name, quoted=True) for tree, item in zip(trees, schema, strict=True))
            self._query = exp.select(*named).from_("batch")
        self._database: duckdb.DuckDBPyConnection | None = None

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Raises DataError SNK-177 for a date or time outside the years 1 to 9999."""
        import pyarrow as pa

        outside = outside_four_digits(batch, self._schema)
        if outside is not None:
            raise DataError(
                "SNK-177", f'column "{outside}" holds a day outside the years 1 to 9999, which SQLite cannot hold'
            )
        if self._query is None:
            return batch
        if self._database is None:
            self._database = open_database(self._allowance)
        self._database.register("batch", batch)
        table = self._database.sql(self._query.sql("duckdb")).to_arrow_table()
        self._database.unregister("batch")
        flat = table.combine_chunks().to_batches()
        return flat[0] if flat else pa.RecordBatch.from_pylist([], schema=table.schema)

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None


def values_of(column: pa.Array, logical: LogicalType) -> list[Any]:
    """The values of a stored column, for the driver."""
    import pyarrow.compute as pc

    values: list[Any] = column.to_pylist()
    if logical in (FLOAT32, FLOAT64) and pc.any(pc.is_nan(column)).as_py():
        return [NAN if value != value else value for value in values]  # noqa: PLR0124 -- NaN by definition
    return values


def _expression(column: Field) -> exp.Expr:
    value = trees.column(column.name)
    match column.type:
        case Decimal():
            return _with_leading_zero(exp.cast(value, exp.DType.VARCHAR))
        case logical if logical == TIMESTAMP:
            return _moment(value, "%Y-%m-%dT%H:%M:%S.%f")
        case logical if logical == TIMESTAMPTZ:
            return _moment(value, "%Y-%m-%dT%H:%M:%S.%f+00:00")
        case logical if logical in (DATE, TIME, UUID, UINT64, JSON):
            return exp.cast(value, exp.DType.VARCHAR)
        case _:
            return value


def _moment(value: exp.Expr, form: str) -> exp.Expr:
    return trees.call("strftime", value, exp.Literal.string(form))


def _with_leading_zero(text: exp.Expr) -> exp.Expr:
    """The engine writes .5 where all digits stand behind the point."""
    pattern, replacement = exp.Literal.string(r"^(-?)\."), exp.Literal.string(r"\10.")
    return trees.call("regexp_replace", text, pattern, replacement)
