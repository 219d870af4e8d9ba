"""A lock on a folder: who writes in it, commits what lies there, or removes it, holds it. It ends with its process."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def lock(folder: Path) -> int | None:
    """A descriptor that holds the lock; None where it is held, or the folder is not there (any more)."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever held it before may have removed it.
        if os.fstat(descriptor).st_ino == folder.lstat().st_ino:
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None
