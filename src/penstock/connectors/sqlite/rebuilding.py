"""A table with other columns in the place of one, for a full refresh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.connectors.sqlite import catalog, statements
from penstock.connectors.sqlite.driver import run

if TYPE_CHECKING:
    import sqlite3

    from penstock.types import Schema

# What hangs on a table and goes with it. Indexes that a constraint of the table made have no statement of their own.
_HANGING: Final = """SELECT type, name, sql FROM sqlite_schema
    WHERE lower(tbl_name) = lower(?) AND type IN ('index', 'trigger') AND sql IS NOT NULL ORDER BY type, name"""
_INDEXED: Final = "SELECT name FROM pragma_index_info(?)"


def rebuild(connection: sqlite3.Connection, table: str, schema: Schema) -> None:
    """An empty table of these columns, within the caller's transaction. Views and triggers stay, and every index whose
    columns are all there still; the constraints of the old table go with it.

    Raises sqlite3.Error where a trigger, or another table's foreign key, cannot do without the old columns.
    """
    kept = [
        catalog.text(made)
        for kind, name, made in connection.execute(_HANGING, (table,)).fetchall()
        if catalog.text(kind) == "trigger" or _columns_of(connection, catalog.text(name)) <= set(schema.names)
    ]
    run(connection, statements.drop(table))
    run(connection, statements.create(table, schema))
    for statement in kept:
        connection.execute(statement)


def _columns_of(connection: sqlite3.Connection, index: str) -> set[str]:
    """Of an index on an expression, its columns are not all known: it has a nameless one."""
    return {catalog.text(row[0]) for row in connection.execute(_INDEXED, (index,)).fetchall() if row[0] is not None}
