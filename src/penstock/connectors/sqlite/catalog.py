"""What stands in a SQLite file: tables and views, their columns and declared types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.connectors.sqlite.affinity import logical_of
from penstock.structs import Frozen
from penstock.types import STRING, Field, Schema

if TYPE_CHECKING:
    import sqlite3

_FIND: Final = "SELECT type, name FROM sqlite_schema WHERE type IN ('table', 'view') AND lower(name) = lower(?)"
_NAMES: Final = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY name"
_COLUMNS: Final = "SELECT name, type FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid"
_STORED: Final = "SELECT name, type FROM pragma_table_xinfo(?) WHERE hidden = 0 ORDER BY cid"


class Found(Frozen):
    """A table or a view under its own spelling."""

    name: str
    is_view: bool


def text(value: str | bytes) -> str:
    """As text; bytes that are no UTF-8 are marked in their places."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def find(connection: sqlite3.Connection, table: str) -> Found | None:
    """A table or view as it was created, in whatever case it is asked for; None: there is none."""
    row = connection.execute(_FIND, (table,)).fetchone()
    return None if row is None else Found(text(row[1]), text(row[0]) == "view")


def names(connection: sqlite3.Connection) -> list[str]:
    """All tables and views, but SQLite's and our own."""
    found = [text(row[0]) for row in connection.execute(_NAMES).fetchall()]
    return [name for name in found if not name.startswith(("sqlite_", "_penstock_"))]


def declared_types(connection: sqlite3.Connection, table: str) -> dict[str, str]:
    """Declared types by column, generated columns among them, in order."""
    return {text(row[0]): text(row[1]) for row in connection.execute(_COLUMNS, (table,)).fetchall()}


def stored_schema(connection: sqlite3.Connection, table: str) -> Schema:
    """The columns that can be written, with the types that were declared."""
    rows = connection.execute(_STORED, (table,)).fetchall()
    return Schema(tuple(Field(text(row[0]), logical_of(text(row[1])) or STRING) for row in rows))
