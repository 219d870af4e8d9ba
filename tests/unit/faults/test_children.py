"""Processes that die, stand still and go on as they are told to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from penstock.faults.children import KILLED, Children
from penstock.faults.points import act

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

pytestmark = pytest.mark.slow


def write(path: Path) -> None:
    path.write_text(str(os.getpid()), encoding="ascii")


def stand_still_and_write(path: Path) -> None:
    act("pause", "here")
    write(path)


@pytest.mark.parametrize("modules", [(), None])
def test_it_runs_to_its_end(modules: Sequence[str] | None, tmp_path: Path) -> None:
    child = Children(modules).start(write, tmp_path / "written")
    assert child.join(60) == 0
    assert (tmp_path / "written").read_text(encoding="ascii") == str(child.pid)
    assert not child.is_alive


def test_what_stands_still_goes_on_when_it_is_woken(tmp_path: Path) -> None:
    child = Children(()).start(stand_still_and_write, tmp_path / "written")
    assert child.frozen_within(60)
    assert child.is_alive
    assert not (tmp_path / "written").exists()
    child.wake()
    assert child.join(60) == 0
    assert (tmp_path / "written").exists()


def test_what_stands_still_can_be_killed(tmp_path: Path) -> None:
    child = Children(()).start(stand_still_and_write, tmp_path / "written")
    assert child.frozen_within(60)
    assert child.kill() == KILLED
    assert not child.frozen_within(0)
