"""Who lives in a room of a torture keeps what it has on servers; what the dead left is for the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from penstock.ledger.api import PipelineKey
from penstock.service.torture_notes import all_notes, forsaken, noted, notes_of, take_part

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / ".penstock"


@pytest.fixture
def note(state: Path) -> Path:
    return notes_of(state, PipelineKey("shop", "prod", "orders")) / "penstock_torture_abc_1"


def left_by_a_dead(note: Path) -> None:
    note.parent.mkdir(parents=True, exist_ok=True)
    note.touch()


def test_a_room_is_noted_as_long_as_it_is_there(note: Path, state: Path) -> None:
    assert all_notes(note.parent) == []
    with noted(note, state):
        assert all_notes(note.parent) == [note]
    assert not state.exists()


def test_a_room_whose_end_failed_stays_noted(note: Path, state: Path) -> None:
    with pytest.raises(ValueError, match="away"), noted(note, state):
        raise ValueError("the server is away")
    assert all_notes(note.parent) == [note]


def test_the_note_of_a_torture_that_lives_is_left_alone(note: Path, state: Path) -> None:
    with noted(note, state):
        with forsaken(note, state) as is_forsaken:
            assert not is_forsaken
        assert note.exists()


def test_what_the_dead_left_is_forsaken_until_it_is_removed(note: Path, state: Path) -> None:
    left_by_a_dead(note)
    with pytest.raises(ValueError, match="away"), forsaken(note, state):
        raise ValueError("the server is away")
    assert note.exists()
    with forsaken(note, state) as is_forsaken:
        assert is_forsaken
    assert not state.exists()


def test_only_one_removes_what_the_dead_left(note: Path, state: Path) -> None:
    left_by_a_dead(note)
    with forsaken(note, state) as first, forsaken(note, state) as second:
        assert (first, second) == (True, False)
    with forsaken(note, state) as third:
        assert not third


def test_a_run_whose_torture_died_keeps_the_room(note: Path, state: Path) -> None:
    left_by_a_dead(note)
    take_part(note)  # until this process ends
    with forsaken(note, state) as is_forsaken:
        assert not is_forsaken


def test_a_run_does_not_begin_in_a_room_that_is_cleared(note: Path, state: Path) -> None:
    left_by_a_dead(note)
    with forsaken(note, state), pytest.raises(OSError, match="unavailable"):
        take_part(note)
    with pytest.raises(FileNotFoundError):
        take_part(note)
