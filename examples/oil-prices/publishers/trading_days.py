"""Days on which markets trade: weekends and holidays are the gaps of every published series."""

from collections.abc import Callable
from datetime import date, timedelta
from functools import cache

ONE_DAY = timedelta(days=1)
MONDAY, THURSDAY, SATURDAY, SUNDAY = 0, 3, 5, 6

Holidays = Callable[[int], frozenset[date]]


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (the anonymous algorithm of 1876)."""
    golden = year % 19
    century, in_century = divmod(year, 100)
    leap_centuries, century_rest = divmod(century, 4)
    correction = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - leap_centuries - correction + 15) % 30
    leap_years, year_rest = divmod(in_century, 4)
    weekday = (32 + 2 * century_rest + 2 * leap_years - epact - year_rest) % 7
    shift = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * shift + 114, 31)
    return date(year, month, day + 1)


def nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


def last_weekday(year: int, month: int, weekday: int) -> date:
    last = month_end(year, month)
    return last - timedelta(days=(last.weekday() - weekday) % 7)


def month_end(year: int, month: int) -> date:
    return date(year + month // 12, month % 12 + 1, 1) - ONE_DAY


def observed(day: date) -> date:
    """The Friday before a holiday on a Saturday, the Monday after one on a Sunday."""
    match day.weekday():
        case 5:
            return day - ONE_DAY
        case 6:
            return day + ONE_DAY
        case _:
            return day


@cache
def american_holidays(year: int) -> frozenset[date]:
    """New York's holidays: EIA's spot prices have no row on them."""
    return frozenset(
        {
            observed(date(year, 1, 1)),
            nth_weekday(year, 1, MONDAY, 3),
            nth_weekday(year, 2, MONDAY, 3),
            easter(year) - timedelta(days=2),
            last_weekday(year, 5, MONDAY),
            observed(date(year, 7, 4)),
            nth_weekday(year, 9, MONDAY, 1),
            nth_weekday(year, 11, THURSDAY, 4),
            observed(date(year, 12, 25)),
        }
    )


@cache
def exchange_holidays(year: int) -> frozenset[date]:
    """ICE Futures Europe closes on three days of the year only."""
    return frozenset({date(year, 1, 1), easter(year) - timedelta(days=2), date(year, 12, 25)})


@cache
def london_holidays(year: int) -> frozenset[date]:
    """Bank holidays of England: no exchange rate is fixed on them."""
    christmas, boxing_day = date(year, 12, 25), date(year, 12, 26)
    substitutes = {date(year, 12, 27), date(year, 12, 28)} if christmas.weekday() >= SATURDAY else set()
    if boxing_day.weekday() in {SATURDAY, SUNDAY}:
        substitutes.add(date(year, 12, 28))
    return frozenset(
        {
            observed(date(year, 1, 1)) if date(year, 1, 1).weekday() != SATURDAY else date(year, 1, 3),
            easter(year) - timedelta(days=2),
            easter(year) + ONE_DAY,
            nth_weekday(year, 5, MONDAY, 1),
            last_weekday(year, 5, MONDAY),
            last_weekday(year, 8, MONDAY),
            christmas,
            boxing_day,
            *substitutes,
        }
    )


def weekdays(first: date, last: date) -> list[date]:
    """Monday to Friday from `first` to `last`, both included, in order."""
    days = (first + timedelta(days=offset) for offset in range((last - first).days + 1))
    return [day for day in days if day.weekday() < SATURDAY]


def is_open(day: date, holidays: Holidays) -> bool:
    return day.weekday() < SATURDAY and day not in holidays(day.year)


def trading_days(first: date, last: date, holidays: Holidays) -> list[date]:
    return [day for day in weekdays(first, last) if day not in holidays(day.year)]


def trading_day_until(day: date, holidays: Holidays) -> date:
    """`day` itself where it trades, else the trading day before it."""
    while not is_open(day, holidays):
        day -= ONE_DAY
    return day


def trading_days_before(day: date, count: int, holidays: Holidays) -> date:
    """The trading day that lies `count` trading days before `day`, which need not trade itself."""
    for _ in range(count):
        day = trading_day_until(day - ONE_DAY, holidays)
    return day
