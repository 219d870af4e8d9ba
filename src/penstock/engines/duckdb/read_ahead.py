"""A source's chunks, pulled on a thread of their own, so that whoever waits for one can be sent away at any time.

The engine's thread must never wait inside a source: an interrupt of the statement would not reach it there.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.connectors.api import Chunk

_CHUNKS: Final = 2  # read ahead: one in work, one waiting
_LAST_WORD_S: Final = 0.5  # how long a source may take to end once nobody asks it any more


class ReadAhead:
    """Iterates once over what ``opened`` gives; an error of the source is raised where its chunk would come.

    ``stop`` ends the iteration from any thread, also while it waits; a source that does not answer keeps its thread, a
    daemon, until it does.
    """

    def __init__(self, opened: Callable[[], Iterator[Chunk]], name: str) -> None:
        self._changed = threading.Condition()
        self._chunks: deque[Chunk] = deque()
        self._error: BaseException | None = None
        self._ended = self._stopped = False
        self._thread = threading.Thread(target=self._read, args=(opened,), name=f"read {name}", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Chunk]:
        while (chunk := self._next()) is not None:
            yield chunk

    def stop(self) -> None:
        """Idempotent; does not wait."""
        with self._changed:
            self._stopped = True
            self._chunks.clear()
            self._changed.notify_all()

    def close(self) -> None:
        """Stops, and gives the source a moment to end by itself. Idempotent."""
        self.stop()
        self._thread.join(timeout=_LAST_WORD_S)

    def _next(self) -> Chunk | None:
        with self._changed:
            self._changed.wait_for(lambda: self._chunks or self._ended or self._stopped)
            if self._stopped:
                return None
            if self._chunks:
                chunk = self._chunks.popleft()
                self._changed.notify_all()
                return chunk
            if self._error is not None:
                raise self._error
            return None

    def _read(self, opened: Callable[[], Iterator[Chunk]]) -> None:
        try:
            chunks = opened()
            try:
                for chunk in chunks:
                    if not self._keep(chunk):
                        break
            finally:
                close = getattr(chunks, "close", None)
                if close is not None:
                    close()
        except BaseException as error:  # noqa: BLE001 -- raised on the thread that asks for the next chunk
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _keep(self, chunk: Chunk) -> bool:
        with self._changed:
            self._chunks.append(chunk)
            self._changed.notify_all()
            self._changed.wait_for(lambda: len(self._chunks) < _CHUNKS or self._stopped)
            return not self._stopped
