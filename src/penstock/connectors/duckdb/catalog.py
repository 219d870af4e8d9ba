"""What stands in a DuckDB file: tables and views of the schema main, their columns and types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.structs import Frozen
from penstock.types import Field, Schema
from penstock.types.duckdb import read_duckdb

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.connectors.duckdb.driver import Opened
    from penstock.types.duckdb import EngineType

_FIND: Final = """SELECT table_name, table_type = 'VIEW' FROM information_schema.tables
    WHERE table_catalog = current_database() AND table_schema = 'main' AND lower(table_name) = lower(?)"""
_NAMES: Final = """SELECT table_name FROM information_schema.tables
    WHERE table_catalog = current_database() AND table_schema = 'main' ORDER BY table_name"""
_COLUMNS: Final = """SELECT column_name, data_type FROM duckdb_columns()
    WHERE database_name = current_database() AND schema_name = 'main' AND table_name = ? ORDER BY column_index"""
_INDEXES: Final = """SELECT sql FROM duckdb_indexes()
    WHERE database_name = current_database() AND schema_name = 'main' AND table_name = ? AND sql IS NOT NULL"""


class Found(Frozen):
    """A table or a view under its own spelling."""

    name: str
    is_view: bool


def find(connection: Opened, table: str) -> Found | None:
    """A table or view in whatever case it is asked for; None: there is none."""
    row = connection.execute(_FIND, [table]).fetchone()
    return None if row is None else Found(row[0], row[1])


def names(connection: Opened) -> list[str]:
    """All tables and views but our own, sorted."""
    found = connection.execute(_NAMES).fetchall()
    return [name for (name,) in found if not name.startswith("_penstock_")]


def types(connection: Opened, table: str) -> Mapping[str, EngineType]:
    """By column, in order. Raises ConfigError DOC-407 for a type without a logical one."""
    return {name: read_duckdb(text) for name, text in connection.execute(_COLUMNS, [table]).fetchall()}


def schema_of(found: Mapping[str, EngineType]) -> Schema:
    return Schema(tuple(Field(name, kind.type) for name, kind in found.items()))


def indexes(connection: Opened, table: str) -> list[str]:
    """The statements that made them; those of constraints have none."""
    return [made for (made,) in connection.execute(_INDEXES, [table]).fetchall()]
