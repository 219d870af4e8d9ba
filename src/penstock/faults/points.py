"""Named crash points: places between two durable steps where a test, or a torture run, makes the process fail.

Off unless asked for. ``PENSTOCK_FAULTS`` holds a comma list of ``point=act`` or ``point@n=act``: at the n-th time the
point is passed (default the first), ``kill`` ends the process as a power cut would (no handler runs), ``raise`` raises
FatalError FLT-100, ``lost`` raises TransientError FLT-101 as if the system's answer had been lost, and ``pause``
stops the process until somebody continues it.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import TYPE_CHECKING, Final, Literal, get_args

from penstock.errors import ConfigError, FatalError, Problem, TransientError, nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Act = Literal["kill", "raise", "lost", "pause"]
VARIABLE: Final = "PENSTOCK_FAULTS"

# The run's own, in the order in which an epoch passes them. A sink's own are named after its system (`files.staged`).
RUN_POINTS: Final = (
    "run.taken",
    "run.spooled",
    "run.planned",
    "run.kept",
    "run.prepared_sinks",
    "run.staged",
    "run.accounted",
    "run.before_commit",
    "run.committed",
    "run.before_seal",
    "run.sealed",
    "run.acknowledged",
)


def _unknown(point: str, known: Collection[str]) -> ConfigError:
    near = nearest(point, known)
    return ConfigError(
        "FLT-120",
        f'a run has no crash point "{point}"',
        detail=f"it has {', '.join(known)}.",
        hint=f'did you mean "{near}"?' if near else None,
    )


class Faults:
    """``acts`` by (point, time it is passed). ``seen`` counts every point that was passed, asked for or not."""

    def __init__(self, acts: Mapping[tuple[str, int], Act] | None = None) -> None:
        self.acts = acts or {}
        self.seen: Counter[str] = Counter()

    def not_passed(self) -> tuple[Problem, ...]:
        """A warning for each point that was asked for and that nothing passed: a sink's own are known only then."""
        asked = dict.fromkeys(point for point, _ in self.acts if point not in self.seen)
        return tuple(_not_passed(point, self.seen) for point in asked)

    def reached(self, point: str) -> None:
        self.seen[point] += 1
        asked = self.acts.get((point, self.seen[point]))
        if asked is not None:
            act(asked, point)


def _not_passed(point: str, passed: Collection[str]) -> Problem:
    near = nearest(point, passed)
    return Problem(
        "FLT-121",
        f'nothing passed the crash point "{point}", so that nothing failed there',
        detail=f"passed were {', '.join(passed)}." if passed else "none was passed.",
        hint=f'did you mean "{near}"?' if near else None,
        severity="warning",
    )


def act(asked: Act, point: str) -> None:
    """Here and now, in this process."""
    match asked:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "pause":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "raise":
            raise FatalError("FLT-100", f'the crash point "{point}" was asked to fail')
        case "lost":
            raise TransientError("FLT-101", f'the answer at "{point}" was asked to be lost')


def parse_faults(text: str) -> Faults:
    """Raises ConfigError FLT-110 for anything that is not ``point[@n]=act``, FLT-120 for a point that no run has."""
    acts: dict[tuple[str, int], Act] = {}
    runs_own = RUN_POINTS[0].partition(".")[0]
    for part in filter(None, (item.strip() for item in text.split(","))):
        name, _, asked = part.partition("=")
        point, _, time = name.partition("@")
        known = get_args(Act)
        if not point or asked not in known or not (time or "1").isdigit():
            near = nearest(asked, known)
            raise ConfigError(
                "FLT-110",
                f'"{part}" is no crash point and what it does',
                detail=f"the form is point=act or point@n=act, acts are {', '.join(known)}.",
                hint=f'did you mean "{near}"?' if near and asked not in known else None,
            )
        if point.startswith(f"{runs_own}.") and point not in RUN_POINTS:
            raise _unknown(point, RUN_POINTS)
        acts[point, int(time or 1)] = asked  # type: ignore[assignment]  # checked against the literal's members above
    return Faults(acts)
