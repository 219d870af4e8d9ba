"""Rows of a node, as a table for people or as JSON."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import uuid
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import pyarrow as pa

_SHOWN: Final = 60  # characters of a cell


def rows_table(rows: pa.Table) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for field in rows.schema:
        table.add_column(f"{field.name}\n{field.type}", justify="right" if _is_number(field) else "left")
    for row in rows.to_pylist(maps_as_pydicts="lossy"):
        table.add_row(*(_cell(value) for value in row.values()))
    return table


def _is_number(field: pa.Field) -> bool:
    import pyarrow.types as kinds

    return bool(kinds.is_integer(field.type) or kinds.is_floating(field.type) or kinds.is_decimal(field.type))


def _cell(value: object) -> Text:
    if value is None:
        return Text("null", style="dim")
    text = "".join(letter if letter.isprintable() else " " for letter in str(value))
    return Text(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…")


def rows_json(rows: pa.Table, *, columns: bool = False) -> list[dict[str, Any]]:
    """Every row as a map; with ``columns`` the names and types in place of the rows."""
    if columns:
        return [{"name": field.name, "type": str(field.type), "nullable": field.nullable} for field in rows.schema]
    return [{name: plain(value) for name, value in row.items()} for row in rows.to_pylist(maps_as_pydicts="lossy")]


def plain(value: Any) -> Any:
    """A value as JSON has it: exact numbers and times as text, bytes as base64."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if value == value and abs(value) != float("inf") else str(value)  # noqa: PLR0124 -- NaN
        case decimal.Decimal() | uuid.UUID() | dt.timedelta():
            return str(value)
        case dt.datetime() | dt.date() | dt.time():
            return value.isoformat()
        case bytes():
            return base64.b64encode(value).decode()
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return str(value)
