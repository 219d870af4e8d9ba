"""A clock that moves only when told, for tests that must not sleep."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC)


class FakeClock:
    """Starts at ``start``; ``sleep`` and ``advance`` move it; ``sleeps`` keeps what was slept, in seconds.

    >>> clock = FakeClock()
    >>> clock.sleep(1.5)
    >>> clock.monotonic(), clock.sleeps
    (1.5, [1.5])
    """

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._passed = timedelta()
        self.sleeps: list[float] = []

    def now(self) -> datetime:
        return self._start + self._passed

    def monotonic(self) -> float:
        return self._passed.total_seconds()

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass. ValueError for negative seconds: time does not go back."""
        if seconds < 0:
            raise ValueError("a clock does not go back")
        self._passed += timedelta(seconds=seconds)
