"""Spans of time, patterns of moments, and time zones."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import Final

_SECOND: Final = 1_000_000
_UNITS: Final[dict[str, tuple[int, int, int]]] = {  # months, days and microseconds
    "microsecond": (0, 0, 1),
    "millisecond": (0, 0, 1000),
    "second": (0, 0, _SECOND),
    "minute": (0, 0, 60 * _SECOND),
    "hour": (0, 0, 3600 * _SECOND),
    "day": (0, 1, 0),
    "week": (0, 7, 0),
    "month": (1, 0, 0),
    "quarter": (3, 0, 0),
    "year": (12, 0, 0),
}
_AMOUNT: Final = re.compile(r"\s*([+-]?\d+)\s*([a-z]+)", re.IGNORECASE)
_MOST: Final = 2**31 - 1
_PATTERN: Final[dict[str, str]] = {  # of strftime, as date_format says it
    "%Y": "yyyy",
    "%m": "MM",
    "%d": "dd",
    "%H": "HH",
    "%M": "mm",
    "%S": "ss",
    "%f": "SSSSSS",
    "%g": "SSS",
    "%y": "yy",
    "%j": "DDD",
    "%I": "hh",
    "%p": "a",
    "%a": "EEE",
    "%A": "EEEE",
    "%b": "MMM",
    "%B": "MMMM",
    "%-m": "M",
    "%-d": "d",
    "%-H": "H",
    "%-M": "m",
    "%-S": "s",
    "%-I": "h",
}
_READ: Final = ("%Y", "%m", "%d", "%H", "%M", "%S")  # of strptime, as the groups of the pattern that reads them
_MONTHS: Final = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_VALUES: Final = {"%Y": "[0-9]{1,4}+", "%b": f"(?i:{_MONTHS})"}
_TIMES: Final = ((), ("%H", "%M"), ("%H", "%M", "%S"))
_PIECE: Final = re.compile(r"%-?.|[^%]+", re.DOTALL)


def interval(value: str) -> str:
    """A span of time: whole numbers of years, quarters, months, weeks, days, hours, minutes, seconds and parts of them."""
    months, days, microseconds = _span(value)
    return f"{months} months {days} days {microseconds} microseconds"


def even_interval(value: str) -> str:
    """A span of time of months, of days or of a time, and not of several of them, which are not added in the same order."""
    if sum(part != 0 for part in _span(value)) > 1:
        raise ValueError(
            "only a span of months, of days or of hours and less, and not of several, means the same on both engines"
        )
    return interval(value)


def even_width(value: str) -> int:
    """The microseconds of a span of days, hours and less, from 1."""
    months, days, microseconds = _span(value)
    width = days * 86_400 * _SECOND + microseconds
    if months or width < 1:
        raise ValueError("only a width of days, hours and less means the same on both engines")
    return width


def width_in_seconds(value: str) -> str:
    """A span of days, hours and less as a number of seconds, with six digits after the point."""
    seconds, microseconds = divmod(even_width(value), _SECOND)
    return f"{seconds}.{microseconds:06}"


def whole_days(value: str) -> int:
    """The days of a span of whole days, from 1."""
    number, microseconds = divmod(even_width(value), 86_400 * _SECOND)
    if microseconds:
        raise ValueError("only a width of whole days means the same on both engines")
    return number


def months(value: str) -> int:
    """The months of a span of months, from 1."""
    number, days, microseconds = _span(value)
    if number < 1 or days or microseconds:
        raise ValueError("only a width of months means the same on both engines")
    return number


def moment_pattern(value: str) -> str:
    """A pattern of strftime as one of date_format."""
    pieces = _PIECE.findall(value)
    if "".join(pieces) != value or not value:
        raise ValueError("this pattern is not known to mean the same on both engines")
    return "".join(map(_said, pieces))


def reading_pattern(value: str) -> str:
    """A pattern of strptime as a regular expression whose groups are year, month (a number, or three letters), day, hour,
    minute and second; a group that the pattern does not have is empty.
    """
    pieces = _PIECE.findall(value)
    fields = [piece for piece in pieces if piece.startswith("%")]
    times = tuple(field for field in _READ[3:] if field in fields)
    days = tuple(field for field in _READ[2:3] if field in fields)
    numbered = ["%m" if field == "%b" else field for field in fields]
    if sorted(numbered) != sorted((*_READ[:2], *days, *times)) or times not in _TIMES:
        raise ValueError(
            "only a pattern of year and month, with a day and a time or none, is known to be read the same"
        )
    if "".join(pieces) != value or any(not re.fullmatch(r"[-/:.,T]* ?|%.", piece) for piece in pieces):
        raise ValueError("what stands between the fields of this pattern is not known to be read the same")
    asked = [_month(fields) if field == "%m" else field for field in _READ]
    whole = [f"(?={_reader(pieces, field)})" if field in fields else "()" for field in asked]
    return f"^{''.join(whole)}"


def zone(value: str) -> str:
    """A time zone of which both engines know the same, as its name is written."""
    name = _zones().get(value.lower())
    if name is None:
        raise ValueError("this time zone is not known to mean the same on both engines")
    return name


def _span(value: str) -> tuple[int, int, int]:
    amounts = _AMOUNT.findall(value)
    units = [_UNITS.get(unit.lower()) or _UNITS.get(unit.lower().removesuffix("s")) for _, unit in amounts]
    if not amounts or _AMOUNT.sub("", value).strip() or None in units:
        raise ValueError(
            "only whole numbers of years, months, weeks, days, hours, minutes and seconds mean the same on both engines"
        )
    parts = [[int(number) * part for part in unit or ()] for (number, _), unit in zip(amounts, units, strict=True)]
    months, days, microseconds = (sum(column) for column in zip(*parts, strict=True))
    if max(abs(months), abs(days), abs(microseconds) // _SECOND) > _MOST:
        raise ValueError("so long a span is not known to mean the same on both engines")
    return months, days, microseconds


def _said(piece: str) -> str:
    if piece == "%%":
        return "%"
    if piece.startswith("%"):
        if piece not in _PATTERN:
            raise ValueError(f"{piece} in a pattern is not known to mean the same on both engines")
        return _PATTERN[piece]
    quoted = piece.replace("'", "''")
    return f"'{quoted}'" if re.search(r"[^-/:., ]", piece) else piece


def _month(fields: list[str]) -> str:
    return "%b" if "%b" in fields else "%m"


def _reader(pieces: list[str], wanted: str) -> str:
    """The whole pattern with a group around one field."""

    def read(piece: str) -> str:
        if not piece.startswith("%"):
            return re.escape(piece).replace(r"\ ", r"\s+")
        value = _VALUES.get(piece, "[0-9]{1,2}+")
        return f"({value})" if piece == wanted else value

    return rf"\s*{''.join(map(read, pieces))}\s*\z"


@cache
def _zones() -> dict[str, str]:
    names = (resources.files("penstock.engines.spark.portable") / "zones.txt").read_text("utf-8").split()
    return {name.lower(): name for name in names}
