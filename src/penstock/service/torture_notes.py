"""Which rooms of a pipeline's tortures have places on servers, so that the next torture removes what a killed one left.

One file for each room, named as the room, below the project's state folder::

    tortures/<environment>/<pipeline>/penstock_torture_k3v9x2wq_7

The torture holds it (flock, shared), and so does every run in the room, for as long as they live, however they end. Whoever
removes what the room has on servers holds it alone: what somebody lives in stays.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from penstock.disk import remove_empty
from penstock.ledger.state import writing_state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penstock.ledger.api import PipelineKey

_FOLDER: Final = "tortures"


def notes_of(state: Path, key: PipelineKey) -> Path:
    """The folder of a pipeline's notes; it need not be there."""
    return state / _FOLDER / key.environment / key.pipeline


@contextmanager
def noted(note: Path, state: Path) -> Iterator[None]:
    """The note stands during the block, and stays where the block fails. Raises FatalError LED-103."""
    with writing_state(note):
        held = _begun(note)
    try:
        yield
        note.unlink(missing_ok=True)
    finally:
        os.close(held)
        remove_empty(note.parent, state.parent)


def _begun(note: Path) -> int:
    while True:
        note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileNotFoundError):  # another torture removed the empty folder
            held = _held(note, fcntl.LOCK_SH, os.O_CREAT)
            if held is not None:  # else it was taken for a dead one's, for which nothing was there yet
                return held


def take_part(note: Path) -> None:
    """Holds it too, until this process ends. Raises OSError where the torture is gone, and another one clears up after it."""
    if _held(note, fcntl.LOCK_SH | fcntl.LOCK_NB) is None:
        raise FileNotFoundError(note)


@contextmanager
def forsaken(note: Path, state: Path) -> Iterator[bool]:
    """Whether nobody lives in the room, nor begins to during the block. Where it ends well, the note goes."""
    held = None
    with suppress(OSError):
        held = _held(note, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if held is None:
        yield False
        return
    try:
        yield True
        note.unlink(missing_ok=True)
    finally:
        os.close(held)
        remove_empty(note.parent, state.parent)


def all_notes(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _held(note: Path, lock: int, flags: int = 0) -> int | None:
    """A descriptor with the lock; None where the note was removed meanwhile. Raises OSError."""
    descriptor = os.open(note, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o600)
    try:
        fcntl.flock(descriptor, lock)
        if note.exists() and os.fstat(descriptor).st_ino == note.lstat().st_ino:
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
