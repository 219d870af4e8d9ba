"""The conformance suite of ledgers: subclass it, say how a ledger is opened, and every promise of ledger/api.py is tried."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from penstock.connectors.api import ColumnFigures, Receipt
from penstock.errors import FatalError
from penstock.ledger.api import (
    Account,
    EpochRecord,
    EpochStatus,
    Health,
    KeptRows,
    NodeBalance,
    PipelineKey,
    Range,
    RejectFile,
    RejectOutcome,
    RuleResult,
    RunRecord,
    RunStatus,
    Seal,
    StopRequest,
)
from penstock.structs import replace
from penstock.types import INT64, STRING, Field, Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from penstock.ledger.api import Lease, Ledger

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
KEY = PipelineKey("project", "default", "pipeline")
OTHER = PipelineKey("project", "prod", "pipeline")
BALANCE = (
    NodeBalance("a", "read", {"a": 5}, 4, rejected=1),
    NodeBalance("s", "write", {"x": 5}, 5, columns={"ä": ColumnFigures(1, 4, "-0.5", "9"), "t": ColumnFigures(0, 5)}),
    NodeBalance("x.join", "join", {"a": 4, "b": 2}, 3, unmatched={"a": 1, "b": 0}),
    NodeBalance(
        "x.rules",
        "check",
        {"x.join": 3},
        3,
        noted={"range": 1, "range_2": 0},
        rules=(
            RuleResult("range", "range", "validity", 1, "warn", 1, samples=({"k": 1, "ä": None, "x": ["🛢"]},)),
            RuleResult("range_2", "range", "validity", 0.5, "reject", 0, about={"column": "ä", "min": "0"}),
            RuleResult("sum", "sum_equals", "accuracy", 2, "warn", None, {"sum": 0.1, "age_s": None}, "ä", "b"),
        ),
    ),
)
REJECTS = (
    RejectFile(
        "a",
        "rejects/a.parquet",
        1,
        "c0ffee",
        {("bad_value", "k"): 1, ("malformed", None): 1},
        {"k": frozenset({"pii"})},
    ),
)
STOP = StopRequest("ä@host", NOW, timedelta(milliseconds=1500))
RECEIPT = Receipt(rows=3, inserted=1, updated=1, unchanged=1, deleted=7, bytes=99, version="v7", checksum="abc")


class LedgerConformance(ABC):
    """``open`` gives a ledger over the same memory each time it is called; after ``pass_time`` its clock is so much further,
    as far as leases can tell.
    """

    @abstractmethod
    def open(self) -> Ledger: ...

    @abstractmethod
    def pass_time(self, time: timedelta) -> None: ...

    @pytest.fixture
    def ledger(self) -> Iterator[Ledger]:
        found = self.open()
        yield found
        found.close()

    # ------------------------------------------------------------ helpers

    def take(self, ledger: Ledger, key: PipelineKey = KEY, holder: str = "one") -> Lease:
        return ledger.take(key, holder, duration=MINUTE)

    def epoch(self, lease: Lease, number: int = 1, attempt: str = "a1", run_id: str = "r1") -> EpochRecord:
        ranges = (Range("a", "", None, {"v": 1, "files": [["ä.csv", 3]]}), Range("b", "p1", {"v": 1}, {"v": 2}))
        return EpochRecord(
            lease.key, lease.incarnation, number, attempt, lease.fence, run_id, "hash", ranges, NOW, {"sink": number}
        )

    def seal_of(self, epoch: EpochRecord) -> Seal:
        schema = Schema((Field("k", INT64, nullable=False), Field("näme", STRING)))
        return Seal(epoch, {"sink": RECEIPT}, BALANCE, REJECTS, {"a": schema}, NOW + MINUTE)

    def sealed(self, ledger: Ledger, lease: Lease, number: int = 1) -> EpochRecord:
        epoch = self.epoch(lease, number, attempt=f"a{number}")
        ledger.plan_epoch(epoch)
        ledger.seal(self.seal_of(epoch))
        return epoch

    def rejecting(
        self, ledger: Ledger, lease: Lease, number: int, *nodes: str, superseded: Sequence[str] = (), run_id: str = "r1"
    ) -> None:
        """Seals an epoch that rejected rows at these nodes, in files that are called ``number/node``."""
        epoch = self.epoch(lease, number, attempt=f"a{number}", run_id=run_id)
        ledger.plan_epoch(epoch)
        files = [replace(REJECTS[0], node=node, path=f"{number}/{node}") for node in nodes]
        ledger.seal(replace(self.seal_of(epoch), rejects=files, superseded=superseded))

    # ------------------------------------------------------------ leases

    def test_each_holder_has_a_larger_fence(self, ledger: Ledger) -> None:
        first = self.take(ledger)
        ledger.release(first)
        second = self.take(ledger, holder="two")
        assert second.fence > first.fence
        assert second.incarnation == first.incarnation

    def test_a_fence_is_above_those_of_a_ledger_that_was_lost(self, ledger: Ledger) -> None:
        """Sinks remember the runs of that ledger, too; both go by a clock."""
        lease = self.take(ledger)
        assert lease.fence > (lease.expires_at - MINUTE).timestamp() - 1

    def test_a_lease_survives_reopening(self, ledger: Ledger) -> None:
        lease = self.take(ledger)
        ledger.close()
        again = self.open()
        try:
            assert self.take(again).fence > lease.fence
        finally:
            again.close()

    def test_a_held_pipeline_is_refused_and_its_holder_named(self, ledger: Ledger) -> None:
        self.take(ledger)
        other = self.open()
        try:
            with pytest.raises(FatalError, match="one") as caught:
                self.take(other, holder="two")
        finally:
            other.close()
        assert caught.value.code == "LED-110"

    def test_pipelines_are_those_that_took_a_lease(self, ledger: Ledger) -> None:
        assert ledger.pipelines() == []
        for key in (OTHER, KEY, KEY):
            ledger.release(self.take(ledger, key))
        assert ledger.pipelines() == [KEY, OTHER]

    def test_an_expired_lease_may_be_taken(self, ledger: Ledger) -> None:
        first = self.take(ledger)
        other = self.open()
        try:
            self.pass_time(2 * MINUTE)
            second = self.take(other, holder="two")
            assert second.fence > first.fence
            with pytest.raises(FatalError) as caught:
                ledger.renew(first, duration=MINUTE)
        finally:
            other.close()
        assert caught.value.code == "LED-111"

    def test_a_renewed_lease_holds_longer(self, ledger: Ledger) -> None:
        lease = self.take(ledger)
        self.pass_time(timedelta(seconds=50))
        renewed = ledger.renew(lease, duration=MINUTE)
        assert renewed.fence == lease.fence
        self.pass_time(timedelta(seconds=20))
        other = self.open()
        try:
            with pytest.raises(FatalError, match="one"):
                self.take(other, holder="two")
        finally:
            other.close()

    def test_releasing_twice_or_too_late_harms_nobody(self, ledger: Ledger) -> None:
        first = self.take(ledger)
        ledger.release(first)
        ledger.release(first)
        second = self.take(ledger, holder="two")
        ledger.release(first)
        ledger.renew(second, duration=MINUTE)

    def test_environments_share_nothing(self, ledger: Ledger) -> None:
        self.sealed(ledger, self.take(ledger))
        other = self.take(ledger, OTHER)
        assert ledger.last_epoch(OTHER, other.incarnation) is None
        assert ledger.positions(OTHER, other.incarnation) == {}
        assert ledger.schemas(OTHER) == {}

    def test_only_one_of_many_takers_gets_the_lease(self) -> None:
        won: list[str] = []

        def contend(name: str) -> None:
            own = self.open()
            try:
                own.take(KEY, name, duration=MINUTE)
                won.append(name)
                ready.wait()
            except FatalError:
                ready.wait()
            finally:
                own.close()

        ready = threading.Barrier(4)
        threads = [threading.Thread(target=contend, args=(f"t{number}",)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1

    # ------------------------------------------------------------ stopping

    def test_a_run_that_is_asked_to_stop_hears_by_whom_and_how(self, ledger: Ledger) -> None:
        lease = self.take(ledger)
        assert ledger.heed_stop(lease) is None
        other = self.open()
        try:
            (held,) = other.holdings()
            assert (held.lease.key, held.lease.holder, held.lease.fence) == (KEY, "one", lease.fence)
            assert (held.health, held.stop) == (Health.ALIVE, None)
            other.ask_stop(held.lease, STOP)
            assert other.holdings()[0].stop == STOP
            heard = replace(STOP, heard=True)
            assert ledger.heed_stop(lease) == heard
            assert other.holdings()[0].stop == heard
        finally:
            other.close()

    def test_a_later_request_to_stop_replaces_an_earlier_one_and_is_heard_anew(self, ledger: Ledger) -> None:
        lease = self.take(ledger)
        ledger.ask_stop(lease, STOP)
        ledger.heed_stop(lease)
        later = StopRequest("somebody else", NOW + MINUTE, timedelta(0))
        ledger.ask_stop(lease, later)
        assert ledger.holdings()[0].stop == later
        assert ledger.heed_stop(lease) == replace(later, heard=True)

    def test_a_request_to_stop_ends_with_the_lease_that_it_was_for(self, ledger: Ledger) -> None:
        first = self.take(ledger)
        ledger.ask_stop(first, STOP)
        ledger.release(first)
        assert ledger.holdings() == []
        second = self.take(ledger)
        assert ledger.heed_stop(second) is None
        assert [held.stop for held in ledger.holdings()] == [None]
        with pytest.raises(FatalError) as caught:
            ledger.ask_stop(first, STOP)
        assert caught.value.code == "LED-111"

    def test_a_holder_whose_lease_has_run_out_is_silent(self, ledger: Ledger) -> None:
        lease = self.take(ledger)
        self.take(ledger, OTHER)
        self.pass_time(timedelta(seconds=50))
        ledger.renew(lease, duration=MINUTE)
        self.pass_time(timedelta(seconds=20))
        found = {held.lease.key: held.health for held in ledger.holdings()}
        assert found == {KEY: Health.ALIVE, OTHER: Health.SILENT}

    # ------------------------------------------------------------ epochs

    def test_a_planned_epoch_comes_back_as_it_was(self, ledger: Ledger) -> None:
        epoch = self.epoch(self.take(ledger))
        ledger.plan_epoch(epoch)
        assert ledger.last_epoch(KEY, epoch.incarnation) == epoch

    def test_an_unsealed_epoch_may_be_planned_anew(self, ledger: Ledger) -> None:
        lease = self.take(ledger)
        ledger.plan_epoch(self.epoch(lease))
        anew = self.epoch(lease, attempt="a2")
        ledger.plan_epoch(anew)
        assert ledger.last_epoch(KEY, lease.incarnation) == anew

    @pytest.mark.parametrize("number", [0, 2, 17])
    def test_an_epoch_out_of_order_is_refused(self, ledger: Ledger, number: int) -> None:
        lease = self.take(ledger)
        with pytest.raises(FatalError) as caught:
            ledger.plan_epoch(self.epoch(lease, number))
        assert caught.value.code == "LED-112"
        assert ledger.last_epoch(KEY, lease.incarnation) is None

    def test_a_sealed_epoch_is_followed_by_the_next(self, ledger: Ledger) -> None:
        lease = self.take(ledger)
        self.sealed(ledger, lease)
        with pytest.raises(FatalError):
            ledger.plan_epoch(self.epoch(lease, 1, attempt="again"))
        ledger.plan_epoch(self.epoch(lease, 2, attempt="a2"))
        last = ledger.last_epoch(KEY, lease.incarnation)
        assert last is not None
        assert (last.number, last.status) == (2, EpochStatus.PLANNED)

    def test_the_newest_sealed_epoch_is_of_the_newest_history(self, ledger: Ledger) -> None:
        lease = self.take(ledger)
        assert ledger.last_sealed(KEY) is None
        self.sealed(ledger, lease)
        ledger.plan_epoch(self.epoch(lease, 2, attempt="a2"))
        last = ledger.last_sealed(KEY)
        assert last is not None
        assert (last.number, last.status) == (1, EpochStatus.SEALED)
        assert ledger.last_sealed(OTHER) is None
        ledger.new_incarnation(lease)
        assert ledger.last_sealed(KEY) is None

    def test_the_history_of_a_pipeline_is_what_its_sealed_epochs_balanced_to(self, ledger: Ledger) -> None:
        lease = self.take(ledger)
        first, second = self.sealed(ledger, lease), self.sealed(ledger, lease, 2)
        ledger.plan_epoch(self.epoch(lease, 3, attempt="a3"))
        found = ledger.history(KEY, limit=9)
        assert [epoch.number for epoch, _ in found] == [second.number, first.number]
        assert [tuple(entries) for _, entries in found] == [BALANCE, BALANCE]
        assert [epoch.number for epoch, _ in ledger.history(KEY, limit=1)] == [2]
        assert ledger.history(OTHER, limit=9) == []

    def test_the_history_of_a_weekday_goes_by_the_day_in_utc(self, ledger: Ledger) -> None:
        lease = self.take(ledger)
        begin = datetime(2026, 1, 5, 23, 30, tzinfo=timezone(timedelta(hours=-2)))  # Monday there, Tuesday in UTC
        for number in range(1, 16):
            epoch = replace(self.epoch(lease, number), planned_at=begin + timedelta(days=number - 1))
            ledger.plan_epoch(epoch)
            ledger.seal(Seal(epoch, {"s": RECEIPT}, BALANCE, (), {}, epoch.planned_at))

        def of(weekday: int, limit: int = 9) -> list[int]:
            return [epoch.number for epoch, _ in ledger.history(KEY, limit=limit, weekday=weekday)]

        assert [of(day) for day in range(1, 8)] == [[14, 7], [15, 8, 1], [9, 2], [10, 3], [11, 4], [12, 5], [13, 6]]
        assert of(2, limit=2) == [15, 8]

    def test_a_retry_keeps_the_ranges_under_a_new_attempt(self, ledger: Ledger) -> None:
        lease = self.take(ledger)
        epoch = self.epoch(lease)
        ledger.plan_epoch(epoch)
        again = replace(epoch, attempt="a2", run_id="r2")
        ledger.retry_epoch(again)
        assert ledger.last_epoch(KEY, lease.incarnation) == again

    def test_a_retry_of_a_sealed_epoch_is_refused(self, ledger: Ledger) -> None:
        epoch = self.sealed(ledger, self.take(ledger))
        with pytest.raises(FatalError):
            ledger.retry_epoch(replace(epoch, attempt="a2"))

    def test_a_zombie_can_neither_plan_nor_prepare_nor_seal(self, ledger: Ledger) -> None:
        old = self.take(ledger)
        epoch = self.epoch(old)
        ledger.plan_epoch(epoch)
        ledger.release(old)
        self.take(ledger, holder="two")
        acts: tuple[Callable[[], None], ...] = (
            lambda: ledger.plan_epoch(self.epoch(old, attempt="a2")),
            lambda: ledger.retry_epoch(replace(epoch, attempt="a3")),
            lambda: ledger.prepare(epoch, Account(BALANCE)),
            lambda: ledger.seal(self.seal_of(epoch)),
        )
        for act in acts:
            with pytest.raises(FatalError) as caught:
                act()
            assert caught.value.code == "LED-111"
        last = ledger.last_epoch(KEY, old.incarnation)
        assert last is not None
        assert last.status is EpochStatus.PLANNED

    def test_an_account_comes_back_as_it_was(self, ledger: Ledger) -> None:
        epoch = self.epoch(self.take(ledger))
        ledger.plan_epoch(epoch)
        assert ledger.prepared(epoch) == Account()
        account = Account(BALANCE, REJECTS, {"some.limit": KeptRows("1-a1/0.arrow", "c0ffee")})
        ledger.prepare(epoch, account)
        assert ledger.prepared(epoch) == account

    # ------------------------------------------------------------ seals

    def test_sealing_writes_everything_at_once(self, ledger: Ledger) -> None:
        lease = self.take(ledger)
        ledger.begin_run(RunRecord("r1", KEY, RunStatus.RUNNING, NOW))
        epoch = self.sealed(ledger, lease)
        last = ledger.last_epoch(KEY, lease.incarnation)
        assert last is not None
        assert (last.status, last.sealed_at) == (EpochStatus.SEALED, NOW + MINUTE)
        assert ledger.positions(KEY, lease.incarnation) == {
            (item.source, item.partition): item.upto for item in epoch.ranges
        }
        assert ledger.committed(KEY, lease.incarnation) == {"sink": 1}
        assert ledger.receipts("r1") == {1: {"sink": RECEIPT}}
        assert tuple(ledger.balance("r1")[1]) == BALANCE
        assert ledger.schemas(KEY) == {"a": self.seal_of(epoch).schemas["a"]}
        (entry,) = ledger.rejects(KEY)
        assert (entry.file, entry.status, entry.run_id, entry.epoch) == (REJECTS[0], "kept", "r1", 1)

    def test_an_accepted_schema_replaces_the_recorded_one(self, ledger: Ledger) -> None:
        lease = self.take(ledger)
        self.sealed(ledger, lease)
        ledger.accept(lease, {"a": Schema.of({"z": "int64"})})
        assert ledger.schemas(KEY) == {"a": Schema.of({"z": "int64"})}

    def test_who_lost_the_lease_accepts_nothing(self, ledger: Ledger) -> None:
        lease = self.take(ledger)
        self.sealed(ledger, lease)
        before = ledger.schemas(KEY)
        ledger.release(lease)
        self.take(ledger, holder="other")
        with pytest.raises(FatalError) as caught:
            ledger.accept(lease, {"a": Schema.of({"z": "int64"})})
        assert caught.value.code == "LED-111"
        assert ledger.schemas(KEY) == before

    def test_sealing_twice_does_nothing_more(self, ledger: Ledger) -> None:
        lease = self.take(ledger)
        epoch = self.sealed(ledger, lease)
        ledger.seal(self.seal_of(epoch))
        assert len(ledger.rejects(KEY)) == 1

    def test_an_epoch_that_was_not_planned_cannot_be_sealed(self, ledger: Ledger) -> None:
        lease = self.take(ledger)
        with pytest.raises(FatalError) as caught:
            ledger.seal(self.seal_of(self.epoch(lease)))
        assert caught.value.code == "LED-112"
        assert ledger.positions(KEY, lease.incarnation) == {}

    def test_rejects_of_a_failed_attempt_are_kept_as_aborted(self, ledger: Ledger) -> None:
        epoch = self.epoch(self.take(ledger))
        ledger.plan_epoch(epoch)
        ledger.abort(epoch, REJECTS, NOW)
        (entry,) = ledger.rejects(run_id="r1")
        assert entry.status == "aborted"
        last = ledger.last_epoch(KEY, epoch.incarnation)
        assert last is not None
        assert last.status is EpochStatus.PLANNED

    def test_what_was_done_with_rejects_is_remembered_with_what_is_left(self, ledger: Ledger) -> None:
        lease = self.take(ledger)
        self.sealed(ledger, lease)
        (before,) = ledger.rejects(KEY)
        assert (before.is_open, before.left_rows, before.left) == (True, REJECTS[0].rows, REJECTS[0].groups)
        group = next(iter(REJECTS[0].groups))
        done = RejectOutcome(REJECTS[0].path, *group, "discarded", 1, 0, {}, "me", NOW, reason="never mind")
        ledger.settle(lease, [done])
        (after,) = ledger.rejects(KEY)
        assert (after.is_open, after.left_rows, after.left, after.file) == (False, 0, {}, REJECTS[0])
        assert (list(ledger.outcomes(KEY)), list(ledger.outcomes(OTHER))) == ([done], [])

    def test_who_lost_the_lease_settles_no_rejects(self, ledger: Ledger) -> None:
        lease = self.take(ledger)
        self.sealed(ledger, lease)
        ledger.release(lease)
        self.take(ledger, holder="other")
        done = RejectOutcome(REJECTS[0].path, "c", None, "discarded", 1, 0, {}, "me", NOW)
        with pytest.raises(FatalError) as caught:
            ledger.settle(lease, [done])
        assert caught.value.code == "LED-111"
        assert ledger.rejects(KEY)[0].is_open

    def test_an_epoch_that_sends_rejects_again_settles_them_as_it_is_sealed(self, ledger: Ledger) -> None:
        lease = self.take(ledger)
        self.sealed(ledger, lease)
        group = next(iter(REJECTS[0].groups))
        done = RejectOutcome(REJECTS[0].path, *group, "replayed", 1, 0, {}, "r1", NOW, epoch=2)
        epoch = self.epoch(lease, 2, attempt="a2")
        ledger.plan_epoch(epoch)
        assert ledger.rejects(KEY)[0].is_open
        seal = replace(self.seal_of(epoch), outcomes=[done], rejects=())
        ledger.seal(seal)
        ledger.seal(seal)
        assert not ledger.rejects(KEY)[0].is_open
        assert list(ledger.outcomes(KEY)) == [done]

    def test_rejects_of_a_node_that_was_read_again_are_superseded(self, ledger: Ledger) -> None:
        lease = self.take(ledger)
        self.sealed(ledger, lease)
        for number, nodes in ((2, ["another"]), (3, [REJECTS[0].node])):
            epoch = self.epoch(lease, number, attempt=f"a{number}")
            ledger.plan_epoch(epoch)
            ledger.seal(replace(self.seal_of(epoch), superseded=nodes))
        assert [(entry.epoch, entry.status) for entry in ledger.rejects(KEY)] == [
            (3, "kept"),
            (2, "superseded"),
            (1, "superseded"),
        ]

    def test_rejects_of_an_older_history_are_superseded_by_the_first_epoch_of_the_new_one(self, ledger: Ledger) -> None:
        lease = self.take(ledger)
        self.sealed(ledger, lease)
        ledger.new_incarnation(lease)
        renewed = self.take(ledger)
        assert ledger.rejects(KEY)[0].is_open
        self.sealed(ledger, renewed)
        assert [entry.status for entry in ledger.rejects(KEY)] == ["kept", "superseded"]

    def test_the_nodes_of_open_rejects_are_those_with_rows_that_may_be_sent_again(self, ledger: Ledger) -> None:
        lease = self.take(ledger)
        assert ledger.nodes_of_open_rejects(KEY, lease.incarnation) == frozenset()
        self.rejecting(ledger, lease, 1, "a", "b", "ä")
        self.rejecting(ledger, lease, 2, "a", "c")
        assert ledger.nodes_of_open_rejects(KEY, lease.incarnation) == {"a", "b", "c", "ä"}
        assert ledger.nodes_of_open_rejects(OTHER, lease.incarnation) == frozenset()
        part = RejectOutcome("1/a", "malformed", None, "discarded", 1, 0, {}, "me", NOW)
        whole = RejectOutcome("2/c", "malformed", None, "discarded", 1, 0, {}, "me", NOW)
        half = RejectOutcome("1/b", "malformed", None, "discarded", 1, 1, {("bad_value", "k"): 1}, "me", NOW)
        ledger.settle(lease, [part, whole, half])
        assert ledger.nodes_of_open_rejects(KEY, lease.incarnation) == {"a", "b", "ä"}
        self.rejecting(ledger, lease, 3, superseded=["a", "ä"])
        assert ledger.nodes_of_open_rejects(KEY, lease.incarnation) == {"b"}
        planned = self.epoch(lease, 4, attempt="a4")
        ledger.plan_epoch(planned)
        ledger.abort(planned, [replace(REJECTS[0], node="z")], NOW)
        assert ledger.nodes_of_open_rejects(KEY, lease.incarnation) == {"b"}

    def test_the_nodes_of_open_rejects_are_those_of_one_history(self, ledger: Ledger) -> None:
        lease = self.take(ledger)
        self.rejecting(ledger, lease, 1, "a")
        fresh = ledger.new_incarnation(lease)
        assert ledger.nodes_of_open_rejects(KEY, fresh) == frozenset()
        self.rejecting(ledger, self.take(ledger), 1, "b")
        assert ledger.nodes_of_open_rejects(KEY, fresh) == {"b"}
        assert ledger.nodes_of_open_rejects(KEY, lease.incarnation) == frozenset()

    def test_the_newest_rejects_are_told_by_node(self, ledger: Ledger) -> None:
        lease = self.take(ledger)
        assert ledger.newest_rejects(KEY) == {}
        self.rejecting(ledger, lease, 1, "a", "b")
        self.rejecting(ledger, lease, 2, "b", "ä")
        self.rejecting(ledger, lease, 3, "b", superseded=["b"])
        planned = self.epoch(lease, 4, attempt="a4")
        ledger.plan_epoch(planned)
        ledger.abort(planned, [replace(REJECTS[0], node="z")], NOW)
        assert ledger.newest_rejects(KEY) == {"a": 1, "b": 3, "z": 4, "ä": 2}
        assert ledger.newest_rejects(OTHER) == {}

    def test_the_run_of_a_reject_file_is_told_by_its_path(self, ledger: Ledger) -> None:
        lease = self.take(ledger)
        self.rejecting(ledger, lease, 1, "a")
        self.rejecting(ledger, lease, 2, "a", run_id="r2")
        assert ledger.runs_of_rejects(KEY, ["2/a", "1/a", "none"]) == {"1/a": "r1", "2/a": "r2"}
        assert ledger.runs_of_rejects(KEY, []) == {}
        assert ledger.runs_of_rejects(OTHER, ["1/a"]) == {}

    def test_a_new_incarnation_begins_with_epoch_one_and_no_positions(self, ledger: Ledger) -> None:
        lease = self.take(ledger)
        self.sealed(ledger, lease)
        fresh = ledger.new_incarnation(lease)
        assert fresh != lease.incarnation
        renewed = self.take(ledger)
        assert renewed.incarnation == fresh
        assert ledger.last_epoch(KEY, fresh) is None
        assert ledger.positions(KEY, fresh) == {}
        assert ledger.committed(KEY, fresh) == {}
        assert ledger.last_epoch(KEY, lease.incarnation) is not None
        self.sealed(ledger, renewed)

    def test_a_new_incarnation_is_replacing_until_its_first_seal(self, ledger: Ledger) -> None:
        lease = self.take(ledger)
        assert not ledger.replacing(KEY)
        self.sealed(ledger, lease)
        ledger.new_incarnation(lease)
        ledger.release(lease)
        renewed = self.take(ledger)
        assert ledger.replacing(KEY)
        ledger.plan_epoch(self.epoch(renewed))
        assert ledger.replacing(KEY)
        ledger.seal(self.seal_of(self.epoch(renewed)))
        assert not ledger.replacing(KEY)
        assert not ledger.replacing(OTHER)

    # ------------------------------------------------------------ runs

    def test_runs_come_newest_first_and_are_found_by_prefix(self, ledger: Ledger) -> None:
        for number, run_id in enumerate(("20260101-aa", "20260102-bb", "20260102-bc")):
            ledger.begin_run(RunRecord(run_id, KEY, RunStatus.RUNNING, NOW + number * MINUTE))
        done = RunRecord(
            "20260101-aa", KEY, RunStatus.DONE, NOW, NOW + MINUTE, "duckdb", "exactly_once", "h", {"a": [1]}
        )
        ledger.end_run(done)
        assert [run.run_id for run in ledger.runs()] == ["20260102-bc", "20260102-bb", "20260101-aa"]
        assert [run.run_id for run in ledger.runs(limit=1)] == ["20260102-bc"]
        assert ledger.runs(key=OTHER) == []
        assert ledger.runs_beginning("20260101", limit=10) == [done]
        found = ledger.runs_beginning("20260102-b", limit=10)
        assert [run.run_id for run in found] == ["20260102-bc", "20260102-bb"]
        assert list(ledger.runs_beginning("20260102-b", limit=1)) == [found[0]]
        assert list(ledger.runs_beginning("%", limit=10)) == []

    def test_a_run_may_end_before_it_has_begun(self, ledger: Ledger) -> None:
        failed = RunRecord("r", KEY, RunStatus.FAILED, NOW, NOW + MINUTE, summary={"problems": []})
        ledger.end_run(failed)
        assert list(ledger.runs()) == [failed]

    def test_runs_that_were_killed_are_closed_by_the_next_one(self, ledger: Ledger) -> None:
        ledger.begin_run(RunRecord("killed", KEY, RunStatus.RUNNING, NOW))
        ledger.begin_run(RunRecord("other", OTHER, RunStatus.RUNNING, NOW))
        ledger.begin_run(RunRecord("now", KEY, RunStatus.RUNNING, NOW + MINUTE))
        ledger.close_runs(self.take(ledger), "now", at=NOW + MINUTE)
        status = {run.run_id: run.status for run in ledger.runs()}
        assert status == {"killed": RunStatus.INTERRUPTED, "other": RunStatus.RUNNING, "now": RunStatus.RUNNING}
