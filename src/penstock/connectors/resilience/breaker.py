"""Leaving a system alone that stays away: a circuit breaker over whole calls (ADR 0025)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from penstock.errors import TransientError

if TYPE_CHECKING:
    from penstock.clock import Clock

RESTING: Final = "NET-160"


class CircuitBreaker:
    """Closed, until so many calls in a row have failed, each with all its tries; open while the system rests; then half
    open: one call goes through, as a probe, and whatever comes of it closes or opens it again. Thread-safe.

    Every call that was admitted ends in exactly one of ``succeeded``, ``failed`` and ``gave_way``.
    """

    def __init__(self, name: str, *, failures: int, rest_seconds: float, clock: Clock) -> None:
        self._name = name
        self._most = failures
        self._rest = rest_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._opened_at: float | None = None
        self._is_probed = False
        self._last: TransientError | None = None

    @property
    def is_open(self) -> bool:
        """Whether calls that are under way had better give up; a probe is not asked."""
        return self._opened_at is not None

    def admit(self) -> bool:
        """Whether the call is a probe, which is tried once. Raises TransientError NET-160 while the system rests."""
        with self._lock:
            if self._opened_at is None:
                return False
            left = self._opened_at + self._rest - self._clock.monotonic()
            if left > 0 or self._is_probed:
                raise self._resting(max(left, 0.0))
            self._is_probed = True
            return True

    def succeeded(self) -> None:
        with self._lock:
            self._failures, self._opened_at, self._is_probed = 0, None, False

    def failed(self, error: TransientError) -> None:
        with self._lock:
            self._failures += 1
            self._last = error
            if self._failures >= self._most or self._is_probed:
                self._opened_at = self._clock.monotonic()
            self._is_probed = False

    def gave_way(self) -> None:
        """The call ended without telling anything about the system: it was cancelled."""
        with self._lock:
            self._is_probed = False

    def _resting(self, left: float) -> TransientError:
        last = self._last.problems[0] if self._last is not None else None
        said = f"the last one: {last.code}, {last.message}" if last is not None else None
        return TransientError(
            RESTING,
            f'"{self._name}" is left alone after {self._failures} failures in a row',
            detail=said,
            hint=f"it is asked again in {left:.0f} s; `breaker` of its connection says when"
            if left
            else "another part of the run is asking whether it is back; `breaker` of its connection says when",
        )


__all__ = ["RESTING", "CircuitBreaker"]
