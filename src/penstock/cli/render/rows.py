"""Rows of a node, as a table for people or as JSON."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import json
import uuid
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from penstock.service.inspecting import Sampled

_SHOWN: Final = 60  # characters of a cell


def rows_table(found: Sampled) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column, field in zip(found.schema, found.rows.schema, strict=True):
        title = f"{_cell(column.name)}\n{column.type}"
        table.add_column(title, justify="right" if _is_number(field) else "left", overflow="fold")
    for row in _rows(found.rows):
        table.add_row(*(_cell(value) for value in row))
    return table


def _is_number(field: pa.Field) -> bool:
    import pyarrow.types as kinds

    return bool(kinds.is_integer(field.type) or kinds.is_floating(field.type) or kinds.is_decimal(field.type))


def _cell(value: object) -> Text:
    if value is None:
        return Text("null", style="dim")
    text = "".join(letter if letter.isprintable() else " " for letter in _written(value))
    return Text(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…")


def rows_json(found: Sampled) -> list[dict[str, Any]]:
    """Every row as a map."""
    names = found.schema.names
    return [dict(zip(names, map(plain, row), strict=True)) for row in _rows(found.rows)]


def columns_json(found: Sampled) -> list[dict[str, Any]]:
    return [{"name": item.name, "type": str(item.type), "nullable": item.nullable} for item in found.schema]


def _rows(rows: pa.Table) -> Iterator[tuple[Any, ...]]:
    """Of at most as many rows as ``preview`` is asked for; maps as lists of pairs, since their keys may be anything."""
    return zip(*(column.to_pylist() for column in rows.columns), strict=True)


def _written(value: object) -> str:
    match value:
        case list() | dict() | tuple():
            return json.dumps(plain(value), ensure_ascii=False)
        case bool():
            return str(value).lower()
        case bytes():
            return f"0x{value.hex()}"
        case _:
            return str(plain(value)) if isinstance(value, dt.date | dt.time) else str(value)


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
