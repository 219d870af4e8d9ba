"""A table with other columns in the place of one, for a full refresh."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp, parse_one

from penstock.connectors.duckdb import catalog, statements

if TYPE_CHECKING:
    from penstock.connectors.duckdb.driver import Opened
    from penstock.types import Schema


def rebuild(connection: Opened, table: str, schema: Schema) -> None:
    """An empty table of these columns, within the caller's transaction. Views stay, and every index whose columns are all
    there still; the constraints of the old table go with it.

    Raises duckdb.Error where another table's foreign key cannot do without the old one.
    """
    kept = [made for made in catalog.indexes(connection, table) if _columns_of(made) <= set(schema.names)]
    connection.run(statements.drop(table))
    connection.run(statements.create(table, schema))
    for statement in kept:
        connection.execute(statement)


def _columns_of(index: str) -> set[str]:
    return {found.name for found in parse_one(index, dialect="duckdb").find_all(exp.Column)}
