"""What texts and JSON values become by the type of their column: the value, or BAD where the record is a reject."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final

BAD: Final = object()
TEXTS: Final = [
    ("int64", "7", 7),
    ("int64", "-7", -7),
    ("int64", "1e2", 100),
    ("int64", "5.", 5),
    ("int64", "5.00", 5),
    ("int64", " 7 ", 7),
    ("int64", "9007199254740993", 9007199254740993),
    ("int64", "9223372036854775807", 2**63 - 1),
    ("int64", "9223372036854775808", BAD),
    ("int64", "9007199254740993.5", BAD),
    ("int64", "1.5", BAD),
    ("int64", "0.4", BAD),
    ("int64", "1e-1", BAD),
    ("int64", "0x10", BAD),
    ("int64", "nan", BAD),
    ("uint64", "18446744073709551615", 2**64 - 1),
    ("int8", "127.0", 127),
    ("int8", "128", BAD),
    ("decimal(10,2)", "1.99", Decimal("1.99")),
    ("decimal(10,2)", "-0.5", Decimal("-0.50")),
    ("decimal(10,2)", "1.9900", Decimal("1.99")),
    ("decimal(10,2)", "1.5e2", Decimal("150.00")),
    ("decimal(10,2)", "1.999", BAD),
    ("decimal(10,2)", "1e-5", BAD),
    ("decimal(10,2)", "123456789.00", BAD),
    ("decimal(30,10)", "12345678901234567.0000000001", Decimal("12345678901234567.0000000001")),
    ("decimal(30,10)", "0.12345678901", BAD),
    ("decimal(38,0)", "99999999999999999999999999999999999999", Decimal("9" * 38)),
    ("float64", "1.5", 1.5),
    ("float64", "inf", float("inf")),
    ("float64", "-Infinity", float("-inf")),
    ("float64", "1e400", BAD),
    ("float32", "1e40", BAD),
    ("date", "2024-01-31", "2024-01-31"),
    ("date", "2024-01-31 00:00:00", "2024-01-31"),
    ("date", "2024-01-31T00:00:00Z", "2024-01-31"),
    ("date", "2024-01-31 10:00:00", BAD),
    ("date", "2024-01-31T00:00:00+02:00", BAD),
    ("date", "epoch", BAD),
    ("timestamp", "2024-01-31 10:00:00", "2024-01-31 10:00:00"),
    ("timestamp", "2024-01-31T10:00:00.5Z", "2024-01-31 10:00:00.500000"),
    ("timestamp", "2024-01-31", "2024-01-31 00:00:00"),
    ("timestamp", "2024-01-31T10:00:00+02:00", BAD),
    ("timestamp", "2024-01-31 10:00+02", BAD),
    ("timestamp", "2024-01-31 10:00:00 Europe/Berlin", BAD),
    ("timestamptz", "2024-01-31T10:00:00+02:00", "2024-01-31 08:00:00+00:00"),
    ("timestamptz", "2024-01-31 10:00:00.5+1530", "2024-01-30 18:30:00.500000+00:00"),
    ("timestamptz", "2024-01-31 10:00 Europe/Berlin", "2024-01-31 09:00:00+00:00"),
    ("timestamptz", "2024-01-31", "2024-01-31 00:00:00+00:00"),
    ("timestamptz", "2024-01-31T10:00:00+25:00", BAD),
    ("timestamptz", "2024-01-31T10:00:00-16", BAD),
    ("timestamptz", "2024-01-31T10:00:00+01:60", BAD),
    ("timestamptz", "epoch", BAD),
    ("time", "10:00:00", "10:00:00"),
    ("time", "10:00", "10:00:00"),
    ("time", "2024-01-31", BAD),
    ("time", "10:00:00+02", BAD),
    ("uuid", "no uuid", BAD),
]
LISTS: Final = "struct<x: int64?, y: list<decimal(20,3)?>?>"
VALUES: Final = [
    *[(kind, json.dumps(text), value) for kind, text, value in TEXTS if text not in ("nan", "inf", "-Infinity")],
    ("int64", "7", 7),
    ("int64", "1.0", 1),
    ("int64", "true", 1),
    ("int64", "9007199254740993", 9007199254740993),
    ("int64", "1.5", BAD),
    ("int64", "12345678901234567890123", BAD),
    ("int64", "{}", BAD),
    ("decimal(10,2)", "1.10", Decimal("1.10")),
    ("decimal(10,2)", "1.999", BAD),
    ("decimal(30,10)", "12345678901234567.0000000001", Decimal("12345678901234567.0000000001")),
    ("decimal(30,10)", "100000000000000000.01", Decimal("100000000000000000.01")),
    ("decimal(30,10)", "0.12345678901", BAD),
    ("float64", "1e400", BAD),
    ("boolean", "true", True),
    ("boolean", "1.5", BAD),
    ("date", "20240131", BAD),
    (LISTS, '{"x": 1, "y": [12345678901234567.123, null]}', {"x": 1, "y": [Decimal("12345678901234567.123"), None]}),
    (LISTS, '{"x": 1.5}', BAD),
    (LISTS, '{"y": [0.1234]}', BAD),
    (LISTS, '{"y": 5}', BAD),
    (LISTS, "[]", BAD),
    ("map<string,timestamp?>", '{"k": "2024-01-31T10:00:00+01:00"}', BAD),
    ("list<int64?>", '[1, "x"]', BAD),
]


def by_kind(cases: list[tuple[str, str, Any]]) -> list[tuple[str, list[tuple[str, Any]]]]:
    kinds = dict.fromkeys(kind for kind, _, _ in cases)
    return [(kind, [(text, value) for other, text, value in cases if other == kind]) for kind in kinds]


def plain(value: Any) -> Any:
    """As the cases have it: what is no number as text."""
    return value if isinstance(value, int | float | Decimal | dict) else str(value)
