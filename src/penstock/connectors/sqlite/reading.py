"""SQLite's values as Arrow columns. Any value may stand in any column of SQLite: what its type cannot take is a bad value.

Values come from the driver as None, int, float and bytes (text and blobs alike).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from penstock.connectors.driver_rows import check_json
from penstock.connectors.sqlite.storing import NAN
from penstock.types import (
    BINARY,
    BOOLEAN,
    FLOAT32,
    FLOAT64,
    JSON,
    STRING,
    TIME,
    UINT64,
    UUID,
    Decimal,
    Kind,
    Primitive,
)
from penstock.types.arrow import to_arrow

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from penstock.types import LogicalType

BAD_VALUE: Final = "SRC-178"
_WHOLE: Final = frozenset({Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64, Kind.UINT8, Kind.UINT16, Kind.UINT32})


def to_array(values: Sequence[Any], logical: LogicalType) -> pa.Array:
    """Raises ValueError, OverflowError, ArrowException or PenstockError where a value is none of the type."""
    import pyarrow as pa

    wanted = to_arrow(logical)
    if logical in (FLOAT32, FLOAT64):
        return _floats(values).cast(wanted)
    if isinstance(logical, Primitive) and logical.kind in _WHOLE:
        return _whole(values).cast(wanted)
    if logical == BOOLEAN:
        return _booleans(_whole(values))
    if logical == BINARY:
        return pa.array(values, pa.binary())
    text = _texts(values, of_numbers=isinstance(logical, Decimal) or logical in (UINT64, STRING))
    if logical == STRING:
        return text
    if logical == TIME:
        return _times(text)
    if logical in (UUID, JSON):
        return _extended(text, logical)
    return text.cast(wanted)


def _whole(values: Sequence[Any]) -> pa.Array:
    """Arrow cuts the places of floats where it is told the type, so it is not."""
    import pyarrow as pa

    found = pa.array(values)
    if pa.types.is_binary(found.type):
        raise ValueError("text among whole numbers")
    return found.cast(pa.int64())


def _floats(values: Sequence[Any]) -> pa.Array:
    import pyarrow as pa

    nan = NAN.encode()
    try:
        return pa.array(values, pa.float64())
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([float("nan") if value == nan else value for value in values], pa.float64())


def _booleans(numbers: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    if len(numbers) and not pc.all(pc.is_in(numbers, pa.array([0, 1, None], pa.int64()))).as_py():
        raise ValueError("a boolean is 0 or 1")
    return numbers.cast(pa.bool_())


def _texts(values: Sequence[Any], *, of_numbers: bool) -> pa.Array:
    """Text; a number, where numbers may stand, as SQLite writes it."""
    import pyarrow as pa

    try:
        return pa.array(values, pa.binary()).cast(pa.string())
    except pa.ArrowTypeError:
        if not of_numbers:
            raise
    shown = [repr(value).encode() if isinstance(value, (int, float)) else value for value in values]
    return pa.array(shown, pa.binary()).cast(pa.string())


def _times(text: pa.Array) -> pa.Array:
    """Arrow reads times of day only as part of a day."""
    import pyarrow as pa
    import pyarrow.compute as pc

    moments = pc.binary_join_element_wise(pa.scalar("1970-01-01T"), text, pa.scalar("")).cast(pa.timestamp("us"))
    return moments.cast(pa.time64("us"))


def _extended(text: pa.Array, logical: LogicalType) -> pa.Array:
    from penstock.types.conform import conform_array

    if logical == JSON:
        check_json(text.drop_null().to_pylist())
    return conform_array(text, logical, name="value")
