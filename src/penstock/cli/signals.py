"""Signals that ask to end, as an interrupt that cannot be lost. Light: it is in force before anything else is imported."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AGAIN_S: Final = 0.02


class Ending:
    """Raises KeyboardInterrupt on the main thread when SIGINT, SIGTERM or SIGHUP come; ``asked`` from then on.

    An exception that is raised inside a finaliser or a weak reference's callback is dropped by the interpreter: that one
    comes again, until it arrives. What follows SIGTERM or SIGHUP is the same request (a terminal that is closed sends
    several); Ctrl-C is a person, who may want to interrupt the tidying up as well. Whoever runs something that had better
    come to an end by itself may see to a signal first (``deferred``).
    """

    def __init__(self) -> None:
        self.asked = False
        self._sees_to: Callable[[int], bool] | None = None

    def listen(self) -> None:
        """On the main thread. A signal that is ignored stays so: ``nohup`` and ``&`` of a script mean it."""
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._end)
        signal.signal(signal.SIGALRM, self._end)  # which nothing but _lost asks for
        sys.unraisablehook = self._lost

    @contextmanager
    def deferred(self, sees_to: Callable[[int], bool]) -> Iterator[None]:
        """While the block runs ``sees_to`` is asked first; where it says no, the command is interrupted."""
        self._sees_to = sees_to
        try:
            yield
        finally:
            self._sees_to = None

    def _end(self, number: int, frame: FrameType | None) -> None:
        if number in ENDING and not self.asked and self._sees_to is not None and self._sees_to(number):
            return
        if self.asked and number in {signal.SIGTERM, signal.SIGHUP}:
            return
        self.asked = True
        if _is_inside(frame, self._lost):
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
            return
        raise KeyboardInterrupt

    def _lost(self, what: sys.UnraisableHookArgs) -> None:
        if issubclass(what.exc_type, KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
        else:
            sys.__unraisablehook__(what)


def _is_inside(frame: FrameType | None, function: object) -> bool:
    code = getattr(function, "__code__", None)
    while frame is not None and frame.f_code is not code:
        frame = frame.f_back
    return frame is not None


def ending_in_force() -> Ending | None:
    """What listens to signals in this process, where it is the command line."""
    found = getattr(signal.getsignal(signal.SIGALRM), "__self__", None)
    return found if isinstance(found, Ending) else None


def answer_stands() -> None:
    """From now on the answer is being told: a signal comes too late to change it, and does not cut it in two."""
    for number in (*ENDING, signal.SIGALRM):
        if isinstance(getattr(signal.getsignal(number), "__self__", None), Ending):
            signal.signal(number, signal.SIG_IGN)
