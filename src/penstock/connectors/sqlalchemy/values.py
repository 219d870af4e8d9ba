"""What drivers hand over as Arrow: Python's own numbers, texts, moments, and texts in ISO 8601 in their place."""

from __future__ import annotations

import uuid
from datetime import date, datetime, time, timedelta
from decimal import Decimal as Number
from typing import TYPE_CHECKING, Any, Final

from penstock.connectors.driver_rows import check_json
from penstock.types import (
    BINARY,
    BOOLEAN,
    DATE,
    FLOAT32,
    FLOAT64,
    JSON,
    STRING,
    TIME,
    TIMESTAMP,
    TIMESTAMPTZ,
    Decimal,
    Kind,
    Primitive,
)
from penstock.types.arrow import to_arrow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa

    from penstock.types import LogicalType

BAD_VALUE: Final = "SRC-387"
_WHOLE: Final = frozenset(
    {Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64, Kind.UINT8, Kind.UINT16, Kind.UINT32, Kind.UINT64}
)
_DAY: Final = timedelta(days=1)
_MIDNIGHT: Final = datetime(1, 1, 1)  # noqa: DTZ001 -- of any day


def to_array(values: Sequence[Any], logical: LogicalType) -> pa.Array:
    """Raises ValueError, TypeError, OverflowError, ArrowException or PenstockError where a value is none of the type."""
    import pyarrow as pa

    wanted = to_arrow(logical)
    plain = _as_they_are(values, wanted)
    if plain is not None:
        return plain
    match logical:
        case Primitive(kind=kind) if kind in _WHOLE:
            return pa.array([_whole(value) for value in values], pa.decimal128(38)).cast(wanted)
        case Decimal():
            return pa.array([_exact(value) for value in values], wanted)
        case _ if logical in (FLOAT32, FLOAT64):
            return pa.array([_float(value) for value in values], pa.float64()).cast(wanted)
        case _ if logical in _MADE:
            return pa.array([None if value is None else _MADE[logical](value) for value in values], wanted)
        case _:
            return _extended(values, logical)


def _as_they_are(values: Sequence[Any], wanted: pa.DataType) -> pa.Array | None:
    """What is all of the one kind that Arrow takes for this type, without a look at each value; None: it is not."""
    import pyarrow as pa
    import pyarrow.types as kinds

    # A time of day would lose its zone without a word.
    if isinstance(wanted, pa.BaseExtensionType) or kinds.is_time(wanted):
        return None
    try:
        found = pa.array(values)
        if kinds.is_decimal(wanted) and kinds.is_decimal(found.type):
            return pa.array(values, wanted)
    except (pa.ArrowException, OverflowError, ValueError, TypeError):
        return None
    has = found.type
    alike = (
        kinds.is_null(has)
        or has == wanted
        or (kinds.is_integer(wanted) and kinds.is_integer(has))
        or (kinds.is_floating(wanted) and kinds.is_floating(has))
        or (kinds.is_timestamp(wanted) and kinds.is_timestamp(has) and (wanted.tz is None) == (has.tz is None))
        or (kinds.is_string(has) and (kinds.is_date(wanted) or kinds.is_timestamp(wanted)))
    )
    return found.cast(wanted) if alike else None


def _extended(values: Sequence[Any], logical: LogicalType) -> pa.Array:
    import pyarrow as pa

    from penstock.types.conform import conform_array

    texts = pa.array([None if value is None else _text(value) for value in values], pa.string())
    if logical == JSON:
        check_json(texts.drop_null().to_pylist())
    return conform_array(texts, logical, name="value")


def _whole(value: Any) -> Number | None:
    """Drivers without whole numbers of their own hand over decimals; text is none."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, Number)) or value != int(value):
        raise ValueError("no whole number")
    return Number(int(value))


def _exact(value: Any) -> Number | None:
    match value:
        case None | Number():
            return value
        case bool():
            raise ValueError("no number")
        case int():
            return Number(value)
        case float() | str():
            return _number(str(value))
        case _:
            raise ValueError("no number")


def _number(text: str) -> Number:
    try:
        return Number(text)
    except ArithmeticError:
        raise ValueError("no number") from None


def _float(value: Any) -> float | None:
    if value is None or type(value) is float:
        return value
    if isinstance(value, (int, Number)) and not isinstance(value, bool):
        return float(value)
    raise ValueError("no number")


def _boolean(value: Any) -> bool:
    if isinstance(value, (bool, int)) and value in (0, 1):
        return bool(value)
    raise ValueError("a boolean is 0 or 1")


def _bytes(value: Any) -> bytes:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise ValueError("no bytes")


def _text(value: Any) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case Number():
            return f"{value:f}"
        case int() | float() | uuid.UUID() | date():
            return str(value)
        case _:
            raise ValueError("no text")


def _day(value: Any) -> date:
    match value:
        case datetime():
            if value.time() != time() or value.tzinfo is not None:
                raise ValueError("a day with a time")
            return value.date()
        case date():
            return value
        case str():
            return date.fromisoformat(value)
        case _:
            raise ValueError("no day")


def _moment(value: Any) -> datetime:
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(found, datetime) or found.tzinfo is not None:
        raise ValueError("no moment without a zone")
    return found


def _instant(value: Any) -> datetime:
    """Without a zone nobody knows which moment it is; MySQL's come in that of the session, which is UTC."""
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(found, datetime) or found.tzinfo is None:
        raise ValueError("no moment with a zone")
    return found


def _time(value: Any) -> time:
    match value:
        case time():
            if value.tzinfo is not None:
                raise ValueError("a time with a zone")
            return value
        case timedelta():
            if not timedelta() <= value < _DAY:
                raise ValueError("no time of day")
            return (_MIDNIGHT + value).time()
        case str():
            return time.fromisoformat(value)
        case _:
            raise ValueError("no time")


_MADE: Final[dict[LogicalType, Callable[[Any], Any]]] = {
    BOOLEAN: _boolean,
    STRING: _text,
    BINARY: _bytes,
    DATE: _day,
    TIME: _time,
    TIMESTAMP: _moment,
    TIMESTAMPTZ: _instant,
}
