"""Arrow columns as ORC: what ORC has no type for is kept as one that holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from penstock.connectors.files.uuids import uuid_texts
from penstock.structs import replace
from penstock.types import (
    INT16,
    INT32,
    INT64,
    INTERVAL,
    JSON,
    STRING,
    TIME,
    UINT8,
    UINT16,
    UINT32,
    UINT64,
    UUID,
    Decimal,
    List,
    Map,
    Primitive,
    Struct,
)
from penstock.types.logical import children, relaxed

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from penstock.types import Field, LogicalType, Schema

_BATCH_ROWS: Final = 10_000
_STORED: Final[dict[LogicalType, LogicalType]] = {
    UINT8: INT16,
    UINT16: INT32,
    UINT32: INT64,
    UINT64: Decimal(20, 0),
    JSON: STRING,
    UUID: STRING,
}
_OBJECTIONS: Final[dict[LogicalType, str]] = {
    TIME: "ORC has no times of day; cast it to string",
    INTERVAL: "ORC has no intervals; cast it to string",
}


def orc_objection(column: Field) -> str | None:
    """Why an ORC file cannot hold values of the column; None: it can."""
    return _objection(column.type) or next(filter(None, map(_inner_objection, children(column.type))), None)


def _objection(logical: LogicalType) -> str | None:
    return _OBJECTIONS.get(logical)


def _inner_objection(logical: LogicalType) -> str | None:
    if logical == UUID:
        return "a uuid inside another type has no place in ORC; cast it to string"
    return _objection(logical) or next(filter(None, map(_inner_objection, children(logical))), None)


def stored(logical: LogicalType) -> LogicalType:
    """The type as which ORC keeps values of that one."""
    match logical:
        case Primitive() | Decimal():
            return _STORED.get(logical, logical)
        case List():
            return replace(logical, element=stored(logical.element))
        case Map():
            return replace(logical, key=stored(logical.key), value=stored(logical.value))
        case Struct():
            return Struct(tuple(replace(field, type=stored(field.type)) for field in logical.fields))
    assert_never(logical)


def encode_orc(staged: Path, made: Path, schema: Schema, *, compression: str) -> None:
    """The rows of a Parquet file as an ORC file. Raises OSError."""
    import pyarrow as pa
    from pyarrow import orc

    from penstock.connectors.files.staged import staged_batches
    from penstock.types.arrow import to_arrow

    form = pa.schema([(column.name, to_arrow(relaxed(stored(column.type)))) for column in schema])
    codec = "uncompressed" if compression == "none" else compression
    with orc.ORCWriter(str(made), compression=codec) as file:
        file.write(form.empty_table())  # a file without rows has columns too
        for batch in staged_batches(staged, schema, _BATCH_ROWS):
            columns = [_as_stored(array, kind) for array, kind in zip(batch.columns, form.types, strict=True)]
            file.write(pa.table(columns, schema=form))


def _as_stored(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Nested and uuid columns are copied: the writer, and what makes text of uuids, look past the offset of a slice."""
    import pyarrow as pa

    is_uuid = isinstance(array.type, pa.UuidType)
    if is_uuid or pa.types.is_nested(array.type):
        array = array.take(pa.array(range(len(array)), pa.int64()))
    if is_uuid:
        return uuid_texts(array)
    return array if array.type == kind else array.cast(kind)
