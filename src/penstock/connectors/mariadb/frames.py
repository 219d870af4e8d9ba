"""Rows straight from the server's socket, without a call of the driver per row.

The protocol wraps every row in a packet: its length in three bytes, a number, and here one value, the row's text, behind
its own length. The packets are read a megabyte at a time. Each begins after a line break; of these numpy takes those where
another packet ends, and cuts the headers out. Where that is no unbroken chain they are walked one by one.
Afterwards the driver does not know where the conversation stands: the connection is closed, never used again.
Source: MariaDB documentation, "Protocol: packets", "Result set packets".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

BUFFER_BYTES: Final = 1 << 20
_HEADER: Final = 4  # length and number
_NEWLINE: Final = ord("\n")
_NULL: Final = 0xFB
_END: Final = 0xFE
_ERROR: Final = 0xFF
_LARGEST: Final = 0xFFFFFF
_END_BYTES: Final = 9
# How many bytes a text's length takes, by its first byte; smaller ones are the length itself.
_LENGTHS: Final = {0xFC: 3, 0xFD: 4, 0xFE: 9}


class RowIsNullError(Exception):
    """The server made no text of a row: it is larger than the server's max_allowed_packet."""


class ServerError(Exception):
    """The body of the server's error packet."""


class Frames:
    """Takes what the socket gave, piece by piece, and hands the rows' text to ``write``.

    ``space`` is where the next bytes go; ``received(n)`` says that n bytes are there. ``ended`` once the server has sent
    all rows. The text handed on ends with a row's end.
    """

    def __init__(self, write: Callable[[memoryview], None], size: int = BUFFER_BYTES) -> None:
        self._write = write
        self._buffer = bytearray(size)
        self._filled = 0
        self.ended = False

    @property
    def space(self) -> memoryview:
        """Never empty: the buffer grows where a row does not fit."""
        if self._filled == len(self._buffer):
            self._buffer = self._buffer + bytearray(len(self._buffer))
        return memoryview(self._buffer)[self._filled :]

    def received(self, count: int) -> None:
        """Raises RowIsNullError and ServerError."""
        self._filled += count
        taken = self._many()
        taken = self._walk(taken)
        self._buffer[: self._filled - taken] = self._buffer[taken : self._filled]
        self._filled -= taken

    def _many(self) -> int:
        """All whole rows, if nothing but rows is there; how many bytes they took, or none."""
        import numpy as np

        if self._filled <= _HEADER:
            return 0
        found = np.frombuffer(self._buffer, np.uint8, self._filled)
        breaks = np.flatnonzero(found[: -_HEADER - 1] == _NEWLINE) + 1
        heads = np.concatenate((np.zeros(1, np.int64), breaks))
        lengths = np.zeros(len(heads), np.int64)
        for place in range(3):
            lengths |= found[heads + place].astype(np.int64) << (8 * place)
        ends = heads + _HEADER + lengths
        # Breaks within rows and headers are no row's end.
        true = np.isin(heads, ends) & (ends <= len(found))
        true[0] = ends[0] <= len(found)
        heads, ends, lengths = heads[true], ends[true], lengths[true]
        kinds = found[heads + _HEADER]
        known = (kinds != _NULL) & (kinds < _END) & (lengths < _LARGEST)
        if not len(heads) or heads[0] or not known.all() or not np.array_equal(ends[:-1], heads[1:]):
            return 0
        widths = np.where(kinds < _NULL, 1, kinds.astype(np.int64) - _NULL + 2)
        kept = np.ones(int(ends[-1]), np.bool_)
        for place in range(_HEADER + 4):
            inside = heads[place < _HEADER + widths]
            kept[inside + place] = False
        self._write(found[: len(kept)][kept].data)
        return len(kept)

    def _walk(self, at: int) -> int:
        """Packet by packet: the last ones, rows with breaks in them, large rows."""
        rows: list[bytes] = []
        while not self.ended and at + _HEADER < self._filled:
            found = self._packet(at)
            if found is None:
                break
            body, at = found
            kind = body[0]
            if kind == _NULL:
                raise RowIsNullError
            if kind == _ERROR:
                raise ServerError(bytes(body))
            if kind == _END and len(body) < _END_BYTES:
                self.ended = True
            else:
                rows.append(bytes(body[_LENGTHS.get(kind, 1) :]))
        if rows:
            self._write(memoryview(b"".join(rows)))
        return at

    def _packet(self, at: int) -> tuple[bytearray, int] | None:
        """What one message holds, from all of its packets, and where the next begins; None: it is not all there."""
        body = bytearray()
        length = _LARGEST
        while length == _LARGEST:
            if at + _HEADER > self._filled:
                return None
            length = int.from_bytes(self._buffer[at : at + 3], "little")
            if at + _HEADER + length > self._filled:
                return None
            body += self._buffer[at + _HEADER : at + _HEADER + length]
            at += _HEADER + length
        return body, at
