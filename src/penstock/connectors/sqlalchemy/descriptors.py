"""What there is to know of the sqlalchemy source before it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.connectors.sqlalchemy.params import SqlalchemySourceParams
from penstock.registry import Capability, Descriptor

if TYPE_CHECKING:
    from penstock.connectors.api import Context
    from penstock.connectors.sqlalchemy.source import SqlalchemySource


def _make(params: SqlalchemySourceParams, context: Context) -> SqlalchemySource:
    from penstock.connectors.sqlalchemy.source import SqlalchemySource

    return SqlalchemySource(params, context)


SOURCE: Final = Descriptor(
    name="sqlalchemy",
    group="sources",
    summary="A table, a view or a query of any database that SQLAlchemy has a dialect for, to read.",
    params=SqlalchemySourceParams,
    make=_make,
    example="type: sqlalchemy\nconnection: oracle+oracledb://reader@db.example:1521/?service_name=shop\ntable: sales.orders\n",
    capabilities=frozenset({Capability.PROJECTION, Capability.FILTER}),
    extra="sqlalchemy",
    notes=(
        "The driver that the URL names is installed besides: oracledb, pyodbc, and so on.",
        "Tested with SQLite, PostgreSQL (psycopg), MariaDB and MySQL (PyMySQL); other dialects by SQLAlchemy's word alone.",
        "Where there is a source of the system's own (postgres, mariadb, duckdb) take that one: its rows pass through no objects of Python's.",
        "Rows are streamed; they are of one state where the dialect has such a transaction, and are then counted.",
        "The types of a query's columns are those of its first 1,000 rows; `schema:` says them for sure.",
        "Conditions on whole numbers, decimals, days and moments of a table are applied by the database, but not by SQLite.",
        "A live table cannot be read again as it was: with two or more sinks its rows are spooled first.",
        "A moment with a zone whose driver drops the zone is a bad value.",
    ),
)
