"""Arrow record batches as PostgreSQL's binary COPY format, column by column.

A row there is: the number of fields (int16), then per field its length in bytes (int32, -1 for null) and its value, all
big-endian. Every column becomes lengths and payloads; the pieces of all columns are then interleaved in one native call
(Arrow's row-wise concatenation), so that no Python runs per row.
Sources: PostgreSQL documentation, COPY, "Binary Format"; the ``*_recv`` functions of each type (numeric.c, timestamp.c,
arrayfuncs.c, jsonb.c).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias, assert_never

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.errors import DataError, InternalError
from penstock.structs import Frozen
from penstock.types import Decimal, Kind, List, Map, Primitive, Struct

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from penstock.types import LogicalType, Schema

HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER: Final = b"\xff\xff"
# A piece of this size is encoded at a time: measured best for the processor's caches, and far from Arrow's 2 GiB per column.
SLICE_BYTES: Final = 4 << 20

Bytes: TypeAlias = "NDArray[np.uint8]"
_NULL_LENGTH: Final = -1
_EPOCH_DAYS: Final = 10_957  # PostgreSQL counts from 2000-01-01
_EPOCH_MICROSECONDS: Final = _EPOCH_DAYS * 86_400_000_000
_DATE_RANGE: Final = (-2_440_588, 2_145_042_905)  # days since 1970: 4714-11-24 BC and 5874897-12-31
_FIRST_MICROSECOND: Final = -210_866_803_200_000_000  # since 1970: 4714-11-24 BC; every later int64 is in range
_INT64: Final = np.iinfo(np.int64)
_INT32: Final = np.iinfo(np.int32)
_DIGITS: Final = 4  # decimal digits in one of numeric's
_BASE: Final = 10**_DIGITS
_MOST_SMALL: Final = 18  # digits that an int64 holds whatever they are
_NEGATIVE: Final = 0x4000
_INTEGERS: Final = {
    Kind.INT8: ">i2",
    Kind.INT16: ">i2",
    Kind.INT32: ">i4",
    Kind.INT64: ">i8",
    Kind.UINT8: ">i2",
    Kind.UINT16: ">i4",
    Kind.UINT32: ">i8",
    Kind.FLOAT32: ">f4",
    Kind.FLOAT64: ">f8",
}
# pg_type.oid of array elements, fixed for built-in types (pg_type.dat).
_OIDS: Final = {
    Kind.STRING: 25,
    Kind.BOOLEAN: 16,
    Kind.INT8: 21,
    Kind.INT16: 21,
    Kind.INT32: 23,
    Kind.INT64: 20,
    Kind.UINT8: 21,
    Kind.UINT16: 23,
    Kind.UINT32: 20,
    Kind.UINT64: 1700,
    Kind.FLOAT32: 700,
    Kind.FLOAT64: 701,
    Kind.DATE: 1082,
    Kind.TIME: 1083,
    Kind.TIMESTAMP: 1114,
    Kind.TIMESTAMPTZ: 1184,
    Kind.INTERVAL: 1186,
    Kind.UUID: 2950,
    Kind.BINARY: 17,
    Kind.JSON: 3802,
}
_NUMERIC_OID: Final = 1700


class Encoded(Frozen):
    """One column's values: ``lengths`` per row (-1: null) and the payloads, a matrix of one row per value where every
    row has the same length, else Arrow binary in which nulls are empty.
    """

    lengths: NDArray[np.int32]
    payload: Bytes | pa.Array


def encode(batch: pa.RecordBatch, schema: Schema) -> Iterator[bytes | memoryview]:
    """The rows of a batch whose columns have the Arrow form of ``schema``; without header and trailer.

    Raises DataError SNK-209 for a value that PostgreSQL cannot hold, naming the column.
    """
    for piece in _pieces(batch):
        columns = [_column(piece.column(at), field.type, field.name) for at, field in enumerate(schema)]
        yield _rows(columns, piece.num_rows)


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    if batch.num_rows == 0:
        return
    if batch.nbytes <= SLICE_BYTES or batch.num_rows == 1:
        yield batch
        return
    half = batch.num_rows // 2
    yield from _pieces(batch.slice(0, half))
    yield from _pieces(batch.slice(half))


# ---------------------------------------------------------------- rows


def _rows(columns: Sequence[Encoded], rows: int) -> memoryview:
    """Fixed parts that stand next to each other become one matrix, then all pieces are joined row by row."""
    fixed: list[Bytes] = [_repeated(np.array([len(columns)], ">i2"), rows)]
    pieces: list[pa.Array] = []
    for column in columns:
        fixed.append(_matrix(column.lengths.astype(">i4")))
        if isinstance(column.payload, np.ndarray):
            fixed.append(column.payload)
        else:
            pieces += [_as_binary(np.hstack(fixed)), column.payload]
            fixed = []
    if fixed:
        pieces.append(_as_binary(np.hstack(fixed)))
    return _data(_joined(pieces))


def _joined(pieces: Sequence[pa.Array]) -> pa.Array:
    return pieces[0] if len(pieces) == 1 else pc.binary_join_element_wise(*pieces, pa.scalar(b"", pieces[0].type))


def _data(array: pa.Array) -> memoryview:
    """All bytes of a binary array, one value after another."""
    offsets = _offsets(array)
    return memoryview(array.buffers()[2] or b"")[int(offsets[0]) : int(offsets[-1])]


def _offsets(array: pa.Array) -> NDArray[np.int32]:
    buffer = array.buffers()[1]
    if buffer is None or array.type not in (pa.binary(), pa.string()):
        raise InternalError("INT-900", f"an Arrow array of type {array.type} has no 32-bit offsets")
    return np.frombuffer(buffer, np.int32)[array.offset : array.offset + len(array) + 1]


def _matrix(values: NDArray[np.generic]) -> Bytes:
    """One row of bytes per value."""
    contiguous = np.ascontiguousarray(values)
    return contiguous.view(np.uint8).reshape(len(values), contiguous.dtype.itemsize)


def _repeated(value: NDArray[np.generic], rows: int) -> Bytes:
    return np.broadcast_to(value.view(np.uint8), (rows, value.nbytes))


def _as_binary(matrix: Bytes) -> pa.Array:
    rows, width = matrix.shape
    offsets = np.arange(0, (rows + 1) * width, width, dtype=np.int32) if width else np.zeros(rows + 1, np.int32)
    data = np.ascontiguousarray(matrix)
    return pa.Array.from_buffers(pa.binary(), rows, [None, pa.py_buffer(offsets), pa.py_buffer(data)])


# ---------------------------------------------------------------- columns


def _column(array: pa.Array, logical: LogicalType, name: str) -> Encoded:
    match logical:
        case List():
            return _list(array, logical, name)
        case Decimal():
            return _fixed(array, _numeric(array, logical))
        case Primitive(kind=Kind.STRING | Kind.JSON | Kind.BINARY):
            return _text(array, logical.kind, name)
        case Primitive():
            return _fixed(array, _primitive(array, logical.kind, name))
        case Map() | Struct():
            raise InternalError("INT-900", f'the column "{name}" of type {logical} was not refused before')
        case _:
            assert_never(logical)


def _valid(array: pa.Array) -> NDArray[np.bool_]:
    return np.asarray(array.is_valid().to_numpy(zero_copy_only=False))


def _fixed(array: pa.Array, matrix: Bytes) -> Encoded:
    """Values of one width; whatever stands where a null is, is left out."""
    rows, width = matrix.shape
    if not array.null_count:
        return Encoded(np.full(rows, width, np.int32), matrix)
    valid = _valid(array)
    lengths = np.where(valid, width, 0).astype(np.int32)
    data = np.ascontiguousarray(matrix[valid])
    payload = pa.Array.from_buffers(pa.binary(), rows, [None, pa.py_buffer(_running(lengths)), pa.py_buffer(data)])
    return Encoded(np.where(valid, width, _NULL_LENGTH).astype(np.int32), payload)


def _running(lengths: NDArray[np.int32]) -> NDArray[np.int32]:
    """Offsets from lengths."""
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _text(array: pa.Array, kind: Kind, name: str) -> Encoded:
    storage = array.storage if isinstance(array, pa.ExtensionArray) else array
    payload = storage.cast(pa.binary())
    if payload.null_count:
        payload = payload.fill_null(b"")
    if kind is not Kind.BINARY and np.any(np.frombuffer(_data(payload), np.uint8) == 0):
        raise DataError(
            "SNK-209",
            f'column "{name}" holds text with a NUL character, which PostgreSQL cannot store',
            hint="remove it before the sink, for example with replace(column, chr(0), '')",
        )
    if kind is Kind.JSON:  # the version byte of jsonb
        version = pc.if_else(array.is_valid(), pa.scalar(b"\1"), pa.scalar(b""))
        payload = pc.binary_join_element_wise(version, payload, pa.scalar(b""))
    lengths = np.diff(_offsets(payload)).astype(np.int32)
    if array.null_count:
        lengths[~_valid(array)] = _NULL_LENGTH
    return Encoded(lengths, payload)


def _list(array: pa.ListArray, logical: List, name: str) -> Encoded:
    """Dimensions, whether it has nulls, the elements' type, size and lower bound, then the elements; an empty list has
    no dimension.
    """
    element = logical.element
    flat = array.flatten()  # without what stands in null lists
    inner = _column(flat, element, name)
    rows = _joined_fields(inner, len(flat))
    sizes = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False).astype(np.int32)
    ends = _running(sizes)
    starts = np.ascontiguousarray(_offsets(rows)[ends] - _offsets(rows)[0])
    data = np.frombuffer(_data(rows), np.uint8)
    body = pa.Array.from_buffers(pa.binary(), len(array), [None, pa.py_buffer(starts), pa.py_buffer(data)])
    oid = _OIDS[element.kind] if isinstance(element, Primitive) else _NUMERIC_OID
    head = _list_head(sizes, oid)
    valid = _valid(array)
    payload = pc.binary_join_element_wise(pc.if_else(array.is_valid(), head, pa.scalar(b"")), body, pa.scalar(b""))
    lengths = np.where(valid, np.diff(_offsets(payload)), _NULL_LENGTH).astype(np.int32)
    return Encoded(lengths, payload)


def _joined_fields(column: Encoded, rows: int) -> pa.Array:
    """Each value with its length before it."""
    lengths = _matrix(column.lengths.astype(">i4"))
    if isinstance(column.payload, np.ndarray):
        return _as_binary(np.hstack([lengths, column.payload]))
    return _joined([_as_binary(lengths), column.payload]) if rows else _as_binary(np.zeros((0, 0), np.uint8))


def _list_head(sizes: NDArray[np.int32], oid: int) -> pa.Array:
    """The mark for nulls is always set: the server looks at the elements themselves."""
    full = np.zeros((len(sizes), 5), ">i4")
    full[:, 0], full[:, 1], full[:, 2], full[:, 3], full[:, 4] = 1, 1, oid, sizes, 1
    empty = pa.scalar(np.array([0, 0, oid], ">i4").tobytes())
    return pc.if_else(pa.array(sizes > 0), _as_binary(_matrix_of(full)), empty)


def _matrix_of(values: NDArray[np.generic]) -> Bytes:
    return np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)


# ---------------------------------------------------------------- values of one width


def _numbers(array: pa.Array) -> NDArray[np.generic]:
    """The values; zero where a null is."""
    filled = array.fill_null(0) if array.null_count else array
    return np.asarray(filled.to_numpy(zero_copy_only=False))


def _primitive(array: pa.Array, kind: Kind, name: str) -> Bytes:
    if kind in _INTEGERS:
        return _matrix(_numbers(array).astype(_INTEGERS[kind]))
    match kind:
        case Kind.BOOLEAN:
            return _matrix(_numbers(array.cast(pa.uint8())).astype(np.uint8))
        case Kind.UINT64:
            return _wide_unsigned(_numbers(array).astype(np.uint64))
        case Kind.DATE:
            return _dates(_numbers(array.view(pa.int32())).astype(np.int64), name)
        case Kind.TIME:
            return _matrix(_numbers(array.view(pa.int64())).astype(">i8"))
        case Kind.TIMESTAMP | Kind.TIMESTAMPTZ:
            return _timestamps(_numbers(array.view(pa.int64())).astype(np.int64), name)
        case Kind.INTERVAL:
            return _intervals(array)
        case Kind.UUID:
            return _uuids(array)
        case _:
            raise InternalError("INT-900", f'the column "{name}" of type {kind} has no binary form')


def _dates(days: NDArray[np.int64], name: str) -> Bytes:
    """The engine's infinite dates are PostgreSQL's."""
    last, first = days == _INT32.max, days == -_INT32.max
    finite = ~(last | first)
    if np.any(finite & ((days < _DATE_RANGE[0]) | (days > _DATE_RANGE[1]))):
        raise _out_of_range(name, "date", "4714-11-24 BC to 5874897-12-31")
    shifted = np.where(finite, days - _EPOCH_DAYS, np.where(last, _INT32.max, _INT32.min))
    return _matrix(shifted.astype(">i4"))


def _timestamps(moments: NDArray[np.int64], name: str) -> Bytes:
    last, first = moments == _INT64.max, moments == -_INT64.max
    finite = ~(last | first)
    if np.any(finite & (moments < _FIRST_MICROSECOND)):
        raise _out_of_range(name, "timestamp", "4714-11-24 BC to 294276")
    with np.errstate(over="ignore"):  # of the infinite ones, which the next line replaces
        shifted = moments - _EPOCH_MICROSECONDS
    return _matrix(np.where(finite, shifted, np.where(last, _INT64.max, _INT64.min)).astype(">i8"))


def _out_of_range(name: str, what: str, bounds: str) -> DataError:
    return DataError(
        "SNK-209", f'column "{name}" holds a {what} that PostgreSQL cannot store', detail=f"its range is {bounds}"
    )


def _intervals(array: pa.Array) -> Bytes:
    parts = _raw(array, np.dtype([("months", "<i4"), ("days", "<i4"), ("nanoseconds", "<i8")]))
    made = np.zeros(len(array), np.dtype([("microseconds", ">i8"), ("days", ">i4"), ("months", ">i4")]))
    made["microseconds"] = parts["nanoseconds"] // 1000
    made["days"], made["months"] = parts["days"], parts["months"]
    return _matrix(made)


def _uuids(array: pa.Array) -> Bytes:
    storage = array.storage if isinstance(array, pa.ExtensionArray) else array
    return _matrix(_raw(storage, np.dtype("V16")))


def _raw(array: pa.Array, form: np.dtype[np.void]) -> NDArray[np.void]:
    """The fixed-width values as they lie in memory."""
    buffer = array.buffers()[1]
    if buffer is None:
        return np.zeros(len(array), form)
    return np.frombuffer(buffer, form)[array.offset : array.offset + len(array)]


# ---------------------------------------------------------------- numeric


def _numeric(array: pa.Array, logical: Decimal) -> Bytes:
    """Always the digits of the whole type: the server strips zeros at both ends itself."""
    if logical.precision <= _MOST_SMALL:
        low = _raw(array, np.dtype([("low", "<i8"), ("high", "<i8")]))["low"]
        low = np.where(_valid(array), low, 0) if array.null_count else low
        digits: NDArray[np.generic] = _small_digits(np.abs(low), logical)
        negative = low < 0
    else:
        plain = pa.Array.from_buffers(pa.decimal128(38, 0), len(array), array.buffers(), offset=array.offset)
        plain = plain.fill_null(0)
        digits = _large_digits(plain, logical)
        negative = pc.less(plain, pa.scalar(0, pa.decimal128(38, 0))).to_numpy(zero_copy_only=False)
    return _with_head(digits, _groups(logical.precision - logical.scale), negative, logical.scale)


def _groups(digits: int) -> int:
    return -(-digits // _DIGITS)


def _with_head(digits: NDArray[np.generic], whole: int, negative: NDArray[np.bool_] | None, scale: int) -> Bytes:
    rows, count = digits.shape
    made = np.empty((rows, 4 + count), ">i2")
    made[:, 0], made[:, 1], made[:, 3] = count, whole - 1, scale
    made[:, 2] = 0 if negative is None else np.where(negative, _NEGATIVE, 0)
    made[:, 4:] = digits
    return _matrix_of(made)


def _small_digits(values: NDArray[np.int64], logical: Decimal) -> NDArray[np.int16]:
    """Groups of four digits around the point, taken off from the right."""
    whole, part = _groups(logical.precision - logical.scale), _groups(logical.scale)
    made = np.empty((len(values), whole + part), np.int16)
    rest = values.view(np.uint64)
    short = logical.scale % _DIGITS
    for at in range(whole + part - 1, -1, -1):
        base = 10**short if short and at == whole + part - 1 else _BASE
        left = rest // np.uint64(base)  # faster than divmod by a multiple
        made[:, at] = rest - left * np.uint64(base)
        if base != _BASE:
            made[:, at] *= _BASE // base
        rest = left
    return made


def _large_digits(plain: pa.Array, logical: Decimal) -> NDArray[np.int64]:
    """By way of text of equal width, since no integer of the machine holds 38 digits."""
    texts = pc.utf8_lpad(pc.abs(plain).cast(pa.string()), 38, "0").cast(pa.binary())
    figures = np.frombuffer(_data(texts), np.uint8).reshape(len(plain), 38) - ord("0")
    whole, part = _groups(logical.precision - logical.scale), _groups(logical.scale)
    spread = np.zeros((len(plain), (whole + part) * _DIGITS), np.uint8)
    before = min(38 - logical.scale, whole * _DIGITS)
    point = whole * _DIGITS
    cut = 38 - logical.scale
    spread[:, point - before : point] = figures[:, cut - before : cut]
    spread[:, point : point + logical.scale] = figures[:, cut:]
    weights = np.array([1000, 100, 10, 1], np.int64)
    return spread.reshape(len(plain), whole + part, _DIGITS).astype(np.int64) @ weights


def _wide_unsigned(values: NDArray[np.uint64]) -> Bytes:
    """uint64 as numeric(20,0)."""
    count = _groups(20)
    made = np.zeros((len(values), count), np.uint64)
    rest = values
    for at in range(count - 1, -1, -1):
        rest, made[:, at] = np.divmod(rest, np.uint64(_BASE))
    return _with_head(made, count, None, 0)
