"""What a connection says about a system that is slow, busy or gone: one group of keys, the same for every connector."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from penstock.fields import Duration, Params


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("takes a duration above zero")
    return value


Wait = Annotated[Duration, AfterValidator(_positive)]
Attempts = Annotated[int, Field(ge=1, le=100)]


class Failure(StrEnum):
    """How a system failed that may do better the next time."""

    UNREACHABLE = "unreachable"  # no connection came about
    TIMEOUT = "timeout"  # no answer in time
    BROKEN = "broken"  # the connection broke off
    BUSY = "busy"  # it says so: 425, 429, 503, too many connections
    ERROR = "error"  # an error of its own: 408, 5xx


class Retries(Params):
    """How often and how long to try again: exponential waits with full jitter."""

    attempts: int = Field(
        default=5, ge=1, le=100, description="How often a request is sent at most, first try included."
    )
    attempts_by: dict[Failure, Attempts] = Field(
        default_factory=dict,
        description="How often where it failed in that way: unreachable, timeout, broken, busy, error; else `attempts`.",
    )
    total: Wait = Field(default=timedelta(minutes=5), description="No wait is begun that would end after this time.")
    first_wait: Wait = Field(default=timedelta(milliseconds=500), description="The longest first wait; it doubles.")
    longest_wait: Wait = Field(default=timedelta(seconds=30), description="What no wait of our own exceeds.")
    longest_asked_wait: Wait = Field(
        default=timedelta(minutes=2),
        description="What is waited at most when the server asks for a wait (Retry-After).",
    )


class ConnectRetries(Retries):
    """How often and how long to try to connect: a run as a whole tries again besides."""

    attempts: int = Field(default=3, ge=1, le=100, description="How often to connect at most, first try included.")
    total: Wait = Field(default=timedelta(seconds=30), description="No wait is begun that would end after this time.")
    first_wait: Wait = Field(default=timedelta(milliseconds=200), description="The longest first wait; it doubles.")


class RateLimit(Params):
    """How often a service may be asked, all parallel requests of the connection together."""

    requests: float = Field(gt=0, description="How many requests.")
    per: Wait = Field(default=timedelta(seconds=1), description="In how much time.")
    burst: int = Field(default=1, ge=1, description="How many may be sent at once after a rest.")


class Breaker(Params):
    """When a system that stays away is left alone, so that not everything that needs it waits for it in vain."""

    failures: int = Field(
        default=5,
        ge=1,
        le=1000,
        description="After so many failures in a row, each with all its tries, it is not asked.",
    )
    rest: Wait = Field(
        default=timedelta(seconds=30), description="For how long; then one try tells whether it is back."
    )


class Bulkhead(Params):
    """How much of a system all parallel work of the connection may take at the same time."""

    concurrent: int = Field(ge=1, le=10_000, description="Requests, or connections at work, at the same time.")
    wait: Wait = Field(default=timedelta(minutes=5), description="How long one waits for its turn before it fails.")


class Care(Params):
    """What every connection to a service says, beside where it is."""

    retries: Retries = Field(default_factory=Retries, description="How often and how long to try again.")
    breaker: Breaker = Field(
        default_factory=Breaker, description="When a service that stays away is left alone for a while."
    )
    bulkhead: Bulkhead | None = Field(default=None, description="How much of it may be taken at the same time.")


__all__ = ["Breaker", "Bulkhead", "Care", "ConnectRetries", "Failure", "RateLimit", "Retries", "Wait"]
