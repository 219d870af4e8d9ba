"""Logical types as Delta types, and back.

Delta has no unsigned integers, no uuid and no json: they are kept in the next larger type that holds every value, and
come back as that (:func:`stored_schema`). It has no time of day and no interval: such columns are refused.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, assert_never

from penstock.connectors.lake.keeping import kept_schema
from penstock.errors import ConfigError
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
    STRING,
    TIMESTAMP,
    TIMESTAMPTZ,
    Decimal,
    Field,
    Kind,
    List,
    LogicalType,
    Map,
    Primitive,
    Schema,
    Struct,
    StructField,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_BY_NAME: Final[Mapping[str, LogicalType]] = {
    "string": STRING,
    "boolean": BOOLEAN,
    "byte": INT8,
    "short": INT16,
    "integer": INT32,
    "long": INT64,
    "float": FLOAT32,
    "double": FLOAT64,
    "date": DATE,
    "timestamp": TIMESTAMPTZ,
    "timestamp_ntz": TIMESTAMP,
    "binary": BINARY,
}
_NAMES: Final[Mapping[LogicalType, str]] = {logical: name for name, logical in _BY_NAME.items()}
_STORED: Final[Mapping[Kind, LogicalType | None]] = {
    Kind.UINT8: INT16,
    Kind.UINT16: INT32,
    Kind.UINT32: INT64,
    Kind.UINT64: Decimal(20, 0),
    Kind.UUID: STRING,
    Kind.JSON: STRING,
    Kind.TIME: None,
    Kind.INTERVAL: None,
}
_DECIMAL: Final = re.compile(r"decimal\(\s*(\d{1,2})\s*,\s*(\d{1,2})\s*\)")


# ---------------------------------------------------------------- what Delta keeps


def stored_schema(schema: Schema) -> Schema:
    """Every column as Delta keeps it, labels dropped, nullable as it stands. Raises ConfigError SNK-110 by name."""
    return kept_schema(schema, _STORED, "Delta")


# ---------------------------------------------------------------- to and from the log's JSON


def to_delta(schema: Schema) -> str:
    """The JSON of a Delta schema, for columns as :func:`stored_schema` gives them.

    Every column and nested place is nullable: Parquet writers mark columns so, and a table that once said "never null"
    can not take it back without a newer protocol.
    """
    fields = [_field(field.name, field.type) for field in schema]
    return json.dumps({"type": "struct", "fields": fields})


def _field(name: str, logical: LogicalType) -> dict[str, Any]:
    return {"name": name, "type": _spell(logical), "nullable": True, "metadata": {}}


def _spell(logical: LogicalType) -> Any:
    match logical:
        case Primitive():
            return _NAMES[logical]
        case Decimal():
            return f"decimal({logical.precision},{logical.scale})"
        case List():
            return {"type": "array", "elementType": _spell(logical.element), "containsNull": True}
        case Map():
            return {
                "type": "map",
                "keyType": _spell(logical.key),
                "valueType": _spell(logical.value),
                "valueContainsNull": True,
            }
        case Struct():
            return {"type": "struct", "fields": [_field(part.name, part.type) for part in logical.fields]}
        case _:
            assert_never(logical)


def redefined(text: str, target: Schema) -> str:
    """The JSON of a table's schema with the columns, types and nullability of ``target``; what else it says of a column
    that stays is kept.
    """
    told = {column["name"]: column for column in json.loads(text)["fields"]}
    fields = [
        {
            **_field(column.name, column.type),
            **told.get(column.name, {}),
            "type": _spell(column.type),
            "nullable": column.nullable,
        }
        for column in target
    ]
    return json.dumps({"type": "struct", "fields": fields})


def has_zoneless(schema: Schema) -> bool:
    """Whether a column is, or holds, a timestamp without a zone, for which a table needs a feature."""
    return any(_is_zoneless(column.type) for column in schema)


def _is_zoneless(logical: LogicalType) -> bool:
    match logical:
        case List():
            return _is_zoneless(logical.element)
        case Map():
            return _is_zoneless(logical.key) or _is_zoneless(logical.value)
        case Struct():
            return any(_is_zoneless(part.type) for part in logical.fields)
        case _:
            return logical == TIMESTAMP


def from_delta(text: str) -> Schema:
    """The columns of a Delta schema's JSON, nullability as it stands there.

    Raises ConfigError SRC-253 for a type that no logical type stands for (variant).
    """
    return Schema(tuple(_column(field) for field in json.loads(text)["fields"]))


def _column(field: Mapping[str, Any]) -> Field:
    try:
        return Field(field["name"], _parse(field["type"]), bool(field["nullable"]))
    except LookupError as unknown:
        raise ConfigError(
            "SRC-253", f'column "{field["name"]}" has the Delta type {unknown.args[0]}, which cannot be read'
        ) from None


def _parse(value: Any) -> LogicalType:
    """Raises LookupError with the type's spelling where there is no logical type."""
    match value:
        case str() if value in _BY_NAME:
            return _BY_NAME[value]
        case str() if match := _DECIMAL.fullmatch(value):
            return Decimal(int(match[1]), int(match[2]))
        case {"type": "array", "elementType": element, "containsNull": nullable}:
            return List(_parse(element), bool(nullable))
        case {"type": "map", "keyType": key, "valueType": inner, "valueContainsNull": nullable}:
            return Map(_parse(key), _parse(inner), bool(nullable))
        case {"type": "struct", "fields": list() as fields}:
            parts = (StructField(part["name"], _parse(part["type"]), bool(part["nullable"])) for part in fields)
            return Struct(tuple(parts))
        case _:
            raise LookupError(json.dumps(value))
