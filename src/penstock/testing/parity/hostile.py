"""Hostile values of every logical type, and tables made of them, for expressions that two engines must agree on.

All are in the canonical Arrow form (``penstock.types.arrow.to_arrow``), always the same and in the same order, and are such
as both engines can hold: no infinite dates, no NUL in a text. The plain values of a type come first and null is the fourth,
so that the beginning of a type's values is worth having alone.
"""

from __future__ import annotations

import itertools
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as Number
from typing import TYPE_CHECKING, Final, assert_never
from uuid import UUID

import pyarrow as pa

from penstock.errors import DataError
from penstock.types import Decimal, Field, Kind, List, Map, Primitive, Schema, Struct, relaxed
from penstock.types.arrow import to_arrow
from penstock.types.conform import conform_array
from penstock.types.logical import STRING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from penstock.types import LogicalType

GROUP: Final = "group_key"
CROSSED_ROWS: Final = 400
_LEVELS: Final = 19  # a prime: then shifted columns meet in every pair
_NULL_AT: Final = 3

_WORDS: Final = (
    "plain",
    "",
    "Straße",
    None,
    " ",
    "  padded  ",
    "hello world",
    "a,b,,c",
    "ab" * 3,
    "\t tab and\nbreak \r",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f600",
    "cafe\u0301",
    "caf\u00e9",
    "\u0130 \u0131 \u03a3\u03b1\u03c2 \u1e9e",
    "\u202eright to left \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "100%_\\ %",
    "a.b*c+?[d](e){2}|^$\\d",
    "12",
    "12.5",
    "null",
    "NULL",
    "x",
    "A",
    "a",
    "UPPER lower Title",
    'it\'s "quoted" `so`',
    "\\",
    "\\1 $1 ${2}",
    "\x01\x1f\x7f control",
    "\u00a0no break\u2003em\u3000",
    "\ufeffbyte order mark",
    "\u2028line separator",
    "\U0010ffff",
    "\u00e4\u00f6\u00fc\u00df \u0427\u0435\u0445\u043e\u0432 \u4e2d\u6587",
    "https://example.org/a/b?q=1&r=%20#f",
)
_NUMBERS: Final = (
    " 12 ",
    "-0",
    "0",
    "+5",
    "-7",
    "1e3",
    "1E-2",
    "2.5",
    "3.5",
    "-2.5",
    ".5",
    "5.",
    "0x1F",
    "0b11",
    "1_000",
    "1,000",
    "NaN",
    "nan",
    "inf",
    "-inf",
    "Infinity",
    "127",
    "128",
    "-129",
    "255",
    "32768",
    "2147483647",
    "2147483648",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "99999999999999999999999999999999999999",
    "1e308",
    "1e309",
    "0.1",
    "1234567.891",
    "0.000000001",
    "\uff11\uff12",
    "\u0661\u0662",
    "12a",
    "1 2",
    "--1",
    "007",
    "1d",
    "1f",
    "12\n",
    "true",
    "TRUE",
    "false",
    "t",
    "f",
    "yes",
    "no",
    "1",
)
_MOMENTS_AS_TEXT: Final = (
    "2024-02-29",
    "2023-02-29",
    "2024-2-9",
    "2024/02/29",
    "20240229",
    "29.02.2024",
    "29-Feb-2024",
    "31-FEB-2024",
    "Feb-2024",
    "sept-2024",
    "2024-2",
    " 2024-02-29 ",
    "0001-01-01",
    "0000-01-01",
    "9999-12-31",
    "10000-01-01",
    "-0044-03-15",
    "0044-03-15 (BC)",
    "1582-10-10",
    "2024",
    "2024-02",
    "2024-13-01",
    "2024-02-29 12:34:56",
    "2024-02-29T12:34:56",
    "2024-02-29 12:34:56.789",
    "2024-02-29 12:34:56.1234567",
    "2024-02-29 12:34",
    "2024-02-29 24:00:00",
    "2024-02-29 12:34:60",
    "2024-02-29 12:34:56Z",
    "2024-02-29 12:34:56+02",
    "2024-02-29 12:34:56+02:00",
    "2024-02-29T12:34:56.789-05:30",
    "2024-02-29 12:34:56 UTC",
    "2024-03-31 02:30:00 Europe/Berlin",
    "12:34:56",
    "12:34:56.789",
    "1:2:3",
    "24:00:00",
    "23:59:59.9999999",
    "infinity",
    "epoch",
    "today",
    "6f2d1c1e-8a4b-4c9d-9b57-0a1b2c3d4e5f",
    "6F2D1C1E8A4B4C9D9B570A1B2C3D4E5F",
    "{6f2d1c1e-8a4b-4c9d-9b57-0a1b2c3d4e5f}",
)
_GOOD_JSON: Final = (
    '{"a":1,"b":[true,null,"x"]}',
    "{}",
    "[]",
    None,
    '{"a": {"b": {"c": [1, 2.50, -0.0, 1e3]}}}',
    '"text"',
    '"1"',
    "1",
    "0.1",
    "-0",
    "1e400",
    "12345678901234567890123",
    "null",
    "true",
    '  { "spaced" :\t[ 1 , 2 ]\n}  ',
    '{"quote\\"s":"\\u00e9 \\n \\ud83d\\ude00"}',
    '{"a":1,"a":2}',
    '{"":"empty key","a.b":"dotted","$":"root","\u00e9":"\u00fc"}',
    "[[],[[]],{}]",
    '[{"a":1},{"a":null},{"b":2}]',
)
_BAD_JSON: Final = ("{", '{"a":}', "{'a':1}", "[1,]", "{a:1}", '{"a":1} x', "01", "NaN", '"open', "tru")
_LONG: Final = "long \u00fc" * 15_000  # 105 kB in UTF-8

_FLOATS: Final = (0.0, 1.5, -1.5, None, 1.0, -1.0, -0.0, math.nan, math.inf, -math.inf, 0.5, 2.5, 3.5, -2.5, -0.5, 0.1)
_FLOAT64: Final = (
    *(5e-324, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, -1.7976931348623157e308),
    *(2.0**53, 2.0**53 + 2, -(2.0**63), 2.0**63, 1 / 3, 1e15, 1e16, 1e17, 1e-4, 1e-5, 1e20, 1e100, 127.5, 2147483647.5),
    *(0.49999999999999994, 4503599627370495.5, 123456.789, 1.005, 0.3),
)
_FLOAT32: Final = (2.0**-149, -(2.0**-149), 2.0**-126, 3.4028234663852886e38, -3.4028234663852886e38, 2.0**24, 2.0**31)

_DATES: Final = (
    date(2024, 2, 29),
    date(1970, 1, 1),
    date(2023, 12, 31),
    None,
    date(1, 1, 1),
    date(9999, 12, 31),
    date(1582, 10, 4),
    date(1582, 10, 5),
    date(1582, 10, 15),
    date(1500, 2, 28),
    date(1500, 3, 1),
    date(1, 12, 31),
    date(999, 6, 15),
    date(1899, 12, 31),
    date(1900, 3, 1),
    date(1969, 12, 31),
    date(2000, 2, 29),
    date(2020, 12, 31),
    date(2021, 1, 3),
    date(2024, 1, 31),
    date(2024, 3, 31),
    date(2024, 12, 30),
    date(2038, 1, 19),
)
# Gaps and folds of Berlin and New York (01:00 UTC; 02:00 on the wall) and of Lord Howe, whose clocks move by half an hour.
_TIMES_OF_A_MOMENT: Final = (
    "2024-02-29 12:34:56.789012",
    "1970-01-01 00:00:00",
    "2023-12-31 23:59:59.999999",
    None,
    "0001-01-01 00:00:00",
    "9999-12-31 23:59:59.999999",
    "1582-10-04 23:59:59",
    "1582-10-10 12:00:00",
    "1582-10-15 00:00:00",
    "1883-11-18 12:03:58",
    "1890-01-01 00:00:00",
    "1899-12-31 23:59:59.5",
    "1900-01-01 00:00:00",
    "1969-12-31 23:59:59.999999",
    "1970-01-01 00:00:00.000001",
    "2024-03-31 00:59:59.999999",
    "2024-03-31 01:00:00",
    "2024-03-31 02:00:00",
    "2024-03-31 02:30:00",
    "2024-03-31 03:00:00",
    "2024-10-27 00:30:00",
    "2024-10-27 01:00:00",
    "2024-10-27 01:30:00",
    "2024-10-27 02:30:00",
    "2024-10-27 03:00:00",
    "2024-03-10 02:30:00",
    "2024-11-03 01:30:00",
    "2024-11-03 06:30:00",
    "2024-04-07 01:45:00",
    "2024-10-06 02:15:00",
    "2011-12-30 12:00:00",
    "2024-01-01 00:00:00",
    "2024-12-31 12:00:00.1",
    "2038-01-19 03:14:08",
    "2262-04-11 23:47:16.854775",
)
_DAY: Final = 86_400_000_000
_TIMES: Final = (45_296_789_012, 0, _DAY - 1, None, 1, 1_000, 999_999, 43_200_000_000, 3_600_000_000, 59_999_999)
_INTERVALS: Final = (
    (0, 1, 0),
    (1, 0, 0),
    (0, 0, 3_600_000_000_000),
    None,
    (0, 0, 0),
    (14, -3, 1_000),
    (-1, 40, 86_400_000_000_000),
    (0, 30, 0),
    (0, 0, 86_400_000_000_000),
    (12, 0, 0),
    (-(2**31) + 1, 2**31 - 1, -(2**53) * 1_000),
)
_UUIDS: Final = (
    UUID("6f2d1c1e-8a4b-4c9d-9b57-0a1b2c3d4e5f"),
    UUID(int=0),
    UUID(int=2**128 - 1),
    None,
    UUID(int=1 << 127),
)
_BINARIES: Final = (
    b"plain",
    b"",
    b"\x00",
    None,
    b"\x00\xff\xfe",
    bytes(range(256)),
    b"\\x41",
    b"\xc3\xa9",
    b" ",
    b"plain\x00",
)


# ---------------------------------------------------------------- values


def values_of(logical: LogicalType) -> pa.Array:
    """All hostile values of a type, null among them, in the form of ``to_arrow(relaxed(logical))``."""
    match logical:
        case Primitive():
            return _primitives(logical.kind)
        case Decimal():
            return _decimals(logical)
        case List():
            return _lists(logical)
        case Map():
            return _maps(logical)
        case Struct():
            return _structs(logical)
        case _:
            assert_never(logical)


def _primitives(kind: Kind) -> pa.Array:
    form = to_arrow(Primitive(kind))
    match kind:
        case Kind.STRING:
            texts = [*_WORDS, *_NUMBERS, *_MOMENTS_AS_TEXT, *_present(_GOOD_JSON), *_BAD_JSON, _LONG]
            return pa.array(list(dict.fromkeys(texts)), form)
        case Kind.JSON:
            return pa.ExtensionArray.from_storage(form, pa.array(_GOOD_JSON, pa.string()))
        case Kind.BOOLEAN:
            return pa.array([True, False, None], form)
        case Kind.FLOAT32 | Kind.FLOAT64:
            return pa.array([*_FLOATS, *(_FLOAT64 if kind is Kind.FLOAT64 else _FLOAT32)], form)
        case Kind.DATE:
            return pa.array(_DATES, form)
        case Kind.TIME:
            return pa.array(_TIMES, pa.int64()).cast(form)
        case Kind.TIMESTAMP | Kind.TIMESTAMPTZ:
            return pa.array(map(_microseconds, _TIMES_OF_A_MOMENT), pa.int64()).cast(form)
        case Kind.INTERVAL:
            return pa.array(_INTERVALS, form)
        case Kind.UUID:
            return pa.array([value and value.bytes for value in _UUIDS], form)
        case Kind.BINARY:
            return pa.array(_BINARIES, form)
        case _:
            return pa.array(_integers(form), form)


def _present(values: Iterable[str | None]) -> list[str]:
    return [value for value in values if value is not None]


def _microseconds(text: str | None) -> int | None:
    if text is None:
        return None
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        microseconds=1
    )


def _integers(form: pa.DataType) -> list[int | None]:
    bits, signed = form.bit_width, pa.types.is_signed_integer(form)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    wanted = [
        1,
        2,
        7,
        None,
        0,
        -1,
        low,
        high,
        low + 1,
        high - 1,
        10,
        -7,
        100,
        3,
        45,
        -45,
        2**31,
        2**53 + 1,
        -(2**53) - 1,
    ]
    kept = [value for value in wanted if value is None or low <= value <= high]
    return list(dict.fromkeys(kept))


def _decimals(logical: Decimal) -> pa.Array:
    """Exact: arithmetic would round to 28 digits."""
    limit = Number((0, (9,) * logical.precision, -logical.scale))
    least = Number((0, (1,), -logical.scale))
    digits = Number((0, tuple(itertools.islice(itertools.cycle(range(1, 10)), logical.precision)), -logical.scale))
    halves = [Number(text) for text in ("0.5", "1.5", "-2.5", "-0.05", "0.005", "12.345", "10", "-7", "100")]
    wanted = [Number(1), Number(0), Number(-1), limit, limit.copy_negate(), digits, least, least.copy_negate(), *halves]
    fitting = list(dict.fromkeys(value for value in wanted if _fits(value, logical)))
    return pa.array([*fitting[:_NULL_AT], None, *fitting[_NULL_AT:]], to_arrow(logical))


def _fits(value: Number, logical: Decimal) -> bool:
    exponent = value.as_tuple().exponent
    digits = max(value.adjusted() + 1, 0) if value else 0
    return isinstance(exponent, int) and -exponent <= logical.scale and digits <= logical.precision - logical.scale


def _lists(logical: List) -> pa.Array:
    """Some, none, all, null, a null alone, the same twice, in both orders, with null among them."""
    inner = values_of(logical.element)
    null = inner.is_null().index(True).as_py()
    some = [0, 1 % len(inner), 2 % len(inner)]
    chosen: list[list[int] | None] = [some, [], [0], None, [null], [*some, null, 0], some[::-1], [0, 0], [null, null]]
    chosen += [list(range(len(inner)))]
    return _listed(chosen, inner, to_arrow(relaxed(logical)))


def _listed(chosen: Sequence[list[int] | None], inner: pa.Array, form: pa.DataType) -> pa.Array:
    lengths = [len(places or ()) for places in chosen]
    offsets = pa.array(itertools.accumulate(lengths, initial=0), pa.int32())
    values = inner.take(pa.array([place for places in chosen for place in places or ()], pa.int64()))
    mask = pa.array([places is None for places in chosen])
    if not pa.types.is_map(form):
        return pa.ListArray.from_arrays(offsets, values, type=form, mask=mask)
    return pa.MapArray.from_arrays(offsets, *values.flatten(), type=form, mask=mask)


def _maps(logical: Map) -> pa.Array:
    """Keys are the plain values of their type, so that no two are equal; the values change from map to map."""
    keys, values = values_of(logical.key).drop_null()[:3], values_of(logical.value)
    null = values.is_null().index(True).as_py()
    pairs = [(key, place) for key in range(len(keys)) for place in (0, 1 % len(values), null)]
    columns = [keys.take(pa.array([key for key, _ in pairs])), values.take(pa.array([place for _, place in pairs]))]
    entries = pa.StructArray.from_arrays(columns, names=["key", "value"])
    every = [pairs.index((key, 0)) for key in range(len(keys))]
    chosen = [every, [], [0], None, [pairs.index((0, null))], every[::-1], [1, *every[1:]]]
    return _listed(chosen, entries, to_arrow(relaxed(logical)))


def _structs(logical: Struct) -> pa.Array:
    parts = [values_of(field.type) for field in logical.fields]
    rows = max(len(part) for part in parts) + 2
    nulls = [part.is_null().index(True).as_py() for part in parts]
    filled = [
        part.take(pa.array([null if row == _NULL_AT + 1 else row % len(part) for row in range(rows)]))
        for part, null in zip(parts, nulls, strict=True)
    ]
    mask = pa.array([row == _NULL_AT for row in range(rows)])
    return pa.StructArray.from_arrays(filled, fields=list(to_arrow(relaxed(logical))), mask=mask)


# ---------------------------------------------------------------- tables


def hostile(schema: Schema) -> pa.Table:
    """As many rows as the column with the most values has; each column takes all of its own, over and over."""
    columns = [_column(field) for field in schema]
    rows = max(map(len, columns), default=0)
    return _table(schema, columns, [[row % len(column) for row in range(rows)] for column in columns])


def crossed(schema: Schema, ways: Sequence[int] | None = None) -> pa.Table:
    """At most 400 rows in which every two columns meet in every pair of their first 19 values (three columns and more by an
    orthogonal array), and the other values one after the other as far as there is room. ``ways``: by column a number below
    19; columns of one number move in step. By default each has its own.
    """
    columns = [_column(field) for field in schema]
    pairs = list(itertools.product(range(_LEVELS), repeat=2))
    room = CROSSED_ROWS - len(pairs)
    more = min(max((len(column) for column in columns), default=0) - _LEVELS, room)
    chosen = [
        [(row + shift * way) % _LEVELS % len(column) for row, shift in pairs]
        + [(_LEVELS + row) % len(column) for row in range(more)]
        for way, column in zip(ways if ways is not None else range(len(columns)), columns, strict=True)
    ]
    return _table(schema, columns, chosen)


def grouped_schema(schema: Schema) -> Schema:
    """The schema of ``grouped``: its columns behind the key of their group."""
    return Schema((Field(GROUP, STRING), *schema))


def grouped(schema: Schema) -> pa.Table:
    """Groups for aggregates and windows, by the column ``group_key`` (text, null is a group): one row, nulls alone, plain
    values, plain values with a null, ties, every value once, every value twice. Columns do not move in step.
    """
    columns = [_column(field) for field in schema]
    keys: list[str | None] = []
    chosen: list[list[int]] = [[] for _ in columns]
    for key, rows, places in _GROUPS:
        longest = max(map(len, columns), default=0)
        count = longest * (2 if key == "twice" else 1) if rows is None else rows
        keys += [key] * count
        for at, column in enumerate(columns):
            chosen[at] += [_place(column, places, row + row * at if rows is None else row + at) for row in range(count)]
    table = _table(schema, columns, chosen)
    return table.add_column(0, pa.field(GROUP, pa.string()), pa.array(keys, pa.string()))


_GROUPS: Final[tuple[tuple[str | None, int | None, tuple[int, ...] | None], ...]] = (
    ("one", 1, (0,)),
    ("nulls", 3, (_NULL_AT,)),
    ("plain", 5, (0, 1, 2)),
    ("with null", 6, (0, _NULL_AT, 1)),
    ("ties", 6, (1, 1, 0)),
    (None, 4, (2, 1)),
    ("", 2, (1, 0)),
    ("every", None, None),
    ("twice", None, None),
)


def _place(column: pa.Array, places: tuple[int, ...] | None, row: int) -> int:
    if places is None:
        return row % len(column)
    place = places[row % len(places)]
    if place == _NULL_AT and column.null_count:
        return int(column.is_null().index(True).as_py())
    return place % len(column)


def _column(field: Field) -> pa.Array:
    values = values_of(field.type)
    kept = values if field.nullable else values.drop_null()
    return conform_array(_without_nulls(kept, field), field.type, name=field.name)


def _without_nulls(values: pa.Array, field: Field) -> pa.Array:
    """Only the values that may stand where a nested place may not be null."""
    if relaxed(field.type) == field.type:
        return values
    kept = [row for row in range(len(values)) if _allowed(values[row : row + 1], field)]
    return values.take(pa.array(kept, pa.int64()))


def _allowed(value: pa.Array, field: Field) -> bool:
    try:
        conform_array(value, field.type, name=field.name)
    except DataError:
        return False
    return True


def _table(schema: Schema, columns: Sequence[pa.Array], chosen: Sequence[list[int]]) -> pa.Table:
    taken = [column.take(pa.array(places, pa.int64())) for column, places in zip(columns, chosen, strict=True)]
    return pa.Table.from_arrays(taken, schema=to_arrow(schema))


__all__ = ["CROSSED_ROWS", "GROUP", "crossed", "grouped", "grouped_schema", "hostile", "values_of"]
