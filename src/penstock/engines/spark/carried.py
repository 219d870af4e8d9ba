"""Arrow data between the form of logical types and the form in which Spark holds them (``types``), whole columns at a time.

What Spark has no type for is carried in another: unsigned numbers in the next larger signed ones, a UUID as its text in
lower case, JSON as text, an interval as a struct of its months, days and microseconds. Dates and timestamps are the same
count of days and microseconds on both sides, in the Gregorian calendar throughout, so that years before 1 and beyond 9999
are carried as well; DuckDB's infinite ones are not, for Spark would take them for days like others, nor is 24:00:00.
Every place of the carried form may be null: Spark does not keep for long what it is told of nulls inside a value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias, assert_never

import pyarrow as pa
import pyarrow.compute as pc

from penstock.errors import ConfigError, DataError
from penstock.types.arrow import to_arrow, type_from_arrow
from penstock.types.conform import conform, conform_array
from penstock.types.logical import (
    DATE,
    TIMESTAMP,
    TIMESTAMPTZ,
    UUID,
    Decimal,
    Kind,
    List,
    Map,
    Primitive,
    Struct,
    relaxed,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.types.logical import LogicalType
    from penstock.types.schema import Schema

    _Leaf: TypeAlias = Callable[[pa.Array, Primitive | Decimal, str], pa.Array]
    _Form: TypeAlias = Callable[[LogicalType], pa.DataType]

_INTERVAL: Final = pa.struct([("months", pa.int32()), ("days", pa.int32()), ("microseconds", pa.int64())])
_CARRIED: Final[dict[Kind, pa.DataType]] = {
    Kind.UINT8: pa.int16(),
    Kind.UINT16: pa.int32(),
    Kind.UINT32: pa.int64(),
    Kind.UINT64: pa.decimal128(20, 0),
    Kind.TIME: pa.time64("ns"),
    Kind.UUID: pa.string(),
    Kind.JSON: pa.string(),
    Kind.INTERVAL: _INTERVAL,
}
_MOMENTS: Final = (-9_223_372_022_400_000_000, 2**63 - 2)  # microseconds: what DuckDB has between its infinite ones
_RANGES: Final[dict[Kind, tuple[int, int]]] = {
    Kind.DATE: (2 - 2**31, 2**31 - 2),
    Kind.TIMESTAMP: _MOMENTS,
    Kind.TIMESTAMPTZ: _MOMENTS,
}
_MICROSECONDS_OF_A_DAY: Final = 86_400_000_000
_UUID_PARTS: Final = ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))
_NANOSECONDS: Final = 1_000
_WORD: Final = 4  # bytes
_WORDS: Final = 4  # of an interval: months, days, and two of nanoseconds
_MOST_MICROSECONDS: Final = (2**63 - 1) // _NANOSECONDS
_INFINITE: Final = {f"{sign}{2**bits - 1}": f"{sign}infinity" for bits in (31, 63) for sign in ("", "-")}
_SAYS: Final = {
    "ENG-345": ("cannot be carried into Spark", "set it to null, or to a finite value, before it gets there"),
    "DOC-413": ("does not fit its type", None),
}
_UNSIGNED: Final = {Kind.UINT8: 8, Kind.UINT16: 16, Kind.UINT32: 32, Kind.UINT64: 64}


def carried_type(logical: LogicalType) -> pa.DataType:
    """The Arrow type in which Spark takes and gives a logical type; every nested place is nullable."""
    match logical:
        case Primitive():
            return _CARRIED.get(logical.kind) or to_arrow(logical)
        case Decimal():
            return to_arrow(logical)
        case List():
            return pa.list_(pa.field("element", carried_type(logical.element)))
        case Map():
            return pa.map_(carried_type(logical.key), pa.field("value", carried_type(logical.value)))
        case Struct():
            return pa.struct([pa.field(field.name, carried_type(field.type)) for field in logical.fields])
        case _:
            assert_never(logical)


def carried_schema(schema: Schema) -> pa.Schema:
    """The columns of a schema in the form in which Spark takes and gives them, every place nullable."""
    return pa.schema([pa.field(field.name, carried_type(field.type)) for field in schema])


def into_spark(batch: pa.RecordBatch, schema: Schema) -> pa.RecordBatch:
    """The columns of ``schema``, which have the form of ``to_arrow(schema)``, in the form of ``carried_schema``.

    Raises DataError ENG-345 for a value that Spark would take for another: an infinite date or timestamp, 24:00:00, an
    interval with digits below a microsecond. Errors as :func:`penstock.types.conform.conform` for another form.
    """
    given = conform(batch, schema)
    columns = [
        _walked(given.column(place), field.type, form=carried_type, leaf=_leaf_into, name=field.name)
        for place, field in enumerate(schema)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=carried_schema(schema)) if columns else given


def from_spark(batch: pa.RecordBatch, schema: Schema) -> pa.RecordBatch:
    """What Spark gives, by name, in the form of ``to_arrow(schema)``: the inverse of ``into_spark``.

    Raises ConfigError: DOC-411 a column is missing, DOC-406 its type is not the carried one. Raises DataError: DOC-413 a
    value is none of the logical type (a number out of its range, a text that is no UUID), DOC-414 a null where none may be.
    """
    given = [_given(batch, field.name, field.type) for field in schema]
    columns = [
        _walked(array, field.type, form=_loose, leaf=_leaf_from, name=field.name)
        for array, field in zip(given, schema, strict=True)
    ]
    if not columns:
        return conform(batch, schema)
    return conform(pa.RecordBatch.from_arrays(columns, names=list(schema.names)), schema)


def _given(batch: pa.RecordBatch, name: str, logical: LogicalType) -> pa.Array:
    if name not in batch.schema.names:
        raise ConfigError("DOC-411", f'the column "{name}" is missing')
    array = batch.column(name)
    if relaxed(type_from_arrow(array.type)) != relaxed(type_from_arrow(carried_type(logical))):
        raise ConfigError(
            "DOC-406",
            f'the column "{name}" has the Arrow type {array.type}, which is not how {logical} is carried',
            detail=f"it is carried as {carried_type(logical)}",
        )
    return array


def _loose(logical: LogicalType) -> pa.DataType:
    return to_arrow(relaxed(logical))


# ---------------------------------------------------------------- nesting


def _walked(array: pa.Array, logical: LogicalType, *, form: _Form, leaf: _Leaf, name: str) -> pa.Array:
    """The column with ``leaf`` done to its innermost values. What lies below a null or outside a slice is left out, for
    nobody has checked it.
    """
    match logical:
        case Primitive() | Decimal():
            return leaf(array, logical, name)
        case List():
            values = _walked(array.flatten(), logical.element, form=form, leaf=leaf, name=name)
            return pa.ListArray.from_arrays(_offsets(array), values, type=form(logical), mask=array.is_null())
        case Map():
            listed = _listed(array)
            keys, values = (
                _walked(part, inner, form=form, leaf=leaf, name=name)
                for part, inner in zip(listed.flatten().flatten(), (logical.key, logical.value), strict=True)
            )
            return pa.MapArray.from_arrays(_offsets(listed), keys, values, type=form(logical), mask=array.is_null())
        case Struct():
            parts = [
                _walked(part, field.type, form=form, leaf=leaf, name=name)
                for part, field in zip(array.flatten(), logical.fields, strict=True)
            ]
            return pa.StructArray.from_arrays(parts, fields=list(form(logical)), mask=array.is_null())
        case _:
            assert_never(logical)


def _offsets(array: pa.ListArray) -> pa.Array:
    """Where each list begins once nothing lies between them, and where the last one ends."""
    lengths = pc.fill_null(pc.list_value_length(array), 0)
    return pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths).cast(pa.int32())])


def _listed(array: pa.MapArray) -> pa.ListArray:
    """Maps as lists of keys and values."""
    pairs = pa.StructArray.from_arrays([array.keys, array.items], names=["key", "value"])
    return pa.ListArray.from_arrays(pc.add(array.offsets, 0), pairs, mask=array.is_null())


# ---------------------------------------------------------------- values


def _leaf_into(array: pa.Array, logical: Primitive | Decimal, name: str) -> pa.Array:
    if isinstance(logical, Decimal):
        return array
    match logical.kind:
        case Kind.DATE | Kind.TIMESTAMP | Kind.TIMESTAMPTZ:
            _check_range(array, logical, name, code="ENG-345")
        case Kind.TIME:
            late = pc.greater_equal(array.cast(pa.int64()), _MICROSECONDS_OF_A_DAY)
            _check(late, array.cast(pa.int64()), logical, name, code="ENG-345")
        case Kind.UUID:
            return _uuid_texts(array.storage)
        case Kind.JSON:
            return array.storage
        case Kind.INTERVAL:
            return _interval_parts(array, logical, name)
        case _:
            pass
    return array.cast(carried_type(logical))


def _leaf_from(array: pa.Array, logical: Primitive | Decimal, name: str) -> pa.Array:
    if isinstance(logical, Decimal):
        return array
    match logical.kind:
        case Kind.DATE | Kind.TIMESTAMP | Kind.TIMESTAMPTZ:
            _check_range(array, logical, name, code="DOC-413")
        case Kind.TIME:
            _check_times(array, logical, name)
        case Kind.UUID:
            return conform_array(array, UUID, name=name)
        case Kind.JSON:
            return pa.ExtensionArray.from_storage(pa.json_(), array.cast(pa.string()))
        case Kind.INTERVAL:
            return _intervals(array, logical, name)
        case Kind.UINT8 | Kind.UINT16 | Kind.UINT32 | Kind.UINT64:
            limit = pa.scalar(2 ** _UNSIGNED[logical.kind], pa.decimal128(20, 0))
            wide = array.cast(pa.decimal128(20, 0))
            outside = pc.or_(pc.less(wide, pa.scalar(0, wide.type)), pc.greater_equal(wide, limit))
            _check(outside, array, logical, name, code="DOC-413")
        case _:
            pass
    return array.cast(to_arrow(logical))


def _check_range(array: pa.Array, logical: Primitive, name: str, *, code: str) -> None:
    low, high = _RANGES[logical.kind]
    counts = array.cast(pa.int32() if logical.kind is Kind.DATE else pa.int64())
    outside = pc.or_(pc.less(counts, low), pc.greater(counts, high))
    _check(outside, counts, logical, name, code=code)


def _check_times(array: pa.Array, logical: Primitive, name: str) -> None:
    counts = array.cast(pa.time64("ns")).cast(pa.int64())
    outside = pc.or_(pc.less(counts, 0), pc.greater_equal(counts, _MICROSECONDS_OF_A_DAY * _NANOSECONDS))
    _check(pc.or_(outside, _finer(counts)), counts, logical, name, code="DOC-413")


def _check(wrong: pa.Array, values: pa.Array, logical: LogicalType, name: str, *, code: str) -> None:
    """DataError for the first value that is wrong; a null is not."""
    place = pc.index(wrong, True).as_py()
    if place < 0:
        return
    says, hint = _SAYS[code]
    value = str(values[place].as_py())
    shown = _INFINITE.get(value, value) if logical in (DATE, TIMESTAMP, TIMESTAMPTZ) else value
    detail = f"its type is {logical}, the value is {shown}"
    raise DataError(code, f'a value of the column "{name}" {says}', detail=detail, hint=hint)


# ---------------------------------------------------------------- UUIDs and intervals


def _uuid_texts(array: pa.Array) -> pa.Array:
    """16 bytes each as text: the bytes of the whole column are spelt at once."""
    length = len(array)
    filled = pc.fill_null(array, pa.scalar(bytes(16), pa.binary(16))).cast(pa.binary())
    joined = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, length], pa.int32()), filled), b"")[0].as_py()
    digits = pa.Array.from_buffers(pa.binary(32), length, [None, pa.py_buffer(joined.hex().encode())])
    parts = [pc.binary_slice(digits, start, stop).cast(pa.binary()) for start, stop in _UUID_PARTS]
    texts = pc.binary_join_element_wise(*parts, b"-").cast(pa.string())
    return pc.if_else(array.is_valid(), texts, pa.scalar(None, pa.string()))


def _interval_parts(array: pa.Array, logical: Primitive, name: str) -> pa.Array:
    """Months and days are the first two of an interval's four words, its nanoseconds the other two."""
    present = pc.if_else(array.is_valid(), array, pa.scalar(pa.MonthDayNano([0, 0, 0])))
    laid_out = memoryview(present.buffers()[1])[present.offset * _WORD * _WORDS :][: len(present) * _WORD * _WORDS]
    months, days = (_numbers(laid_out.cast("i")[word::_WORDS], pa.int32()) for word in range(2))
    nanoseconds = _numbers(laid_out.cast("q")[1::2], pa.int64())
    _check(_finer(nanoseconds), nanoseconds, logical, name, code="ENG-345")
    parts = [months, days, pc.divide(nanoseconds, _NANOSECONDS)]
    return pa.StructArray.from_arrays(parts, fields=list(_INTERVAL), mask=array.is_null())


def _intervals(array: pa.Array, logical: Primitive, name: str) -> pa.Array:
    months, days, microseconds = array.flatten()
    lacking = pc.or_(pc.or_(months.is_null(), days.is_null()), microseconds.is_null())
    _check(pc.and_(array.is_valid(), lacking), array, logical, name, code="DOC-413")
    far = pc.or_(pc.greater(microseconds, _MOST_MICROSECONDS), pc.less(microseconds, -_MOST_MICROSECONDS))
    _check(far, microseconds, logical, name, code="DOC-413")
    laid_out = bytearray(len(array) * _WORD * _WORDS)
    words, halves = memoryview(laid_out).cast("i"), memoryview(laid_out).cast("q")
    for word, part in enumerate((months, days)):
        words[word::_WORDS] = _memory(part)
    halves[1::2] = _memory(pc.multiply(microseconds, _NANOSECONDS))
    made = pa.Array.from_buffers(pa.month_day_nano_interval(), len(array), [None, pa.py_buffer(bytes(laid_out))])
    return pc.if_else(array.is_valid(), made, pa.scalar(None, pa.month_day_nano_interval()))


def _finer(nanoseconds: pa.Array) -> pa.Array:
    whole = pc.multiply(pc.divide(nanoseconds, _NANOSECONDS), _NANOSECONDS)
    return pc.not_equal(whole, nanoseconds)


def _numbers(strided: memoryview, form: pa.DataType) -> pa.Array:
    return pa.Array.from_buffers(form, len(strided), [None, pa.py_buffer(strided.tobytes())])


def _memory(numbers: pa.Array) -> memoryview[int]:
    """The numbers as memory of whole words; a null is zero there."""
    filled = pc.add(pc.fill_null(numbers, 0), 0)  # a copy without an offset
    width = filled.type.bit_width // 8
    memory = memoryview(filled.buffers()[1])[: len(filled) * width]
    return memory.cast("i") if width == _WORD else memory.cast("q")


__all__ = ["carried_schema", "carried_type", "from_spark", "into_spark"]
