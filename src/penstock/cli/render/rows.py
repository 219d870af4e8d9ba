"""Rows of a node, as a table for people."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from penstock.cli.render.as_json import plain, rows_of
from penstock.errors import blanked

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.service.inspecting import Sampled

_SHOWN: Final = 60  # characters of a cell


def rows_table(found: Sampled) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column, field in zip(found.schema, found.rows.schema, strict=True):
        title = f"{cell(column.name)}\n{column.type}"
        table.add_column(title, justify="right" if _is_number(field) else "left", overflow="fold")
    for row in rows_of(found.rows):
        table.add_row(*(cell(value) for value in row))
    return table


def rejected_line(found: Sampled) -> str:
    """``3 of the rows read were rejected: 2 at c.cast.check, 1 at a``; only of one that has any."""
    total = sum(found.rejected.values())
    where = ", ".join(f"{rows:,} at {node}" for node, rows in found.rejected.items())
    return f"{total:,} of the rows read {'was' if total == 1 else 'were'} rejected: {where}\n"


def _is_number(field: pa.Field) -> bool:
    import pyarrow.types as kinds

    return bool(kinds.is_integer(field.type) or kinds.is_floating(field.type) or kinds.is_decimal(field.type))


def cell(value: object) -> Text:
    """One value, cut where it is long; what a terminal would obey is blanked."""
    if value is None:
        return Text("null", style="dim")
    text = blanked(_written(value))
    return Text(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…")


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
