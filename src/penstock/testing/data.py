"""Hostile Arrow data: for every logical type the values that break writers, and names that break statements.

The values are what a type may legally hold: whoever cannot hold one must refuse it by name or reject the row, never
change it. ``ID`` is the name of an int64 column without nulls that numbers the rows, so that rows can be compared
whatever their order.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import pyarrow as pa

from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

ID: Final = "id"

STRINGS: Final = (
    "",
    " ",
    "  padded  ",
    "NULL",
    "null",
    "\\N",
    "NaN",
    "true",
    "010",
    "1e3",
    'a "quoted" word',
    '"',
    '""',
    "it's",
    "a,b;c|d\te",
    "line\nbreak",
    "return\rand\r\nboth",
    "trailing backslash \\",
    "\\n is not a break",
    "caf\u00e9",
    "cafe\u0301",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",
    "\u202eright to left",
    "\ufeffbyte order mark",
    "\u0000nul\u0000",
    "\x01\x1f\x7f control",
    "\u2028line separator",
    "=1+1",
    "'; DROP TABLE x;--",
    "${env.HOME}",
    "../../etc/passwd",
    "\u00df and \u1e9e, \u0130 and \u0131",
    "\U0010ffff",
)
HUGE_STRING: Final = "ü\"'\n" * 262_144  # 1.25 MiB of UTF-8
NUL_STRINGS: Final = tuple(s for s in STRINGS if "\x00" in s)

# Legal column names, none of which differ only in case from another.
NAMES: Final = (
    "a b",
    "select",
    "from",
    "order",
    "UPPER",
    "MixedCase",
    "1st",
    'a"; DROP TABLE x;--',
    "it's",
    "semi;colon",
    "com,ma",
    "tab\there",
    "new\nline",
    "dot.ted",
    "br[ack]et",
    "back`tick",
    "back\\slash",
    "per%cent",
    "{brace}",
    "$dollar",
    ":colon",
    "?",
    "été",
    "列",
    "\U0001f6e2",
    "e\u0301",
    "x" * 63,
)
LONG_NAME: Final = "n" * 300
CASE_COLLIDING: Final = ("Name", "name", "NAME")

# Values of a partition column: each must end up as one folder below the root and come back as it was.
PARTITION_VALUES: Final = (
    "plain",
    "",
    " ",
    ".",
    "..",
    "../up",
    "/root",
    "a/b",
    "a\\b",
    "a=b",
    "k=v/k2=v2",
    "per%cent",
    "%2F",
    "__HIVE_DEFAULT_PARTITION__",
    "NULL",
    "new\nline",
    "star*?[x]",
    "été",
    "e\u0301",
    "\U0001f6e2",
    "'; DROP TABLE x;--",
    'qu"ote',
    "colon:",
    "_hidden",
    ".hidden",
    "UPPER",
    "upper",
    None,
)


class HostileColumn(Frozen):
    """One logical type, as document.md writes it, and the values it must survive; nulls are among them."""

    type: str
    values: pa.Array


def _ints(bits: int, *, signed: bool) -> list[int | None]:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return [low, low + 1, 0, 1, high - 1, high, None]


_FLOATS: Final = (0.0, -0.0, 1.5, 0.1, math.nan, math.inf, -math.inf, None)
_FLOAT64: Final = (*_FLOATS, 5e-324, 1.7976931348623157e308, 2.0**53 + 2, 1 / 3)
_FLOAT32: Final = (*_FLOATS, 2.0**-149, 3.4028234663852886e38)


def _decimals(precision: int, scale: int) -> list[Decimal | None]:
    limit = Decimal((0, (9,) * precision, -scale))  # exact: arithmetic would round to 28 digits
    return [
        limit,
        limit.copy_negate(),
        Decimal(0),
        Decimal(1).scaleb(-scale),
        (-Decimal(1)).scaleb(-scale),
        Decimal(1),
        None,
    ]


DATES: Final = (
    date(1, 1, 1),
    date(1500, 2, 28),
    date(1582, 10, 4),
    date(1582, 10, 15),
    date(1899, 12, 31),
    date(1970, 1, 1),
    date(2000, 2, 29),
    date(9999, 12, 31),
    None,
)
TIMES: Final = (time(0), time(23, 59, 59, 999_999), time(12, 30), time(0, 0, 0, 1), None)
# The clocks of Europe go forward at 2024-03-31T01:00Z and back at 2024-10-27T01:00Z.
INSTANTS: Final = (
    datetime(1, 1, 1),  # noqa: DTZ001 -- wall time; the tz-aware column is made from it below
    datetime(1582, 10, 4, 23, 59, 59),  # noqa: DTZ001
    datetime(1969, 12, 31, 23, 59, 59, 999_999),  # noqa: DTZ001
    datetime(1970, 1, 1),  # noqa: DTZ001
    datetime(2024, 2, 29, 12, 0, 0, 1),  # noqa: DTZ001
    datetime(2024, 3, 31, 0, 59, 59),  # noqa: DTZ001
    datetime(2024, 3, 31, 1, 0),  # noqa: DTZ001
    datetime(2024, 3, 31, 2, 30),  # noqa: DTZ001
    datetime(2024, 10, 27, 0, 30),  # noqa: DTZ001
    datetime(2024, 10, 27, 1, 30),  # noqa: DTZ001
    datetime(9999, 12, 31, 23, 59, 59, 999_999),  # noqa: DTZ001
    None,
)
UUIDS: Final = (UUID(int=0), UUID(int=2**128 - 1), UUID("6f2d1c1e-8a4b-4c9d-9b57-0a1b2c3d4e5f"), None)
BINARIES: Final = (b"", b"\x00", b"\x00\xff\xfe", b"plain", bytes(range(256)), b"\\x41", b'"', None)
JSONS: Final = (
    "{}",
    "[]",
    '{"a":1,"b":[true,null,"x"]}',
    '{"quote\\"s":"\\u00e9 \\n"}',
    '"text"',
    "0.1",
    "null",
    "12345678901234567890123",
    None,
)


def _columns() -> dict[str, pa.Array]:
    made: dict[str, pa.Array] = {
        "string": pa.array([*STRINGS, None], pa.string()),
        "boolean": pa.array([True, False, None], pa.bool_()),
    }
    for bits in (8, 16, 32, 64):
        made[f"int{bits}"] = pa.array(_ints(bits, signed=True), getattr(pa, f"int{bits}")())
        made[f"uint{bits}"] = pa.array(_ints(bits, signed=False), getattr(pa, f"uint{bits}")())
    made["float32"] = pa.array(_FLOAT32, pa.float32())
    made["float64"] = pa.array(_FLOAT64, pa.float64())
    for precision, scale in ((4, 2), (18, 4), (38, 0), (38, 10), (38, 38)):
        values = [v for v in _decimals(precision, scale) if not v or v.adjusted() < precision - scale]
        made[f"decimal({precision},{scale})"] = pa.array(values, pa.decimal128(precision, scale))
    made["date"] = pa.array(DATES, pa.date32())
    made["time"] = pa.array(TIMES, pa.time64("us"))
    made["timestamp"] = pa.array(INSTANTS, pa.timestamp("us"))
    made["timestamptz"] = pa.array([i and i.replace(tzinfo=UTC) for i in INSTANTS], pa.timestamp("us", tz="UTC"))
    made["interval"] = pa.array(
        [(0, 0, 0), (14, -3, 1_000), (-1, 40, 86_400_000_000_000), None], pa.month_day_nano_interval()
    )
    made["uuid"] = pa.array([u and u.bytes for u in UUIDS], pa.uuid())
    made["binary"] = pa.array(BINARIES, pa.binary())
    made["json"] = pa.array(JSONS, pa.json_())
    made |= _nested()
    return made


def _nested() -> dict[str, pa.Array]:
    words = [["a", None, ""], [], ['"', "x,y", "\n"], None]
    pairs: list[list[tuple[str, int | None]] | None] = [[("a", 1), ("", None)], [], [("k=v", -1)], None]
    inner = pa.struct([("a", pa.int64()), ("b c", pa.string()), ("deep", pa.list_(pa.struct([("x", pa.float64())])))])
    structs: list[dict[str, Any] | None] = [
        {"a": 1, "b c": 'quo"te', "deep": [{"x": 0.5}, None]},
        {"a": None, "b c": None, "deep": None},
        {"a": 2**63 - 1, "b c": "", "deep": []},
        None,
    ]
    return {
        "list<string>": pa.array(words, pa.list_(pa.string())),
        "list<int64>": pa.array([[1, None, -(2**63)], [], None], pa.list_(pa.int64())),
        "map<string,int64>": pa.array(pairs, pa.map_(pa.string(), pa.int64())),
        'struct<a: int64, "b c": string, deep: list<struct<x: float64>>>': pa.array(structs, inner),
    }


def columns() -> tuple[HostileColumn, ...]:
    """One hostile column per logical type, in a fixed order."""
    return tuple(HostileColumn(name, values) for name, values in _columns().items())


TYPES: Final = tuple(column.type for column in columns())


def column(logical: str) -> HostileColumn:
    """The hostile column of a logical type; KeyError where there is none."""
    return HostileColumn(logical, _columns()[logical])


def table_of(values: pa.Array, name: str = "value") -> pa.Table:
    """``id`` and one column."""
    schema = pa.schema([pa.field(ID, pa.int64(), nullable=False), pa.field(name, values.type)])
    return pa.table([pa.array(range(len(values)), pa.int64()), values], schema=schema)


def wide_table(types: Sequence[str] = TYPES) -> pa.Table:
    """``id`` and one column per type, ``c0`` …; each column's values are repeated to the length of the longest."""
    made = _columns()
    chosen = [made[logical] for logical in types]
    rows = max(map(len, chosen), default=1)
    fields = [pa.field(ID, pa.int64(), nullable=False)]
    fields += [pa.field(f"c{at}", array.type) for at, array in enumerate(chosen)]
    filled = [array.take(pa.array([i % len(array) for i in range(rows)])) for array in chosen]
    return pa.table([pa.array(range(rows), pa.int64()), *filled], schema=pa.schema(fields))


def named_table(names: Sequence[str] = NAMES, rows: int = 2) -> pa.Table:
    """``id`` and a string column per name, whose values say name and row."""
    fields = [pa.field(ID, pa.int64(), nullable=False), *(pa.field(name, pa.string()) for name in names)]
    texts = [pa.array([f"{name}#{row}" for row in range(rows)], pa.string()) for name in names]
    return pa.table([pa.array(range(rows), pa.int64()), *texts], schema=pa.schema(fields))
