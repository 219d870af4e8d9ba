"""Trying again: exponential backoff with full jitter, within a budget of attempts and of seconds.

What may be tried again is the caller's knowledge; it is said by returning :class:`Again` (or, in the simple form, by
raising TransientError). Any other exception passes through at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from penstock.errors import TransientError
from penstock.structs import Frozen, field, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from tenacity import RetryCallState

    from penstock.clock import Clock
    from penstock.connectors.resilience.settings import Failure

T = TypeVar("T")
_LARGEST_EXPONENT: Final = 60  # beyond it 2**n times any base exceeds any cap


class RetryPolicy(Frozen):
    """``attempts`` counts the first call; ``attempts_by`` has another number by how the latest one failed. The wait before attempt n+1 is drawn evenly from 0 to
    ``min(longest_wait_seconds, first_wait_seconds * 2**(n-1))``; a wait that the system asks for is honoured as a lower
    bound, cut to ``longest_asked_wait_seconds``. A wait that would end after ``total_seconds`` is not begun.
    """

    attempts: int = 5
    total_seconds: float = 300.0
    first_wait_seconds: float = 0.5
    longest_wait_seconds: float = 30.0
    longest_asked_wait_seconds: float = 120.0
    attempts_by: Mapping[Failure, int] = field(default_factory=dict)

    def most(self, failure: Failure | None) -> int:
        """How often to try where the latest attempt failed so."""
        return self.attempts if failure is None else self.attempts_by.get(failure, self.attempts)

    def wait_seconds(self, attempt: int, *, asked: float | None, random: Random) -> float:
        """The wait after attempt ``attempt`` (from 1) failed."""
        ceiling = min(self.longest_wait_seconds, self.first_wait_seconds * 2 ** min(attempt - 1, _LARGEST_EXPONENT))
        drawn = random.uniform(0, ceiling)
        return drawn if asked is None else max(drawn, min(asked, self.longest_asked_wait_seconds))


class Again(Frozen):
    """An attempt that failed and may be repeated; ``after_seconds`` is what the system asked for, if it did."""

    error: TransientError
    after_seconds: float | None = None
    failure: Failure | None = None


def call_with_retry(
    attempt: Callable[[int], T | Again],
    policy: RetryPolicy,
    *,
    clock: Clock,
    random: Random,
    sleep: Callable[[float], None] | None = None,
    goes_on: Callable[[], bool] = lambda: True,
    give_up: Callable[[TransientError], None] = lambda _: None,
) -> T:
    """Call ``attempt(1)``, ``attempt(2)``, … until one returns something else than :class:`Again`, and return that.

    ``sleep`` replaces ``clock.sleep`` where a wait must be interruptible; ``goes_on`` is asked before each repetition, and
    ``give_up`` is told the error that is raised when nothing more is tried. Raises the last attempt's TransientError, its
    detail completed by how often and how long it was tried, once the budget is spent.
    """
    started = clock.monotonic()
    first = attempt(1)
    if not isinstance(first, Again):
        return first
    from tenacity import Retrying, retry_if_result

    def wait(state: RetryCallState) -> float:
        return policy.wait_seconds(state.attempt_number, asked=_failure(state).after_seconds, random=random)

    def stop(state: RetryCallState) -> bool:
        elapsed = clock.monotonic() - started
        return (
            state.attempt_number >= policy.most(_failure(state).failure)
            or elapsed + state.upcoming_sleep > policy.total_seconds
            or not goes_on()
        )

    def end(state: RetryCallState) -> T:
        error = _given_up(_failure(state).error, state.attempt_number, clock.monotonic() - started)
        give_up(error)
        raise error

    number = 0

    def once() -> T | Again:
        nonlocal number
        number += 1
        return first if number == 1 else attempt(number)

    retrying = Retrying(
        sleep=sleep or clock.sleep,
        wait=wait,
        stop=stop,
        retry=retry_if_result(lambda result: isinstance(result, Again)),
        retry_error_callback=end,
    )
    result = retrying(once)
    assert not isinstance(result, Again)
    return result


def _failure(state: RetryCallState) -> Again:
    assert state.outcome is not None
    failure = state.outcome.result()
    assert isinstance(failure, Again)
    return failure


def _given_up(error: TransientError, attempts: int, seconds: float) -> TransientError:
    if attempts == 1:
        return error
    problem = error.problems[0]
    tried = f"tried {attempts} times in {seconds:.1f} s"
    detail = f"{problem.detail} It was {tried}" if problem.detail else tried
    given_up = TransientError(problem.code, problem.message, at=problem.at, detail=detail, hint=problem.hint)
    given_up.problems = (replace(given_up.problems[0], severity=problem.severity), *error.problems[1:])
    return given_up
