"""Steps on a local disk that several runners may take at once, and what the disk's errors mean."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from penstock.disk import REFUSED, sync_folder
from penstock.errors import ConfigError, FatalError, PenstockError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_TAKEN: Final = frozenset({errno.ENOTEMPTY, errno.EEXIST})
_BLOCK: Final = 1 << 20


def refused_or_failed(error: OSError, path: Path | str) -> PenstockError:
    """The one table of what the disk's errors mean: the author mends the path, somebody makes room, or the same call may
    succeed later.
    """
    reason = error.strerror or type(error).__name__
    if error.errno in REFUSED:
        return ConfigError("SNK-132", f'"{path}" cannot be written', detail=reason)
    if error.errno in _FULL:
        return FatalError("SNK-133", f'there is no room to write "{path}"', detail=reason)
    return TransientError("SNK-134", f'writing "{path}" failed', detail=reason)


@contextmanager
def classified(path: Path | str) -> Iterator[None]:
    """Turns the disk's errors into ConfigError SNK-132, FatalError SNK-133 and TransientError SNK-134."""
    try:
        yield
    except OSError as error:
        raise refused_or_failed(error, path) from error


def checksum_and_sync(path: Path) -> str:
    """The XXH3 (128 bits, hex) of a file's content, which is durable when this returns."""
    import xxhash

    digest = xxhash.xxh3_128()
    buffer = memoryview(bytearray(_BLOCK))
    with path.open("rb", buffering=0) as stream:
        while read := stream.readinto(buffer):
            digest.update(buffer[:read])
        os.fsync(stream.fileno())
    return digest.hexdigest()


def claim(source: Path, target: Path) -> bool:
    """Rename a folder to a name that nobody has: False where the name is taken. Raises FileNotFoundError where the
    folder itself is gone.
    """
    try:
        source.rename(target)
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        raise
    sync_folder(target.parent)
    return True


def discard(folder: Path, trash: Path) -> None:
    """Remove a folder in one step as others see it, then in fact. What is gone already is no error."""
    for number in range(1_000_000):
        grave = trash / f"{number:06d}"
        trash.mkdir(parents=True, exist_ok=True)
        try:
            folder.rename(grave)
        except FileNotFoundError:
            if not folder.exists():
                return
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
        else:
            shutil.rmtree(grave, ignore_errors=True)
            return


def names_in(folder: Path) -> list[str]:
    """What lies in a folder, sorted; nothing where it is not there."""
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 -- names alone are wanted
    except FileNotFoundError:
        return []
