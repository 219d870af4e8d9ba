"""What is tried, and in which order."""

from __future__ import annotations

from itertools import islice
from random import Random

from penstock.faults.trials import AT_POINTS, Kind, Trial, first_walk, trials

PASSED = {"run.taken": 1, "run.committed": 3, "sqlite.marked": 3}


def some(count: int, seed: int = 1) -> list[Trial]:
    return list(islice(trials(PASSED, Random(seed)), count))


def test_every_point_in_every_way_comes_first() -> None:
    begun = some(len(PASSED) * len(AT_POINTS) + 2)
    assert first_walk(PASSED) <= set(begun)
    assert {trial.kind for trial in begun} == set(Kind)
    assert [trial.point for trial in begun[: len(PASSED)]] == list(PASSED)


def test_then_the_last_time_of_each_and_then_chance_within_what_is_passed() -> None:
    found = some(500)
    assert {Trial(kind, "run.committed", 3) for kind in AT_POINTS} <= set(found[11:17])
    for trial in found:
        if trial.point:
            assert 1 <= trial.time <= PASSED[trial.point]
        else:
            assert all(0 <= moment <= 1 for moment in trial.moments)
            assert 1 <= len(trial.moments) <= (3 if trial.kind is Kind.KILLED else 1)
    assert {len(trial.moments) for trial in found} == {0, 1, 2, 3}


def test_the_same_seed_gives_the_same_trials() -> None:
    assert some(100, seed=4) == some(100, seed=4) != some(100, seed=5)


def test_a_trial_says_what_it_does() -> None:
    assert str(Trial(Kind.LOST_AT, "run.committed", 2)) == "answer lost at a crash point: run.committed, time 2"
    assert str(Trial(Kind.KILLED, moments=(0.25, 0.5))) == "killed at a random moment: after 25%, 50% of a run"
