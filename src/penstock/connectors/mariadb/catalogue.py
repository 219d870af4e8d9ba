"""What the server says of tables, their columns and keys, and of the columns of a query's result."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from penstock.connectors.mariadb.driver import is_mariadb, rows_of
from penstock.connectors.mariadb.names import OWN_PREFIX, TableName
from penstock.connectors.mariadb.sql import Sql, literal, sql
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pymysql.connections import Connection

BINARY_CHARSET: Final = 63
_UNSIGNED_FLAG: Final = 32
_ENUM_FLAGS: Final = 256 | 2048
# The protocol's numbers of types; strings and blobs are told apart by their character set.
_PROTOCOL: Final = {
    0: "decimal",
    246: "decimal",
    1: "tinyint",
    2: "smallint",
    3: "int",
    8: "bigint",
    9: "mediumint",
    4: "float",
    5: "double",
    7: "timestamp",
    10: "date",
    14: "date",
    11: "time",
    12: "datetime",
    13: "year",
    16: "bit",
    245: "json",
    255: "geometry",
}
_TABLES: Final = """
SELECT table_schema, table_name, table_type, engine FROM information_schema.tables
WHERE table_schema = {} AND table_name = {}
"""
_NAMES: Final = """
SELECT table_name FROM information_schema.tables
WHERE table_schema = {} AND NOT table_name LIKE '{}%' ORDER BY table_name
"""
_COLUMNS: Final = """
SELECT column_name, data_type, column_type, is_nullable, column_default, extra, character_set_name, collation_name,
    column_comment FROM information_schema.columns
WHERE table_schema = {} AND table_name = {} ORDER BY ordinal_position
"""
# MariaDB's json is a text with a check.
_JSON: Final = """
SELECT check_clause FROM information_schema.check_constraints WHERE constraint_schema = {} AND table_name = {}
"""
_INDEXES: Final = """
SELECT index_name, column_name, non_unique, sub_part FROM information_schema.statistics
WHERE table_schema = {} AND table_name = {} ORDER BY index_name, seq_in_index
"""


class Column(Frozen):
    """``declared`` is the type as a CREATE TABLE says it; ``kind`` its first word. ``fills_itself``: the server finds a
    value where none is given; ``generated``: it always does. ``charset`` and ``collation`` of text only.
    """

    name: str
    kind: str
    declared: str
    nullable: bool = True
    fills_itself: bool = False
    generated: bool = False
    charset: str | None = None
    collation: str | None = None
    comment: str = ""

    @property
    def unsigned(self) -> bool:
        return "unsigned" in self.declared or "zerofill" in self.declared

    @property
    def numbers(self) -> tuple[int, ...]:
        """What stands in parentheses after the type: ``decimal(10,2)``."""
        inside = self.declared.partition("(")[2].partition(")")[0]
        return tuple(int(part) for part in inside.split(",") if part.strip().isdigit())


class Index(Frozen):
    """``columns`` in the index's order, None for one that is an expression; ``partial``: of some only the beginning."""

    name: str
    columns: tuple[str | None, ...]
    unique: bool
    partial: bool

    @property
    def primary(self) -> bool:
        return self.name == "PRIMARY"


class Relation(Frozen):
    """A table or view. ``engine`` None: a view."""

    table: TableName
    engine: str | None
    columns: tuple[Column, ...]

    def identifier(self) -> Sql:
        return self.table.identifier()

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


def find_relation(connection: Connection[Any], name: TableName) -> Relation | None:
    """The table or view of that name, with its database; None: there is none."""
    database = name.database or current_database(connection)
    found = rows_of(connection, sql(_TABLES, literal(database), literal(name.name)))
    if not found:
        return None
    schema, table, kind, engine = found[0]
    standing = TableName(str(schema), str(table))
    is_view = "VIEW" in str(kind)
    return Relation(standing, None if is_view else str(engine), tuple(_columns(connection, standing)))


def current_database(connection: Connection[Any]) -> str:
    """The connection's; an empty text where it has none."""
    return str(rows_of(connection, sql("SELECT DATABASE()"))[0][0] or "")


def table_names(connection: Connection[Any], database: str) -> list[str]:
    """Tables and views of a database, but our own."""
    prefix = Sql(OWN_PREFIX.replace("_", r"\_"))
    return [str(name) for (name,) in rows_of(connection, sql(_NAMES, literal(database), prefix))]


def has_unique_key(connection: Connection[Any], table: TableName, keys: Sequence[str]) -> bool:
    """Whether an index of the table sees to it that no two rows have the same keys."""
    return any(
        index.unique and not index.partial and set(index.columns) <= set(keys) for index in indexes(connection, table)
    )


def indexes(connection: Connection[Any], table: TableName) -> list[Index]:
    """All of a table's, the primary key among them."""
    found = rows_of(connection, sql(_INDEXES, literal(table.database or ""), literal(table.name)))
    return [
        Index(
            name,
            tuple(column for _, column, _, _ in parts),
            unique=not parts[0][2],
            partial=any(length is not None for *_, length in parts),
        )
        for name, parts in ((name, list(parts)) for name, parts in groupby(found, key=lambda row: str(row[0])))
    ]


def _columns(connection: Connection[Any], table: TableName) -> Iterator[Column]:
    place = (literal(table.database or ""), literal(table.name))
    checks: set[str] = set()
    if is_mariadb(connection):
        checks = {str(clause) for (clause,) in rows_of(connection, sql(_JSON, *place))}
    for name, kind, declared, nullable, default, extra, charset, collation, comment in rows_of(
        connection, sql(_COLUMNS, *place)
    ):
        is_json = "json_valid(`" + str(name).replace("`", "``") + "`)" in checks
        generated = "GENERATED" in str(extra).replace("DEFAULT_GENERATED", "")
        has_default = default is not None and str(default).upper() != "NULL"
        yield Column(
            str(name),
            "json" if is_json else str(kind).lower(),
            "json" if is_json else str(declared).lower() if str(kind).lower() not in ("enum", "set") else str(declared),
            nullable == "YES",
            fills_itself=has_default or "auto_increment" in str(extra) or generated,
            generated=generated,
            charset=charset,
            collation=collation,
            comment=str(comment),
        )


def columns_of_result(connection: Connection[Any], query: Sql) -> tuple[Column, ...]:
    """The columns of a query, as the protocol describes them; no row is read."""
    with connection.cursor() as cursor:
        cursor.execute(query)
        fields = cursor._result.fields  # noqa: SLF001 -- PEP 249 has no place for signs and sets
    return tuple(_described(field) for field in fields)


def _described(field: Any) -> Column:
    unsigned = bool(field.flags & _UNSIGNED_FLAG)
    kind = _PROTOCOL.get(field.type_code)
    if kind is None:
        is_bytes = field.charsetnr == BINARY_CHARSET and not field.flags & _ENUM_FLAGS
        kind = "longblob" if is_bytes else "longtext"
    declared = kind
    if kind == "decimal":
        declared = f"decimal({field.length - (field.scale > 0) - (not unsigned)},{field.scale})"
    elif kind in ("tinyint", "bit"):
        declared = f"{kind}({field.length})"
    return Column(str(field.name), kind, f"{declared} unsigned" if unsigned else declared)
