"""How each logical type enters MariaDB, and as which it comes back.

| here | created as | remark |
|---|---|---|
| string | longtext; as a key varchar | in utf8mb4, compared by its code points |
| boolean | tinyint(1) | |
| int8 ... int64, uint8 ... uint64 | tinyint, smallint, int, bigint, unsigned | |
| decimal(p,s) | decimal(p,s) | MySQL has at most 30 digits after the point |
| float32, float64 | float, double | no NaN, no infinity; on MariaDB -0.0 becomes 0.0 |
| date, time, timestamp | date, time(6), datetime(6) | the years 1 to 9999 |
| timestamptz | datetime(6) in UTC, its comment says so | the server's own timestamp ends in 2038 |
| uuid | uuid; MySQL: char(36), its comment says so | |
| binary, json | longblob, json | |
| interval, lists, maps, structs | refused: cast them to json or string | |

Of tables that are there already: tinyint(1) is boolean unless `schema:` says a whole number, bit(1) boolean, longer bit
uint64, year int16, timestamp timestamptz, a decimal above 38 digits string, and enum, set, inet, geometry string.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from penstock.connectors.mariadb.driver import is_mariadb, version_of
from penstock.connectors.mariadb.names import unfit
from penstock.connectors.mariadb.sql import Sql, identifier, joined, listed, literal, sql
from penstock.types import (
    BINARY,
    BOOLEAN,
    DATE,
    FLOAT32,
    FLOAT64,
    INT8,
    INT16,
    INT32,
    INT64,
    JSON,
    STRING,
    TIME,
    TIMESTAMP,
    TIMESTAMPTZ,
    UINT8,
    UINT16,
    UINT32,
    UINT64,
    UUID,
    Decimal,
    Field,
    Primitive,
    Schema,
)
from penstock.types.logical import MAX_PRECISION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymysql.connections import Connection

    from penstock.connectors.mariadb.catalogue import Column
    from penstock.types import LogicalType

_CREATED: Final[Mapping[LogicalType, str]] = {
    BOOLEAN: "tinyint(1)",
    INT8: "tinyint",
    INT16: "smallint",
    INT32: "int",
    INT64: "bigint",
    UINT8: "tinyint unsigned",
    UINT16: "smallint unsigned",
    UINT32: "int unsigned",
    UINT64: "bigint unsigned",
    FLOAT32: "float",
    FLOAT64: "double",
    DATE: "date",
    TIME: "time(6)",
    TIMESTAMP: "datetime(6)",
    TIMESTAMPTZ: "datetime(6)",
    BINARY: "longblob",
    JSON: "json",
}
_SIGNED: Final[Mapping[str, LogicalType]] = {
    "tinyint": INT8,
    "smallint": INT16,
    "mediumint": INT32,
    "int": INT32,
    "bigint": INT64,
}
_UNSIGNED: Final[Mapping[str, LogicalType]] = {
    "tinyint": UINT8,
    "smallint": UINT16,
    "mediumint": UINT32,
    "int": UINT32,
    "bigint": UINT64,
}
_OTHERS: Final[Mapping[str, LogicalType]] = {
    "float": FLOAT32,
    "double": FLOAT64,
    "date": DATE,
    "time": TIME,
    "datetime": TIMESTAMP,
    "timestamp": TIMESTAMPTZ,
    "year": INT16,
    "json": JSON,
    "uuid": UUID,
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), BINARY),
}
# Types whose equality is identity: what is text by any name is compared by its bytes.
_IDENTICAL: Final = frozenset(
    {*_SIGNED, "decimal", "float", "double", "date", "time", "datetime", "timestamp", "year", "bit", "uuid"}
)
BLOBS: Final = frozenset(kind for kind, logical in _OTHERS.items() if logical == BINARY)
# What a column's comment says of its values where its type alone would not.
_MARKS: Final[Mapping[str, LogicalType]] = {"penstock: timestamptz": TIMESTAMPTZ, "penstock: uuid": UUID}
_COMMENTS: Final = {logical: comment for comment, logical in _MARKS.items()}
# An index takes 3,072 bytes, four for each character; other key columns take at most 32 bytes each.
_KEY_BYTES: Final = 3_072
_OTHER_KEY_BYTES: Final = 32
_LONGEST_KEY: Final = 255
_MYSQL_SCALE: Final = 30
_EXACT_TEXT: Final = (8, 0, 17)  # utf8mb4_0900_bin came with it
_INTEGERS: Final = frozenset({*_SIGNED.values(), *_UNSIGNED.values()})


class Dialect:
    """What MariaDB and MySQL, and older ones of these, do not have in common."""

    def __init__(self, *, is_mariadb: bool, has_exact_text: bool = True) -> None:
        """``has_exact_text``: the server has a collation to which trailing blanks count (MySQL has none before 8.0.17)."""
        self.is_mariadb = is_mariadb
        self.has_exact_text = has_exact_text
        exact = sql("utf8mb4_nopad_bin" if is_mariadb else "utf8mb4_0900_bin")
        self.collation: Final = exact if has_exact_text else sql("utf8mb4_bin")
        self.uuid: Final = sql("uuid" if is_mariadb else "char(36)")

    @classmethod
    def of(cls, connection: Connection[Any]) -> Dialect:
        """The server's at the other end."""
        of_mariadb = is_mariadb(connection)
        has_exact_text = of_mariadb or version_of(connection) >= _EXACT_TEXT
        return cls(is_mariadb=of_mariadb, has_exact_text=has_exact_text)

    def objection(self, field: Field) -> str | None:
        """Why the server has no place for a column, or None."""
        reason = unfit(field.name)
        if reason:
            return f"{reason}; rename it in a step before"
        if isinstance(field.type, Decimal):
            too_fine = not self.is_mariadb and field.type.scale > _MYSQL_SCALE
            return f"MySQL's decimals have at most {_MYSQL_SCALE} digits after the point" if too_fine else None
        known = field.type in _CREATED or field.type in (STRING, UUID)
        return None if known else "MariaDB has no such type; cast it to json or string"

    def definition(self, field: Field, keys: Sequence[Field]) -> Sql:
        """A column as it is created; ``keys`` are the columns of the primary key it may be in."""
        comment = _COMMENTS.get(field.type)
        said = (
            sql(" COMMENT {}", literal(comment))
            if comment and not (field.type == UUID and self.is_mariadb)
            else sql("")
        )
        null = sql("NOT NULL" if field in keys else "NULL")
        return sql("{} {} {}{}", identifier(field.name), self._type(field, keys), null, said)

    def definitions(self, schema: Schema, keys: Sequence[str]) -> Sql:
        """The column list of a CREATE TABLE, with a primary key where there are keys."""
        fields = [schema[key] for key in keys]
        items = [self.definition(field, fields) for field in schema]
        if keys:
            items.append(self.key(fields))
        return joined(", ", items)

    def key(self, fields: Sequence[Field]) -> Sql:
        """A primary key; a mere index where the server would take keys for one that differ in their trailing blanks."""
        names = [field.name for field in fields]
        is_told_apart = self.has_exact_text or all(field.type != STRING for field in fields)
        return primary_key(names) if is_told_apart else sql("KEY ({})", listed(names))

    def kind(self, field: Field) -> str:
        """What the catalogue calls the type of a column that is no key."""
        return re.split(r"[ (]", self._type(field, ()))[0]

    def _type(self, field: Field, keys: Sequence[Field]) -> Sql:
        match field.type:
            case Decimal():
                return sql("decimal({},{})", literal(field.type.precision), literal(field.type.scale))
            case logical if logical == UUID:
                return self.uuid
            case logical if logical == STRING:
                kind = sql("varchar({})", _key_length(keys)) if field in keys else sql("longtext")
                return sql("{} CHARACTER SET utf8mb4 COLLATE {}", kind, self.collation)
            case logical if logical == BINARY and field in keys:
                return sql("varbinary({})", _key_length(keys))
            case logical:
                return Sql(_CREATED[logical])


def _key_length(keys: Sequence[Field]) -> Sql:
    """How many characters each key of text may have."""
    texts = sum(key.type in (STRING, BINARY) for key in keys)
    left = _KEY_BYTES - _OTHER_KEY_BYTES * (len(keys) - texts)
    return literal(max(1, min(_LONGEST_KEY, left // (4 * max(1, texts)))))


def standing(column: Column, *, key: bool) -> Sql:
    """A column of a staging table that holds what the target's column holds."""
    collation = sql("")
    if column.charset and column.kind != "json":
        collation = sql(" CHARACTER SET {} COLLATE {}", Sql(column.charset), Sql(column.collation))
    null = sql("NOT NULL" if key else "NULL")
    return sql("{} {}{} {}", identifier(column.name), Sql(column.declared), collation, null)


def primary_key(keys: Sequence[str]) -> Sql:
    """PRIMARY KEY (...)."""
    return sql("PRIMARY KEY ({})", listed(keys))


def logical_of(column: Column, wanted: LogicalType | None = None) -> LogicalType:
    """The type a column is delivered as; ``wanted`` is what a contract says of it."""
    marked = _MARKS.get(column.comment)
    if marked == TIMESTAMPTZ and column.kind == "datetime":
        return TIMESTAMPTZ
    if marked == UUID and column.kind == "char":
        return UUID
    if column.kind in _SIGNED:
        is_flag = column.kind == "tinyint" and column.numbers == (1,) and not column.unsigned
        if is_flag and not (isinstance(wanted, Primitive) and wanted in _INTEGERS):
            return BOOLEAN
        return (_UNSIGNED if column.unsigned else _SIGNED)[column.kind]
    if column.kind == "decimal":
        precision, scale = (*column.numbers, 0)[:2]
        return Decimal(precision, scale) if precision <= MAX_PRECISION else STRING
    if column.kind == "bit":
        return BOOLEAN if column.numbers in ((), (1,)) else UINT64
    return _OTHERS.get(column.kind, STRING)


def held(columns: Sequence[Column], rows: Schema | None = None) -> Schema:
    """The target's columns as logical types. A tinyint(1) takes what an int8 takes, where the rows bring that; a timestamp
    is told as what is sent, where that is either kind of timestamp.
    """
    fields = []
    for column in columns:
        sent = rows.get(column.name) if rows is not None else None
        fields.append(Field(column.name, logical_of(column, sent.type if sent else None), column.nullable))
    return Schema(tuple(fields))


def identical(column: Column, value: Sql) -> Sql:
    """A value such that equal means the same, and text is ordered by its bytes."""
    if column.kind in _IDENTICAL or column.kind in BLOBS:
        return value
    return sql("CAST(CAST({} AS CHAR) AS BINARY)", value)
