"""What a simulated world has published: the seed that invents it, its last day, and how often ICE corrected itself."""

from dataclasses import dataclass
from datetime import date
from random import Random

FIRST_DAY = date(1986, 1, 2)


@dataclass(frozen=True, slots=True)
class Edition:
    """State of all publications at one moment.

    Two editions of one seed agree on every day that both hold: a later `through` only adds rows (and fills what
    IEA's late reporters left open), a higher `revision` only adds ICE's revision files 1 to `revision`.
    """

    seed: int = 1986
    through: date = date(2024, 6, 30)
    revision: int = 0

    def __post_init__(self) -> None:
        if self.through < FIRST_DAY:
            message = f"the series begin on {FIRST_DAY}: --through {self.through} is before it"
            raise ValueError(message)
        if self.revision < 0:
            message = f"--revision {self.revision} is negative"
            raise ValueError(message)


def stream(seed: int, name: str) -> Random:
    """Random numbers of one named series, the same on every machine and in every process."""
    return Random(f"{seed}/{name}")
