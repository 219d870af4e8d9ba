"""ICE's futures contracts: how each is quoted, and when each of its months stops trading."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from .market import Market
from .trading_days import (
    american_holidays,
    exchange_holidays,
    month_end,
    trading_day_until,
    trading_days_before,
)

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
FIRST_TRADE = date(2005, 1, 3)
GASOIL_BARRELS_PER_TONNE = 7.45
GASOIL_TO_BRENT = 1.16


@dataclass(frozen=True, slots=True)
class Contract:
    """A row of ICE's product list. `quote(market, position)` is the spot price in `currency` for one `unit`;
    `expiry(year, month)` is the last trading day of that month of delivery.
    """

    symbol: str
    hub: str
    product: str
    product_id: int
    currency: str
    unit: str
    decimals: int
    quote: Callable[[Market, int], float]
    expiry: Callable[[int, int], date]


def brent_expiry(year: int, month: int) -> date:
    """The last trading day of the second month before delivery."""
    before = month_before(*month_before(year, month))
    return trading_day_until(month_end(*before), exchange_holidays)


def wti_expiry(year: int, month: int) -> date:
    """Three trading days before the 25th of the month before delivery, or before the trading day that precedes it."""
    near = trading_day_until(date(*month_before(year, month), 25), american_holidays)
    return trading_days_before(near, 3, american_holidays)


def gasoil_expiry(year: int, month: int) -> date:
    """Two trading days before the 14th of the month of delivery."""
    return trading_days_before(date(year, month, 14), 2, exchange_holidays)


def month_before(year: int, month: int) -> tuple[int, int]:
    return (year, month - 1) if month > 1 else (year - 1, 12)


def sterling_per_barrel(seen: Market, position: int) -> float:
    return seen.brent[position] / seen.pound[position]


def cents_per_barrel(seen: Market, position: int) -> float:
    return seen.wti[position] * 100


def dollars_per_tonne(seen: Market, position: int) -> float:
    return seen.brent[position] * GASOIL_TO_BRENT * GASOIL_BARRELS_PER_TONNE


CONTRACTS = (
    Contract(
        "B", "North Sea", "Brent Crude Futures", 254, "GBP", "bbl", 2, sterling_per_barrel, brent_expiry
    ),
    Contract("T", "WTI", "WTI Crude Futures", 425, "USc", "bbl", 0, cents_per_barrel, wti_expiry),
    Contract(
        "G", "Amsterdam, Rotterdam, Antwerp", "Low Sulphur Gasoil Futures", 5817, "USD", "t", 2,
        dollars_per_tonne, gasoil_expiry,
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Strip:
    """One month of delivery of a contract, as ICE writes it ("Aug24"), and its last trading day."""

    label: str
    expiry: date


def strips(contract: Contract, last: date) -> list[Strip]:
    """Every month of delivery that trades between 2005 and a year and a half after `last`, in order of expiry."""
    horizon = last + timedelta(days=550)
    months = ((year, month) for year in range(FIRST_TRADE.year, horizon.year + 1) for month in range(1, 13))
    return [
        Strip(f"{MONTHS[month - 1]}{year % 100:02d}", contract.expiry(year, month))
        for year, month in months
        if contract.expiry(year, month) >= FIRST_TRADE
    ]
