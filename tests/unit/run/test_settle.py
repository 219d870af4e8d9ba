"""What an earlier run left, in every combination of ledger and markers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from penstock.connectors.api import EpochMarker
from penstock.errors import FatalError
from penstock.ledger.api import EpochRecord, EpochStatus, PipelineKey
from penstock.run.settle import settle
from penstock.structs import replace

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PLANNED = EpochRecord(PipelineKey("p", "e", "x"), "i", 3, "a", 1, "r", "hash", (), NOW, {"one": 3, "two": 2})
SEALED = replace(PLANNED, status=EpochStatus.SEALED, sealed_at=NOW)
BEFORE = {"one": 2, "two": 1}
AFTER = {"one": 3, "two": 2}


def marker(epoch: int) -> EpochMarker | None:
    return EpochMarker(epoch, 1) if epoch else None


def test_the_first_run_plans_an_epoch() -> None:
    found = settle(None, {}, markers={"one": None, "two": None}, plan_hash="hash")
    assert (found.todo, found.epoch) == ("nothing", None)


def test_a_sealed_epoch_is_followed_by_a_new_one() -> None:
    found = settle(SEALED, AFTER, markers={"one": marker(3), "two": marker(2)}, plan_hash="hash")
    assert (found.todo, found.epoch) == ("nothing", SEALED)


def test_an_epoch_that_no_sink_has_is_planned_anew_even_after_a_change() -> None:
    found = settle(PLANNED, BEFORE, markers={"one": marker(2), "two": marker(1)}, plan_hash="another")
    assert (found.todo, found.committed) == ("nothing", frozenset())


@pytest.mark.parametrize(("one", "two", "committed"), [(3, 1, {"one"}), (2, 2, {"two"})])
def test_an_epoch_that_some_sinks_have_is_redone_for_the_others(one: int, two: int, committed: set[str]) -> None:
    found = settle(PLANNED, BEFORE, markers={"one": marker(one), "two": marker(two)}, plan_hash="hash")
    assert (found.todo, found.committed) == ("redo", committed)


def test_an_epoch_that_all_sinks_have_is_sealed_whatever_the_document_says_now() -> None:
    found = settle(PLANNED, BEFORE, markers={"one": marker(3), "two": marker(2)}, plan_hash="another")
    assert (found.todo, found.committed) == ("seal", {"one", "two"})


def test_a_pipeline_that_changed_while_half_committed_stops() -> None:
    with pytest.raises(FatalError) as caught:
        settle(PLANNED, BEFORE, markers={"one": marker(3), "two": marker(1)}, plan_hash="another")
    assert caught.value.code == "RUN-111"


@pytest.mark.parametrize(
    ("last", "sealed", "one", "words"),
    [
        (None, {}, 1, "ahead"),
        (SEALED, AFTER, 4, "ahead"),
        (SEALED, AFTER, 2, "lost"),
        (SEALED, AFTER, 0, "lost"),
        (PLANNED, BEFORE, 4, "ahead"),
        (PLANNED, BEFORE, 1, "lost"),
        (PLANNED, BEFORE, 0, "lost"),
    ],
)
def test_a_marker_that_fits_neither_plan_nor_seal_stops(
    last: EpochRecord | None, sealed: dict[str, int], one: int, words: str
) -> None:
    two = marker(sealed.get("two", 0))
    with pytest.raises(FatalError, match=words) as caught:
        settle(last, sealed, markers={"one": marker(one), "two": two}, plan_hash="hash")
    assert caught.value.code == "RUN-110"


def test_a_sink_that_joined_later_counts_from_its_own_first_epoch() -> None:
    found = settle(SEALED, AFTER, markers={"one": marker(3), "two": marker(2), "new": None}, plan_hash="another")
    assert found.todo == "nothing"


def test_a_sink_that_was_taken_out_of_a_half_committed_epoch_stops() -> None:
    with pytest.raises(FatalError) as caught:
        settle(PLANNED, BEFORE, markers={"one": marker(3)}, plan_hash="another")
    assert caught.value.code == "RUN-111"


@pytest.mark.parametrize(("one", "is_new"), [(0, True), (1, False)])
def test_a_target_that_knows_no_epoch_may_be_another_one(one: int, *, is_new: bool) -> None:
    with pytest.raises(FatalError) as caught:
        settle(SEALED, AFTER, markers={"one": marker(one), "two": marker(2)}, plan_hash="hash")
    hint = caught.value.problems[0].hint or ""
    assert hint.startswith("where it was given another place, give it another name too") is is_new
    assert "--full-refresh" in hint
