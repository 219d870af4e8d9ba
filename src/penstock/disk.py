"""Durable steps on a local disk: what has returned survives a power cut. Every function raises OSError."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

# What the system answers until somebody mends the path, or the rights to it.
REFUSED: Final = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP}
)


def sync_file(path: Path) -> None:
    """Make a file's bytes durable, whoever wrote them."""
    _sync(path, os.O_RDONLY)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: files that were made, renamed or removed there."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def ensure_folder(folder: Path) -> None:
    """Make a folder and its parents; their names are durable. Idempotent. Raises NotADirectoryError where a file, or a
    link that leads nowhere, has its name.
    """
    missing = []
    at = folder
    while not at.is_dir():
        missing.append(at)
        at = at.parent
    for made in reversed(missing):
        try:
            made.mkdir()
        except FileExistsError:
            if made.is_symlink() or made.is_file():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(made)) from None
        sync_folder(made.parent)


def write_durably(path: Path, content: bytes) -> None:
    """A small file, there as a whole or not at all; an existing one is replaced."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    temporary.rename(path)
    sync_folder(path.parent)


def remove_empty(folder: Path, upto: Path) -> None:
    """Remove a folder and those above it while they are empty; ``upto`` itself stays. A folder that is gone is no error,
    and one that cannot be removed stays.
    """
    at = folder
    while at != upto and at.is_relative_to(upto):
        try:
            at.rmdir()
        except FileNotFoundError:
            pass
        except OSError:
            return
        at = at.parent
