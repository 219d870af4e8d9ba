"""The files of the state folder beside the ledger: rejects, spooled and kept rows."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from penstock.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def writing_state(path: Path) -> Iterator[None]:
    """``path`` is written inside. Raises FatalError LED-103 where the file system refuses: the disk is full, say."""
    try:
        yield
    except OSError as error:
        detail = f"{error.strerror or error} ({path})."
        raise FatalError("LED-103", "a file of the state folder cannot be written", detail=detail) from None
