"""Iceberg's types and ours: what a table keeps of a column, and back.

| ours | in the table | read back as |
|---|---|---|
| int8, int16, int32, uint8, uint16 | int | int32 |
| int64, uint32 | long | int64 |
| uint64 | decimal(20,0) | decimal(20,0) |
| json | string | string |
| interval | refused (SNK-110) | - |
| all others | the type of that name | the same |
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final, assert_never

from penstock.connectors.lake.keeping import kept_schema
from penstock.errors import ConfigError
from penstock.types import (
    BINARY,
    BOOLEAN,
    DATE,
    FLOAT32,
    FLOAT64,
    INT32,
    INT64,
    STRING,
    TIME,
    TIMESTAMP,
    TIMESTAMPTZ,
    UUID,
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
    from collections.abc import Callable, Iterable, Mapping

    from pyiceberg.schema import Schema as IcebergSchema
    from pyiceberg.types import IcebergType, NestedField

    from penstock.trees import FieldIds

_STORED: Final[Mapping[Kind, LogicalType | None]] = {
    Kind.INT8: INT32,
    Kind.INT16: INT32,
    Kind.UINT8: INT32,
    Kind.UINT16: INT32,
    Kind.UINT32: INT64,
    Kind.UINT64: Decimal(20, 0),
    Kind.JSON: STRING,
    Kind.INTERVAL: None,
}
# pyiceberg's class of each.
_NAMES: Final[Mapping[LogicalType, str]] = {
    BOOLEAN: "BooleanType",
    INT32: "IntegerType",
    INT64: "LongType",
    FLOAT32: "FloatType",
    FLOAT64: "DoubleType",
    DATE: "DateType",
    TIME: "TimeType",
    TIMESTAMP: "TimestampType",
    TIMESTAMPTZ: "TimestamptzType",
    STRING: "StringType",
    UUID: "UUIDType",
    BINARY: "BinaryType",
}
_BY_NAME: Final = {**{name: logical for logical, name in _NAMES.items()}, "FixedType": BINARY}


# ---------------------------------------------------------------- what Iceberg keeps


def stored_schema(schema: Schema) -> Schema:
    """Every column as Iceberg keeps it, labels dropped, nullable as it stands. Raises ConfigError SNK-110 by name."""
    return kept_schema(schema, _STORED, "Iceberg")


# ---------------------------------------------------------------- to and from Iceberg


def to_iceberg(schema: Schema) -> IcebergSchema:
    """The schema of a new table, for columns as :func:`stored_schema` gives them; ids as the catalog will give them.

    Every column and nested place may be null: what once said "never null" could not be evolved.
    """
    from pyiceberg.schema import Schema as IcebergSchema
    from pyiceberg.schema import assign_fresh_schema_ids
    from pyiceberg.types import NestedField

    ids = count(1).__next__
    fields = [NestedField(ids(), field.name, to_type(field.type, ids), required=False) for field in schema]
    return assign_fresh_schema_ids(IcebergSchema(*fields))


def to_type(logical: LogicalType, ids: Callable[[], int]) -> IcebergType:
    """``ids`` gives an id for each nested place."""
    from pyiceberg import types as iceberg

    match logical:
        case Primitive():
            made: IcebergType = getattr(iceberg, _NAMES[logical])()
            return made
        case Decimal():
            return iceberg.DecimalType(logical.precision, logical.scale)
        case List():
            return iceberg.ListType(ids(), to_type(logical.element, ids), element_required=False)
        case Map():
            key, value = to_type(logical.key, ids), to_type(logical.value, ids)
            return iceberg.MapType(ids(), key, ids(), value, value_required=False)
        case Struct():
            parts = [
                iceberg.NestedField(ids(), part.name, to_type(part.type, ids), required=False)
                for part in logical.fields
            ]
            return iceberg.StructType(*parts)
        case _:
            assert_never(logical)


def from_iceberg(schema: IcebergSchema, title: str) -> Schema:
    """Raises ConfigError SRC-261 (a type that we lack), SRC-112 (names that differ only in case)."""
    fields = tuple(Field(field.name, _logical(field, title), nullable=not field.required) for field in schema.fields)
    found = Schema(fields)
    for one, other in found.case_collisions():
        raise ConfigError("SRC-112", f'the columns "{one}" and "{other}" of {title} differ in case only')
    return found


def _logical(field: NestedField, title: str) -> LogicalType:
    try:
        return type_of(field.field_type)
    except LookupError as error:
        raise ConfigError(
            "SRC-261", f'column "{field.name}" of {title} has a type that cannot be read', detail=str(error.args[0])
        ) from None


def type_of(kind: IcebergType) -> LogicalType:
    """Raises LookupError with the type's spelling where there is no logical type."""
    from pyiceberg import types as iceberg

    match kind:
        case iceberg.DecimalType():
            return Decimal(kind.precision, kind.scale)
        case iceberg.ListType():
            return List(type_of(kind.element_type), not kind.element_required)
        case iceberg.MapType():
            return Map(type_of(kind.key_type), type_of(kind.value_type), not kind.value_required)
        case iceberg.StructType():
            parts = (StructField(part.name, type_of(part.field_type), not part.required) for part in kind.fields)
            return Struct(tuple(parts))
        case _ if (found := _BY_NAME.get(type(kind).__name__)) is not None:
            return found
        case _:
            raise LookupError(str(kind))


# ---------------------------------------------------------------- ids


def field_ids(schema: IcebergSchema, names: Iterable[str]) -> FieldIds:
    """The ids of these columns and of all within them, as a Parquet file is to have them."""
    wanted = set(names)
    return tuple(_ids_of(field) for field in schema.fields if field.name in wanted)


def _ids_of(field: NestedField) -> tuple[str, int, FieldIds]:
    return field.name, field.field_id, _ids_within(field.field_type)


def _ids_within(kind: IcebergType) -> FieldIds:
    from pyiceberg import types as iceberg

    match kind:
        case iceberg.ListType():
            return (("element", kind.element_id, _ids_within(kind.element_type)),)
        case iceberg.MapType():
            key = ("key", kind.key_id, _ids_within(kind.key_type))
            return key, ("value", kind.value_id, _ids_within(kind.value_type))
        case iceberg.StructType():
            return tuple(_ids_of(part) for part in kind.fields)
        case _:
            return ()
