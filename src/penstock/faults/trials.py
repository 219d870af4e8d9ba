"""What is tried on a pipeline, and in which order: every crash point in every way first, then whatever chance brings."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from random import Random

_MOST_BLOWS: Final = 3


class Kind(StrEnum):
    """What is done to a run. After each the pipeline is run again until a run comes to its end."""

    KILLED_AT = "killed at a crash point"
    LOST_AT = "answer lost at a crash point"
    OVERTAKEN_AT = "frozen at a crash point, overtaken, woken"
    KILLED = "killed at a random moment"
    OVERTAKEN = "frozen at a random moment, overtaken, woken"


AT_POINTS: Final = (Kind.KILLED_AT, Kind.LOST_AT, Kind.OVERTAKEN_AT)
_BY_THE_CLOCK: Final = (Kind.KILLED, Kind.OVERTAKEN)


class Trial(Frozen):
    """``point`` and the time that it is passed, of those at points; ``moments`` of the others: after which parts of the time
    that an undisturbed run takes (0 to 1), one for each run that is struck, one after another.
    """

    kind: Kind
    point: str = ""
    time: int = 1
    moments: tuple[float, ...] = ()

    def __str__(self) -> str:
        if self.point:
            return f"{self.kind}: {self.point}" + (f", time {self.time}" if self.time > 1 else "")
        return f"{self.kind}: after {', '.join(f'{moment:.0%}' for moment in self.moments)} of a run"


def trials(passed: Mapping[str, int], chance: Random) -> Iterator[Trial]:
    """Never ends. ``passed`` is how often an undisturbed run passes each point, in the order of the first time.

    First every point in every way, at its first time; then at its last; then random ones, points and moments alike.
    """
    for place, kind in enumerate(AT_POINTS):
        yield from (Trial(kind, point) for point in passed)
        if place == 0:
            yield from (_by_the_clock(by_the_clock, chance) for by_the_clock in _BY_THE_CLOCK)
    for kind in AT_POINTS:
        yield from (Trial(kind, point, times) for point, times in passed.items() if times > 1)
    points = list(passed.items())
    while True:
        yield _any(points, chance)


def first_walk(passed: Mapping[str, int]) -> frozenset[Trial]:
    """What has to be tried for the walk to be whole: every point in every way."""
    return frozenset(Trial(kind, point) for kind in AT_POINTS for point in passed)


def _any(points: Sequence[tuple[str, int]], chance: Random) -> Trial:
    kind = chance.choices(tuple(Kind), weights=(2, 1, 1, 4, 2))[0]
    if kind in _BY_THE_CLOCK or not points:
        return _by_the_clock(kind if kind in _BY_THE_CLOCK else Kind.KILLED, chance)
    point, times = chance.choice(points)
    return Trial(kind, point, chance.randint(1, times))


def _by_the_clock(kind: Kind, chance: Random) -> Trial:
    blows = chance.randint(1, _MOST_BLOWS) if kind is Kind.KILLED else 1
    return Trial(kind, moments=tuple(round(chance.random(), 4) for _ in range(blows)))
