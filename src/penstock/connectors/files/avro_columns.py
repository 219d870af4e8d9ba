"""What polars has decoded of Avro's blocks, as Arrow columns of the logical types; whole columns at a time."""

from __future__ import annotations

from typing import Final, assert_never

import pyarrow as pa
import pyarrow.compute as pc

from penstock.connectors.files.avro_schema import Shape, Stored
from penstock.connectors.files.moments import microseconds
from penstock.types import TIME, TIMESTAMPTZ, Decimal, Kind, Primitive
from penstock.types.arrow import to_arrow
from penstock.types.conform import conform_array

_DECIMAL_BYTES: Final = 16
_PER_MILLISECOND: Final = 1_000
_END_OF_DAY: Final = 86_400_000_000  # 24:00:00 is a time of day, as in SQL


def as_columns(table: pa.Table, shape: Shape, wanted: tuple[str, ...]) -> list[pa.Array]:
    """The columns of these names. Raises DataError DOC-413, or ArrowInvalid, for values that their type cannot have."""
    parts = dict(zip(shape.names, shape.parts, strict=True))
    found = []
    for name in wanted:
        part = parts[name]
        if part.stored is Stored.NULL:
            found.append(pa.nulls(table.num_rows, to_arrow(part.logical)))
            continue
        column = table.column(name).combine_chunks()
        found.append(_column(column.chunk(0) if isinstance(column, pa.ChunkedArray) else column, part))
    return found


def _column(array: pa.Array, shape: Shape) -> pa.Array:
    if array.offset:
        array = array.take(pa.array(range(len(array)), pa.int64()))
    match shape.stored:
        case Stored.AS_IS:
            return _as_is(array, shape)
        case Stored.NULL:
            return pa.nulls(len(array), to_arrow(shape.logical))
        case Stored.ENUM:
            return _symbols(array, shape.symbols)
        case Stored.DECIMAL:
            assert isinstance(shape.logical, Decimal)
            return decimals(array.cast(pa.binary()), shape.logical)
        case Stored.UUID_TEXT:
            return conform_array(array.cast(pa.string()), shape.logical, name="uuid")
        case Stored.UUID_BYTES:
            return pa.ExtensionArray.from_storage(pa.uuid(), array.cast(pa.binary()).cast(pa.binary(16)))
        case Stored.MILLISECONDS:
            return _moments(pc.multiply_checked(array, _PER_MILLISECOND), shape)
        case Stored.MICROSECONDS:
            return _moments(array, shape)
        case Stored.NANOSECONDS:
            return _moments(microseconds(array), shape)
        case Stored.LIST:
            return _list(array, shape)
        case Stored.MAP:
            return _map(array, shape)
        case Stored.RECORD:
            return _record(array, shape)
    assert_never(shape.stored)


def _as_is(array: pa.Array, shape: Shape) -> pa.Array:
    """Longs that are ints or dates are checked to be in range by the cast."""
    if isinstance(shape.logical, Primitive) and shape.logical.kind is Kind.DATE:
        return array.cast(pa.int32()).cast(pa.date32())
    return array.cast(to_arrow(shape.logical))


def _moments(counts: pa.Array, shape: Shape) -> pa.Array:
    if shape.logical == TIME:
        outside = pc.or_(pc.less(counts, 0), pc.greater(counts, _END_OF_DAY))
        if pc.any(outside).as_py():
            raise pa.ArrowInvalid("a time of day is outside the day")
        return counts.cast(pa.time64("us"))
    plain = counts.cast(pa.timestamp("us"))
    return plain.cast(to_arrow(shape.logical)) if shape.logical == TIMESTAMPTZ else plain


def _symbols(array: pa.Array, symbols: tuple[str, ...]) -> pa.Array:
    outside = pc.or_(pc.less(array, 0), pc.greater_equal(array, len(symbols)))
    if pc.any(outside).as_py():
        raise pa.ArrowInvalid("an enum has a symbol that its schema does not name")
    return pa.array(symbols, pa.string()).take(array)


def decimals(array: pa.Array, logical: Decimal) -> pa.Array:
    """Big-endian two's complement of any length as decimals. Raises ArrowInvalid for more than 16 bytes or too many digits."""
    import numpy as np

    if len(array) == 0:
        return pa.array([], to_arrow(logical))
    lengths = pc.fill_null(pc.binary_length(array), 0).to_numpy(zero_copy_only=False)
    if lengths.max() > _DECIMAL_BYTES:
        raise pa.ArrowInvalid("a decimal has more than 16 bytes")
    offsets = np.frombuffer(array.buffers()[1], np.int32)[array.offset : array.offset + len(array) + 1]
    content = np.frombuffer(array.buffers()[2] or b"", np.uint8)
    laid_out = np.zeros((len(array), _DECIMAL_BYTES), np.uint8)
    negative = np.zeros(len(array), bool)
    has = lengths > 0
    if has.any():
        negative[has] = content[offsets[:-1][has]] >= 0x80  # noqa: PLR2004 -- the sign bit
    laid_out[negative] = 0xFF
    for place in range(int(lengths.max())):  # at most 16 rounds: the bytes of a number, from its last one
        reaches = lengths > place
        laid_out[reaches, place] = content[offsets[1:][reaches] - 1 - place]
    widest = pa.decimal128(38, logical.scale)
    numbers = pa.Array.from_buffers(widest, len(array), [None, pa.py_buffer(laid_out.tobytes())])
    kept = pc.if_else(array.is_valid(), numbers, pa.scalar(None, widest))
    return kept.cast(to_arrow(logical))


def _list(array: pa.Array, shape: Shape) -> pa.Array:
    form = to_arrow(shape.logical)
    values = _column(array.values, shape.parts[0])
    return pa.ListArray.from_arrays(array.offsets.cast(pa.int32()), values, type=form, mask=_mask(array))


def _map(array: pa.Array, shape: Shape) -> pa.Array:
    """A key that comes twice in one map is there twice, as in the file."""
    key, value = shape.parts
    pairs = array.values
    keys, values = _column(pairs.field(0), key), _column(pairs.field(1), value)
    offsets = array.offsets.cast(pa.int32())
    return pa.MapArray.from_arrays(offsets, keys, values, type=to_arrow(shape.logical), mask=_mask(array))


def _record(array: pa.Array, shape: Shape) -> pa.Array:
    form = to_arrow(shape.logical)
    given = {field.name: place for place, field in enumerate(array.type)}
    parts = [
        _column(array.field(given[name]), part) if name in given else pa.nulls(len(array), to_arrow(part.logical))
        for name, part in zip(shape.names, shape.parts, strict=True)
    ]
    return pa.StructArray.from_arrays(parts, fields=list(form), mask=_mask(array))


def _mask(array: pa.Array) -> pa.Array | None:
    return array.is_null() if array.null_count else None
