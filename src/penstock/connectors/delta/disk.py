"""Durable steps: what is written must survive a power cut before the log names it."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def sync_file(path: Path) -> None:
    """Make a file's bytes durable. Raises OSError."""
    _sync(path, os.O_RDONLY)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, content: bytes) -> None:
    """A new file, its bytes and its name durable. Raises OSError."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def make_folders(folders: Iterable[Path], top: Path) -> None:
    """Make folders below ``top``, which exists, and make their names durable. Raises OSError."""
    touched: set[Path] = set()
    for folder in folders:
        at = folder
        while at != top and not at.is_dir():
            touched.add(at.parent)
            at = at.parent
        folder.mkdir(parents=True, exist_ok=True)
    for parent in touched:
        sync_folder(parent)


def remove_empty(folder: Path, below: Path) -> None:
    """Remove a folder and its parents up to and without ``below``, as far as they are empty."""
    while folder != below and folder.is_relative_to(below):
        with suppress(OSError):
            folder.rmdir()
        if folder.exists():
            return
        folder = folder.parent
