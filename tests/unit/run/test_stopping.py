"""When a stop is asked for, by whom, and when the epoch that is at work has to end."""

from __future__ import annotations

from datetime import timedelta

import pytest

from penstock.run.stopping import Stop
from penstock.testing.clock import FakeClock

GRACE = timedelta(seconds=30)


class Bell:
    """An alarm that rings never, and says when it would."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.at: float | None = None

    def ring(self, after_seconds: float) -> None:
        self.at = self._clock.monotonic() + after_seconds

    def silence(self) -> None:
        self.at = None


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def bell(clock: FakeClock) -> Bell:
    return Bell(clock)


@pytest.fixture
def stop(clock: FakeClock, bell: Bell) -> Stop:
    return Stop(clock, bell)


def test_an_epoch_at_work_has_the_grace_of_its_document(stop: Stop, bell: Bell, clock: FakeClock) -> None:
    with stop.working(GRACE):
        clock.advance(5)
        stop.ask("SIGTERM", is_signal=True)
        assert bell.at == clock.monotonic() + 30
    assert bell.at is None
    assert stop.asked is not None
    assert (stop.asked.by, stop.asked.is_signal) == ("SIGTERM", True)


def test_where_nothing_is_at_work_nothing_need_be_waited_for(stop: Stop, bell: Bell) -> None:
    assert stop.grace is None
    with stop.working(GRACE):
        assert stop.grace == GRACE
    stop.ask("ä@host")
    assert bell.at is None


@pytest.mark.parametrize(("second", "left"), [(0, 0), (3, 3), (3600, 29)])
def test_the_earliest_end_counts_and_who_asked_first(
    stop: Stop, bell: Bell, clock: FakeClock, second: int, left: int
) -> None:
    with stop.working(GRACE):
        stop.ask("ä@host")
        clock.advance(1)
        stop.ask("somebody", grace=timedelta(seconds=second))
        assert bell.at == clock.monotonic() + left
    assert stop.asked is not None
    assert stop.asked.by == "ä@host"


def test_what_begins_after_it_was_asked_has_what_is_left(stop: Stop, bell: Bell, clock: FakeClock) -> None:
    with stop.working(GRACE):
        stop.ask("ä@host", grace=timedelta(seconds=10))
    clock.advance(4)
    with stop.working(GRACE):
        assert bell.at == clock.monotonic() + 6
    clock.advance(20)
    with stop.working(GRACE):
        assert bell.at == clock.monotonic()


def test_a_grace_of_ages_is_one_that_timers_can_count(stop: Stop, bell: Bell, clock: FakeClock) -> None:
    with stop.working(timedelta.max):
        stop.ask("ä@host")
        assert bell.at == clock.monotonic() + 365 * 86_400


def test_without_an_alarm_of_its_own_a_program_is_interrupted() -> None:
    stop = Stop()
    with pytest.raises(KeyboardInterrupt), stop.working(GRACE):  # noqa: PT012 -- whichever line it comes to
        stop.ask("ä@host", grace=timedelta(0))
        while True:
            pass


def test_it_is_known_whether_the_time_that_was_given_is_up(stop: Stop, clock: FakeClock) -> None:
    with stop.working(GRACE):
        assert not stop.is_over
        stop.ask("SIGTERM", is_signal=True)
        clock.advance(29)
        assert not stop.is_over
        clock.advance(1)
        assert stop.is_over
