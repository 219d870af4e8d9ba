"""The temporary folder of one use case, and what processes that were killed left of theirs.

A folder in ``$TMPDIR``::

    penstock-k3v9x2wq/   readable by its owner only
      lock               held (flock) by the process that made the folder, for as long as it lives
      work/              what it is for
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX: Final = "penstock-"
_LOCK: Final = "lock"
_WORK: Final = "work"
_MOST: Final = 100  # folders of the dead that one call removes


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty, private folder until the end of the block, which removes it; first it removes those of the dead. Raises
    OSError.
    """
    _sweep(Path(tempfile.gettempdir()))
    folder, lock = _made()
    try:
        yield folder / _WORK
    finally:
        _remove(folder)
        os.close(lock)


def _made() -> tuple[Path, int]:
    """A new folder, and the descriptor that holds its lock."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        lock = _locked(folder, os.O_CREAT)
        if lock is not None:  # else somebody's sweep was here first
            (folder / _WORK).mkdir()
            return folder, lock


def _sweep(among: Path) -> None:
    """Never waits. A folder of another user's, one without a lock file and one whose lock is held stay."""
    for folder, lock in islice(_dead(among), _MOST):
        _remove(folder)
        os.close(lock)


def _dead(among: Path) -> Iterator[tuple[Path, int]]:
    with suppress(OSError), os.scandir(among) as entries:
        for entry in entries:
            if not entry.name.startswith(_PREFIX):
                continue
            with suppress(OSError):
                if entry.stat(follow_symlinks=False).st_uid != os.geteuid():
                    continue
                lock = _locked(Path(entry.path))
                if lock is not None:
                    yield Path(entry.path), lock


def _locked(folder: Path, flags: int = 0) -> int | None:
    """A descriptor that holds the lock of the folder; None where it is held, or not there (any more). Raises
    OSError.
    """
    path = folder / _LOCK
    with ExitStack() as undo, suppress(BlockingIOError, FileNotFoundError):
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o600)
        undo.callback(os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_ino == path.lstat().st_ino:  # who held it before may have removed it
            undo.pop_all()
            return descriptor
    return None


def _remove(folder: Path) -> None:
    """The lock file goes last: a process that is killed while it removes leaves what the next one finds."""
    shutil.rmtree(folder / _WORK, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
