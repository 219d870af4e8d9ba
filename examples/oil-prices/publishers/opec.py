"""OPEC's Reference Basket: one XML file of attributes, the whole archive since 2003, oldest day first."""

from datetime import date

from .edition import stream
from .market import Market, wander
from .trading_days import london_holidays

FIRST_BASKET = date(2003, 1, 2)
BASKET_PATH = "/basket/basketDayArchives.xml"
NAMESPACE = "http://tempuri.org/basketDayArchives.xsd"
SHARE_OF_BRENT = 0.96


def basket(seed: int, seen: Market) -> list[tuple[date, float]]:
    """Day and US dollars a barrel, rounded to cents; closed on London's bank holidays."""
    noise = wander(stream(seed, "opec"), len(seen.days), step=0.004, pull=0.1)
    return [
        (day, round(brent * (SHARE_OF_BRENT + wobble), 2))
        for day, brent, wobble in zip(seen.days, seen.brent, noise, strict=True)
        if day >= FIRST_BASKET and day not in london_holidays(day.year)
    ]


def basket_xml(seed: int, seen: Market) -> bytes:
    rows = "".join(f'  <BasketList data="{day}" val="{value:.2f}" />\n' for day, value in basket(seed, seen))
    return f'<?xml version="1.0" encoding="utf-8"?>\n<Basket xmlns="{NAMESPACE}">\n{rows}</Basket>\n'.encode()
