"""Logical types as Arrow types, the form in which data moves.

Going out, a logical type has exactly one Arrow type, and DuckDB reads every one of them back as the same DuckDB type:
``json`` and ``uuid`` are the canonical extension types (text, and 16 bytes), which DuckDB takes always and gives where
``arrow_lossless_conversion`` is on (without it both arrive as plain text; a plain text field that merely claims to be
``arrow.uuid`` is misread by DuckDB, and refused here). Timestamps count microseconds; ``timestamptz`` is in UTC.
Coming in, many Arrow types stand for one logical type; :func:`penstock.types.conform.conform` casts the values.
Labels do not travel: they would end up in files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never, overload

import pyarrow as pa

from penstock.errors import ConfigError
from penstock.types.logical import (
    BINARY,
    BOOLEAN,
    DATE,
    FLOAT32,
    INTERVAL,
    JSON,
    MAX_PRECISION,
    STRING,
    TIME,
    TIMESTAMP,
    TIMESTAMPTZ,
    UUID,
    Decimal,
    Kind,
    List,
    LogicalType,
    Map,
    Primitive,
    Struct,
    StructField,
)
from penstock.types.schema import Field, Schema

if TYPE_CHECKING:
    from typing import NoReturn

_PRIMITIVES: Final[dict[Kind, pa.DataType]] = {
    Kind.STRING: pa.string(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.INT8: pa.int8(),
    Kind.INT16: pa.int16(),
    Kind.INT32: pa.int32(),
    Kind.INT64: pa.int64(),
    Kind.UINT8: pa.uint8(),
    Kind.UINT16: pa.uint16(),
    Kind.UINT32: pa.uint32(),
    Kind.UINT64: pa.uint64(),
    Kind.FLOAT32: pa.float32(),
    Kind.FLOAT64: pa.float64(),
    Kind.DATE: pa.date32(),
    Kind.TIME: pa.time64("us"),
    Kind.TIMESTAMP: pa.timestamp("us"),
    Kind.TIMESTAMPTZ: pa.timestamp("us", tz="UTC"),
    Kind.INTERVAL: pa.month_day_nano_interval(),
    Kind.UUID: pa.uuid(),
    Kind.BINARY: pa.binary(),
    Kind.JSON: pa.json_(),
}

_BY_ID: Final[dict[int, LogicalType]] = {
    **{lib_type.id: Primitive(kind) for kind, lib_type in _PRIMITIVES.items() if kind not in (Kind.UUID, Kind.JSON)},
    **dict.fromkeys((pa.large_string().id, pa.string_view().id, pa.null().id), STRING),
    **dict.fromkeys((pa.large_binary().id, pa.binary_view().id, pa.binary(1).id), BINARY),
    pa.float16().id: FLOAT32,
    pa.date64().id: DATE,
    pa.time32("s").id: TIME,
    pa.duration("us").id: INTERVAL,
}

# Canonical and DuckDB's own extension types, by name. The values of DuckDB's opaque ones are for DuckDB to convert.
_BY_EXTENSION: Final[dict[str, LogicalType]] = {
    "arrow.json": JSON,
    "arrow.uuid": UUID,
    "arrow.bool8": BOOLEAN,
    "arrow.parquet.variant": JSON,
    "geoarrow.wkb": BINARY,
}
_BY_OPAQUE: Final[dict[str, LogicalType]] = {
    "hugeint": Decimal(38, 0),
    "uhugeint": Decimal(38, 0),
    "bignum": STRING,
    "bit": STRING,
    "time_tz": STRING,
}


@overload
def to_arrow(what: Schema) -> pa.Schema: ...
@overload
def to_arrow(what: LogicalType) -> pa.DataType: ...
def to_arrow(what: Schema | LogicalType) -> pa.Schema | pa.DataType:
    """The one Arrow form of a type or of a schema; nullability, nested too, is kept, labels are not."""
    match what:
        case Schema():
            return pa.schema([pa.field(field.name, to_arrow(field.type), field.nullable) for field in what])
        case Primitive():
            return _PRIMITIVES[what.kind]
        case Decimal():
            return pa.decimal128(what.precision, what.scale)
        case List():
            return pa.list_(pa.field("item", to_arrow(what.element), what.element_nullable))
        case Map():
            return pa.map_(to_arrow(what.key), pa.field("value", to_arrow(what.value), what.value_nullable))
        case Struct():
            return pa.struct([pa.field(field.name, to_arrow(field.type), field.nullable) for field in what.fields])
        case _:
            assert_never(what)


def from_arrow(arrow: pa.Schema) -> Schema:
    """A schema as it comes from elsewhere; each type as :func:`type_from_arrow`, nullability as it stands there.

    Raises ConfigError: as ``type_from_arrow``, and DOC-404 or DOC-410 for names that are impossible or repeat.
    """
    fields = ((_name(field), field) for field in arrow)
    return Schema(tuple(Field(name, _of_field(field, name), field.nullable) for name, field in fields))


def type_from_arrow(arrow: pa.DataType) -> LogicalType:
    """The smallest logical type that holds every value of the Arrow type, nested nullability kept.

    Two Arrow types hold more than their logical type: ``time64[ns]`` and ``timestamp[ns]``; values that are not whole
    microseconds, and timestamps beyond the range of microseconds, do not conform. The null type is ``string``.
    Raises ConfigError: DOC-406 an Arrow type without a logical one (unions, decimals of more than 38 digits, foreign
    extension types), DOC-404 a struct's field names, DOC-403 too deep.
    """
    return _of_type(arrow, "")


def _of_field(field: pa.Field, path: str) -> LogicalType:
    """A field's type; ``ARROW:extension:name`` counts where the extension is not registered with pyarrow."""
    marked = (field.metadata or {}).get(b"ARROW:extension:name", b"").decode("utf-8", "replace")
    known = _BY_EXTENSION.get(marked)
    if known is None or isinstance(field.type, pa.BaseExtensionType):
        return _of_type(field.type, path)
    if known == UUID and field.type != pa.binary(16):
        _refuse(field.type, path, detail="it is marked as arrow.uuid but does not have 16 bytes")
    return known


def _of_type(arrow: pa.DataType, path: str) -> LogicalType:
    types = pa.types
    if isinstance(arrow, pa.BaseExtensionType):
        return _of_extension(arrow, path)
    if types.is_decimal(arrow):
        return _of_decimal(arrow, path)
    if types.is_timestamp(arrow):
        return TIMESTAMP if arrow.tz is None else TIMESTAMPTZ
    if types.is_dictionary(arrow) or types.is_run_end_encoded(arrow):
        return _of_type(arrow.value_type, path)
    if types.is_map(arrow):
        value = arrow.item_field
        return Map(_of_field(arrow.key_field, f"{path}.key"), _of_field(value, f"{path}.value"), value.nullable)
    if _is_list(arrow):
        return List(_of_field(arrow.value_field, f"{path}[]"), arrow.value_field.nullable)
    if types.is_struct(arrow):
        parts = (arrow.field(place) for place in range(arrow.num_fields))
        return Struct(
            tuple(StructField(_name(part), _of_field(part, f"{path}.{part.name}"), part.nullable) for part in parts)
        )
    return _BY_ID.get(arrow.id) or _refuse(arrow, path)


def _is_list(arrow: pa.DataType) -> bool:
    types = pa.types
    return any(
        check(arrow)
        for check in (
            types.is_list,
            types.is_large_list,
            types.is_fixed_size_list,
            types.is_list_view,
            types.is_large_list_view,
        )
    )


def _of_extension(arrow: pa.BaseExtensionType, path: str) -> LogicalType:
    if isinstance(arrow, pa.OpaqueType):
        known = _BY_OPAQUE.get(arrow.type_name) if arrow.vendor_name == "DuckDB" else None
    else:
        known = _BY_EXTENSION.get(arrow.extension_name)
    return known or _refuse(arrow, path)


def _of_decimal(arrow: pa.DataType, path: str) -> Decimal:
    """A negative scale becomes trailing zeros, a scale above the precision more digits."""
    scale = max(arrow.scale, 0)
    precision = max(arrow.precision - min(arrow.scale, 0), scale)
    if precision > MAX_PRECISION:
        _refuse(arrow, path, detail=f"it has {precision} digits, and {MAX_PRECISION} is the most")
    return Decimal(precision, scale)


def _name(field: pa.Field) -> str:
    try:
        name: str = field.name
    except UnicodeDecodeError as error:
        raise ConfigError("DOC-404", "the name of a column is not valid UTF-8", detail=str(error)) from None
    return name


def _refuse(arrow: pa.DataType, path: str, *, detail: str | None = None) -> NoReturn:
    where = f'"{path}" has the Arrow type {arrow}' if path else f"the Arrow type is {arrow}"
    raise ConfigError(
        "DOC-406",
        f"{where}, which has no type here",
        detail=detail,
        hint="cast it to another type where the data comes from",
    )
