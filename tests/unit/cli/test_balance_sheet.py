"""What the balance sheet shows, and what it leaves out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from penstock.cli.render.balance import balance_sheet, nodes_table, partnerless, passed_all_the_same
from penstock.ledger.api import NodeBalance, RunStatus
from penstock.service.running import RunResult, Stopped

if TYPE_CHECKING:
    from collections.abc import Mapping


def _entry(node: str, kind: str, into: Mapping[str, int], out: int, **more: int | Mapping[str, int]) -> NodeBalance:
    return NodeBalance(node, kind, into, out, **more)  # type: ignore[arg-type]  # figures by name


MERGED = [
    _entry("rows", "read", {"rows": 9}, 9),
    _entry("x.join", "join", {"rows": 9, "other": 4}, 8, unmatched={"rows": 1}),
    _entry("lake.repeated", "query", {"x.join": 8}, 1),
    _entry("lake.once", "join", {"x.join": 8, "lake.repeated": 1}, 5, unmatched={"x.join": 5}),
    _entry("lake.several", "join", {"x.join": 8, "lake.repeated": 1}, 3, unmatched={"x.join": 5}),
    _entry("lake.one_per_key", "deduplicate", {"lake.several": 3}, 1, deduplicated=2),
    _entry("lake.rows", "union", {"lake.once": 5, "lake.one_per_key": 1}, 6),
    _entry("lake", "write", {"lake.rows": 6}, 6),
    _entry("lake.table", "table", {"lake.table": 7}, 7),
]


def _shown(*, every: bool = False) -> list[str]:
    return [str(cell) for cell in nodes_table(MERGED, every=every).columns[0].cells]


def test_what_a_sink_does_for_its_promise_is_shown_where_it_took_rows_away() -> None:
    assert _shown() == ["rows", "x.join", "lake.one_per_key", "lake", "lake.table"]
    assert _shown(every=True) == [entry.node for entry in MERGED]


def test_partners_are_told_of_joins_that_somebody_wrote() -> None:
    assert [str(line) for line in partnerless(MERGED)] == ["without a partner: 1 of rows in x.join"]


def test_of_keys_that_a_rule_looks_up_only_the_rows_that_ask_are_told() -> None:
    def told(into: int, alone: int, keys_alone: int) -> list[str]:
        keys = "clean.referential.keys"
        entry = _entry(
            "clean.referential",
            "join",
            {"clean": into, keys: 300},
            into,
            unmatched={"clean": alone, keys: keys_alone},
        )
        return [str(line) for line in partnerless([_entry(keys, "aggregate", {"customers": 300}, 300), entry])]

    assert told(0, 0, 300) == []
    assert told(9, 1, 26) == ["without a partner: 1 of clean in clean.referential"]


def test_of_many_rules_that_let_rows_pass_those_of_most_rows_are_told() -> None:
    def told(rules: int) -> str:
        entry = _entry("good.rules", "check", {"good": 90}, 90, noted={f"r{number}": number for number in range(rules)})
        return "".join(map(str, passed_all_the_same([entry])))

    assert told(1) == ""
    assert told(3) == "noted: 1 by r1 of good.rules, 2 by r2 of good.rules"
    assert told(40).startswith("noted: 39 by r39 of good.rules, 38 by r38 of good.rules, ")
    assert told(40).endswith(", and 34 more rules (penstock quality has all)")
    assert len(told(40)) < 200


@pytest.mark.parametrize(
    ("grace", "told"),
    [
        (30, "interrupted, its grace of 30 s ran out, nothing was sealed"),
        (0, "interrupted, nothing was sealed"),  # at once: by a second signal, or `--now`
    ],
)
def test_a_run_whose_grace_ran_out_says_so(grace: int, told: str) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    stopped = Stopped("SIGINT", at, finished=False, grace=timedelta(seconds=grace))
    result = RunResult("x", "r", RunStatus.INTERRUPTED, None, None, at, 40_000, stopped=stopped)
    assert [str(line) for line in balance_sheet(result)] == [f"x  {told}  40.0 s, run r"]
