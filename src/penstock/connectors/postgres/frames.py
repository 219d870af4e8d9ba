"""COPY data straight from the server's socket, without libpq's call and copy per row.

The protocol wraps every row in a message: ``d``, its length as int32, the row's text. libpq hands out one message per
call, which costs as much as the engine's parsing of the row (0.85 s of processor per million rows; here 0.3 s). So on a
connection without encryption the messages are read here, a megabyte at a time, and their headers cut out by numpy, or
written over where the reader passes over them: then nothing is copied.
Afterwards libpq does not know where the conversation stands: the connection is closed, never used again.
Source: PostgreSQL documentation, "Message Formats": CopyData, CopyDone, ErrorResponse, ReadyForQuery.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt
    import psycopg

BUFFER_BYTES: Final = 1 << 20
_HEADER: Final = 5  # type and length; the length counts itself, not the type
_LENGTH: Final = Struct(">I")
_DATA: Final = ord("d")
_NEWLINE: Final = ord("\n")
_ERROR: Final = ord("E")
_COMPLETE: Final = ord("C")
_READY: Final = ord("Z")
# CopyOutResponse, CopyDone, CommandComplete, ReadyForQuery, errors, notices, settings, notifications.
_OTHERS: Final = frozenset(b"HcCZENSA")


class Frames:
    """Takes what the socket gave, piece by piece, and hands the rows' text to ``write``, each row behind ``filler`` (none,
    or as long as a message's header).

    ``space`` is where the next bytes go; ``received(n)`` says that n bytes are there. ``ended`` once the server is ready
    for another query, and then ``rows`` is how many it says that it sent. The text handed on ends with a row's end, or goes on within a row that is larger than the buffer.
    """

    def __init__(self, write: Callable[[memoryview], None], size: int = BUFFER_BYTES, *, filler: bytes = b"") -> None:
        self._write = write
        self._filler = filler
        self._buffer = bytearray(size)
        self._view = memoryview(self._buffer)
        self._filled = 0
        self._owed = 0  # bytes of a large row that are still to come
        self.ended = False
        self.rows = 0

    @property
    def space(self) -> memoryview:
        return self._view[self._filled :]

    def received(self, count: int) -> None:
        """Raises psycopg.Error for an error that the server reports."""
        self._filled += count
        taken = self._large(0) if self._owed else 0
        if not self._owed:
            taken = self._many(taken)
            taken = self._walk(taken)
        rest = self._filled - taken
        self._view[:rest] = self._view[taken : self._filled]
        self._filled = rest

    def _many(self, start: int) -> int:
        """All whole rows from ``start`` on, if nothing but rows is there; else none."""
        import numpy as np

        found = np.frombuffer(self._buffer, np.uint8, self._filled - start, start)
        if len(found) < _HEADER or found[0] != _DATA:
            return start
        breaks = np.flatnonzero(found[:-_HEADER] == _NEWLINE) + 1
        heads = np.concatenate((np.zeros(1, np.int64), breaks[found[breaks] == _DATA]))
        lengths = np.zeros(len(heads), np.int64)
        for place in range(1, _HEADER):
            lengths = (lengths << 8) | found[heads + place]
        ends = heads + 1 + lengths
        if ends[-1] > len(found):
            heads, ends = heads[:-1], ends[:-1]
        if not len(heads) or ends[-1] > len(found) or not np.array_equal(ends[:-1], heads[1:]):
            return start
        self._write(self._without_headers(found[: int(ends[-1])], heads))
        return start + int(ends[-1])

    def _without_headers(self, found: npt.NDArray[np.uint8], heads: npt.NDArray[np.int64]) -> memoryview:
        import numpy as np

        if self._filler:
            for place, byte in enumerate(self._filler):
                found[heads + place] = byte
            return found.data
        kept = np.ones(len(found), np.bool_)
        for place in range(_HEADER):
            kept[heads + place] = False
        return found[kept].data

    def _walk(self, at: int) -> int:
        """Message by message: what is no row, rows with a break before a ``d``, rows larger than the buffer."""
        rows: list[bytes | memoryview] = []
        while at + _HEADER <= self._filled:
            end = at + 1 + int(_LENGTH.unpack_from(self._buffer, at + 1)[0])
            kind = self._buffer[at]
            if kind != _DATA and kind not in _OTHERS:
                raise _error(b"Mthe server sent a message that no COPY has")
            if end > self._filled and not (kind == _DATA and end - at > len(self._buffer)):
                break
            if kind == _DATA:
                rows += [self._filler, self._view[at + _HEADER : min(end, self._filled)]]
                self._owed = max(end - self._filled, 0)
            elif kind == _ERROR:
                raise _error(bytes(self._view[at + _HEADER : end]))
            elif kind == _COMPLETE:  # "COPY 42"
                self.rows = int(bytes(self._view[at + _HEADER : end]).rstrip(b"\0").rpartition(b" ")[2])
            self.ended = kind == _READY
            at = min(end, self._filled)
        if rows:
            self._write(memoryview(b"".join(rows)))
        return at

    def _large(self, at: int) -> int:
        count = min(self._owed, self._filled - at)
        self._write(self._view[at : at + count])
        self._owed -= count
        return at + count


def _error(body: bytes) -> psycopg.Error:
    """From ErrorResponse: fields of one letter and a text, each ended by a NUL."""
    import psycopg
    from psycopg import errors

    fields = {field[:1]: field[1:].decode("utf-8", "replace") for field in body.split(b"\0") if field}
    words = fields.get(b"M", "")
    try:
        return errors.lookup(fields.get(b"C", ""))(words)
    except KeyError:
        return psycopg.OperationalError(words)
