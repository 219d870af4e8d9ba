"""Stopping work that runs on other threads: a flag with children, waits that notice it, and ways to break a block."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from penstock.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.clock import Clock

TICK_SECONDS: Final = 0.1
NO_WAIT_SECONDS: Final = 1e-6  # what clocks count in: a shorter wait might never end


class Cancellation:
    """Set once, never cleared, from any thread. A child is cancelled with its parent, not the other way round."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancelled = False
        self._breakers: dict[int, Callable[[], None]] = {}
        self._next = 0

    @property
    def cancelled(self) -> bool:
        return self._cancelled

    def cancel(self) -> None:
        """Set the flag and call every breaker that is in force, once. Idempotent, raises nothing of a breaker."""
        with self._lock:
            self._cancelled = True
            breakers = list(self._breakers.values())
            self._breakers.clear()
        for call in breakers:
            with suppress(OSError):
                call()

    def check(self) -> None:
        """Raise TransientError NET-140 where the work is cancelled."""
        if self._cancelled:
            raise TransientError("NET-140", "the request was cancelled")

    @contextmanager
    def breaker(self, call: Callable[[], None]) -> Iterator[None]:
        """While the block runs, ``call`` ends what blocks in it, from the thread that cancels; at once if that is past.

        ``call`` may raise OSError (a socket that is closed already).
        """
        with self._lock:
            key = self._next
            self._next += 1
            too_late = self._cancelled
            if not too_late:
                self._breakers[key] = call
        if too_late:
            with suppress(OSError):
                call()
        try:
            yield
        finally:
            with self._lock:
                self._breakers.pop(key, None)

    @contextmanager
    def child(self) -> Iterator[Cancellation]:
        """A flag of its own for a part of the work; forgotten by this one when the block ends."""
        part = Cancellation()
        with self.breaker(part.cancel):
            yield part

    def sleep(self, seconds: float, clock: Clock) -> None:
        """Wait on the clock, in ticks, so that a cancelled wait ends within one. Raises TransientError NET-140."""
        end = clock.monotonic() + seconds
        self.check()
        while (left := end - clock.monotonic()) >= NO_WAIT_SECONDS:
            clock.sleep(min(left, TICK_SECONDS))
            self.check()
