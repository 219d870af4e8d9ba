"""Not asking a system more often than it allows: a token bucket that all threads of a connection share."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from penstock.connectors.resilience.cancel import NO_WAIT_SECONDS
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.clock import Clock


class Rate(Frozen):
    """``permits`` per ``seconds`` in the long run, at most ``burst`` at once."""

    permits: float
    seconds: float = 1.0
    burst: int = 1

    @property
    def interval_seconds(self) -> float:
        return self.seconds / self.permits


class RateLimiter:
    """Hands out permits in the order of asking, by the generic cell rate algorithm (ITU-T I.371: a token bucket that
    keeps one number, the time at which the bucket would be full again).

    Without a rate it only honours :meth:`pause`. Thread-safe.
    """

    def __init__(self, rate: Rate | None, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._full_at = clock.monotonic()
        self._paused_until = self._full_at

    def reserve(self) -> float:
        """Take one permit; the seconds from now after which it is valid, 0 where it is valid at once."""
        with self._lock:
            now = self._clock.monotonic()
            valid_at = max(now, self._paused_until)
            if self._rate is not None:
                interval = self._rate.interval_seconds
                valid_at = max(valid_at, self._full_at - (self._rate.burst - 1) * interval)
                self._full_at = max(self._full_at, valid_at) + interval
            return valid_at - now

    def acquire(self, sleep: Callable[[float], None] | None = None) -> None:
        """Wait until one permit is valid, and longer while the system has asked for a pause."""
        wait = self.reserve()
        while wait >= NO_WAIT_SECONDS:
            (sleep or self._clock.sleep)(wait)
            with self._lock:
                wait = self._paused_until - self._clock.monotonic()

    def pause(self, seconds: float) -> None:
        """The system asked everybody to wait (Retry-After): no permit is valid before that time."""
        with self._lock:
            self._paused_until = max(self._paused_until, self._clock.monotonic() + seconds)
