"""What single dialects need besides what SQLAlchemy does: how a session begins, and where a file lies.

``snapshot``: the isolation level at which all statements of a transaction see one state, where it is known to be so.
``whole_bits``: the width of the type INTEGER, where it is less than 64 bits. ``exact_types``: a column holds values of its
type and nothing else, so that the database's own comparisons mean what the engine's do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from penstock.structs import Frozen, field

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONNECT_S: Final = 10


class Dialect(Frozen):
    """``session`` are statements of each new connection; ``arguments`` those of its driver's connect, by the driver."""

    snapshot: str | None = None
    session: tuple[str, ...] = ()
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    options: Mapping[str, bool] = field(default_factory=dict)
    in_file: bool = False
    drains: bool = False  # its cursors read to the end when they are closed
    whole_bits: int = 64
    exact_types: bool = True
    zoned: bool = False  # moments with a zone are compared as instants
    singles: tuple[str, ...] = ()  # SQLAlchemy's types that are floats of 32 bits there
    sqlglot: str | None = None  # what SQLGlot calls it, where that is another name


_MYSQL: Final = Dialect(
    snapshot="REPEATABLE READ",
    # Moments come in UTC; a reader that is busy with other things is waited for.
    session=("SET SESSION time_zone = '+00:00', net_write_timeout = 86400", "SET SESSION TRANSACTION READ ONLY"),
    arguments={
        name: {"connect_timeout": _CONNECT_S, "charset": "utf8mb4"}
        for name in ("pymysql", "mysqldb", "mariadbconnector")
    },
    drains=True,
    whole_bits=32,
    singles=("FLOAT",),
    sqlglot="mysql",
)
_KNOWN: Final[Mapping[str, Dialect]] = {
    "postgresql": Dialect(
        snapshot="REPEATABLE READ",
        session=("SET TIME ZONE 'UTC'",),
        arguments={name: {"connect_timeout": _CONNECT_S} for name in ("psycopg", "psycopg2")},
        options={"postgresql_readonly": True},
        whole_bits=32,
        zoned=True,
        singles=("REAL",),
        sqlglot="postgres",
    ),
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "sqlite": Dialect(
        snapshot="SERIALIZABLE", arguments={"pysqlite": {"check_same_thread": False}}, in_file=True, exact_types=False
    ),
    "mssql": Dialect(whole_bits=32, singles=("REAL",), sqlglot="tsql"),
    "awsathena": Dialect(sqlglot="athena"),
}


def dialect_named(name: str) -> Dialect:
    """Of any other nothing is known."""
    return _KNOWN.get(name, Dialect())
