"""Files that only their owner may read: keys and secrets. Read with that checked, written so that it holds."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from penstock.disk import sync_folder
from penstock.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_BYTES: Final = 1024 * 1024


def read_private(path: Path, *, shared: bool = False) -> bytes | None:
    """The content; None where there is no such file. ``shared``: others may read it, since it is encrypted.

    Raises ConfigError DOC-193 where group or others may read or write it, DOC-191 where it cannot be read, is no
    ordinary file, or holds more than 1 MiB.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError("DOC-191", f'cannot read "{path}"', detail=f"{error.strerror}.") from None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)  # of what was opened, not of what the name may mean by now
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError("DOC-191", f'"{path}" is not an ordinary file')
        if not shared:
            _check_access(path, status)
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ConfigError("DOC-191", f'"{path}" is larger than {MAX_BYTES} bytes')
    return content


def _check_access(path: Path, status: os.stat_result) -> None:
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(
            "DOC-193",
            f'"{path}" may be used by others than its owner',
            detail=f"its mode is {stat.S_IMODE(status.st_mode):04o}.",
            hint=f"run `chmod 600 {path}`, and change what stood in it if others could read it",
        )
    if status.st_uid not in {os.geteuid(), 0}:
        raise ConfigError(
            "DOC-193", f'"{path}" belongs to somebody else', detail=f"its owner has the id {status.st_uid}."
        )


def write_private(path: Path, content: bytes) -> None:
    """Replace the file in one act, readable by its owner only; after a crash it is the old or the new one.

    Raises ConfigError DOC-191 where the file system refuses; nothing is left then.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise ConfigError("DOC-191", f'cannot write "{path}"', detail=f"{error.strerror}.") from None


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """One process at a time: holds a lock on ``path``, a file of its own, until the end. May wait."""
    import fcntl

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError("DOC-191", f'cannot write "{path}"', detail=f"{error.strerror}.") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)  # which gives the lock back
