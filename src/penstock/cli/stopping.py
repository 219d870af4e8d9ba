"""Signals that ask a run to end: the first lets its epoch come to an end, within the grace of its document; the next aborts."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from penstock.cli.signals import ending_in_force

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.service.documents import Stop

_AT_ONCE_S: Final = 1e-6  # a timer of no time is none
_STDERR: Final = 2


@contextmanager
def stoppable() -> Iterator[Stop]:
    """What asks the runs in the block to stop."""
    from penstock.service.documents import Stop

    ending = ending_in_force()
    if ending is None:
        yield Stop()
        return
    alarm = _SignalAlarm()
    stop = Stop(alarm=alarm)
    with ending.deferred(_Deferring(stop, alarm)):
        yield stop


class _SignalAlarm:
    """The signal that ``Ending`` raises an interrupt for, whatever its thread waits for."""

    def ring(self, after_seconds: float) -> None:
        signal.setitimer(signal.ITIMER_REAL, max(after_seconds, _AT_ONCE_S))

    def silence(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)


class _Deferring:
    def __init__(self, stop: Stop, alarm: _SignalAlarm) -> None:
        self._stop = stop
        self._alarm = alarm

    def __call__(self, number: int) -> bool:
        """Whether the signal is seen to; else it ends the command at once."""
        name, grace, before = signal.Signals(number).name, self._stop.grace, self._stop.asked
        if grace is None:
            return False
        if before is not None:
            if before.by == name == "SIGHUP":  # a terminal that is closed sends several
                return True
            self._alarm.silence()
            return False
        self._stop.ask(name, is_signal=True)
        if grace:
            _tell(f"stopping: the epoch that is at work has {grace.total_seconds():g} s to end; again: at once\n")
        return True


def _tell(text: str) -> None:
    """Past Python's buffers: this is a signal handler, which may have come in the midst of them."""
    try:
        os.write(_STDERR, text.encode())
    except OSError:  # nobody listens any more
        return
