"""One epoch from its ranges to its seal: the protocol of epochs.md, step by step."""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from penstock.compile.series import is_held
from penstock.connectors.api import Receipt
from penstock.engines.api import Pass, Unkept
from penstock.errors import FatalError, InternalError, PenstockError, TransientError
from penstock.events import (
    CommitUnclear,
    EpochPlanned,
    EpochRedone,
    EpochSealed,
    SinkCommitted,
)
from penstock.graph import Graph
from penstock.graph.nodes import Read, Write
from penstock.ledger.api import Account, EpochRecord, Seal
from penstock.ledger.rejects import remove
from penstock.run import balance, series
from penstock.run.cursors import is_new
from penstock.run.passes import Passes
from penstock.run.replays import replay_of, superseded
from penstock.run.settle import Situation, settle
from penstock.structs import Frozen, Mutable, field, replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from penstock.connectors.api import EpochMarker, Position, Staged
    from penstock.graph.span import Interval
    from penstock.ledger.api import KeptRows, Lease, Range, RejectFile
    from penstock.run.surroundings import RejectsTarget, Surroundings


class SealedEpoch(Frozen):
    """What came of an epoch. ``redone``: an earlier run had begun it."""

    record: EpochRecord
    receipts: Mapping[str, Receipt]
    account: Account
    redone: bool = False

    @property
    def goes_on(self) -> bool:
        """Whether it is in the midst of a series."""
        return series.since(item.upto for item in self.record.ranges) is not None


class _Progress(Mutable):
    """How far an epoch has come: its record with the latest attempt, the receipts of the sinks that have it, and what
    the passes did.
    """

    record: EpochRecord
    receipts: dict[str, Receipt] = field(default_factory=dict)
    account: Account = field(default_factory=Account)

    @property
    def lacking(self) -> tuple[str, ...]:
        return tuple(name for name in self.record.sinks if name not in self.receipts)


def situation_of(around: Surroundings, incarnation: str) -> Situation:
    """What the markers of all sinks say. Needs no lease, and writes nothing. Raises FatalError RUN-110, RUN-111."""
    sealed = around.ledger.committed(around.key, incarnation)
    markers = {
        name: _marker_of(around, name, incarnation) for name, sink in around.every_sink.items() if sink.remembers
    }
    last = around.ledger.last_epoch(around.key, incarnation)
    # A replay has a plan of its own, which whoever finishes it makes again.
    own = last is not None and replay_of(last.ranges) is None
    return settle(last, sealed, markers=markers, plan_hash=around.plan.hash if own or last is None else last.plan_hash)


def _marker_of(around: Surroundings, name: str, incarnation: str) -> EpochMarker | None:
    with around.at_sink(name):
        return around.every_sink[name].marker(around.sink_id(name, incarnation))


class EpochRunner:
    """Runs epochs of one pipeline under one lease. Not thread-safe."""

    def __init__(self, around: Surroundings, lease: Lease) -> None:
        self._around = around
        self._lease = lease

    @property
    def incarnation(self) -> str:
        return self._lease.incarnation

    # ------------------------------------------------------------ what to do

    def situation(self) -> Situation:
        """Reads the markers of all sinks. Raises FatalError RUN-110, RUN-111."""
        return situation_of(self._around, self._lease.incarnation)

    def new(self, last: EpochRecord | None) -> SealedEpoch | None:
        """Plans an epoch over what the sources have now and runs it; None where none of them has anything new."""
        planned = self._around.retried(lambda _: self._planned(last))
        if planned is None:
            return None
        progress = _Progress(planned)
        try:
            return self._run(progress)
        except PenstockError:
            with suppress(PenstockError):
                if self.situation().todo == "nothing":
                    self._give_up(progress.record)
            raise

    def _give_up(self, record: EpochRecord) -> None:
        """The rejects of an epoch that no sink has: it is planned anew, and they are kept as aborted."""
        around = self._around
        rejected = around.ledger.prepared(record).rejects
        known = around.ledger.runs_of_rejects(around.key, [file.path for file in rejected])
        files = [file for file in rejected if file.path not in known]
        if files:
            around.ledger.abort(record, files, around.clock.now())

    def finish(self, situation: Situation) -> SealedEpoch:
        """Runs the rest of an epoch that an earlier run left, over the same ranges."""
        around, record = self._around, situation.epoch
        if record is None:
            raise InternalError("INT-900", "there is no epoch to finish")
        progress = _Progress(record, account=around.ledger.prepared(record))
        around.retried(lambda _: self._take_up(progress))
        around.events.emit(EpochRedone(around.key.pipeline, record.number, tuple(sorted(progress.receipts))))
        return replace(self._run(progress), redone=True)

    def _take_up(self, progress: _Progress) -> tuple[str, ...]:
        """After a failure: which sinks have the epoch by now, as their markers say, and were not known to have it. It goes
        on, over the same ranges, under an attempt of its own.
        """
        around, record = self._around, progress.record
        found = []
        for name in progress.lacking:
            marker = self._marker(name)
            if marker is not None and marker.epoch == record.sinks[name]:
                progress.receipts[name] = marker.receipt or _plain_receipt(self._sent(progress.account, name))
                found.append(name)
        again = replace(record, attempt=uuid.uuid4().hex, fence=self._lease.fence, run_id=around.run_id)
        around.ledger.retry_epoch(again)
        around.ledger.prepare(again, progress.account)
        progress.record = again
        return tuple(found)

    def _marker(self, name: str) -> EpochMarker | None:
        return _marker_of(self._around, name, self._lease.incarnation)

    # ------------------------------------------------------------ planning

    def _planned(self, last: EpochRecord | None) -> EpochRecord | None:
        around = self._around
        if last is not None and last.sealed_at is None:
            self._give_up(last)
        sealed = around.ledger.committed(around.key, self._lease.incarnation)
        number = 1 if last is None else last.number + (1 if last.sealed_at is not None else 0)
        attempt = uuid.uuid4().hex
        positions = around.ledger.positions(around.key, self._lease.incarnation)
        self._check_no_interval(positions.values())
        if around.interval is not None:
            positions = {**positions, **self._under_way(last, around.interval)}
        held = self._held(positions.values(), last)
        self._check_goes_on(last, positions.values(), held)
        around.feeds.forget(_files(held))
        planned_at = around.clock.now()
        ranges = around.feeds.ranges(number, attempt, planned_at, positions, interval=around.interval)
        around.faults.reached("run.spooled")
        asked = around.interval is not None
        if (
            number > 1
            and not asked
            and self._has_nothing_new(ranges, {name: sealed.get(name, 0) for name in around.sinks})
        ):
            around.feeds.forget()
            return None
        record = EpochRecord(
            around.key,
            self._lease.incarnation,
            number,
            attempt,
            self._lease.fence,
            around.run_id,
            around.plan.hash,
            ranges,
            planned_at,
            {name: sealed.get(name, 0) + 1 for name in self._filled(ranges)},
        )
        around.ledger.plan_epoch(record)
        around.faults.reached("run.planned")
        around.events.emit(EpochPlanned(around.key.pipeline, number, len({item.source for item in ranges})))
        return record

    def _filled(self, ranges: Sequence[Range]) -> Sequence[str]:
        """The sinks that an epoch over these ranges fills: in the midst of a series those alone that need not wait."""
        plan = self._around.plan
        if plan.series is not None and series.since(item.upto for item in ranges) is not None:
            beside = (name for name in self._around.every_sink if name not in self._around.sinks)
            return (*plan.series.each, *beside)
        return tuple(self._around.every_sink)

    def _held(self, positions: Iterable[Position], epoch: EpochRecord | None) -> Mapping[str, Sequence[KeptRows]]:
        """By node, what the earlier epochs of the series keep for the sinks that wait for its end, in their order; ``epoch``
        is one of the series. Where no sink waits nothing is asked: it takes the longer, the more epochs there were.
        """
        plan, ledger, since = self._around.plan, self._around.ledger, series.since(positions)
        is_of_plan = epoch is not None and epoch.plan_hash == plan.hash
        if is_of_plan and plan.series is not None and set(plan.series.each) == set(self._around.sinks):
            return {}
        found: dict[str, list[KeptRows]] = {}
        if since is not None:
            for record in ledger.sealed(self._around.key, self._lease.incarnation, since=since):
                for node, rows in ledger.prepared(record).kept.items():
                    if is_held(node):
                        found.setdefault(node, []).append(rows)
        return found

    def _under_way(self, last: EpochRecord | None, interval: Interval) -> Mapping[tuple[str, str], Position]:
        """Where the sources stand in the series of the same interval that the last epoch was of, if the pipeline is the same; else
        it begins anew, which whoever takes an interval takes twice.
        """
        if last is None or last.plan_hash != self._around.plan.hash:
            return {}
        places = {
            (item.source, item.partition): place
            for item in last.ranges
            if item.aside and (place := item.upto if last.sealed_at is not None else item.after) is not None
        }
        return places if any(series.interval_of(place) == interval for place in places.values()) else {}

    def _check_no_interval(self, positions: Iterable[Position]) -> None:
        """Raises FatalError RUN-135."""
        if series.since(positions) is not None and self._around.interval is not None:
            raise FatalError(
                "RUN-135",
                "an interval cannot be read in the midst of a series of epochs",
                hint="run the pipeline without --from and --to to the end of the series first",
            )

    def _check_goes_on(
        self, last: EpochRecord | None, positions: Iterable[Position], held: Mapping[str, Sequence[KeptRows]]
    ) -> None:
        """Raises FatalError RUN-131 where the pipeline is another one than the one that began the series."""
        plan = self._around.plan
        if series.since(positions) is None or (
            plan.series is not None and last is not None and last.plan_hash == plan.hash
        ):
            return
        if not held and all(read.incremental for read in plan.graph.reads):
            return  # what comes next is new rows, whoever asks for them
        raise FatalError(
            "RUN-131",
            "the pipeline has changed in the midst of a series of epochs",
            detail="What is left of its rows would come otherwise than those before.",
            hint="run the document as it was to the end of the series, or start anew with --full-refresh",
        )

    def _has_nothing_new(self, ranges: Sequence[Range], sealed: Mapping[str, int]) -> bool:
        """Whether all that is read is new rows only, of which there are none. What lies within a lag may have been revised
        without a newer row, and a sink that is new gets its table all the same.
        """
        reads = self._around.plan.graph.reads
        return (
            bool(reads)
            and all(read.incremental and (read.cursor is None or read.cursor.lag is None) for read in reads)
            and all(sealed.values())
            and not any(is_new(item.after, item.upto) for item in ranges)
        )

    # ------------------------------------------------------------ running

    def _run(self, progress: _Progress) -> SealedEpoch:
        """To the end. What fails for a moment is a crash that this process survived: the markers settle what was done, and
        what is left is done again.
        """

        def attempt(number: int) -> SealedEpoch:
            if number > 1 and progress.lacking:
                for name in self._take_up(progress):
                    self._told(progress, name)
            self._fill(progress)
            return self._seal(progress.record, progress.receipts, progress.account)

        return self._around.retried(attempt)

    def _fill(self, progress: _Progress) -> None:
        """The passes and commits of the sinks that lack the epoch."""
        around, record = self._around, progress.record
        goes_on = series.since(item.upto for item in record.ranges) is not None
        held = self._held((item.after for item in record.ranges if item.after is not None), record)
        for stage in around.plan.passes:
            pending = tuple(name for name in stage.sinks if name in progress.lacking)
            passes = Passes(around, record, stage, held)
            waiting = tuple(node for node in passes.to_hold() if goes_on or node in held)
            for node in (*passes.to_keep((*pending, *waiting), progress.account.kept), *waiting):
                if node not in progress.account.kept:
                    self._account(progress, passes.keep(node, progress.account.kept))
                    around.faults.reached("run.kept")
            if not pending:
                continue
            done, staged = passes.fill(pending, progress.account.kept)
            self._account(progress, done)
            around.faults.reached("run.accounted")
            for name in pending:
                progress.receipts[name] = self._commit(name, record, staged[name])
                self._told(progress, name)
        if around.rejected is not None and around.rejected.name in progress.lacking:
            self._hand_over_rejects(progress, around.rejected)

    def _hand_over_rejects(self, progress: _Progress, target: RejectsTarget) -> None:
        """What every pass rejected, when it is all known: the same rows whenever it is done again, for their files are durable
        and indexed in the account of the attempt.
        """
        around, record = self._around, progress.record
        rows = target.rows(record, progress.account.rejects)
        read = Read(target.name, source=target.name, schema=rows.schema)
        write = Write(f"{target.name}.write", input=read.id, sink=target.name, schema=rows.schema)
        with around.at_sink(target.name):
            target.sink.prepare(rows.schema)
            staged = around.engine.run(
                Pass(Graph((read, write)), own=True),
                inputs={read.id: [rows]},
                outputs={target.name: lambda: target.sink.writer(around.epoch(target.name, record), rows.schema)},
                rejects=Unkept(),
            ).staged[target.name]
        progress.receipts[target.name] = self._commit(target.name, record, staged)
        self._told(progress, target.name)

    def _account(self, progress: _Progress, done: Account) -> None:
        """What a pass did is durable before anything is done with it."""
        around, before = self._around, progress.account
        progress.account = _merged(before, done)
        around.ledger.prepare(progress.record, progress.account)
        remove(around.state, [file for file in before.rejects if file not in progress.account.rejects])

    # ------------------------------------------------------------ committing

    def _commit(self, name: str, record: EpochRecord, staged: Sequence[Staged]) -> Receipt:
        """Never sent again: where the answer was lost or unclear, the marker tells (``_take_up``)."""
        around = self._around
        around.faults.reached("run.before_commit")
        try:
            with around.at_sink(name):
                receipt = around.every_sink[name].commit(around.epoch(name, record), staged)
            around.faults.reached("run.committed")
        except TransientError as error:
            around.events.emit(CommitUnclear(name, record.number, error.code))
            raise
        return receipt

    def _told(self, progress: _Progress, name: str) -> None:
        """Raises FatalError RUN-121."""
        receipt = progress.receipts[name]
        balance.check_receipt(name, sent=self._sent(progress.account, name), receipt=receipt)
        self._around.events.emit(SinkCommitted(name, progress.record.number, receipt.rows, receipt.version))

    def _seal(self, record: EpochRecord, receipts: Mapping[str, Receipt], account: Account) -> SealedEpoch:
        around = self._around
        around.faults.reached("run.before_seal")
        now = around.clock.now()
        around.ledger.seal(self._sealed(record, receipts, account, now))
        around.faults.reached("run.sealed")
        for name, source in around.sources.items():
            own = {item.partition: series.own_of(item.upto) for item in _of(name, record)}
            if own:
                source.acknowledge(own)
        around.faults.reached("run.acknowledged")
        around.feeds.forget(_files(self._held((item.upto for item in record.ranges), record)))
        around.events.emit(EpochSealed(around.key.pipeline, record.number, *balance.totals(account.balance)))
        return SealedEpoch(replace(record, sealed_at=now), receipts, account)

    def _sealed(self, record: EpochRecord, receipts: Mapping[str, Receipt], account: Account, now: datetime) -> Seal:
        around, replay = self._around, replay_of(record.ranges)
        seal = Seal(record, receipts, account.balance, account.rejects, around.schemas, now)
        if replay is not None:
            return replace(seal, schemas={}, outcomes=replay.outcomes(record, now))
        before = around.ledger.nodes_of_open_rejects(around.key, record.incarnation)
        again = superseded(around.plan.graph, record.ranges) if before else frozenset()
        return replace(seal, superseded=sorted(before & again))

    def _sent(self, account: Account, sink: str) -> int:
        if sink not in self._around.sinks:
            return sum(file.rows for file in account.rejects)
        return next((entry.out for entry in account.balance if entry.node == sink), 0)


# ---------------------------------------------------------------- figures


def _of(source: str, record: EpochRecord) -> Iterator[Range]:
    """The ranges by which a source moved on."""
    return (item for item in record.ranges if item.source == source and not item.aside)


def _files(held: Mapping[str, Sequence[KeptRows]]) -> Iterator[KeptRows]:
    return (rows for files in held.values() for rows in files)


def _plain_receipt(rows: int) -> Receipt:
    return Receipt(rows=rows, inserted=rows)


def _merged(before: Account, done: Account) -> Account:
    """Nodes of a pass that was run again have the new figures, and its rejects."""
    again = {entry.node for entry in done.balance}
    entries = {entry.node: entry for entry in (*before.balance, *done.balance)}
    files: list[RejectFile] = [file for file in before.rejects if file.node not in again]
    return Account(tuple(entries.values()), (*files, *done.rejects), {**before.kept, **done.kept})
