"""ICE's settlements: twelve months of delivery of each contract on each trading day, as clean records."""

import math
from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from .contracts import CONTRACTS, FIRST_TRADE, Contract, Strip, strips
from .edition import stream
from .market import Market, wander
from .trading_days import exchange_holidays, trading_days

STRIPS_PER_DAY = 12
MISSING_SHARE = 1 / 900

# the May contract of 2020 on its last two days, in cents a barrel
REMEMBERED = {("T", "May20", date(2020, 4, 20)): -3763.0, ("T", "May20", date(2020, 4, 21)): 1001.0}


class Settlement(NamedTuple):
    """A published settlement price in the contract's own currency and unit; `change` is that against the day before.

    (day, contract, strip) is unique among clean records.
    """

    day: date
    contract: Contract
    strip: Strip
    price: float
    change: float


def settlements(seed: int, seen: Market) -> Iterator[Settlement]:
    """All records since 2005, ordered by day, contract and month of delivery; some are missing, as in real files."""
    basis = {c.symbol: wander(stream(seed, f"ice/{c.symbol}"), len(seen.days), step=0.003, pull=0.2) for c in CONTRACTS}
    misses = stream(seed, "ice/missing").random
    calendars = {contract.symbol: strips(contract, seen.days[-1]) for contract in CONTRACTS}
    fronts = dict.fromkeys(calendars, 0)
    yesterday: dict[tuple[str, str], float] = {}
    for day in trading_days(FIRST_TRADE, seen.days[-1], exchange_holidays):
        position = seen.position[day]
        today: dict[tuple[str, str], float] = {}
        for contract in CONTRACTS:
            symbol, calendar = contract.symbol, calendars[contract.symbol]
            while calendar[fronts[symbol]].expiry < day:
                fronts[symbol] += 1
            spot = contract.quote(seen, position) * (1 + basis[symbol][position])
            step = math.exp(seen.slope[position])
            for strip in calendar[fronts[symbol] : fronts[symbol] + STRIPS_PER_DAY]:
                key = (symbol, strip.label)
                price = round(spot, contract.decimals)
                if (remembered := REMEMBERED.get((symbol, strip.label, day))) is not None:
                    price = remembered
                today[key] = price
                if misses() > MISSING_SHARE or (*key, day) in REMEMBERED:
                    change = price - yesterday.get(key, price)
                    yield Settlement(day, contract, strip, price, round(change, contract.decimals))
                spot *= step
        yesterday = today


def last_trading_day(year: int) -> date:
    return trading_days(date(year, 12, 20), date(year, 12, 31), exchange_holidays)[-1]
