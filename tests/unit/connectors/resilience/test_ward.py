"""One system for all that speak to it: tries by how it failed, a breaker over whole calls, a bulkhead."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from penstock.connectors.resilience.retry import Again
from penstock.connectors.resilience.settings import Care, Failure
from penstock.connectors.resilience.ward import NO_USE, Ward, Wards
from penstock.errors import ConfigError, TransientError
from penstock.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable


class System:
    """Fails as it is told, and counts how often it was asked."""

    def __init__(self, *failures: Failure | None) -> None:
        self.failures = list(failures)
        self.asked = 0

    def __call__(self, _: int) -> str | Again:
        self.asked += 1
        if self.failures:
            return Again(TransientError("NET-110", "gone"), failure=self.failures.pop(0))
        return "answer"


def ward(clock: FakeClock | None = None, **said: Any) -> Ward:
    return Ward("example.org", Care.model_validate(said), clock=clock or FakeClock(), random=Random(1))


def code(call: Callable[[], object]) -> str:
    with pytest.raises(TransientError) as caught:
        call()
    return caught.value.code


def test_how_often_is_said_by_how_it_failed() -> None:
    cared = ward(retries={"attempts": 4, "attempts_by": {"timeout": 2, "busy": 6}})
    for failure, most in ((Failure.TIMEOUT, 2), (Failure.BUSY, 6), (Failure.ERROR, 4), (None, 4)):
        system = System(*[failure] * 9)
        assert code(lambda system=system: cared.call(system)) == "NET-110"
        assert system.asked == most


def test_the_latest_failure_says_how_often() -> None:
    system = System(Failure.ERROR, Failure.ERROR, Failure.TIMEOUT)
    assert code(lambda: ward(retries={"attempts_by": {"timeout": 2}}).call(system)) == "NET-110"
    assert system.asked == 3


def test_whole_calls_count_and_not_their_tries() -> None:
    cared = ward(retries={"attempts": 3}, breaker={"failures": 2})
    system = System(*[Failure.UNREACHABLE] * 99)
    assert [code(lambda: cared.call(system)) for _ in range(4)] == ["NET-110", "NET-110", "NET-160", "NET-160"]
    assert system.asked == 6


def test_a_probe_is_one_try_and_brings_the_system_back() -> None:
    clock = FakeClock()
    cared = ward(clock, retries={"attempts": 3}, breaker={"failures": 1, "rest": "30 s"})
    system = System(*[Failure.UNREACHABLE] * 4)
    assert code(lambda: cared.call(system)) == "NET-110"
    clock.advance(30)
    assert code(lambda: cared.call(system)) == "NET-110"
    assert system.asked == 4
    assert code(lambda: cared.call(system)) == "NET-160"
    clock.advance(30)
    assert [cared.call(system), cared.call(system)] == ["answer", "answer"]


def test_calls_that_are_under_way_give_up_with_the_others() -> None:
    cared = ward(retries={"attempts": 9}, breaker={"failures": 1})
    other = System(*[Failure.UNREACHABLE] * 9)

    def attempt(number: int) -> str | Again:
        if number == 2:
            code(lambda: cared.call(other))
        return Again(TransientError("NET-111", "late"))

    assert code(lambda: cared.call(attempt)) == "NET-111"
    assert other.asked == 9
    assert code(lambda: cared.call(other)) == "NET-160"


@pytest.mark.parametrize("error", [ConfigError("NET-122", "not found"), LookupError()])
def test_a_system_that_answers_is_there(error: Exception) -> None:
    cared = ward(retries={"attempts": 1}, breaker={"failures": 2})

    def refuses(_: int) -> str:
        raise error

    code(lambda: cared.call(System(None)))
    with pytest.raises(type(error)):
        cared.call(refuses)
    code(lambda: cared.call(System(None)))
    assert cared.call(System()) == "answer"


@pytest.mark.parametrize("error", [TransientError("NET-140", "cancelled"), KeyboardInterrupt()])
def test_a_call_that_was_cancelled_says_nothing_of_the_system(error: BaseException) -> None:
    clock = FakeClock()
    cared = ward(clock, retries={"attempts": 1}, breaker={"failures": 1})
    code(lambda: cared.call(System(None)))
    clock.advance(30)

    def cancelled(_: int) -> str:
        raise error

    with pytest.raises(type(error)):
        cared.call(cancelled)
    assert cared.call(System()) == "answer"  # the next probe


def test_a_bulkhead_that_is_full_is_waited_for_and_then_named() -> None:
    clock = FakeClock()
    cared = ward(clock, bulkhead={"concurrent": 2, "wait": "10 s"})
    with cared.slot(), cared.slot():
        assert code(cared.enter) == "NET-161"
        assert clock.monotonic() == pytest.approx(10, abs=0.1)
        assert "NET-161" in NO_USE
        left = iter([None, None, cared.leave])

        def sleep(seconds: float) -> None:
            clock.sleep(seconds)
            leave = next(left, None)
            if leave is not None:
                leave()

        cared.enter(sleep)
    with cared.slot(), cared.slot():
        pass


def test_without_a_bulkhead_nobody_waits() -> None:
    cared = ward()
    for _ in range(100):
        cared.enter()


def test_equal_connections_share_a_ward_and_others_do_not() -> None:
    wards = Wards()
    cares = [Care.model_validate({"breaker": {"failures": n}}) for n in (1, 1, 2)]
    one, two, three = (wards.of(care, lambda care=care: Ward("x", care, clock=FakeClock())) for care in cares)
    assert one is two
    assert one is not three
    assert Wards().of(cares[0], lambda: Ward("x", cares[0], clock=FakeClock())) is not one


def test_a_call_within_a_call_is_a_part_of_it_also_when_it_probes() -> None:
    """A token that the outer call needs is asked of the same system."""
    clock = FakeClock()
    cared = ward(clock, retries={"attempts": 1}, breaker={"failures": 1, "rest": "10 s"})
    assert code(lambda: cared.call(System(Failure.ERROR))) == "NET-110"
    assert code(lambda: cared.call(System())) == "NET-160"
    clock.sleep(11)
    assert cared.call(lambda _: cared.call(System())) == "answer"
    assert cared.call(System()) == "answer"
