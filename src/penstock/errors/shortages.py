"""What the machine has run out of, as named errors: wherever it shows, a run stops as at a crash, and the next goes on."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from penstock.errors import FatalError, blanked

if TYPE_CHECKING:
    from collections.abc import Iterator

_AGAIN: Final = "what was begun is settled by the next run"
_FILES: Final = ("RUN-160", "no more files can be opened", f"raise the limit (ulimit -n); {_AGAIN}")
_ROOM: Final = ("RUN-161", "the disk is full", f"make room; {_AGAIN}")
_DEVICE: Final = ("RUN-162", "a device fails", f"look into the system's log before anything else; {_AGAIN}")
_MEMORY: Final = ("RUN-163", "memory has run out", f"lower `memory` or `threads` of `run`, or give more; {_AGAIN}")
_BY_NUMBER: Final = {
    errno.EMFILE: _FILES,
    errno.ENFILE: _FILES,
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: _ROOM,
    errno.EIO: _DEVICE,
    errno.ENOMEM: _MEMORY,
}
_NO_THREAD: Final = "can't start new thread"  # which Python has no class for


def shortage_of(error: BaseException) -> FatalError | None:
    """The named error for one that tells of a shortage; None for any other. Its text shows no row: paths alone."""
    match error:
        case MemoryError():
            return _named(_MEMORY, None)
        case RuntimeError() if str(error) == _NO_THREAD:
            return _named(_MEMORY, "no thread could be started.")
        case OSError() if error.errno in _BY_NUMBER:
            place = f" ({error.filename})" if error.filename else ""
            return _named(_BY_NUMBER[error.errno], blanked(f"{error.strerror}{place}."))
        case _:
            return None


@contextmanager
def shortages_named() -> Iterator[None]:
    """What the machine has run out of leaves the block as FatalError RUN-160 to RUN-163."""
    try:
        yield
    except (OSError, MemoryError, RuntimeError) as error:
        named = shortage_of(error)
        if named is None:
            raise
        raise named from error


def _named(words: tuple[str, str, str], detail: str | None) -> FatalError:
    code, message, hint = words
    return FatalError(code, message, detail=detail, hint=hint)


__all__ = ["shortage_of", "shortages_named"]
