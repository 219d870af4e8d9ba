"""The market that all publishers see: one price path per benchmark since 1986, plausible and invented.

Levels follow the turning points that everybody remembers (rounded to what yearbooks and newspapers say); the days
between them are interpolated and wander at random. No published series stands here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from random import Random

from .edition import FIRST_DAY, stream
from .trading_days import weekdays

Anchors = Sequence[tuple[int, int, float]]
LEAST_PRICE = 5.0

# year, month, US dollars a barrel of Brent in the middle of that month
BRENT: Anchors = (
    (1986, 1, 22), (1986, 3, 14), (1986, 7, 9.5), (1987, 1, 18), (1987, 7, 20), (1988, 3, 15), (1988, 10, 12.5),
    (1989, 4, 20), (1989, 8, 17), (1990, 1, 21), (1990, 6, 15.5), (1990, 8, 27), (1990, 10, 36), (1991, 1, 24),
    (1991, 2, 19.5), (1991, 12, 18.5), (1992, 6, 21), (1993, 1, 17.5), (1993, 12, 13.5), (1994, 7, 17.5), (1995, 5, 18.5),
    (1996, 1, 18), (1996, 10, 24), (1997, 6, 17.5), (1997, 10, 20), (1998, 3, 13), (1998, 12, 10), (1999, 9, 22.5),
    (2000, 3, 27.5), (2000, 9, 33), (2001, 2, 27.5), (2001, 11, 19), (2002, 9, 28.5), (2003, 2, 32.5), (2003, 5, 26),
    (2004, 1, 31), (2004, 10, 50), (2005, 1, 44), (2005, 8, 64), (2006, 7, 74), (2007, 1, 54), (2007, 7, 77), (2007, 11, 92.5),
    (2008, 3, 104), (2008, 7, 135), (2008, 10, 72), (2008, 12, 40), (2009, 2, 43), (2009, 6, 69), (2010, 4, 85), (2010, 8, 77),
    (2011, 1, 96), (2011, 4, 123), (2011, 12, 108), (2012, 3, 125), (2012, 6, 95), (2012, 8, 113), (2013, 4, 102),
    (2013, 8, 111), (2014, 6, 112), (2014, 10, 87), (2015, 1, 48), (2015, 5, 64), (2015, 8, 47), (2016, 1, 31), (2016, 6, 48),
    (2016, 12, 53), (2017, 6, 46), (2017, 12, 64), (2018, 5, 77), (2018, 10, 81), (2018, 12, 57), (2019, 4, 71), (2019, 8, 59),
    (2019, 12, 67), (2020, 2, 55), (2020, 3, 32), (2020, 4, 18.5), (2020, 6, 40), (2020, 10, 40), (2021, 1, 55), (2021, 6, 73),
    (2021, 10, 84), (2021, 12, 74), (2022, 3, 117), (2022, 6, 122), (2022, 9, 90), (2022, 12, 81), (2023, 6, 75),
    (2023, 9, 94), (2023, 12, 78), (2024, 4, 90), (2024, 6, 82), (2024, 9, 74), (2025, 1, 79), (2025, 5, 64), (2025, 12, 63),
)  # fmt: skip

# year, month, WTI above Brent in US dollars a barrel: the glut at Cushing of 2011 to 2013 stands out
WTI_OVER_BRENT: Anchors = (
    (1986, 1, 1.5), (2005, 6, 2.5), (2007, 3, -1.5), (2008, 6, 1), (2010, 8, -0.5), (2011, 2, -13), (2011, 9, -26),
    (2011, 12, -9), (2012, 11, -22), (2013, 7, -3), (2014, 1, -12), (2015, 1, -1), (2015, 4, -6), (2016, 1, 0), (2017, 6, -2),
    (2018, 6, -7), (2019, 5, -10), (2019, 12, -6), (2020, 3, -2), (2020, 5, -1.5), (2021, 6, -2), (2022, 7, -9), (2023, 6, -4.5),
    (2024, 6, -3.5),
)  # fmt: skip

# year, month, US dollars for a pound
POUND: Anchors = (
    (1986, 1, 1.43), (1988, 6, 1.78), (1989, 6, 1.56), (1990, 11, 1.96), (1991, 7, 1.65), (1992, 8, 1.95), (1992, 12, 1.55),
    (1993, 6, 1.5), (1996, 12, 1.66), (1999, 6, 1.6), (2001, 6, 1.4), (2004, 2, 1.87), (2005, 11, 1.73), (2007, 11, 2.07),
    (2008, 7, 1.99), (2009, 2, 1.44), (2010, 5, 1.46), (2011, 4, 1.64), (2014, 7, 1.71), (2015, 4, 1.49), (2016, 5, 1.45),
    (2016, 10, 1.23), (2018, 4, 1.41), (2019, 8, 1.21), (2020, 3, 1.23), (2021, 5, 1.41), (2022, 9, 1.13), (2023, 7, 1.29),
    (2024, 6, 1.27), (2025, 6, 1.35),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Market:
    """Prices per weekday since 1986-01-02; every tuple has one value per day of `days`, in order.

    `brent`, `wti`: spot, US dollars a barrel. `pound`: US dollars for a pound. `slope`: relative change of the futures
    price per month of delivery (positive: contango). `position` finds a day.
    """

    days: tuple[date, ...]
    position: dict[date, int]
    brent: tuple[float, ...]
    wti: tuple[float, ...]
    pound: tuple[float, ...]
    slope: tuple[float, ...]


def market(seed: int, through: date) -> Market:
    days = weekdays(FIRST_DAY, through)
    brent = benchmark(days, BRENT, wander(stream(seed, "brent"), len(days), step=0.016, pull=0.05))
    over = interpolated(days, WTI_OVER_BRENT)
    basis = wander(stream(seed, "wti"), len(days), step=0.25, pull=0.15)
    wti = (max(LEAST_PRICE, b + o + n) for b, o, n in zip(brent, over, basis, strict=True))
    return Market(
        days=tuple(days),
        position={day: position for position, day in enumerate(days)},
        brent=tuple(brent),
        wti=tuple(wti),
        pound=tuple(benchmark(days, POUND, wander(stream(seed, "pound"), len(days), step=0.004, pull=0.05))),
        slope=tuple(wander(stream(seed, "slope"), len(days), step=0.0006, pull=0.01)),
    )


def benchmark(days: Sequence[date], anchors: Anchors, noise: Sequence[float]) -> list[float]:
    """A positive path: anchors interpolated on a logarithmic scale, times the noise."""
    logarithms = [(year, month, math.log(level)) for year, month, level in anchors]
    return [math.exp(level + wobble) for level, wobble in zip(interpolated(days, logarithms), noise, strict=True)]


def interpolated(days: Sequence[date], anchors: Anchors) -> list[float]:
    """Straight lines between the anchors (each on the 15th of its month), flat outside of them; `days` ascend."""
    points = [(date(year, month, 15).toordinal(), level) for year, month, level in anchors]
    levels, next_point = [], 0
    for day in days:
        ordinal = day.toordinal()
        while next_point < len(points) and points[next_point][0] <= ordinal:
            next_point += 1
        (start, low), (end, high) = points[max(0, next_point - 1)], points[min(next_point, len(points) - 1)]
        levels.append(
            low if start >= end or ordinal < start else low + (high - low) * (ordinal - start) / (end - start)
        )
    return levels


def wander(numbers: Random, count: int, *, step: float, pull: float) -> list[float]:
    """Noise that strays by `step` a day and returns by the share `pull` a day; value n does not depend on `count`."""
    values, value = [], 0.0
    for _ in range(count):
        value += numbers.gauss(0.0, step) - pull * value
        values.append(value)
    return values
