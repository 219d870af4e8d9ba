"""Moving the files of a commit to where readers look: finished by whoever comes next, done once however often it runs.

Old files go before new ones come: a reader that lists the folder meanwhile may miss rows for that moment, and never sees
a row twice, nor old rows beside those that replace them. The one file of a target without a folder is replaced by a
rename: its readers see the old content or the new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.connectors.files.commit.log import PARTS
from penstock.disk import ensure_folder, remove_empty, sync_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penstock.connectors.files.commit.log import Log
    from penstock.connectors.files.commit.records import Manifest


def publish(log: Log, root: Path, *, manifest: Manifest, reached: Callable[[str], None]) -> None:
    """``root`` is the folder that the entries' paths are relative to."""
    if log.manifest(manifest.version + 1) is None:
        _remove_replaced(root, manifest)
    reached("files.old_removed")
    parts = log.folder(manifest.version) / PARTS
    moved = set()
    for item in manifest.added:
        if _move(parts / item.staged, root / item.entry.path):
            moved.add((root / item.entry.path).parent)
        reached("files.part_placed")
    _sync(moved)
    reached("files.placed")
    for path in manifest.removed:
        remove_empty((root / path).parent, root)
    log.settle(manifest.version)
    reached("files.published")


def _remove_replaced(root: Path, manifest: Manifest) -> None:
    """A later commit has been published after this one: then this was done, and the name of one file is its own now."""
    placed = {item.entry.path for item in manifest.added}
    gone = [root / path for path in manifest.removed if path not in placed]
    for path in gone:
        path.unlink(missing_ok=True)
    _sync({path.parent for path in gone})


def _sync(folders: set[Path]) -> None:
    for folder in folders:
        if folder.is_dir():
            sync_folder(folder)


def _move(staged: Path, final: Path) -> bool:
    """False where somebody has moved it already."""
    while staged.exists():
        ensure_folder(final.parent)
        try:
            staged.rename(final)
        except FileNotFoundError:
            continue  # moved by another publisher, or the folder was removed as empty in between
        return True
    return False
