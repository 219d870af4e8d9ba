"""Days and microseconds since 1970-01-01 of the Gregorian calendar carried on into any year, by Python's own calendar."""

from __future__ import annotations

from datetime import date
from typing import Final

# The calendar repeats itself.
_YEARS: Final = 400
_DAYS: Final = 146_097


def day(year: int, month: int, day_of_month: int) -> int:
    """Days since 1970-01-01.

    >>> day(1970, 1, 2), day(1582, 10, 10), day(10000, 1, 1) - day(9999, 12, 31)
    (1, -141423, 1)
    """
    cycles, within = divmod(year - 1, _YEARS)
    return (date(within + 1, month, day_of_month) - date(1970, 1, 1)).days + cycles * _DAYS


def moment(  # noqa: PLR0917 -- as a clock is read
    year: int, month: int, day_of_month: int, hour: int = 0, minute: int = 0, second: float = 0
) -> int:
    """Microseconds since 1970-01-01.

    >>> moment(1969, 12, 31, 23, 59, 59.5)
    -500000
    """
    seconds = (day(year, month, day_of_month) * 24 + hour) * 3600 + minute * 60
    return seconds * 1_000_000 + round(second * 1_000_000)
