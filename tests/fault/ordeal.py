"""What is done to the writers of a ring: killed at random moments, frozen and overtaken by others, cut off from the answer.
Afterwards the ring holds every epoch once, as a reader of its own sees it.

Negative controls are writers that lack one of the things which keep them right; they have to be found out.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

import duckdb
from crashes import children, rows_of

from penstock.errors import FatalError, PenstockError, TransientError
from penstock.faults.children import KILLED
from penstock.faults.points import Faults
from penstock.testing.sinks import deliver, epoch
from penstock.testing.sinks.deliveries import SINK_ID

if TYPE_CHECKING:
    import random

    from rings import Reading, Ring

    from penstock.connectors.api import Sink
    from penstock.faults.children import Child

Control = Literal["marker off", "fence off", "retry on"]
CONTROLS: tuple[Control, ...] = ("marker off", "fence off", "retry on")
WRITERS = 3
_KILLED = 0.7  # of the blows of a contest
_CALM_EPOCHS = 2  # by which is measured how long one takes
_PATIENCE_S = 120.0  # for something to come of a contest on a busy machine


@dataclass(frozen=True)
class Result:
    """``lost`` rows are not there, ``doubled`` ones too often; ``epochs`` were committed meanwhile."""

    epochs: int
    lost: int
    doubled: int
    seconds: float
    kills: int = 0
    zombies: int = 0
    answers: int = 0

    @property
    def holds(self) -> bool:
        return not self.lost and not self.doubled

    def then(self, later: Result) -> Result:
        """Of one ring, which holds what it held before."""
        whole = {name: max(getattr(self, name), getattr(later, name)) for name in ("epochs", "lost", "doubled")}
        summed = ("seconds", "kills", "zombies", "answers")
        return Result(**whole, **{name: getattr(self, name) + getattr(later, name) for name in summed})


# ---------------------------------------------------------------- writers


def write_on(ring: Ring, fence: int) -> None:
    """A process: takes the marker, commits one epoch after the other, until it is killed, somebody else took over, or nobody is
    left who would kill it.
    """
    parent = os.getppid()
    while os.getppid() == parent:
        sink = ring(lambda _: None)
        with suppress(TransientError):
            try:
                number = _committed(sink)
                while os.getppid() == parent:
                    number += 1
                    deliver(sink, epoch(number, fence=fence, attempt=f"{fence}-{number}"), rows_of(number))
            except (FatalError, duckdb.Error):  # refused, or its folder was thrown away while it was written to
                return
            finally:
                sink.close()


def write_until(ring: Ring, fence: int, last: int, acts: dict[tuple[str, int], Any]) -> None:
    """A process: as above up to an epoch, with faults."""
    sink = ring(Faults(acts).reached)
    for number in range(_committed(sink) + 1, last + 1):
        deliver(sink, epoch(number, fence=fence, attempt=f"{fence}-{number}"), rows_of(number))


def write_without(ring: Ring, control: Control, last: int, acts: dict[tuple[str, int], Any]) -> None:
    """A process that lacks one thing. Without marker or fence it goes by what it noted itself: each process commits in a
    history of its own, so that nobody refuses it. With retries it sends again what may have arrived.
    """
    sink = ring(Faults(acts).reached)
    noted = ring.folder / "noted"
    first = int(noted.read_text()) + 1 if noted.exists() else 1
    history = str(uuid4())
    for place, number in enumerate(range(first, last + 1), 1):
        try:
            deliver(sink, epoch(place, attempt=uuid4().hex, incarnation=history), rows_of(number))
        except TransientError:
            if control != "retry on":
                raise
            deliver(sink, epoch(1, attempt=uuid4().hex, incarnation=str(uuid4())), rows_of(number))
        noted.write_text(str(number))


def _committed(sink: Sink) -> int:
    marker = sink.marker(SINK_ID)
    return marker.epoch if marker else 0


# ---------------------------------------------------------------- what is there


def judged(reading: Reading, last: int, **figures: Any) -> Result:
    """Against every epoch up to the last; of what overwrites, against the last one."""
    first = last if reading.ring.overwrites else 1
    wanted = Counter(number for one in range(first, last + 1) for number in rows_of(one)["id"].to_pylist())
    found = reading.ids()
    return Result(last, (wanted - found).total(), (found - wanted).total(), **figures)


def settled(reading: Reading, fence: int) -> int:
    """One more epoch, undisturbed; its number. What a dead process holds is free when it is gone, so that it is waited for."""
    until = time.monotonic() + _PATIENCE_S
    while True:
        sink = reading.ring(lambda _: None)
        try:
            number = _committed(sink) + 1
            deliver(sink, epoch(number, fence=fence, attempt=f"last-{uuid4().hex}"), rows_of(number))
        except TransientError:
            if time.monotonic() > until:
                raise
        else:
            return number
        finally:
            sink.close()


# ---------------------------------------------------------------- what is done


@dataclass
class Ordeal:
    """Over one ring. ``fence`` grows with every writer."""

    reading: Reading
    chance: random.Random
    fence: int = 0
    writers: list[Child] = field(default_factory=list)
    frozen: dict[Child, float] = field(default_factory=dict)

    @property
    def ring(self) -> Ring:
        return self.reading.ring

    def kills(self, times: int) -> Result:
        """One writer after another, each killed at a random moment of its work: from when it begins to when it should have
        committed a few epochs.
        """
        begun = time.monotonic()
        longest = self._calm()
        struck = 0
        while struck < times:
            writer = self._start()
            writer.join(self.chance.uniform(0, longest))
            struck += writer.kill() == KILLED
        last = settled(self.reading, self._next())
        return judged(self.reading, last, seconds=time.monotonic() - begun, kills=struck)

    def contest(self, zombies: int) -> Result:
        """Three writers at once; every blow kills one, or puts it to sleep while the others go on."""
        begun = time.monotonic()
        before, longest = _last(self.ring), self._calm()
        killed = slept = 0
        until = begun + _PATIENCE_S
        try:
            while slept < zombies or (_last(self.ring) - before < WRITERS and time.monotonic() < until):
                self._fill()
                time.sleep(self.chance.uniform(0, longest / 2))
                writer = self.chance.choice(self.writers)
                if writer in self.frozen or not writer.is_alive:
                    pass
                elif self.chance.random() < _KILLED:
                    killed += writer.kill() == KILLED
                else:
                    writer.freeze()
                    slept += 1
                    self.frozen[writer] = time.monotonic() + self.chance.uniform(0, longest)
                self._wake()
        finally:
            self._wake(everyone=True)
            for writer in self.writers:
                writer.join(self.chance.uniform(0, longest / 2))
                writer.kill()
        last = settled(self.reading, self._next())
        return judged(self.reading, last, seconds=time.monotonic() - begun, kills=killed, zombies=slept)

    def lost_answers(self, times: int) -> Result:
        """At every point in turn: whether the deed was done, the marker says."""
        begun = time.monotonic()
        points = self._points()
        lost, sink = 0, None
        while lost < times:
            faults = Faults({(points[lost % len(points)], 1): "lost"})
            sink = self.ring(faults.reached)
            fence, number = self._next(), _committed(sink) + 1
            try:
                deliver(sink, epoch(number, fence=fence, attempt=f"{fence}-1"), rows_of(number))
            except TransientError:
                lost += 1
                if _committed(sink) < number:
                    deliver(sink, epoch(number, fence=fence, attempt=f"{fence}-2"), rows_of(number))
            finally:
                sink.close()
        last = settled(self.reading, self._next())
        return judged(self.reading, last, seconds=time.monotonic() - begun, answers=lost)

    def control(self, control: Control) -> Result:
        """The situation in which what the writer lacks would have kept it right."""
        begun = time.monotonic()
        points = self._points()
        committed = next(point for point in points if point.endswith(".committed"))
        staged = next(point for point in points if point.endswith(".staged"))
        last = _last(self.ring)
        (self.ring.folder / "noted").write_text(str(last))
        match control:
            case "marker off":
                self._end(write_without, control, last + 1, {(committed, 1): "kill"})
                self._end(write_without, control, last + 2, {})
            case "fence off":
                first = children().start(write_without, self.ring, control, last + 1, {(staged, 1): "pause"})
                assert first.frozen_within(_PATIENCE_S)
                self._end(write_without, control, last + 2, {})
                first.wake()
                first.join(_PATIENCE_S)
            case "retry on":
                self._end(write_without, control, last + 2, {(committed, 1): "lost"})
        return judged(self.reading, last + 2, seconds=time.monotonic() - begun)

    def _end(self, call: Any, control: Control, last: int, acts: dict[tuple[str, int], Any]) -> None:
        children().start(call, self.ring, control, last, acts).join(_PATIENCE_S)

    def _points(self) -> list[str]:
        """Those that an epoch passes; one is committed."""
        faults = Faults()
        sink = self.ring(faults.reached)
        try:
            number = _committed(sink) + 1
            deliver(sink, epoch(number, fence=self._next()), rows_of(number))
        finally:
            sink.close()
        return list(faults.seen)

    def _calm(self) -> float:
        """Seconds that a writer needs to begin and to commit some epochs."""
        children().start(time.sleep, 0).join(_PATIENCE_S)  # what all are forked from has imported its modules then
        begun = time.monotonic()
        children().start(write_until, self.ring, self._next(), _last(self.ring) + _CALM_EPOCHS, {}).join(_PATIENCE_S)
        return time.monotonic() - begun

    def _next(self) -> int:
        self.fence += 1
        return self.fence

    def _start(self) -> Child:
        return children().start(write_on, self.ring, self._next())

    def _fill(self) -> None:
        self.writers = [writer for writer in self.writers if writer.is_alive]
        while len(self.writers) < WRITERS:
            self.writers.append(self._start())

    def _wake(self, *, everyone: bool = False) -> None:
        for writer, until in list(self.frozen.items()):
            if everyone or time.monotonic() >= until:
                del self.frozen[writer]
                writer.wake()


def _last(ring: Ring) -> int:
    """The last epoch that is committed; 0 where somebody holds the target."""
    sink = ring(lambda _: None)
    try:
        return _committed(sink)
    except PenstockError:
        return 0
    finally:
        sink.close()
