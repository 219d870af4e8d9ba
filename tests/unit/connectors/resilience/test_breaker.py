"""When a system that stays away is left alone, and how it is found out that it is back."""

from __future__ import annotations

import pytest

from penstock.connectors.resilience.breaker import CircuitBreaker
from penstock.errors import TransientError
from penstock.testing.clock import FakeClock

GONE = TransientError("NET-110", "no connection")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def breaker(clock: FakeClock) -> CircuitBreaker:
    return CircuitBreaker("example.org", failures=3, rest_seconds=30, clock=clock)


def fail(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        breaker.admit()
        breaker.failed(GONE)


def refused(breaker: CircuitBreaker) -> str:
    with pytest.raises(TransientError) as caught:
        breaker.admit()
    assert caught.value.code == "NET-160"
    return str(caught.value)


def test_failures_in_a_row_open_it_and_it_says_what_the_last_one_was(breaker: CircuitBreaker) -> None:
    fail(breaker, 2)
    assert breaker.admit() is False
    assert not breaker.is_open
    breaker.failed(GONE)
    assert breaker.is_open
    said = refused(breaker)
    assert '"example.org" is left alone after 3 failures in a row' in said
    assert "NET-110, no connection" in said
    assert "asked again in 30 s" in said


def test_a_success_between_failures_begins_the_count_anew(breaker: CircuitBreaker) -> None:
    fail(breaker, 2)
    breaker.admit()
    breaker.succeeded()
    fail(breaker, 2)
    assert not breaker.is_open


def test_after_its_rest_one_probe_goes_through_and_no_other(breaker: CircuitBreaker, clock: FakeClock) -> None:
    fail(breaker, 3)
    clock.advance(29.9)
    refused(breaker)
    clock.advance(0.1)
    assert breaker.admit() is True
    assert "another part of the run" in refused(breaker)
    breaker.succeeded()
    assert breaker.admit() is False


def test_a_probe_that_fails_lets_it_rest_again(breaker: CircuitBreaker, clock: FakeClock) -> None:
    fail(breaker, 3)
    clock.advance(30)
    fail(breaker, 1)
    refused(breaker)
    clock.advance(29)
    refused(breaker)
    clock.advance(1)
    assert breaker.admit() is True


def test_a_probe_that_was_cancelled_leaves_its_turn_to_the_next(breaker: CircuitBreaker, clock: FakeClock) -> None:
    fail(breaker, 3)
    clock.advance(30)
    assert breaker.admit() is True
    breaker.gave_way()
    assert breaker.is_open
    assert breaker.admit() is True
