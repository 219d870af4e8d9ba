"""That a run stops: who asked for it, and how long the epoch that is at work may go on. Light: signals are heard by it."""

from __future__ import annotations

import _thread
import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from penstock.clock import Clock, SystemClock
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

AT_ONCE: Final = timedelta(0)
_LONGEST_S: Final = 365 * 86_400.0  # what every timer can count


class Asked(Frozen):
    """``by`` whom: the name of a signal, or who called `penstock runs stop`; ``until``: by the monotonic clock, ``grace`` after
    what set it.
    """

    by: str
    at: datetime
    until: float
    is_signal: bool
    grace: timedelta


class Alarm(Protocol):
    """Raises KeyboardInterrupt on the thread that runs; from any thread, a signal handler too."""

    def ring(self, after_seconds: float) -> None:
        """Replaces an earlier one."""
        ...

    def silence(self) -> None: ...


class Stop:
    """Asked for from a signal handler or from another thread, heeded by the run: between two epochs it ends, and the epoch
    that is at work when its time is over is aborted by the ``alarm``.

    One per command, whatever it runs one after the other.
    """

    def __init__(self, clock: Clock | None = None, alarm: Alarm | None = None) -> None:
        self._clock = clock or SystemClock()
        self._alarm = alarm or _TimerAlarm()
        self._grace: timedelta | None = None
        self._asked: Asked | None = None

    @property
    def asked(self) -> Asked | None:
        return self._asked

    @property
    def grace(self) -> timedelta | None:
        """How long an epoch may go on once it was asked; None where none is at work, so that nothing need be waited for."""
        return self._grace

    def ask(self, by: str, *, grace: timedelta | None = None, is_signal: bool = False) -> None:
        """``grace`` None: as the document of what runs says. Who asked first is remembered, and the earliest end counts."""
        left = (self._grace or AT_ONCE) if grace is None else grace
        until = self._clock.monotonic() + left.total_seconds()
        before = self._asked
        if before is None:
            self._asked = Asked(by, self._clock.now(), until, is_signal, left)
        elif until < before.until:
            self._asked = Asked(before.by, before.at, until, before.is_signal, left)
        else:
            return
        self._set_alarm()

    @property
    def is_over(self) -> bool:
        """Whether the time that was given is up; a second signal does not wait for that."""
        return self._asked is not None and self._clock.monotonic() >= self._asked.until

    @contextmanager
    def working(self, grace: timedelta) -> Iterator[None]:
        """While the block runs a stop waits for its epoch, ``grace`` at most."""
        self._grace = grace
        self._set_alarm()
        try:
            yield
        finally:
            self._grace = None
            self._alarm.silence()

    def _set_alarm(self) -> None:
        if self._asked is not None and self._grace is not None:
            left = self._asked.until - self._clock.monotonic()
            self._alarm.ring(min(max(left, 0.0), _LONGEST_S))


class _TimerAlarm:
    """For a program that has no handlers of ours: an interrupt of its main thread, where Python's own handler is in force."""

    def __init__(self) -> None:
        self._timer: threading.Timer | None = None

    def ring(self, after_seconds: float) -> None:
        self.silence()
        self._timer = threading.Timer(after_seconds, _thread.interrupt_main)
        self._timer.daemon = True
        self._timer.start()

    def silence(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


__all__ = ["AT_ONCE", "Alarm", "Asked", "Stop"]
