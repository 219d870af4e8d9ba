"""A system as all that speak to it in this process see it: one breaker, one rate, one bulkhead, and how to try again."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from random import Random, SystemRandom
from typing import TYPE_CHECKING, Final, TypeVar

from penstock.connectors.resilience.breaker import RESTING, CircuitBreaker
from penstock.connectors.resilience.cancel import TICK_SECONDS
from penstock.connectors.resilience.rate_limit import RateLimiter
from penstock.connectors.resilience.retry import RetryPolicy, call_with_retry
from penstock.errors import FatalError, TransientError
from penstock.structs import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.clock import Clock
    from penstock.connectors.resilience.rate_limit import Rate
    from penstock.connectors.resilience.retry import Again
    from penstock.connectors.resilience.settings import Bulkhead, Care, Retries

T = TypeVar("T")
_FULL: Final = "NET-161"
NO_USE: Final = frozenset({RESTING, _FULL})  # what must not be tried again around a call


class Ward:
    """``name`` is what messages call the system. Thread-safe; every method may block."""

    def __init__(
        self, name: str, care: Care, *, clock: Clock, rate: Rate | None = None, random: Random | None = None
    ) -> None:
        self.policy: Final = policy_of(care.retries)
        self.limiter: Final = RateLimiter(rate, clock)
        self._name = name
        self._clock = clock
        self._random = random or SystemRandom()
        breaker = care.breaker
        self._breaker = CircuitBreaker(
            name, failures=breaker.failures, rest_seconds=breaker.rest.total_seconds(), clock=clock
        )
        self._slots = _Slots(name, care.bulkhead, clock) if care.bulkhead is not None else None
        self._within = _Within()

    def call(self, attempt: Callable[[int], T | Again], *, sleep: Callable[[float], None] | None = None) -> T:
        """As ``call_with_retry``, within the breaker. Raises TransientError NET-160 while the system is left alone.

        A call within a call of the same thread, such as for the token that the outer one needs, is a part of it: the breaker
        hears of the outer one.
        """
        if self._within.depth:
            return call_with_retry(attempt, self.policy, clock=self._clock, random=self._random, sleep=sleep)
        self._within.depth = 1
        try:
            return self._guarded(attempt, sleep)
        finally:
            self._within.depth = 0

    def _guarded(self, attempt: Callable[[int], T | Again], sleep: Callable[[float], None] | None) -> T:
        is_probe = self._breaker.admit()
        policy = replace(self.policy, attempts=1, attempts_by={}) if is_probe else self.policy
        told = False

        def give_up(error: TransientError) -> None:
            nonlocal told
            told = True
            self._breaker.failed(error)

        try:
            answer = call_with_retry(
                attempt,
                policy,
                clock=self._clock,
                random=self._random,
                sleep=sleep,
                goes_on=lambda: not self._breaker.is_open,
                give_up=give_up,
            )
        except (TransientError, FatalError):
            if not told:
                self._breaker.gave_way()
            raise
        except Exception:  # the system has answered
            self._breaker.succeeded()
            raise
        except BaseException:
            self._breaker.gave_way()
            raise
        self._breaker.succeeded()
        return answer

    @contextmanager
    def slot(self, sleep: Callable[[float], None] | None = None) -> Iterator[None]:
        """One of the places of the bulkhead while the block runs. Raises TransientError NET-161."""
        self.enter(sleep)
        try:
            yield
        finally:
            self.leave()

    def enter(self, sleep: Callable[[float], None] | None = None) -> None:
        """As ``slot``; whoever enters has to ``leave``."""
        if self._slots is not None:
            self._slots.enter(sleep or self._clock.sleep)

    def leave(self) -> None:
        if self._slots is not None:
            self._slots.leave()


class _Within(threading.local):
    """Of each thread: whether it is within a call."""

    depth = 0


class _Slots:
    def __init__(self, name: str, bulkhead: Bulkhead, clock: Clock) -> None:
        self._name = name
        self._bulkhead = bulkhead
        self._clock = clock
        self._free = threading.Semaphore(bulkhead.concurrent)

    def enter(self, sleep: Callable[[float], None]) -> None:
        """The waits go through ``sleep``, so that they can be cancelled."""
        end = self._clock.monotonic() + self._bulkhead.wait.total_seconds()
        while not self._free.acquire(blocking=False):
            if self._clock.monotonic() >= end:
                raise self._full()
            sleep(TICK_SECONDS / 2)

    def leave(self) -> None:
        self._free.release()

    def _full(self) -> TransientError:
        most, wait = self._bulkhead.concurrent, self._bulkhead.wait.total_seconds()
        return TransientError(
            _FULL,
            f'"{self._name}" is taken up by {most} at the same time',
            detail=f"none of them came to its end within {wait:g} s.",
            hint="raise bulkhead.concurrent of its connection; a pipeline that reads and writes there needs several",
        )


class Wards:
    """Those of one command: whoever speaks to the same system in the same way shares one. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: list[tuple[Care, Ward]] = []

    def of(self, care: Care, make: Callable[[], Ward]) -> Ward:
        """The ward of an equal connection, made where there is none yet."""
        with self._lock:
            for known, ward in self._known:
                if type(known) is type(care) and known == care:
                    return ward
            made = make()
            self._known.append((care, made))
            return made


def policy_of(retries: Retries) -> RetryPolicy:
    return RetryPolicy(
        attempts=retries.attempts,
        total_seconds=retries.total.total_seconds(),
        first_wait_seconds=retries.first_wait.total_seconds(),
        longest_wait_seconds=retries.longest_wait.total_seconds(),
        longest_asked_wait_seconds=retries.longest_asked_wait.total_seconds(),
        attempts_by=retries.attempts_by,
    )


__all__ = ["NO_USE", "Ward", "Wards", "policy_of"]
