"""Signals that ask to end, as an interrupt that cannot be lost. Light: it is in force before anything else is imported."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FrameType

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AGAIN_S: Final = 0.02


class Ending:
    """Raises KeyboardInterrupt on the main thread when SIGINT, SIGTERM or SIGHUP come; ``asked`` from then on.

    An exception that is raised inside a finaliser or a weak reference's callback is dropped by the interpreter: that one
    comes again, until it arrives. What follows SIGTERM or SIGHUP is the same request (a terminal that is closed sends
    several); Ctrl-C is a person, who may want to interrupt the tidying up as well.
    """

    def __init__(self) -> None:
        self.asked = False

    def listen(self) -> None:
        """On the main thread. A signal that is ignored stays so: ``nohup`` and ``&`` of a script mean it."""
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._end)
        signal.signal(signal.SIGALRM, self._end)  # which nothing but _lost asks for
        sys.unraisablehook = self._lost

    def _end(self, number: int, frame: FrameType | None) -> None:
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


def answer_stands() -> None:
    """From now on the answer is being told: a signal comes too late to change it, and does not cut it in two."""
    for number in (*ENDING, signal.SIGALRM):
        if isinstance(getattr(signal.getsignal(number), "__self__", None), Ending):
            signal.signal(number, signal.SIG_IGN)
