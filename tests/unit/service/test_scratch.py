"""Temporary folders: one for a use case, and none that stays for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

import pytest

from penstock.service import scratch
from penstock.service.scratch import scratch_folder

if TYPE_CHECKING:
    from pathlib import Path

KILLED = """
import os, signal
from penstock.service.scratch import scratch_folder
with scratch_folder() as folder:
    (folder / "rows").write_text("many")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def killed(temporary: Path) -> Path:
    """What a process left that was killed while it used its folder."""
    before = set(temporary.iterdir())
    done = subprocess.run(
        [sys.executable, "-c", KILLED], env={**os.environ, "TMPDIR": str(temporary)}, capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    (left,) = set(temporary.iterdir()) - before
    return left


def test_a_folder_is_private_empty_and_gone_afterwards(temporary: Path) -> None:
    with scratch_folder() as folder:
        assert list(folder.iterdir()) == []
        (made,) = temporary.iterdir()
        assert made.stat().st_mode & 0o077 == 0
        (folder / "deep").mkdir()
    assert list(temporary.iterdir()) == []


def test_the_folder_of_a_killed_process_goes_with_the_next_one(temporary: Path) -> None:
    left = killed(temporary)
    assert (left / "work/rows").read_text(encoding="utf-8") == "many"
    with scratch_folder():
        assert not left.exists()


def test_a_folder_in_use_stays(temporary: Path) -> None:
    with scratch_folder() as used:
        (used / "rows").touch()
        with scratch_folder() as other:
            assert other != used
        assert (used / "rows").exists()
    assert list(temporary.iterdir()) == []


def test_folders_that_are_not_ours_stay(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = killed(temporary)
    (temporary / "penstock-demo").mkdir()  # somebody's own, without a lock
    (temporary / "penstock-link").symlink_to(temporary / "penstock-demo")
    (temporary / "penstock-file").touch()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with scratch_folder():
        pass
    assert {path.name for path in temporary.iterdir()} == {
        other.name,
        "penstock-demo",
        "penstock-link",
        "penstock-file",
    }


def test_one_call_removes_so_many_and_the_next_one_goes_on(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "_MOST", 2)
    for number in range(3):
        (temporary / f"penstock-{number}").mkdir()
        (temporary / f"penstock-{number}/lock").touch()
    with scratch_folder():
        assert len(list(temporary.iterdir())) == 2
    with scratch_folder():
        assert len(list(temporary.iterdir())) == 1
