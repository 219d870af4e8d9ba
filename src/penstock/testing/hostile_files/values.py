"""Values that stand in files as text, and what they are, or that they are none: the same for every format of text."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from penstock.structs import Frozen
from penstock.testing.hostile_files.cases import Hazard
from penstock.testing.hostile_files.moments import day, moment

if TYPE_CHECKING:
    from penstock.testing.hostile_files.cases import Value


class Spelled(Frozen):
    """A text, and the value of the column's type that it is; ``bad``: it is none."""

    text: str
    value: Value = None
    bad: bool = False


class HostileTexts(Frozen):
    """Texts of one column of that type."""

    name: str
    hazard: Hazard
    type: str
    texts: tuple[Spelled, ...]


def _bad(*texts: str) -> tuple[Spelled, ...]:
    return tuple(Spelled(text, bad=True) for text in texts)


def _same(*texts: str) -> tuple[Spelled, ...]:
    return tuple(Spelled(text, text) for text in texts)


_NINES: Final = "9" * 38
_DEEP: Final = 100

# Clocks of Europe/Berlin went forward at 2024-03-31T01:00Z and back at 2024-10-27T01:00Z. A timestamp has no clock, so
# that the hour which the clocks leave out is one like any other; a timestamptz is what its offset says.
TEXTS: Final = (
    HostileTexts(
        "wrong_type",
        Hazard.WRONG_TYPE,
        "int64",
        (
            Spelled("1", 1),
            Spelled("-9223372036854775808", -(2**63)),
            Spelled("1e3", 1_000),
            Spelled("1_000", 1_000),
            *_bad("x", "1.5", "9223372036854775808", "0x10", "1,000", "--1", "\u0661\u0662"),
        ),
    ),
    HostileTexts(
        "wrong_boolean",
        Hazard.WRONG_TYPE,
        "boolean",
        (Spelled("true", True), Spelled("false", False), *_bad("2", "maybe", "tru")),
    ),
    HostileTexts("nan", Hazard.NAN, "float64", (Spelled("nan", math.nan), Spelled("NaN", math.nan), *_bad("nano", "na"))),
    HostileTexts("nan_decimal", Hazard.NAN, "decimal(9,2)", (Spelled("1.00", Decimal("1.00")), *_bad("nan", "NaN", "sNaN"))),
    HostileTexts("nan_integer", Hazard.NAN, "int64", (Spelled("1", 1), *_bad("nan", "NaN"))),
    HostileTexts(
        "infinity",
        Hazard.INFINITY,
        "float64",
        (
            Spelled("inf", math.inf),
            Spelled("-Infinity", -math.inf),
            Spelled("1.7976931348623157e308", 1.7976931348623157e308),
            *_bad("1e309", "-1e999", "infinit"),
        ),
    ),
    HostileTexts(
        "infinity_decimal", Hazard.INFINITY, "decimal(9,2)", (Spelled("1.00", Decimal("1.00")), *_bad("inf", "-Infinity"))
    ),
    HostileTexts("infinity_date", Hazard.INFINITY, "date", (Spelled("2024-01-01", day(2024, 1, 1)), *_bad("infinity", "-infinity"))),
    HostileTexts(
        "infinity_timestamp",
        Hazard.INFINITY,
        "timestamp",
        (Spelled("2024-01-01 00:00:00", moment(2024, 1, 1)), *_bad("infinity", "-infinity", "epoch")),
    ),
    HostileTexts(
        "negative_zero",
        Hazard.NEGATIVE_ZERO,
        "float64",
        (Spelled("-0.0", -0.0), Spelled("0.0", 0.0), Spelled("-0", -0.0), Spelled("-1e-400", -0.0), Spelled("5e-324", 5e-324)),
    ),
    HostileTexts("negative_zero_integer", Hazard.NEGATIVE_ZERO, "int64", (Spelled("-0", 0), Spelled("0", 0), *_bad("-0.5"))),
    HostileTexts(
        "decimal_limit",
        Hazard.DECIMAL_LIMIT,
        "decimal(38,0)",
        (
            Spelled(_NINES, Decimal(_NINES)),
            Spelled("-" + _NINES, Decimal("-" + _NINES)),
            *_bad("1" + "0" * 38, "1" * 60, "0.5", "1e38"),
        ),
    ),
    HostileTexts(
        "decimal_scale",
        Hazard.DECIMAL_LIMIT,
        "decimal(38,10)",
        (
            Spelled("9" * 28 + "." + "9" * 10, Decimal("9" * 28 + "." + "9" * 10)),
            Spelled("0.0000000001", Decimal("0.0000000001")),
            *_bad("0.00000000001", "1" + "0" * 28),
        ),
    ),
    HostileTexts(
        "before_1582",
        Hazard.BEFORE_1582,
        "date",
        (
            Spelled("1582-10-15", day(1582, 10, 15)),
            Spelled("1582-10-10", day(1582, 10, 10)),
            Spelled("1500-02-28", day(1500, 2, 28)),
            Spelled("0001-01-01", day(1, 1, 1)),
            *_bad("1500-02-29", "1582-10-32", "1900-02-29"),
        ),
    ),
    HostileTexts(
        "moment_before_1582",
        Hazard.BEFORE_1582,
        "timestamp",
        (
            Spelled("1582-10-04 23:59:59.999999", moment(1582, 10, 4, 23, 59, 59.999999)),
            Spelled("0001-01-01 00:00:00", moment(1, 1, 1)),
            *_bad("1500-02-29 00:00:00"),
        ),
    ),
    HostileTexts("after_9999", Hazard.AFTER_9999, "date", (Spelled("9999-12-31", day(9999, 12, 31)), Spelled("10000-01-01", day(10000, 1, 1)))),
    HostileTexts(
        "moment_after_9999",
        Hazard.AFTER_9999,
        "timestamp",
        (
            Spelled("9999-12-31 23:59:59.999999", moment(9999, 12, 31, 23, 59, 59.999999)),
            Spelled("10000-01-01 00:00:00", moment(10000, 1, 1)),
            *_bad("300000-01-01 00:00:00"),
        ),
    ),
    HostileTexts(
        "clock_change",
        Hazard.CLOCK_CHANGE,
        "timestamp",
        (
            Spelled("2024-03-31 02:30:00", moment(2024, 3, 31, 2, 30)),
            Spelled("2024-10-27 02:30:00", moment(2024, 10, 27, 2, 30)),
        ),
    ),
    HostileTexts(
        "clock_change_zoned",
        Hazard.CLOCK_CHANGE,
        "timestamptz",
        (
            Spelled("2024-10-27 02:30:00+02:00", moment(2024, 10, 27, 0, 30)),
            Spelled("2024-10-27 02:30:00+01:00", moment(2024, 10, 27, 1, 30)),
            Spelled("2024-03-31 02:30:00+01:00", moment(2024, 3, 31, 1, 30)),
            *_bad("2024-03-31 25:00:00+01:00"),
        ),
    ),
    HostileTexts(
        "leap_second",
        Hazard.LEAP_SECOND,
        "timestamp",
        (
            Spelled("2016-12-31 23:59:59", moment(2016, 12, 31, 23, 59, 59)),
            *_bad("2016-12-31 23:59:60", "2016-12-31 23:60:00", "2016-12-31 23:59:61"),
        ),
    ),
    HostileTexts("leap_second_time", Hazard.LEAP_SECOND, "time", (Spelled("23:59:59", 86_399_000_000), *_bad("23:59:60"))),
    HostileTexts(
        "bidi",
        Hazard.BIDI,
        "string",
        _same("\u202eabc\u202c", "a\u2066b\u2069", "\u200f\u05d0\u05d1 12", "e\u0301 \u00e9", "\u200b", "x\u2028y\u2029z", "\u0085"),
    ),
    HostileTexts(
        "deep_json",
        Hazard.DEEP_NESTING,
        "json",
        (Spelled("[" * _DEEP + "]" * _DEEP, "[" * _DEEP + "]" * _DEEP), *_bad("[" * _DEEP + "]" * (_DEEP - 1))),
    ),
)  # fmt: skip
