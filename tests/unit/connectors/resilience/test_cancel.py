import pytest

from penstock.connectors.resilience.cancel import TICK_SECONDS, Cancellation
from penstock.errors import TransientError
from penstock.testing.clock import FakeClock


def test_a_cancelled_check_raises_its_code():
    cancellation = Cancellation()
    cancellation.check()
    cancellation.cancel()
    with pytest.raises(TransientError) as caught:
        cancellation.check()
    assert caught.value.code == "NET-140"


def test_a_breaker_in_force_is_called_once_and_one_that_ended_never():
    calls = []
    cancellation = Cancellation()
    with cancellation.breaker(lambda: calls.append("ended")):
        pass
    with cancellation.breaker(lambda: calls.append("in force")):
        cancellation.cancel()
        cancellation.cancel()
    assert calls == ["in force"]


def test_a_breaker_that_comes_too_late_is_called_at_once():
    calls = []
    cancellation = Cancellation()
    cancellation.cancel()
    with cancellation.breaker(lambda: calls.append("late")):
        assert calls == ["late"]


def test_a_breaker_that_finds_its_socket_closed_disturbs_nobody():
    calls = []

    def closed():
        raise OSError(9, "Bad file descriptor")

    cancellation = Cancellation()
    with cancellation.breaker(closed), cancellation.breaker(lambda: calls.append(1)):
        cancellation.cancel()
    assert calls == [1]


def test_a_child_ends_with_its_parent_and_not_the_other_way_round():
    parent = Cancellation()
    with parent.child() as first, parent.child() as second:
        first.cancel()
        assert not parent.cancelled
        assert not second.cancelled
        parent.cancel()
        assert second.cancelled


def test_a_wait_lasts_as_long_as_asked():
    clock = FakeClock()
    Cancellation().sleep(2.55, clock)
    assert clock.monotonic() == pytest.approx(2.55)


def test_a_cancelled_wait_ends_within_a_tick():
    cancellation = Cancellation()

    class Interrupted(FakeClock):
        def sleep(self, seconds):
            super().sleep(seconds)
            if self.monotonic() >= 1:
                cancellation.cancel()

    clock = Interrupted()
    with pytest.raises(TransientError):
        cancellation.sleep(3600, clock)
    assert clock.monotonic() <= 1 + 2 * TICK_SECONDS
