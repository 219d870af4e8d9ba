"""What every sink decides before it commits or changes its target."""

from __future__ import annotations

import pytest

from penstock.connectors.api import EpochMarker, WriteMode
from penstock.connectors.commits import compare, evolved, is_committed, refuse_empty
from penstock.errors import ConfigError, DataError, FatalError
from penstock.testing.sinks import epoch
from penstock.types import Schema

TARGET = Schema.of({"id": "int64", "size": "int32?"})


@pytest.mark.parametrize(
    ("marker", "number", "fence", "done"),
    [(None, 1, 1, False), ((1, 1), 2, 1, False), ((1, 1), 2, 9, False), ((2, 1), 2, 1, True), ((2, 1), 2, 3, True)],
)
def test_an_epoch_follows_its_marker_or_equals_it(marker, number, fence, done):
    assert is_committed(marker and EpochMarker(*marker), epoch(number, fence=fence), newest=fence) is done


@pytest.mark.parametrize(
    ("marker", "number", "fence"), [(None, 2, 1), ((1, 1), 3, 1), ((3, 1), 2, 1), ((1, 5), 2, 4), ((2, 5), 2, 4)]
)
def test_a_gap_an_old_epoch_and_a_stale_fence_stop(marker, number, fence):
    with pytest.raises(FatalError) as caught:
        is_committed(marker and EpochMarker(*marker), epoch(number, fence=fence), newest=0)
    assert caught.value.code == "SNK-120"


@pytest.mark.parametrize(("marker", "number"), [(None, 1), (EpochMarker(1, 3), 2), (EpochMarker(2, 3), 2)])
def test_who_another_incarnation_has_overtaken_commits_no_more(marker, number):
    with pytest.raises(FatalError) as caught:
        is_committed(marker, epoch(number, fence=3), newest=4)
    assert caught.value.code == "SNK-120"


def test_an_empty_input_overwrites_only_where_allowed():
    with pytest.raises(DataError) as caught:
        refuse_empty(WriteMode.OVERWRITE, 0, allow_empty=False, sink="s")
    assert caught.value.code == "SNK-114"
    refuse_empty(WriteMode.OVERWRITE, 1, allow_empty=False, sink="s")
    refuse_empty(WriteMode.OVERWRITE, 0, allow_empty=True, sink="s")
    refuse_empty(WriteMode.APPEND, 0, allow_empty=False, sink="s")


def test_a_missing_target_is_created_with_the_rows_columns():
    change = compare(None, TARGET, policy="fail")
    assert change.creates
    assert evolved(None, TARGET, change) == TARGET


def test_equal_and_narrower_columns_change_nothing():
    rows = Schema.of({"size": "int16"})
    change = compare(TARGET, rows, policy="fail")
    assert (change.creates, change.adds, change.widens, change.ignores) == (False, (), (), ())
    assert evolved(TARGET, rows, change) == TARGET


def test_policies_add_ignore_or_refuse_a_new_column():
    rows = Schema.of({"id": "int64", "note": "string?"})
    assert [c.name for c in compare(TARGET, rows, policy="evolve").adds] == ["note"]
    assert [c.name for c in compare(TARGET, rows, policy="ignore").ignores] == ["note"]
    assert evolved(TARGET, rows, compare(TARGET, rows, policy="evolve")).names == ("id", "size", "note")
    assert evolved(TARGET, rows, compare(TARGET, rows, policy="ignore")).names == ("id", "size")
    with pytest.raises(ConfigError) as caught:
        compare(TARGET, rows, policy="fail", sink="s")
    assert caught.value.code == "SNK-111"
    assert '"note"' in str(caught.value)


def test_only_evolve_widens_and_only_where_nothing_is_lost():
    wider = Schema.of({"size": "int64"})
    ((old, new),) = compare(TARGET, wider, policy="evolve").widens
    assert (str(old.type), str(new.type)) == ("int32", "int64")
    for rows, policy in ((wider, "fail"), (wider, "ignore"), (Schema.of({"size": "string"}), "evolve")):
        with pytest.raises(ConfigError) as caught:
            compare(TARGET, rows, policy=policy)
        assert caught.value.code == "SNK-111"


def test_a_target_whose_types_are_fixed_is_never_said_to_be_widened_by_a_policy():
    for policy in ("fail", "evolve", "ignore"):
        with pytest.raises(ConfigError) as caught:
            compare(TARGET, Schema.of({"size": "int64"}), policy=policy, fixed="types are as they are")
        (problem,) = caught.value.problems
        assert (problem.code, problem.detail) == ("SNK-111", "types are as they are.")
        assert problem.hint == "cast the column, state its type in a `schema`, or name another target"


def test_all_that_does_not_fit_is_told_at_once():
    rows = Schema.of({"size": "string", "note": "string", "NOTE": "string"})
    with pytest.raises(ConfigError) as caught:
        compare(TARGET, rows, policy="fail", needed=["idd"], sink="s")
    assert sorted(problem.code for problem in caught.value.problems) == ["SNK-111", "SNK-111", "SNK-112", "SNK-113"]
    assert all('"s"' in problem.message for problem in caught.value.problems)


def test_a_key_that_is_not_there_names_the_nearest_column():
    with pytest.raises(ConfigError) as caught:
        compare(None, Schema.of({"customer_id": "int64"}), policy="fail", needed=["custmer_id"])
    assert caught.value.code == "SNK-112"
    assert 'did you mean "customer_id"?' in str(caught.value)


@pytest.mark.parametrize("target", [None, Schema.of({"NAME": "string?"})])
def test_names_that_differ_only_in_case_are_refused(target):
    rows = Schema.of({"name": "string?"} if target else {"name": "string?", "Name": "string?"})
    for policy in ("fail", "evolve", "ignore"):
        with pytest.raises(ConfigError) as caught:
            compare(target, rows, policy=policy)
        (problem,) = caught.value.problems
        assert problem.code == "SNK-113"
        assert problem.hint == (
            'rename "name" in a step before; as "NAME" it is the target\'s column'
            if target
            else 'rename "Name" in a step before'
        )


def test_more_columns_than_the_system_has_are_refused_where_the_table_would_get_them():
    rows = Schema.of({"size": "int32", "more": "string?", "most": "string?"})
    for target, policy in ((None, "fail"), (TARGET, "evolve"), (TARGET, "replace")):
        with pytest.raises(ConfigError) as caught:
            compare(target, rows, policy=policy, most=2, sink="s")
        assert [problem.code for problem in caught.value.problems] == ["SNK-115"]
    compare(TARGET, rows, policy="evolve", most=len({*TARGET.names, *rows.names}))
    assert compare(TARGET, rows, policy="ignore", most=2).ignores


def test_what_the_system_cannot_hold_is_refused_by_name():
    with pytest.raises(ConfigError) as caught:
        compare(None, TARGET, policy="fail", objection=lambda c: "too wide" if c.name == "size" else None)
    assert caught.value.code == "SNK-110"
    assert 'column "size" of type int32 cannot be held: too wide' in str(caught.value)
