"""What the balance sheet shows, and what it leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.cli.render.balance import nodes_table, partnerless
from penstock.ledger.api import NodeBalance

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
