"""Arrow columns as Avro: every column a union of null and its type, encoded by polars, framed here.

polars encodes numbers, text, bytes, lists and structs; whatever else there is lies in the same bytes under a schema of
our own: dates and moments are ints and longs, decimals are bytes, maps are lists of key and value.
"""

from __future__ import annotations

import hashlib
import io
import re
from typing import TYPE_CHECKING, Final, assert_never

from penstock.connectors.files.uuids import uuid_texts
from penstock.types import (
    INTERVAL,
    UINT64,
    Decimal,
    Field,
    Kind,
    List,
    Map,
    Primitive,
    Schema,
    Struct,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from penstock.connectors.api import Json
    from penstock.connectors.files.avro_container import Codec
    from penstock.types import LogicalType

_BLOCK_ROWS: Final = 10_000
_DECIMAL_BYTES: Final = 16
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_UINT64_AS: Final = Decimal(20, 0)
_AVRO: Final[dict[Kind, Json]] = {
    Kind.BOOLEAN: "boolean",
    Kind.INT8: "int",
    Kind.INT16: "int",
    Kind.INT32: "int",
    Kind.UINT8: "int",
    Kind.UINT16: "int",
    Kind.INT64: "long",
    Kind.UINT32: "long",
    Kind.FLOAT32: "float",
    Kind.FLOAT64: "double",
    Kind.STRING: "string",
    Kind.JSON: "string",
    Kind.BINARY: "bytes",
    Kind.UUID: {"type": "string", "logicalType": "uuid"},
    Kind.DATE: {"type": "int", "logicalType": "date"},
    Kind.TIME: {"type": "long", "logicalType": "time-micros"},
    Kind.TIMESTAMP: {"type": "long", "logicalType": "local-timestamp-micros"},
    Kind.TIMESTAMPTZ: {"type": "long", "logicalType": "timestamp-micros"},
}


def avro_objection(column: Field) -> str | None:
    """Why Avro has no place for a column: intervals, and names that readers in other languages refuse."""
    if not _NAME.fullmatch(column.name):
        return "names in Avro are letters, digits and _, and begin with no digit; rename it"
    return _type_objection(column.type)


def _type_objection(logical: LogicalType) -> str | None:
    match logical:
        case Primitive():
            return "Avro's durations are whole milliseconds; cast it to string" if logical == INTERVAL else None
        case Decimal():
            return None
        case List():
            return _type_objection(logical.element)
        case Map():
            return _type_objection(logical.key) or _type_objection(logical.value)
        case Struct():
            odd = [field.name for field in logical.fields if not _NAME.fullmatch(field.name)]
            if odd:
                return f'names in Avro are letters, digits and _, unlike "{odd[0]}"; rename it'
            return next((found for field in logical.fields if (found := _type_objection(field.type))), None)
    assert_never(logical)


# ---------------------------------------------------------------- schemas


def avro_schema(schema: Schema) -> Json:
    """A record named ``row``; nested ones are ``row_1`` and so on, in their order."""
    names = (f"row_{number}" for number in range(1, 1_000_000))
    fields: Json = [_field(column.name, column.type, names) for column in schema]
    return {"type": "record", "name": "row", "fields": fields}


def _field(name: str, logical: LogicalType, names: Iterator[str]) -> Json:
    return {"name": name, "type": ["null", _avro_type(logical, names)]}


def _avro_type(logical: LogicalType, names: Iterator[str]) -> Json:
    match logical:
        case Primitive():
            return _decimal_type(_UINT64_AS) if logical == UINT64 else _AVRO[logical.kind]
        case Decimal():
            return _decimal_type(logical)
        case List():
            return {"type": "array", "items": ["null", _avro_type(logical.element, names)]}
        case Map():
            record = next(names)
            fields: Json = [_field("key", logical.key, names), _field("value", logical.value, names)]
            pair: Json = {"type": "record", "name": record, "fields": fields}
            return {"type": "array", "logicalType": "map", "items": ["null", pair]}
        case Struct():
            record = next(names)
            parts: Json = [_field(field.name, field.type, names) for field in logical.fields]
            return {"type": "record", "name": record, "fields": parts}
    assert_never(logical)


def _decimal_type(number: Decimal) -> Json:
    return {"type": "bytes", "logicalType": "decimal", "precision": number.precision, "scale": number.scale}


# ---------------------------------------------------------------- values


def encodable(array: pa.Array, logical: LogicalType) -> pa.Array:
    """A column in the form of ``to_arrow`` as types that polars encodes, in the layout that ``avro_schema`` names."""
    import pyarrow as pa

    if array.offset:
        array = array.take(pa.array(range(len(array)), pa.int64()))
    match logical:
        case Primitive():
            return _primitive(array, logical)
        case Decimal():
            return _decimal_bytes(array, logical)
        case List():
            values = encodable(array.values, logical.element)
            return pa.ListArray.from_arrays(array.offsets, values, mask=_mask(array))
        case Map():
            keys, values = encodable(array.keys, logical.key), encodable(array.items, logical.value)
            pairs = pa.StructArray.from_arrays([keys, values], ["key", "value"])
            return pa.ListArray.from_arrays(array.offsets, pairs, mask=_mask(array))
        case Struct():
            parts = [encodable(array.field(place), field.type) for place, field in enumerate(logical.fields)]
            return pa.StructArray.from_arrays(parts, [field.name for field in logical.fields], mask=_mask(array))
    assert_never(logical)


def _primitive(array: pa.Array, logical: Primitive) -> pa.Array:
    import pyarrow as pa

    match logical.kind:
        case Kind.INT8 | Kind.INT16 | Kind.UINT8 | Kind.UINT16 | Kind.DATE:
            return array.cast(pa.int32())
        case Kind.UINT32 | Kind.TIME | Kind.TIMESTAMP:
            return array.cast(pa.int64())
        case Kind.TIMESTAMPTZ:
            return array.cast(pa.int64())
        case Kind.UINT64:
            return _decimal_bytes(array.cast(pa.decimal128(20, 0)), _UINT64_AS)
        case Kind.UUID:
            return uuid_texts(array)
        case Kind.JSON:
            return array.storage.cast(pa.string())
        case _:
            return array


def _decimal_bytes(array: pa.Array, logical: Decimal) -> pa.Array:
    """Big-endian two's complement, as few bytes as the precision needs, the same for all."""
    import numpy as np
    import pyarrow as pa

    width = (10**logical.precision).bit_length() // 8 + 1
    words = np.frombuffer(array.buffers()[1] or b"", np.uint8)[: len(array) * _DECIMAL_BYTES]
    turned = np.ascontiguousarray(words.reshape(-1, _DECIMAL_BYTES)[:, width - 1 :: -1])
    fixed = pa.Array.from_buffers(pa.binary(width), len(array), [None, pa.py_buffer(turned.tobytes())])
    return _only_where(array, fixed.cast(pa.binary()))


def _only_where(array: pa.Array, values: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.if_else(array.is_valid(), values, pa.scalar(None, values.type)) if array.null_count else values


def _mask(array: pa.Array) -> pa.Array | None:
    return array.is_null() if array.null_count else None


# ---------------------------------------------------------------- files


def encode_avro(staged: Path, made: Path, schema: Schema, *, codec: Codec) -> None:
    """The rows of a Parquet file as an Avro container file, about 10,000 to a block. Raises OSError."""
    from penstock.connectors.files.avro_container import block_bytes, compress, header_bytes
    from penstock.connectors.files.staged import staged_batches

    sync = hashlib.sha256(str(made).encode()).digest()[:16]
    with made.open("wb") as file:
        file.write(header_bytes(avro_schema(schema), codec, sync))
        for batch in staged_batches(staged, schema, _BLOCK_ROWS):
            for rows, data in _encoded(batch, schema):
                file.write(block_bytes(rows, compress(data, codec), sync))


def _encoded(batch: pa.RecordBatch, schema: Schema) -> Iterator[tuple[int, bytes]]:
    """What polars writes, without its header and markers."""
    import polars as pl
    import pyarrow as pa

    from penstock.connectors.files.avro_container import ContainerReader

    columns = [encodable(column, field.type) for column, field in zip(batch.columns, schema, strict=True)]
    frame = pl.from_arrow(pa.table(columns, names=list(schema.names)))
    assert isinstance(frame, pl.DataFrame)
    file = io.BytesIO()
    frame.rechunk().write_avro(file)
    file.seek(0)
    for block in ContainerReader(file, "polars").blocks():
        if block.rows:
            yield block.rows, block.data
