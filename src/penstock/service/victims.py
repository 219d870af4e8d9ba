"""One run of a document in a room of its own, in a process of its own, and what it had to tell."""

from __future__ import annotations

import json
import os
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from penstock.clock import SystemClock
from penstock.document.assembly import load
from penstock.events import Events
from penstock.faults.points import Faults
from penstock.service.documents import run_document
from penstock.service.request import Request
from penstock.service.scratch_sinks import moved
from penstock.service.torture_notes import take_part
from penstock.structs import Frozen, asdict, field

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from penstock.document.assembly import Settings
    from penstock.faults.points import Act
    from penstock.service.scratch_sinks import Room

_TOLD: Final = "told.json"


class AheadClock(SystemClock):
    """Goes ahead of the machine's: to who has it, the lease of a process that stands still is over."""

    def __init__(self, seconds: float) -> None:
        self._ahead = timedelta(seconds=seconds)

    def now(self) -> datetime:
        return super().now() + self._ahead


class Order(Frozen):
    """A run; travels to the process that runs it. ``name`` is unique in the room; ``acts`` as ``Faults`` has them;
    ``note`` is that of the room, where it has one.
    """

    file: Path
    settings: Settings
    room: Room
    name: str
    acts: Mapping[tuple[str, int], Act] = field(default_factory=dict)
    ahead_seconds: float = 0.0
    note: Path | None = None

    @property
    def clock(self) -> AheadClock:
        return AheadClock(self.ahead_seconds)

    def told(self) -> Told | None:
        """None where the process died before it came to an end."""
        try:
            text = (self._folder / _TOLD).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        found = json.loads(text)
        return Told(found["status"], tuple(found["problems"]), found["guarantee"], found["passed"], found["modules"])

    @property
    def _folder(self) -> Path:
        return self.room.folder / self.name

    def tell(self, told: Told) -> None:
        whole = self._folder / f"{_TOLD}.new"
        whole.write_text(json.dumps(asdict(told)), encoding="utf-8")
        whole.rename(self._folder / _TOLD)

    def begin(self) -> None:
        """What the process prints is nobody's to read; it is kept for who looks into the room."""
        self._folder.mkdir(parents=True)
        output = os.open(self._folder / "output", os.O_WRONLY | os.O_CREAT, 0o600)
        for stream in (1, 2):
            os.dup2(output, stream)
        os.close(output)


class Told(Frozen):
    """How a run ended. ``guarantee`` is what its pipelines promise, None where none was planned; ``passed`` how often each
    crash point was passed, in the order of the first time; ``modules`` are those that it imported.
    """

    status: str
    problems: tuple[str, ...]
    guarantee: str | None
    passed: Mapping[str, int]
    modules: tuple[str, ...]

    @property
    def is_done(self) -> bool:
        return self.status == "done"


def obey(order: Order) -> None:
    """The process: runs the document over the room's sinks, fails where it is asked to, tells how it ended."""
    order.begin()
    if order.note is not None:
        take_part(order.note)
    faults = Faults(dict(order.acts))
    request = Request(order.file, order.settings, order.clock, faults.reached)
    loaded = moved(load(order.file, order.settings), order.room)
    result = run_document(request, events=Events(level="error"), faults=faults, loaded=loaded)
    guarantees = {each.guarantee for each in result.results if each.guarantee}
    order.tell(
        Told(
            result.status.value,
            tuple(problem.render() for each in result.results for problem in each.problems),
            weakest(guarantees),
            dict(faults.seen),
            tuple(sys.modules),
        )
    )


def weakest(guarantees: set[str]) -> str | None:
    return next((one for one in ("at_most_once", "at_least_once", "exactly_once") if one in guarantees), None)
