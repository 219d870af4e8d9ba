"""Tables of a real MariaDB, filled and read by PyMySQL alone: what the tests compare the connector with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pyarrow as pa
import pymysql

from penstock.clock import SystemClock
from penstock.connectors.api import Context, pass_by

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pymysql.connections import Connection

_TEXT = "longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"
_TYPES = {
    "string": _TEXT,
    "bool": "tinyint(1)",
    "int8": "tinyint",
    "int16": "smallint",
    "int32": "int",
    "int64": "bigint",
    "uint8": "tinyint unsigned",
    "uint16": "smallint unsigned",
    "uint32": "int unsigned",
    "uint64": "bigint unsigned",
    "float": "float",
    "double": "double",
    "date32[day]": "date",
    "time64[us]": "time(6)",
    "timestamp[us]": "datetime(6)",
    "timestamp[us, tz=UTC]": "datetime(6) COMMENT 'penstock: timestamptz'",
    "extension<arrow.uuid>": "uuid",
    "binary": "longblob",
    "extension<arrow.json>": "json",
}
_ARROW = {
    "longtext": pa.string(),
    "varchar": pa.string(),
    "char": pa.string(),
    "json": pa.string(),
    "tinyint(1)": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "tinyint unsigned": pa.uint8(),
    "smallint unsigned": pa.uint16(),
    "int unsigned": pa.uint32(),
    "bigint unsigned": pa.uint64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "datetime": pa.timestamp("us"),
    "uuid": pa.string(),
    "longblob": pa.binary(),
}


# What MySQL 8.0.15 has in their place: no type for uuids, and no collation that tells trailing blanks and all code points.
_OF_MYSQL = {
    "string": "longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    "extension<arrow.uuid>": "char(36) COMMENT 'penstock: uuid'",
}


def sql_type(kind: pa.DataType, *, is_mysql: bool = False) -> str:
    """MariaDB's name for an Arrow type."""
    name = str(kind).replace("extension<arrow.uuid[uuid]>", "extension<arrow.uuid>")
    if is_mysql and name in _OF_MYSQL:
        return _OF_MYSQL[name]
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    return _TYPES[str(kind).replace("extension<arrow.uuid[uuid]>", "extension<arrow.uuid>")]


def connect(url: str) -> Connection[Any]:
    parts = urlsplit(url)
    made = pymysql.connect(
        host=parts.hostname,
        port=parts.port or 3306,
        user=parts.username,
        database=parts.path.removeprefix("/") or None,
        charset="utf8mb4",
        autocommit=True,
        ssl_disabled=True,
    )
    execute(made, "SET SESSION time_zone = '+00:00', lock_wait_timeout = 5")
    return made


def execute(connection: Connection[Any], statement: str, values: tuple[Any, ...] | None = None) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def create(connection: Connection[Any], name: str, table: pa.Table) -> None:
    """The table anew, with the Arrow table's columns and rows."""
    execute(connection, f"DROP TABLE IF EXISTS {quoted(name)}")
    is_mysql = "mariadb" not in str(connection.server_version).lower()
    kinds = [sql_type(f.type, is_mysql=is_mysql) for f in table.schema]
    columns = ", ".join(
        f"{quoted(f.name)} {kind} NULL".replace(" COMMENT", " NULL COMMENT", 1).removesuffix(
            " NULL" if "COMMENT" in kind else ""
        )
        for f, kind in zip(table.schema, kinds, strict=True)
    )
    execute(connection, f"CREATE TABLE {quoted(name)} ({columns}) ENGINE = InnoDB")
    insert(connection, name, table)


def insert(connection: Connection[Any], name: str, table: pa.Table) -> None:
    columns = [[_value(v) for v in table.column(f.name).to_pylist()] for f in table.schema]
    names = ", ".join(quoted(f.name) for f in table.schema)
    marks = ", ".join(["%s"] * len(columns))
    for row in zip(*columns, strict=True):
        with connection.cursor() as cursor:
            text = cursor.mogrify(f"({marks})", row)
            cursor.execute(f"INSERT INTO {quoted(name)} ({names}) VALUES {text}")


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(" ")
    return str(value) if type(value).__name__ == "UUID" else value


def read(connection: Connection[Any], name: str) -> pa.Table | None:
    """All rows, columns in the table's order; None where there is no table."""
    found = execute(
        connection,
        "SELECT column_name, data_type, column_type, column_comment FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND table_name = %s ORDER BY ordinal_position",
        (name,),
    )
    if not found:
        return None
    fields = [pa.field(column, _arrow(*described)) for column, *described in found]
    items = ", ".join(f"{quoted(f.name)} * 1e0" if f.type == pa.float32() else quoted(f.name) for f in fields)
    rows = execute(connection, f"SELECT {items} FROM {quoted(name)}")
    columns = list(zip(*rows, strict=True)) or [()] * len(fields)
    arrays = [pa.array([_read(v, f.type) for v in c], f.type) for c, f in zip(columns, fields, strict=True)]
    return pa.table(arrays, schema=pa.schema(fields))


def _arrow(kind: str, declared: str, comment: str) -> pa.DataType:
    if comment == "penstock: timestamptz":
        return pa.timestamp("us", tz="UTC")
    if kind == "decimal":
        precision, scale = declared.removeprefix("decimal(").removesuffix(")").split(",")
        return pa.decimal128(int(precision), int(scale))
    return _ARROW["tinyint(1)" if declared == "tinyint(1)" else kind + (" unsigned" if "unsigned" in declared else "")]


def _read(value: Any, kind: pa.DataType) -> Any:
    if value is None:
        return None
    if isinstance(value, timedelta):
        return (datetime(1, 1, 1) + value).time()  # noqa: DTZ001 -- a time of day
    if isinstance(value, datetime) and kind == pa.timestamp("us", tz="UTC"):
        return value.replace(tzinfo=UTC)
    return bool(value) if kind == pa.bool_() else value


def context(tmp_path: Path, reached: Callable[[str], None] = pass_by, **more: Any) -> Context:
    return Context("shop", lambda text: tmp_path / text, tmp_path, SystemClock(), reached=reached, **more)
