"""The mutants of the commit protocol can be made, and whoever runs them tells them apart; in the long form each must die."""

from __future__ import annotations

import pytest
from protocol_mutants import MUTANTS, Edit, Mutant, Verdict, objections, run, table, unharmed, untested

RULES = "tests/unit/connectors/test_commit_rules.py"
COMMENT = Edit("connectors/commits.py", '"""What every sink decides', '"""What each sink decides')


def test_the_protocol_is_broken_in_at_least_fifteen_ways() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 15


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_a_mutant_can_be_made_of_the_code_as_it_is(mutant: Mutant) -> None:
    assert objections(mutant) == []


@pytest.mark.slow
def test_the_tests_that_should_notice_are_there() -> None:
    assert untested(MUTANTS) == []
    assert "no_such" in untested([Mutant("lost", "nothing", (COMMENT,), (f"{RULES}::no_such",))])[0]


def test_a_mutant_of_code_that_has_moved_on_is_told() -> None:
    gone = Mutant("gone", "nothing", (Edit("connectors/commits.py", "no such text", ""),), (RULES,))
    outcome = run(gone)
    assert (outcome.verdict, outcome.by) == (Verdict.OUTDATED, ())
    assert "stands there 0 times" in outcome.said


@pytest.mark.slow
def test_what_breaks_is_killed_and_what_breaks_nothing_survives() -> None:
    harmless = Mutant("harmless", "nothing", (COMMENT,), (RULES,))
    assert run(harmless).verdict is Verdict.SURVIVED
    (fence,) = (mutant for mutant in MUTANTS if mutant.name == "fence not compared")
    outcome = run(Mutant(fence.name, fence.breaks, fence.edits, (RULES,)))
    assert outcome.verdict is Verdict.KILLED
    assert all(RULES in test for test in outcome.by)
    assert "| fence not compared |" in table((outcome,))


@pytest.mark.slow
def test_a_mutant_whose_tests_are_not_there_is_not_killed() -> None:
    assert run(Mutant("untested", "nothing", (COMMENT,), ("tests/none.py",))).verdict is Verdict.BROKEN


@pytest.mark.long
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_every_mutant_is_killed_by_tests_that_pass_without_it(mutant: Mutant) -> None:
    assert unharmed(mutant).verdict is Verdict.SURVIVED
    outcome = run(mutant)
    assert outcome.verdict is Verdict.KILLED, outcome.said
