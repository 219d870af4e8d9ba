"""SQLite's values as Arrow columns. Any value may stand in any column of SQLite: what its type cannot take is a bad value.

Values come from the driver as None, int, float and bytes (text and blobs alike).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from penstock.connectors.api import REJECT_COLUMNS, Json
from penstock.connectors.sqlite.storing import NAN
from penstock.errors import DataError, PenstockError
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
    Schema,
)
from penstock.types.arrow import to_arrow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from penstock.types import Field, LogicalType

Policy = Literal["reject", "null", "fail"]
_WHOLE = frozenset({Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64, Kind.UINT8, Kind.UINT16, Kind.UINT32})


@dataclass(frozen=True, slots=True)
class Converted:
    """Rows that fit, and one reject per row that does not (the columns of ``REJECT_COLUMNS``; None: all fit)."""

    batch: pa.RecordBatch
    rejects: pa.RecordBatch | None


def convert(rows: Sequence[Sequence[Any]], schema: Schema, *, policy: Policy, first: int, named: str) -> Converted:
    """``first`` is the number of the first row, from 1, for messages. Raises DataError SRC-178 where the policy is fail."""
    columns = list(zip(*rows, strict=True))
    bad: dict[int, list[tuple[str, str]]] = {}
    arrays = []
    for field, values in zip(schema, columns, strict=True):
        array, wrong = _column(values, field.type)
        for place in wrong:
            bad.setdefault(place, []).append((field.name, f"not a value of type {field.type}"))
        arrays.append(array)
    batch = _batch(arrays, schema)
    if not bad or policy == "null":
        return Converted(batch, None)
    if policy == "fail":
        place = min(bad)
        column, reason = bad[place][0]
        raise DataError(
            "SRC-178", f'row {first + place} of "{named}" has a bad value in column "{column}"', detail=reason
        )
    return _without(batch, rows, bad=bad, schema=schema, first=first, named=named)


def _batch(arrays: Sequence[pa.Array], schema: Schema) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_arrays(list(arrays), schema=to_arrow(schema))


def _column(values: Sequence[Any], logical: LogicalType) -> tuple[pa.Array, list[int]]:
    """The column, null where a value does not fit, and the places where that is so."""
    array = _attempted(values, logical)
    if array is not None:
        return array, []
    wrong = list(_misfits(values, logical, 0))
    gone = frozenset(wrong)
    return _converted([None if at in gone else value for at, value in enumerate(values)], logical), wrong


def _misfits(values: Sequence[Any], logical: LogicalType, first: int) -> Iterator[int]:
    """The places of the values that do not fit, by halving: few bad ones cost few tries."""
    if _attempted(values, logical) is not None:
        return
    if len(values) == 1:
        yield first
        return
    middle = len(values) // 2
    yield from _misfits(values[:middle], logical, first)
    yield from _misfits(values[middle:], logical, first + middle)


def _attempted(values: Sequence[Any], logical: LogicalType) -> pa.Array | None:
    import pyarrow as pa

    try:
        return _converted(values, logical)
    except (pa.ArrowException, PenstockError, OverflowError, ValueError):
        return None


def _converted(values: Sequence[Any], logical: LogicalType) -> pa.Array:
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
        _check_json(text.drop_null().to_pylist())
    return conform_array(text, logical, name="value")


def _check_json(texts: Sequence[str]) -> None:
    """Raises ValueError unless each text is one JSON value: all of them are parsed in one go, with marks between them."""
    mark = "end of a value"
    found = json.loads(f"[{f',{json.dumps(mark)},'.join(texts)}]", parse_constant=_no_constant)
    if len(found) != max(2 * len(texts) - 1, 0) or any(between != mark for between in found[1::2]):
        raise ValueError("text that is no JSON")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


# ---------------------------------------------------------------- rejects


def _without(
    batch: pa.RecordBatch,
    rows: Sequence[Sequence[Any]],
    *,
    bad: dict[int, list[tuple[str, str]]],
    schema: Schema,
    first: int,
    named: str,
) -> Converted:
    import pyarrow as pa

    kept = pa.array([place not in bad for place in range(batch.num_rows)])
    rejected = [
        {
            "position": json.dumps({"from": named, "row": first + place}),
            "row": json.dumps(_shown(rows[place], schema), ensure_ascii=False),
            "raw": None,
            "causes": [{"code": "SRC-178", "column": column, "message": reason} for column, reason in bad[place]],
        }
        for place in sorted(bad)
    ]
    form = to_arrow(Schema.of(REJECT_COLUMNS))
    columns = [_reject_column(rejected, field) for field in Schema.of(REJECT_COLUMNS)]
    return Converted(batch.filter(kept), pa.RecordBatch.from_arrays(columns, schema=form))


def _reject_column(rejected: Sequence[dict[str, Any]], field: Field) -> pa.Array:
    import pyarrow as pa

    values = [row[field.name] for row in rejected]
    return (
        pa.array(values, pa.string()).cast(to_arrow(field.type))
        if field.type in (JSON, STRING)
        else pa.array(values, to_arrow(field.type))
    )


def _shown(row: Sequence[Any], schema: Schema) -> dict[str, Json]:
    """The row as it entered; bytes that are no text as hexadecimal digits."""
    return {name: _text_or_hex(value) for name, value in zip(schema.names, row, strict=True)}


def _text_or_hex(value: Any) -> Json:
    if not isinstance(value, bytes):
        return str(value) if isinstance(value, float) and value - value != 0 else value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()
