"""The process's stdout and stderr: what becomes of text that they do not take."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import Final, TextIO

STDOUT: Final = 1
STDERR: Final = 2


class _Stream(io.FileIO):
    """Once it took something not, it swallows the rest. Whoever closed a pipe has read enough, and a run does not end
    because nobody hears of it; but an answer that cannot be written is an error.
    """

    def write(self, data: object) -> int:
        """Raises TransientError CLI-113."""
        try:
            return super().write(data)  # type: ignore[arg-type]  # bytes of any kind
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            if self.fileno() == STDOUT and not isinstance(error, BrokenPipeError):
                raise _unwritten(error) from None
            return memoryview(data).nbytes  # type: ignore[arg-type]


def _unwritten(error: OSError) -> Exception:
    from penstock.errors import TransientError

    return TransientError("CLI-113", "the output cannot be written", detail=f"{error.strerror}.")


def prepare() -> None:
    """A character that a stream cannot carry is written as its escape; a stream that is closed swallows all."""
    sys.stdout = _opened(STDOUT, sys.stdout)
    sys.stderr = _opened(STDERR, sys.stderr)


def _opened(number: int, stream: TextIO | None) -> TextIO:
    if stream is None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    return io.TextIOWrapper(
        io.BufferedWriter(_Stream(number, "w", closefd=False)),
        encoding="utf-8" if stream is None else stream.encoding,
        errors="backslashreplace",
        line_buffering=number == STDERR or os.isatty(number),
    )


def flush() -> None:
    """The last time: what cannot be written now was not the answer."""
    from penstock.errors import TransientError

    for stream in (sys.stdout, sys.stderr):
        with suppress(TransientError):
            stream.flush()
