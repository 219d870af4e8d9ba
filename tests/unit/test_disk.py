from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from penstock.disk import ensure_folder, remove_empty, sync_file, sync_folder, write_durably

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The inodes that were made durable, in order."""
    found: list[int] = []

    def recorded(descriptor: int) -> None:
        found.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", recorded)
    return found


def test_a_file_and_its_name_are_durable_before_the_write_returns(tmp_path: Path, synced: list[int]) -> None:
    target = tmp_path / "note"

    write_durably(target, b"first")

    assert synced == [target.stat().st_ino, tmp_path.stat().st_ino]


def test_a_write_replaces_what_was_there_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    write_durably(tmp_path / "note", b"first, and longer")
    write_durably(tmp_path / "note", b"second")

    assert {item.name: item.read_bytes() for item in tmp_path.iterdir()} == {"note": b"second"}


def test_every_new_name_on_the_way_to_a_folder_is_durable(tmp_path: Path, synced: list[int]) -> None:
    ensure_folder(tmp_path / "a" / "b")

    assert synced == [tmp_path.stat().st_ino, (tmp_path / "a").stat().st_ino]
    ensure_folder(tmp_path / "a" / "b")
    assert len(synced) == 2


def test_file_and_folder_are_synced_by_themselves(tmp_path: Path, synced: list[int]) -> None:
    (tmp_path / "data").write_bytes(b"x")

    sync_file(tmp_path / "data")
    sync_folder(tmp_path)

    assert synced == [(tmp_path / "data").stat().st_ino, tmp_path.stat().st_ino]


def test_a_folder_that_is_a_file_is_not_synced_as_a_folder(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"x")

    with pytest.raises(NotADirectoryError):
        sync_folder(tmp_path / "data")


def test_empty_folders_go_up_to_the_first_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "kept" / "a" / "b").mkdir(parents=True)
    (tmp_path / "kept" / "file").touch()

    remove_empty(tmp_path / "kept" / "a" / "b", tmp_path)

    assert [item.name for item in (tmp_path / "kept").iterdir()] == ["file"]


def test_the_top_folder_stays_and_a_missing_one_does_not_stop_the_removal(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()

    remove_empty(tmp_path / "a" / "gone", tmp_path)

    assert list(tmp_path.iterdir()) == []
