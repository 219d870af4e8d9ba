"""Which sealed epochs are history to another one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlglot import exp

from penstock.connectors.api import Receipt
from penstock.graph import Graph
from penstock.graph.history import Windows
from penstock.graph.nodes import Check, Column, Read, TableRule
from penstock.graph.replayed import SOURCE
from penstock.ledger.api import EpochRecord, NodeBalance, PipelineKey, Range, RuleResult, Seal
from penstock.ledger.sqlite import SqliteLedger
from penstock.run.before import ages_before, history_of
from penstock.run.replays import Replay
from penstock.types import Field, Schema
from penstock.types.logical import TIMESTAMP

if TYPE_CHECKING:
    from pathlib import Path

KEY = PipelineKey("project", "default", "pipeline")
NOW = datetime(2026, 1, 2, tzinfo=UTC)
NEW, WHOLE = Graph((Read("a", source="a", incremental=True),)), Graph((Read("a", source="a"),))
NEXT = (Range("a", "", {"v": 1}, {"v": 2}),)
FIRST = (Range("a", "", None, {"v": 1}),)
AGAIN = (Range("a", "", {"v": 1}, {"v": 2}, aside=True),)
REPLAYED = (Range(SOURCE, "", None, Replay("x", "range", None, "node", "record", {}, ()).position(), aside=True),)


@pytest.fixture
def ledger(tmp_path: Path):
    found = SqliteLedger(tmp_path / "ledger.db")
    yield found
    found.close()


class History:
    """Seals epochs one after the other, the figure of each its number."""

    def __init__(self, ledger: SqliteLedger) -> None:
        self.ledger, self.lease, self.number = ledger, ledger.take(KEY, "me", duration=timedelta(hours=1)), 0
        self.measures = True

    def planned(self, ranges: tuple[Range, ...], number: int | None = None) -> EpochRecord:
        number, at = number or self.number + 1, NOW + timedelta(days=self.number)
        lease = self.lease
        return EpochRecord(
            KEY,
            lease.incarnation,
            number,
            f"a{number}-{ranges is NEXT}",
            lease.fence,
            "r",
            "hash",
            ranges,
            at,
            {"s": number},
        )

    def seal(self, *kinds: tuple[Range, ...]) -> None:
        for ranges in kinds:
            record = self.planned(ranges)
            self.number += 1
            self.ledger.plan_epoch(record)
            figures = {"mean": float(self.number) if self.measures else None, "none": None}
            rule = RuleResult("odd", "anomaly", "accuracy", 1, "warn", None, figures)
            balance = (NodeBalance("x.rules", "check", {"x": 3}, 3, rules=(rule,)),)
            receipts = {"s": Receipt(rows=1, inserted=1)}
            self.ledger.seal(Seal(record, receipts, balance, (), {}, record.planned_at + timedelta(minutes=1)))

    def of(
        self, record: EpochRecord, graph: Graph = NEW, window: int = 10, *, of_weekday: bool = False
    ) -> list[float] | None:
        history = history_of(self.ledger, graph, record, Windows(window, window))
        if history is None:
            return None
        found = history.of_weekday if of_weekday else history.newest
        assert all(set(item.figures) == {("x.rules", "odd", "mean")} for item in found)
        return [item.figures["x.rules", "odd", "mean"] for item in found]


def test_neither_a_first_load_nor_an_interval_nor_a_replay_is_history(ledger: SqliteLedger) -> None:
    history = History(ledger)
    history.seal(FIRST, NEXT, AGAIN, NEXT, REPLAYED, NEXT)
    assert history.of(history.planned(NEXT)) == [6, 4, 2]


def test_of_a_source_that_is_read_as_a_whole_each_run_is_like_the_others(ledger: SqliteLedger) -> None:
    history = History(ledger)
    history.seal(FIRST, FIRST, REPLAYED, FIRST)
    assert history.of(history.planned(FIRST), WHOLE) == [4, 2, 1]


@pytest.mark.parametrize("ranges", [FIRST, AGAIN, REPLAYED])
def test_what_is_no_history_is_compared_with_none(ranges: tuple[Range, ...], ledger: SqliteLedger) -> None:
    history = History(ledger)
    history.seal(FIRST, NEXT, NEXT)
    assert history.of(history.planned(ranges)) is None


def test_an_epoch_that_was_not_sealed_is_no_history_and_one_that_is_redone_has_the_same(ledger: SqliteLedger) -> None:
    history = History(ledger)
    history.seal(FIRST, NEXT, NEXT)
    record = history.planned(NEXT)
    ledger.plan_epoch(record)
    before = history.of(record)
    ledger.abort(record, (), NOW)
    assert history.of(record) == before == [3, 2]


def test_the_window_bounds_what_is_read(ledger: SqliteLedger) -> None:
    history = History(ledger)
    history.seal(FIRST, *[NEXT] * 6)
    assert history.of(history.planned(NEXT), window=3) == [7, 6, 5]


def test_the_window_of_a_weekday_reaches_back_as_far_as_it_must(ledger: SqliteLedger) -> None:
    history = History(ledger)
    history.seal(FIRST, *[NEXT] * 29)
    assert history.of(history.planned(NEXT), window=3, of_weekday=True) == [24, 17, 10]


def test_a_newest_value_is_found_however_many_epochs_came_without_one(
    ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A place beside a source that has news much more often, and another history of the pipeline."""
    monkeypatch.setattr("penstock.run.before._LOOKS", (3, 100))
    history = History(ledger)
    history.seal(FIRST, NEXT)
    history.measures = False
    history.seal(*[NEXT] * 4)
    rule = TableRule("odd", (Column("mean", exp.null()),), exp.null(), exp.null(), ("at",), "warn", aging=True)
    schema = Schema((Field("at", TIMESTAMP),))
    check = Check("x.rules", input="a", causes=(), table_rules=(rule,), schema=schema)
    graph, moment = Graph((*NEW.nodes, check)), NOW + timedelta(days=1000)
    own = history.lease.incarnation
    # The second epoch was planned a day after the first: its two seconds began a day later.
    expected = {("x.rules", "odd"): 2 + 999 * 86_400}
    assert ages_before(ledger, KEY, own, graph, moment) == expected
    assert ages_before(ledger, KEY, "another", graph, moment) == {}
