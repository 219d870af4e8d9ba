"""``run``: the pipeline from its document to sealed epochs, and the account of what happened."""

from __future__ import annotations

from random import SystemRandom
from typing import TYPE_CHECKING, Any

from penstock.compile.interval import check_interval, replaced_by
from penstock.document.models import REJECTS
from penstock.errors import PenstockError
from penstock.errors.shortages import shortages_named
from penstock.events import Events, RunEnded, RunStarted
from penstock.faults.points import Faults
from penstock.ledger.api import Account, NodeBalance, RunRecord, RunStatus
from penstock.run.epoch import SealedEpoch
from penstock.run.feeds import FOLDER as SPOOL
from penstock.run.feeds import Feeds
from penstock.run.runner import Done
from penstock.run.runner import replay as replay_plan
from penstock.run.runner import run as run_plan
from penstock.run.stopping import AT_ONCE, Stop
from penstock.run.surroundings import Surroundings
from penstock.service.ahead import ahead_of_clock
from penstock.service.causes import CauseRows, by_cause
from penstock.service.desk import RejectsDesk
from penstock.service.drift import drifts, seen_columns
from penstock.service.holders import holder_of
from penstock.service.late import late_for_cursors
from penstock.service.noted import warnings_of_rules
from penstock.service.opening import opened
from penstock.service.read_again import warnings_of_repeats
from penstock.service.reconciling_runs import Compared, reconcile_committed
from penstock.service.remembering import ranges_json
from penstock.structs import Frozen, Selective, field, replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from penstock.compile.pipeline import Compiled
    from penstock.connectors.api import Receipt
    from penstock.document.assembly import Loaded
    from penstock.errors import Problem
    from penstock.ledger.api import RejectEntry
    from penstock.plan.stages import Plan
    from penstock.service.desk import Wanted
    from penstock.service.drift import Drift
    from penstock.service.opening import Opened
    from penstock.service.reconciling import Reconciled
    from penstock.service.request import Request


__all__ = [
    "NodeBalance",
    "RunResult",
    "SealedEpoch",
    "Stop",
    "Stopped",
    "Summed",
    "new_run_id",
    "run",
    "status_of",
]


class Summed(Frozen):
    """Several epochs, in their order, as if they were one."""

    epochs: Sequence[SealedEpoch]
    balance: Sequence[NodeBalance]
    receipts: Mapping[str, Receipt]


def together(epochs: Iterable[SealedEpoch]) -> Summed:
    found = tuple(epochs)
    nodes: dict[str, NodeBalance] = {}
    receipts: dict[str, Receipt] = {}
    for epoch in found:
        for entry in epoch.account.balance:
            nodes[entry.node] = nodes[entry.node].plus(entry) if entry.node in nodes else entry
        for name, receipt in epoch.receipts.items():
            receipts[name] = receipts[name].plus(receipt) if name in receipts else receipt
    return Summed(found, tuple(nodes.values()), receipts)


class Stopped(Frozen):
    """Who asked a run to stop, and what became of the epoch that was at work: ``finished``, or aborted when its ``grace`` was over."""

    by: str
    at: datetime
    finished: bool
    grace: timedelta

    def to_json(self) -> dict[str, Any]:
        return {
            "by": self.by,
            "at": self.at.isoformat(),
            "epoch": "finished" if self.finished else "aborted",
            "grace_s": self.grace.total_seconds(),
        }


class RunResult(Selective):
    """What ``run --json`` prints. ``epochs`` are those that this run sealed; ``aborted`` what an epoch had rejected that
    was not sealed: kept, as evidence. ``error`` is why the run failed, None where it is done or was interrupted.

    ``news``: what is other in the sources' columns than what was seen before; ``sources``: the columns that they have.
    ``pipeline`` and ``run_id`` are None where the document could not be read, ``engine`` and ``guarantee`` where it
    could not be planned. ``reconciled`` has the sinks that were compared once their rows were committed. ``is_replay``: it
    was to send rejected rows again. ``idle``: nothing new was found, and this is what rules say that speak then too, by their
    nodes.
    """

    pipeline: str | None
    run_id: str | None
    status: RunStatus
    engine: str | None
    guarantee: str | None
    started_at: datetime
    duration_ms: int
    epochs: Sequence[SealedEpoch] = ()
    warnings: Sequence[Problem] = ()
    problems: Sequence[Problem] = ()
    aborted: Sequence[RejectEntry] = ()
    stopped: Stopped | None = None
    error: PenstockError | None = None
    uncompared = frozenset({"error"})
    news: Sequence[Drift] = ()
    sources: Mapping[str, Any] = field(default_factory=dict)
    reconciled: Sequence[Reconciled] = ()
    is_replay: bool = False
    idle: Sequence[NodeBalance] | None = None

    @property
    def read(self) -> int:
        """Rows and records that the sources handed over, bad ones included."""
        entries = (entry for epoch in self.epochs for entry in epoch.account.balance if entry.kind == "read")
        return sum(sum(entry.into.values()) for entry in entries)

    @property
    def written(self) -> int:
        """Rows that the sinks took; a row that went to two of them counts twice."""
        return sum(
            receipt.rows
            for epoch in self.epochs
            for name, receipt in epoch.receipts.items()
            if not name.startswith(REJECTS)
        )

    @property
    def rejected(self) -> int:
        return sum(entry.rejected for epoch in self.epochs for entry in epoch.account.balance)

    @property
    def loads(self) -> Iterator[Summed]:
        """The epochs of each series together, any other one by itself."""
        begun: list[SealedEpoch] = []
        for epoch in self.epochs:
            begun.append(epoch)
            if not epoch.goes_on:
                yield together(begun)
                begun = []
        if begun:
            yield together(begun)

    def by_cause(self) -> tuple[CauseRows, ...]:
        return by_cause(file for epoch in self.epochs for file in epoch.account.rejects)

    @property
    def aborted_rows(self) -> int:
        return sum(entry.file.rows for entry in self.aborted)

    def aborted_by_cause(self) -> tuple[CauseRows, ...]:
        return by_cause(entry.file for entry in self.aborted)

    def to_json(self, *, ranges: bool = True) -> dict[str, Any]:
        """``ranges``: with what the epochs read, which may be long and which the ledger has with its epochs already."""
        return {
            "pipeline": self.pipeline,
            "run_id": self.run_id,
            "kind": "replay" if self.is_replay else "load",
            "status": self.status.value,
            "engine": self.engine,
            "guarantee": self.guarantee,
            "started_at": self.started_at.isoformat(),
            "duration_ms": self.duration_ms,
            "epochs": [_epoch_json(epoch, ranges=ranges) for epoch in self.epochs],
            "balance": _balance_json(self.epochs),
            "nothing_new": _idle_json(self.idle) if self.idle is not None else None,
            "rejects": {
                "total": self.rejected,
                "by_cause": [one.to_json() for one in self.by_cause()],
                "aborted": {"total": self.aborted_rows, "by_cause": [one.to_json() for one in self.aborted_by_cause()]},
            },
            "sources": dict(self.sources),
            "news": [str(drift) for drift in self.news],
            "reconciled": [one.summary() for one in self.reconciled],
            "stopped": self.stopped.to_json() if self.stopped is not None else None,
            "warnings": [problem.to_json() for problem in self.warnings],
            "problems": [problem.to_json() for problem in self.problems],
        }


def _epoch_json(epoch: SealedEpoch, *, ranges: bool) -> dict[str, Any]:
    return {
        "epoch": epoch.record.number,
        "redone": epoch.redone,
        **({"ranges": ranges_json(epoch.record.ranges)} if ranges else {}),
        "sinks": {
            name: {
                "rows": receipt.rows,
                "inserted": receipt.inserted,
                "updated": receipt.updated,
                "unchanged": receipt.unchanged,
                "ignored_older": receipt.ignored_older,
                "deleted": receipt.deleted,
                "bytes": receipt.bytes,
                "version": receipt.version,
            }
            for name, receipt in epoch.receipts.items()
        },
    }


def _balance_json(epochs: Sequence[SealedEpoch]) -> dict[str, Any]:
    """Per node, over all epochs of the run."""
    found: dict[str, dict[str, Any]] = {}
    for entry in together(epochs).balance:
        node = found[entry.node] = {
            "kind": entry.kind,
            "in": sum(entry.into.values()),
            "out": entry.out,
            "filtered": entry.filtered,
            "deduplicated": entry.deduplicated,
            "rejected": entry.rejected,
        }
        if entry.unmatched:
            node["unmatched"] = dict(entry.unmatched)
        if entry.noted:
            node["noted"] = dict(entry.noted)
        measured = _measured_json(entry)
        if measured:
            node["measured"] = measured  # of the last epoch
        if entry.empty:
            node["empty"] = entry.empty
    return found


def _measured_json(entry: NodeBalance) -> dict[str, Any]:
    return {rule.rule: dict(rule.shown) for rule in entry.rules if rule.shown}


def _idle_json(entries: Sequence[NodeBalance]) -> dict[str, Any]:
    return {"measured": {entry.node: _measured_json(entry) for entry in entries}}


# ---------------------------------------------------------------- the use case


def run(
    request: Request,
    events: Events,
    faults: Faults,
    loaded: Loaded | None = None,
    *,
    run_id: str | None = None,
    wanted: Wanted | None = None,
    stop: Stop | None = None,
) -> RunResult:
    """Runs one pipeline (a document with ``tables:`` is several: ``documents``). ``wanted``: the rejects to send again, in
    place of what is new. ``stop``: by which the caller may ask it to end.

    What goes wrong before it is planned is raised, and nothing was touched; from then on a failure is told in the
    result, an interrupt too (``status``): who calls decides what ends.
    """
    started = request.clock.now()
    begun_at = request.clock.monotonic()
    with shortages_named(), opened(request, loaded) as found:
        found.connect()
        compiled, plan = found.plan()
        if request.interval is not None:
            check_interval(request.interval, compiled.graph, compiled.pipeline)
        record = RunRecord(
            run_id or new_run_id(started),
            found.key,
            RunStatus.RUNNING,
            started,
            engine=found.engine.name,
            guarantee=compiled.delivery.given,
            plan_hash=plan.hash,
            summary={"kind": "load" if wanted is None else "replay"},
        )
        news = drifts(found)
        found.ledger.begin_run(record)
        events.emit(RunStarted(plan.pipeline, record.run_id, plan.hash))
        begun = _Begun(found, compiled, plan, record, events, faults, wanted, news, stop or Stop(request.clock))
        try:
            done, error = _epochs(begun)
        except Exception:
            found.ledger.end_run(replace(record, status=RunStatus.FAILED, ended_at=request.clock.now()))
            raise
        is_done = error is None and not done.stopped
        compared = reconcile_committed(found, done.epochs) if is_done else Compared()
        result = _result(
            begun, done, compared, error=error, duration_ms=round((request.clock.monotonic() - begun_at) * 1000)
        )
        ended = replace(
            record, status=result.status, ended_at=request.clock.now(), summary=result.to_json(ranges=False)
        )
        try:
            found.ledger.end_run(ended)
        except PenstockError:
            if result.error is None:  # else what failed first is told, and the next run closes the record
                raise
        events.emit(RunEnded(plan.pipeline, record.run_id, result.status.value, result.duration_ms / 1000))
    return result


def _result(
    begun: _Begun,
    done: Done,
    compared: Compared,
    *,
    error: PenstockError | KeyboardInterrupt | None,
    duration_ms: int,
) -> RunResult:
    record = begun.record
    epochs: Sequence[SealedEpoch] = done.epochs
    kept = begun.found.ledger.rejects(record.key, run_id=record.run_id) if error is not None else ()
    if error is not None:
        epochs = _sealed_before(begun, kept)
    error = error or compared.error
    stopped = _stopped(begun.stop, done, error)
    failure = error if isinstance(error, PenstockError) else None
    interval = begun.found.request.interval
    replaced = replaced_by(interval, begun.compiled.graph, begun.compiled.pipeline) if interval is not None else ()
    cursors = _of_cursors(begun, epochs) if error is None else ()
    return RunResult(
        begun.plan.pipeline,
        record.run_id,
        status_of(error, begun.stop, stopped=done.stopped),
        record.engine,
        record.guarantee,
        record.started_at,
        duration_ms,
        epochs,
        (
            *begun.compiled.warnings,
            *_repeats(begun, epochs),
            *replaced,
            *warnings_of_rules(begun.plan.graph, (*_entries(epochs), *(done.idle or ()))),
            *compared.warnings,
            *cursors,
        ),
        failure.problems if failure is not None else (),
        tuple(entry for entry in kept if entry.status == "aborted"),
        stopped,
        failure,
        begun.news,
        seen_columns(begun.found),
        compared.reconciled,
        is_replay=record.is_replay,
        idle=done.idle,
    )


def _repeats(begun: _Begun, epochs: Sequence[SealedEpoch]) -> Iterator[Problem]:
    ranges = [(item.source, item.after, item.upto) for epoch in epochs for item in epoch.record.ranges]
    return warnings_of_repeats(begun.plan.graph, begun.found.pipeline, begun.found.sources, ranges)


def _of_cursors(begun: _Begun, epochs: Sequence[SealedEpoch]) -> Sequence[Problem]:
    """Of every run, also where nothing is new: that nothing ever will be is what the first warning says. What came too late is
    told by each epoch of a series, and as long as no epoch follows.
    """
    found, last = begun.found, begun.found.ledger.last_sealed(begun.record.key)
    sealed = found.ledger.positions(begun.record.key, last.incarnation) if last is not None else {}
    graph, ranges = begun.plan.graph, [item for epoch in epochs for item in epoch.record.ranges]
    ends = [*((item.source, item.upto) for item in ranges), *((source, end) for (source, _), end in sealed.items())]
    return (
        *ahead_of_clock(graph, sealed, begun.record.started_at),
        *late_for_cursors(graph, ends, [*ranges, *(last.ranges if last else ())]),
    )


def _stopped(stop: Stop, done: Done, error: PenstockError | KeyboardInterrupt | None) -> Stopped | None:
    if stop.asked is None or not (done.stopped or isinstance(error, KeyboardInterrupt)):
        return None
    grace = stop.asked.grace if stop.is_over else AT_ONCE
    return Stopped(stop.asked.by, stop.asked.at, finished=done.stopped, grace=grace)


def _entries(epochs: Sequence[SealedEpoch]) -> Iterator[NodeBalance]:
    return (entry for epoch in epochs for entry in epoch.account.balance)


def _sealed_before(begun: _Begun, kept: Sequence[RejectEntry]) -> list[SealedEpoch]:
    """What this run had sealed when it failed, as the ledger has it: an epoch of an earlier run that it finished."""
    ledger, run_id = begun.found.ledger, begun.record.run_id
    receipts, balance = ledger.receipts(run_id), ledger.balance(run_id)
    return [
        SealedEpoch(
            epoch,
            receipts.get(epoch.number, {}),
            Account(
                tuple(balance.get(epoch.number, ())),
                tuple(entry.file for entry in kept if entry.epoch == epoch.number and entry.status == "kept"),
            ),
            redone=True,
        )
        for epoch in ledger.epochs(run_id)
        if epoch.sealed_at is not None
    ]


class _Begun(Frozen):
    found: Opened
    compiled: Compiled
    plan: Plan
    record: RunRecord
    events: Events
    faults: Faults
    wanted: Wanted | None = None
    news: Sequence[Drift] = ()
    stop: Stop = field(default_factory=Stop)


def _epochs(begun: _Begun) -> tuple[Done, PenstockError | KeyboardInterrupt | None]:
    holder = holder_of(begun.record.run_id)
    try:
        with shortages_named():
            if begun.wanted is not None:
                done = replay_plan(_surroundings(begun), holder)
            else:
                done = run_plan(_surroundings(begun), holder, full_refresh=begun.found.request.full_refresh)
    except (PenstockError, KeyboardInterrupt) as error:
        return Done(()), error
    return done, None


def status_of(
    error: PenstockError | KeyboardInterrupt | None, stop: Stop | None = None, *, stopped: bool = False
) -> RunStatus:
    """How a run ended that this ended; ``stopped``: since it was asked to, between two epochs."""
    if isinstance(error, PenstockError):
        return RunStatus.FAILED
    if error is None and not stopped:
        return RunStatus.DONE
    is_signal = stop is None or stop.asked is None or stop.asked.is_signal
    return RunStatus.INTERRUPTED if is_signal else RunStatus.STOPPED


def surroundings(found: Opened, compiled: Compiled, plan: Plan, record: RunRecord) -> Surroundings:
    """What a run of the plan would have around it: making them asks nobody and writes nothing."""
    return _surroundings(_Begun(found, compiled, plan, record, Events(level="error"), Faults()))


def _surroundings(begun: _Begun) -> Surroundings:
    found, compiled, plan = begun.found, begun.compiled, begun.plan
    key = found.key
    folder = found.state / SPOOL / key.environment / key.pipeline
    feeds = Feeds(plan, found.sources, found.sinks, found.engine, folder, begun.events)
    used = {read.source for read in compiled.graph.reads}
    undeclared = {name for name, use in found.pipeline.sources.items() if use.contract is None}
    schemas = {
        name: schema.relaxed()
        for name, schema in found.facts.sources.items()
        if name in undeclared & used and name not in found.facts.recorded
    }
    around = Surroundings(
        key,
        begun.record.run_id,
        plan,
        {name: source for name, source in found.sources.items() if name in used},
        found.sinks,
        feeds,
        found.engine,
        found.ledger,
        found.request.clock,
        SystemRandom(),
        begun.events,
        begun.faults,
        found.state,
        schemas,
        interval=found.request.interval,
        rejected=found.rejects,
        stop=begun.stop,
        grace=found.pipeline.run.grace,
    )
    return replace(around, desk=RejectsDesk(found, compiled, around, begun.wanted))


def new_run_id(now: datetime) -> str:
    """Sorts by time; unique enough to be shortened."""
    return f"{now:%Y%m%dT%H%M%S}-{SystemRandom().getrandbits(32):08x}"
