"""Connections that are at work, each in a place of its ward's bulkhead: one that waits in a pool takes none."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

from penstock.connectors.resilience.retry import Again
from penstock.connectors.resilience.settings import Failure
from penstock.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.connectors.resilience.ward import Ward

C = TypeVar("C")


class Loans(Generic[C]):
    """Thread-safe. ``busy`` is how the codes end of a server that has no place for one more."""

    def __init__(self, ward: Ward, *, busy: str) -> None:
        self._ward = ward
        self._busy = busy
        self._lock = threading.Lock()
        self._out: set[int] = set()  # by id

    def take(self, found: Callable[[], C]) -> C:
        """What ``found`` gives, at work until it is ``returned``. Raises what that raises, and TransientError NET-161."""
        self._ward.enter()
        try:
            connection = found()
        except BaseException:
            self._ward.leave()
            raise
        with self._lock:
            self._out.add(id(connection))
        return connection

    def connected(self, connect: Callable[[], C]) -> C:
        """``connect()``, with the ward's tries. Raises what it raises, and TransientError NET-160."""

        def attempt(_: int) -> C | Again:
            try:
                return connect()
            except TransientError as error:
                is_busy = error.code.endswith(self._busy)
                return Again(error, failure=Failure.BUSY if is_busy else Failure.UNREACHABLE)

        return self._ward.call(attempt)

    def returned(self, connection: C) -> None:
        """It is at work no more. Of one that was not taken, or was returned, nothing is to be done."""
        with self._lock:
            was_out = id(connection) in self._out
            self._out.discard(id(connection))
        if was_out:
            self._ward.leave()
