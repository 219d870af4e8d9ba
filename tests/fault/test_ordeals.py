"""The short form of `make torture`, for the sinks whose own tests hold no contest."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from ordeal import CONTROLS, Ordeal
from rings import SERVED, local, of_database

if TYPE_CHECKING:
    from pathlib import Path

    from ordeal import Control
    from rings import Reading

SINKS = [
    pytest.param(name, marks=[pytest.mark.server] if name in SERVED else [])
    for name in ("one_file", "sqlite", "duckdb", "postgres", "mariadb")
]
MYSQL = pytest.param("mysql", marks=[pytest.mark.server, pytest.mark.long])


@pytest.fixture(params=[*SINKS, MYSQL])
def reading(request: pytest.FixtureRequest, tmp_path: Path) -> Reading:
    if request.param not in SERVED:
        return local(request.param, tmp_path / "ring")
    server, database = (request.getfixturevalue(f"{request.param}_{what}") for what in ("server", "database"))
    return of_database(request.param, tmp_path / "ring", server, database)


def test_writers_that_are_killed_frozen_and_cut_off_lose_and_double_nothing(reading: Reading) -> None:
    ordeal = Ordeal(reading, random.Random(7))
    result = ordeal.kills(3).then(ordeal.contest(2)).then(ordeal.lost_answers(4))
    assert (result.lost, result.doubled) == (0, 0)
    assert (result.kills >= 3, result.zombies >= 2, result.answers) == (
        True,
        True,
        4,
    )  # an ordeal goes on until enough epochs came
    assert result.epochs > 4


# What overwrites shows nothing of contents that come twice.
LACKING = [
    pytest.param(*sink.values, control, marks=sink.marks)
    for sink in [*SINKS, MYSQL]
    for control in (CONTROLS if sink.values != ("one_file",) else ("fence off",))
]


@pytest.mark.parametrize(("reading", "control"), LACKING, indirect=["reading"])
def test_a_writer_that_lacks_one_thing_is_found_out(control: Control, reading: Reading) -> None:
    assert not Ordeal(reading, random.Random(7)).control(control).holds
