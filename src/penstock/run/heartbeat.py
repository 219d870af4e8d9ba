"""The lease of a run: renewed from a thread of its own, which also hears whether somebody asks the run to stop."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from penstock.errors import PenstockError
from penstock.events import StopAsked
from penstock.ledger.api import StopRequest
from penstock.structs import replace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.ledger.api import Lease
    from penstock.run.stopping import Asked
    from penstock.run.surroundings import Surroundings

LEASE: Final = timedelta(seconds=60)
_RENEW_S: Final = 20.0
_LISTEN_S: Final = 1.0


@contextmanager
def leased(around: Surroundings, holder: str, *, full_refresh: bool) -> Iterator[Lease]:
    """The lease while the block runs. What goes wrong with it shows at the next write to the ledger."""
    lease = around.ledger.take(around.key, holder, duration=LEASE)
    if full_refresh:
        lease = replace(lease, incarnation=around.ledger.new_incarnation(lease))
    ended = threading.Event()
    thread = threading.Thread(target=_Heart(around, lease, ended).beat, name="penstock-lease", daemon=True)
    with around.stop.working(around.grace):
        thread.start()
        try:
            yield lease
        finally:
            ended.set()
            thread.join()
            with suppress(PenstockError):
                around.ledger.release(lease)


class _Heart:
    def __init__(self, around: Surroundings, lease: Lease, ended: threading.Event) -> None:
        self._ledger = around.ledger
        self._events = around.events
        self._stop = around.stop
        self._lease = lease
        self._ended = ended
        self._told: Asked | None = None  # what others see in the ledger
        self._heard: StopRequest | None = None

    def beat(self) -> None:
        """What fails is tried again in time."""
        beats = 0
        while not self._ended.wait(_LISTEN_S):
            beats += 1
            with suppress(PenstockError):
                if beats * _LISTEN_S >= _RENEW_S:
                    self._ledger.renew(self._lease, duration=LEASE)
                    beats = 0
                self._listen()

    def _listen(self) -> None:
        asked = self._stop.asked
        if asked is not None and asked.is_signal and self._told is None:
            self._ledger.ask_stop(self._lease, StopRequest(asked.by, asked.at, heard=True))
            self._told = asked
            self._events.emit(StopAsked(self._lease.key.pipeline, asked.by))
        request = self._ledger.heed_stop(self._lease)
        if request is not None and request != self._heard:
            self._heard = request
            if asked is None or (request.by, request.at) != (asked.by, asked.at):
                self._events.emit(StopAsked(self._lease.key.pipeline, request.by))
                self._stop.ask(request.by, grace=request.grace)


__all__ = ["LEASE", "leased"]
