from random import Random

import pytest

from penstock.connectors.resilience.retry import Again, RetryPolicy, call_with_retry
from penstock.errors import ConfigError, TransientError
from penstock.testing.clock import FakeClock

POLICY = RetryPolicy(attempts=4, total_seconds=100, first_wait_seconds=1, longest_wait_seconds=8)


class Flaky:
    """Fails ``failures`` times, then answers; remembers the attempt numbers it was given."""

    def __init__(self, failures, after=None):
        self.failures, self.after, self.attempts = failures, after, []

    def __call__(self, attempt):
        self.attempts.append(attempt)
        if len(self.attempts) <= self.failures:
            return Again(TransientError("NET-110", f"failure {attempt}", detail="as seen"), self.after)
        return "answer"


def run(flaky, policy=POLICY, clock=None, seed=1):
    return call_with_retry(flaky, policy, clock=clock or FakeClock(), random=Random(seed))


def test_a_first_success_waits_for_nothing():
    clock = FakeClock()
    assert run(Flaky(0), clock=clock) == "answer"
    assert clock.sleeps == []


def test_it_tries_until_an_attempt_answers():
    flaky, clock = Flaky(3), FakeClock()
    assert run(flaky, clock=clock) == "answer"
    assert flaky.attempts == [1, 2, 3, 4]
    assert len(clock.sleeps) == 3


def test_the_budget_of_attempts_ends_with_the_last_error_and_says_how_often():
    flaky = Flaky(99)
    with pytest.raises(TransientError) as caught:
        run(flaky)
    assert flaky.attempts == [1, 2, 3, 4]
    assert caught.value.problems[0].message == "failure 4"
    assert caught.value.problems[0].detail.startswith("as seen. It was tried 4 times in ")


def test_one_attempt_leaves_the_error_as_it_was():
    with pytest.raises(TransientError) as caught:
        run(Flaky(9), RetryPolicy(attempts=1))
    assert caught.value.problems[0].detail == "as seen."


def test_waits_are_drawn_from_nothing_to_a_doubling_ceiling_that_is_capped():
    for attempt, ceiling in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 8), (5000, 8)]:
        drawn = [POLICY.wait_seconds(attempt, asked=None, random=Random(seed)) for seed in range(200)]
        assert all(0 <= wait <= ceiling for wait in drawn)
        assert min(drawn) < ceiling * 0.1
        assert max(drawn) > ceiling * 0.9


def test_a_wait_that_the_system_asks_for_is_a_lower_bound():
    clock = FakeClock()
    run(Flaky(2, after=17), clock=clock)
    assert clock.sleeps == [17, 17]


def test_a_wait_that_the_system_asks_for_is_capped():
    policy = RetryPolicy(attempts=4, total_seconds=1e9, longest_asked_wait_seconds=60)
    clock = FakeClock()
    run(Flaky(1, after=1e7), policy, clock)
    assert clock.sleeps == [60]


def test_asking_for_no_wait_still_backs_off():
    assert POLICY.wait_seconds(3, asked=0, random=Random(3)) > 0


def test_a_wait_that_would_pass_the_total_is_not_begun():
    flaky, clock = Flaky(99, after=40), FakeClock()
    with pytest.raises(TransientError):
        run(flaky, RetryPolicy(attempts=99, total_seconds=100), clock)
    assert flaky.attempts == [1, 2, 3]
    assert clock.sleeps == [40, 40]


def test_time_spent_in_attempts_counts_towards_the_total():
    clock = FakeClock()

    def slow(_):
        clock.advance(60)
        return Again(TransientError("NET-111", "timed out"))

    with pytest.raises(TransientError, match="tried 2 times in 12"):
        call_with_retry(slow, RetryPolicy(attempts=99, total_seconds=100), clock=clock, random=Random(1))


def test_other_errors_pass_through_at_once():
    def refuse(_):
        raise ConfigError("NET-123", "no")

    clock = FakeClock()
    with pytest.raises(ConfigError):
        call_with_retry(refuse, POLICY, clock=clock, random=Random(1))
    assert clock.sleeps == []


def test_none_is_an_answer():
    assert call_with_retry(lambda _: None, POLICY, clock=FakeClock(), random=Random(1)) is None


def test_a_sleep_of_the_callers_own_is_used():
    slept = []
    call_with_retry(Flaky(1, after=5), POLICY, clock=FakeClock(), random=Random(1), sleep=slept.append)
    assert slept == [5]
