"""Hostile rows: of every type three columns, in which each of its values stands beside many others."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from penstock.types import (
    BOOLEAN,
    DATE,
    FLOAT32,
    FLOAT64,
    INT8,
    INT16,
    INT32,
    INT64,
    STRING,
    TIMESTAMP,
    TIMESTAMPTZ,
    Decimal,
    Field,
    Schema,
)
from penstock.types.duckdb import to_duckdb_text

if TYPE_CHECKING:
    import duckdb

    from penstock.types import LogicalType

COLUMNS_OF_A_TYPE: Final = 3
ROWS: Final = 240
GROUPS: Final = 7
ID, GROUP, TIE = "id", "bunch", "tie"  # of each row: its number, the group it is in, and a key that several rows share

_MOMENTS: Final = (
    "2024-02-29 23:59:59.999999",
    "1970-01-01 00:00:00",
    "1969-12-31 23:59:59.5",
    "2024-03-31 02:30:00",
    "2024-10-27 02:30:00.000001",
    "1582-10-10 10:00:00",
    "1883-11-18 12:03:58",
    "0021-01-01 00:00:00",
    "9899-12-31 23:59:59.999999",
    "2023-01-01 00:00:00",
    "2024-12-30 12:00:00",
)
_VALUES: Final[dict[LogicalType, tuple[str, ...]]] = {
    BOOLEAN: ("true", "false"),
    INT8: ("0", "1", "-1", "127", "-128", "3"),
    INT16: ("0", "1", "-7", "32767", "-32768", "250"),
    INT32: ("0", "1", "-7", "2147483647", "-2147483648", "12", "1000"),
    INT64: ("0", "5", "-9", "9223372036854775807", "-9223372036854775808", "4503599627370497"),
    FLOAT32: ("0", "1.5", "-2.5", "nan", "inf", "0.1", "-inf", "16777216"),
    FLOAT64: ("0", "-0.0", "1.5", "2.5", "-2.5", "nan", "inf", "-inf", "1e300", "5e-324", "123456.789", "0.3"),
    Decimal(10, 2): ("0", "1.25", "-2.50", "2.50", "99999999.99", "-99999999.99", "0.01", "-0.5"),
    Decimal(38, 10): ("0", "0.0000000001", "-1.5", "9999999999999999999999999999.9999999999", "2.5", "-0.5"),
    STRING: (
        *("", " ", "a", "abc", "Hello World", " pad ", "\u00a0nbsp\u2003", "ß", "İıſ", "ΑΣ ας", "a\u0301e", "e\u0301"),
        *(
            "😀👨‍👩‍👧b",
            "100%",
            "a_b",
            "x\\y",
            "12",
            "12.5",
            " 7 ",
            "1e3",
            "line\nbreak\r\n",
            "tab\tx",
            "NaN",
            "ABC abc",
        ),
        *(
            "a.b.c",
            "a|b||c",
            "it's",
            '"q"',
            "$1 \\1",
            "ŉǰΐ",
            "שלום",
            "\u2028",
            "zebra",
            "12ab34",
            "(x)[y]{z}",
            "long" * 5000,
        ),
    ),
    DATE: (
        *(
            "2024-02-29",
            "1970-01-01",
            "1582-10-10",
            "0021-01-01",
            "9899-12-31",
            "2024-12-30",
            "1900-03-01",
            "2023-01-01",
        ),
        *("2024-01-31", "1969-12-31"),
    ),
    TIMESTAMP: _MOMENTS,
    TIMESTAMPTZ: _MOMENTS,
}
TYPES: Final = tuple(_VALUES)


def column_of(logical: LogicalType, place: int) -> str:
    """The name of a type's column, ``place`` 0 to 2."""
    return f"{''.join(mark if mark.isalnum() else '_' for mark in str(logical)).strip('_')}_{place}"


def hostile_schema() -> Schema:
    """``id`` (unique), ``bunch``, ``tie``, and three columns of each type."""
    named = [Field(column_of(kind, place), kind) for kind in TYPES for place in range(COLUMNS_OF_A_TYPE)]
    return Schema((Field(ID, INT32), Field(GROUP, INT32), Field(TIE, INT32), *named))


def make_hostile_rows(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    """Makes a table of :func:`hostile_schema`: each column has all values of its type, nulls among them; the last group has
    nulls alone. The same rows every time.
    """
    schema = hostile_schema()
    chance = random.Random(20261123)  # noqa: S311 -- rows that are the same every time
    columns: dict[str, list[object]] = {
        ID: list(range(ROWS)),
        GROUP: [number % GROUPS for number in range(ROWS)],
        TIE: [number // 9 for number in range(ROWS)],
    }
    for kind in TYPES:
        values = (*_VALUES[kind], None)
        for place in range(COLUMNS_OF_A_TYPE):
            rows = [values[number % len(values)] for number in range(ROWS)]
            chance.shuffle(rows)
            named = column_of(kind, place)
            columns[named] = [None if columns[GROUP][at] == GROUPS - 1 else value for at, value in enumerate(rows)]
    connection.execute("SET TimeZone = 'UTC'")
    texts = ", ".join(f'"{name}" VARCHAR' for name in columns)
    marks = ", ".join("?" for _ in columns)
    connection.execute(f"CREATE TEMP TABLE texts ({texts})")
    connection.executemany(f"INSERT INTO texts VALUES ({marks})", list(zip(*columns.values(), strict=True)))  # noqa: S608
    typed = ", ".join(f'CAST("{item.name}" AS {to_duckdb_text(item.type)}) AS "{item.name}"' for item in schema)
    connection.execute(f'CREATE TABLE "{table}" AS SELECT {typed} FROM texts')  # noqa: S608
