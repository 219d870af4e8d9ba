"""What the ledger remembers, as data, and what it can be asked. Every store passes the same conformance suite.

All times are UTC. Every record is keyed by (project, environment, pipeline): environments share nothing. Leases go by the
ledger's clock, which all who use it share; what else happened when is told by who did it. Writes are durable when a method
returns. Methods raise FatalError LED-1xx (damaged, newer version), TransientError LED-150 (busy); a ledger on a server
also LED-2xx, as its driver classifies what happened.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Literal, Protocol

from penstock.structs import Frozen, field, replace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from penstock.connectors.api import ColumnFigures, Json, Position, Receipt
    from penstock.types import Schema


class PipelineKey(Frozen, order=True):
    """Whose memory it is: environments and pipelines of a project share nothing."""

    project: str
    environment: str
    pipeline: str

    def __str__(self) -> str:
        return f"{self.project}/{self.environment}/{self.pipeline}"


class EpochStatus(StrEnum):
    """Where an epoch stands; of one number at most one record is planned or sealed."""

    PLANNED = "planned"  # ranges are durable; sinks may or may not have it
    SEALED = "sealed"
    ABANDONED = "abandoned"  # no sink had it; its number was planned anew


class RunStatus(StrEnum):
    """How a call of ``penstock run`` ended."""

    RUNNING = "running"  # or killed, until the pipeline's next run closes it
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"  # by a signal; the state is consistent
    STOPPED = "stopped"  # as `penstock runs stop` asked; the state is consistent


class Range(Frozen):
    """What an epoch reads of one partition of a source (or of a sink's table): (after, upto]. ``aside``: it is read beside
    what epochs read one after the other, so that sealing it moves no position.
    """

    source: str
    partition: str
    after: Position | None
    upto: Position
    aside: bool = False


class EpochRecord(Frozen):
    """One epoch: numbered from 1 per incarnation, without gaps among the sealed ones. ``attempt`` is the latest try.

    ``sinks`` says at which number each sink's marker stands once it has this epoch: a sink that joined the pipeline
    later counts from 1 as well.
    """

    key: PipelineKey
    incarnation: str
    number: int
    attempt: str
    fence: int
    run_id: str
    plan_hash: str
    ranges: tuple[Range, ...]
    planned_at: datetime
    sinks: Mapping[str, int] = field(default_factory=dict)
    status: EpochStatus = EpochStatus.PLANNED
    sealed_at: datetime | None = None


class RejectFile(Frozen):
    """One file of rejected rows of one node, and how many rows it has per (code, column): a row rejected for several
    reasons counts in each group, and once in ``rows``. ``path`` is relative to the state folder; ``labels`` are those of
    the columns that its rows, and their sources' rows, have; ``places`` is where the document stands by what rejected
    them (``prices.yml:14:9``), by code, and "" for the node.
    """

    node: str
    path: str
    rows: int
    checksum: str
    groups: Mapping[tuple[str, str | None], int]
    labels: Mapping[str, frozenset[str]] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)


class RejectOutcome(Frozen):
    """What was done with the rows of one group (``code``, ``column``) of a reject file: ``replayed`` in an epoch, or
    ``discarded`` with a reason. ``rows`` is how many; ``left_rows`` and ``left`` say what stays open in the file, as
    ``RejectFile`` has it.
    """

    path: str
    code: str
    column: str | None
    outcome: Literal["replayed", "discarded"]
    rows: int
    left_rows: int
    left: Mapping[tuple[str, str | None], int]
    by: str
    at: datetime
    epoch: int | None = None
    reason: str | None = None


class RuleResult(Frozen):
    """What a rule found of the rows that came into its node in one epoch. ``rule`` is its name there, ``kind`` that of the
    catalogue. ``violating`` are rows, None of a rule about all rows; of such a one ``measured`` has figures by the metric
    (None: there was nothing to measure), ``broken`` what is to be said where the rows violate it, and ``note`` what is to be
    said in any case. ``samples`` are some of the violating rows where the rule lets them pass, by column, labelled ones masked.
    ``hidden``: the figures tell of labelled columns, and are for later epochs to compare with, and for nobody to see.
    ``about`` are the rule's settings as texts, masked where they would tell values of a labelled column; of a run of an
    older Penstock there are none.
    """

    rule: str
    kind: str
    dimension: str
    weight: float
    on_fail: str
    violating: int | None = None
    measured: Mapping[str, float | None] = field(default_factory=dict)
    broken: str | None = None
    note: str | None = None
    samples: tuple[Mapping[str, Json], ...] = ()
    hidden: bool = False
    about: Mapping[str, str] = field(default_factory=dict)

    @property
    def shown(self) -> Mapping[str, float | None]:
        """What anybody may see of the figures."""
        return {} if self.hidden else self.measured

    def after(self, earlier: RuleResult) -> RuleResult:
        """The same rule over both epochs."""
        rows = None if self.violating is None else self.violating + (earlier.violating or 0)
        samples = self.samples or earlier.samples
        return replace(self, violating=rows, broken=self.broken or earlier.broken, samples=samples)


class NodeBalance(Frozen):
    """The account of one node in one epoch; ``kind`` is a graph.NodeKind. Columns of document.md's ``run --json``; ``noted``: of a check,
    by the rule, rows that violate one which lets them pass; ``rules``: what each of its rules found; ``columns``: of what a
    sink gets, as far as it is known without looking at it again.
    """

    node: str
    kind: str
    into: Mapping[str, int]
    out: int
    filtered: int = 0
    deduplicated: int = 0
    rejected: int = 0
    unmatched: Mapping[str, int] = field(default_factory=dict)
    empty: int = 0
    noted: Mapping[str, int] = field(default_factory=dict)
    rules: tuple[RuleResult, ...] = ()
    columns: Mapping[str, ColumnFigures] = field(default_factory=dict)

    def plus(self, later: NodeBalance) -> NodeBalance:
        """The same node over both epochs."""
        return NodeBalance(
            self.node,
            self.kind,
            _added(self.into, later.into),
            self.out + later.out,
            self.filtered + later.filtered,
            self.deduplicated + later.deduplicated,
            self.rejected + later.rejected,
            _added(self.unmatched, later.unmatched),
            self.empty + later.empty,
            _added(self.noted, later.noted),
            _over_both(self.rules, later.rules),
            {name: found.plus(self.columns[name]) for name, found in later.columns.items() if name in self.columns},
        )


def _over_both(earlier: Sequence[RuleResult], later: Sequence[RuleResult]) -> tuple[RuleResult, ...]:
    """Rows of both; figures of the later one, and what was said last."""
    before = {found.rule: found for found in earlier}
    return tuple(found.after(before[found.rule]) if found.rule in before else found for found in later)


def _added(one: Mapping[str, int], other: Mapping[str, int]) -> Mapping[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}


class KeptRows(Frozen):
    """The file that holds a node's rows until the epoch is sealed; ``path`` is relative to the pipeline's spool folder."""

    path: str
    checksum: str


class Account(Frozen):
    """What the passes of an epoch did so far: durable before a sink commits, so that a restart can go on and seal with
    it. ``kept`` is by node.
    """

    balance: tuple[NodeBalance, ...] = ()
    rejects: tuple[RejectFile, ...] = ()
    kept: Mapping[str, KeptRows] = field(default_factory=dict)


class Seal(Frozen):
    """All that sealing an epoch writes, in one transaction: positions are saved by nothing else."""

    epoch: EpochRecord
    receipts: Mapping[str, Receipt]
    balance: Sequence[NodeBalance]
    rejects: Sequence[RejectFile]
    schemas: Mapping[str, Schema]  # by source: the contract from now on, where none was recorded
    sealed_at: datetime
    outcomes: Sequence[RejectOutcome] = ()  # of the rejects that this epoch sent again
    superseded: Sequence[str] = ()  # nodes whose earlier rejects were read again as a whole, and are among these


class RunRecord(Frozen):
    """One call of ``penstock run`` or ``rejects replay``; ``summary`` is what ``--json`` printed, without secrets,
    without data and without what its epochs read; of one that goes on no more than its ``kind``.
    """

    run_id: str
    key: PipelineKey
    status: RunStatus
    started_at: datetime
    ended_at: datetime | None = None
    engine: str = ""
    guarantee: str = ""
    plan_hash: str = ""
    summary: Mapping[str, Json] = field(default_factory=dict)

    @property
    def is_replay(self) -> bool:
        """Whether it was to send rejected rows again, in place of what is new."""
        return self.summary.get("kind") == "replay"


class Lease(Frozen):
    """The right to run a pipeline: ``fence`` is larger than that of every earlier holder, and at least the seconds since 1970
    at which it was taken; ``expires_at`` by the ledger's clock, as these.
    """

    key: PipelineKey
    holder: str
    fence: int
    incarnation: str
    expires_at: datetime


class StopRequest(Frozen):
    """That a run end: ``by`` whom, and how long the epoch that is at work may go on; ``grace`` None: as its document says.
    ``heard``: the run knows of it.
    """

    by: str
    at: datetime
    grace: timedelta | None = None
    heard: bool = False


class Health(StrEnum):
    """What is known of a holder of a lease."""

    ALIVE = "alive"  # or died a moment ago, on another machine
    SILENT = "silent"  # its lease has run out: it is paused, cut off from the ledger, or dead
    DEAD = "dead"  # its process is gone


class Holding(Frozen):
    """A pipeline that somebody holds, and whether that run was asked to stop."""

    lease: Lease
    health: Health
    stop: StopRequest | None = None


class RejectEntry(Frozen):
    """A reject file as the index has it; ``status`` is "kept" (its epoch was sealed), "superseded" (a later epoch read the
    same rows again) or "aborted". ``left_rows`` and ``left`` are what was neither replayed nor discarded.
    """

    key: PipelineKey
    run_id: str
    epoch: int
    attempt: str
    status: str
    file: RejectFile
    at: datetime
    left_rows: int
    left: Mapping[tuple[str, str | None], int]

    @property
    def is_open(self) -> bool:
        """Whether rows of it may be sent again."""
        return self.status == "kept" and self.left_rows > 0


class Ledger(Protocol):
    """The durable memory. One instance per process; methods may be called from any thread."""

    def take(self, key: PipelineKey, holder: str, *, duration: timedelta) -> Lease:
        """The lease, its fence above every one before; the incarnation is made at the first call.

        Raises FatalError LED-110 naming the holder while another holder's lease has not expired.
        """
        ...

    def renew(self, lease: Lease, *, duration: timedelta) -> Lease:
        """Raises FatalError LED-111 where somebody else holds it by now."""
        ...

    def release(self, lease: Lease) -> None:
        """Idempotent; a lease that somebody else holds by now stays theirs."""
        ...

    def holdings(self) -> Sequence[Holding]:
        """Every pipeline that somebody holds, by key."""
        ...

    def ask_stop(self, lease: Lease, request: StopRequest) -> None:
        """Asks the run that has this lease to stop; a later request replaces an earlier one. Raises FatalError LED-111 where
        somebody else holds it by now.
        """
        ...

    def heed_stop(self, lease: Lease) -> StopRequest | None:
        """What is asked of the run that has this lease; whoever asked sees from then on that it was heard."""
        ...

    def pipelines(self) -> Sequence[PipelineKey]:
        """Those that ever took a lease, sorted."""
        ...

    def new_incarnation(self, lease: Lease) -> str:
        """Forget the checkpoint: a new history whose first epoch is 1; the old one's records stay.

        Until that epoch is sealed the pipeline is ``replacing``: whoever runs it next must replace what the sinks hold.
        """
        ...

    def replacing(self, key: PipelineKey) -> bool:
        """Whether a new incarnation was begun and none of its epochs is sealed yet."""
        ...

    def begin_run(self, run: RunRecord) -> None:
        """The record of a run that goes on; its run_id is new."""
        ...

    def end_run(self, run: RunRecord) -> None:
        """Replaces the record of that run_id; one that ended before it began has none yet."""
        ...

    def close_runs(self, lease: Lease, run_id: str, *, at: datetime) -> None:
        """Runs of the pipeline that still count as running, all but this one, were killed: nobody else holds a lease."""
        ...

    def runs(self, *, key: PipelineKey | None = None, limit: int = 50) -> Sequence[RunRecord]:
        """Newest first."""
        ...

    def runs_beginning(self, beginning: str, *, limit: int) -> Sequence[RunRecord]:
        """Those whose id begins so, newest first; of a whole id that one."""
        ...

    def last_epoch(self, key: PipelineKey, incarnation: str) -> EpochRecord | None:
        """The epoch with the highest number that is planned or sealed; its ``attempt`` is the latest."""
        ...

    def last_sealed(self, key: PipelineKey) -> EpochRecord | None:
        """The newest sealed epoch of the newest incarnation; None too where that has none yet."""
        ...

    def sealed(self, key: PipelineKey, incarnation: str, *, since: int) -> Sequence[EpochRecord]:
        """The sealed epochs from that number on, in their order."""
        ...

    def epochs(self, run_id: str) -> Sequence[EpochRecord]:
        """What the run planned or took over, by number."""
        ...

    def plan_epoch(self, epoch: EpochRecord) -> None:
        """Ranges are durable when this returns. The number is that of the last sealed one plus 1; an unsealed record of
        the same number is replaced (its own becomes abandoned). Raises FatalError LED-112 on any other number, and
        LED-111 where the fence is not the newest.
        """
        ...

    def retry_epoch(self, epoch: EpochRecord) -> None:
        """The same number and ranges with a new attempt, fence and run. Raises as ``plan_epoch``."""
        ...

    def prepare(self, epoch: EpochRecord, account: Account) -> None:
        """Replaces the account of this attempt. Raises as ``plan_epoch``."""
        ...

    def prepared(self, epoch: EpochRecord) -> Account:
        """The account of this attempt; empty where none was written."""
        ...

    def seal(self, seal: Seal) -> None:
        """One transaction. Sealing the same attempt again does nothing. Raises LED-111, LED-112."""
        ...

    def abort(self, epoch: EpochRecord, rejects: Sequence[RejectFile], at: datetime) -> None:
        """Keeps the rejects of an attempt that failed, marked aborted; the epoch stays planned."""
        ...

    def positions(self, key: PipelineKey, incarnation: str) -> Mapping[tuple[str, str], Position]:
        """The last sealed position by (source, partition)."""
        ...

    def committed(self, key: PipelineKey, incarnation: str) -> Mapping[str, int]:
        """At which number each sink's marker stands after the last sealed epoch that it was part of."""
        ...

    def schemas(self, key: PipelineKey) -> Mapping[str, Schema]:
        """The recorded contract by source."""
        ...

    def accept(self, lease: Lease, schemas: Mapping[str, Schema]) -> None:
        """Replaces recorded contracts. Raises LED-111."""
        ...

    def balance(self, run_id: str) -> Mapping[int, Sequence[NodeBalance]]:
        """By epoch number."""
        ...

    def history(
        self, key: PipelineKey, *, limit: int, weekday: int | None = None
    ) -> Sequence[tuple[EpochRecord, Sequence[NodeBalance]]]:
        """The sealed epochs of all incarnations with their balance, newest first; of a ``weekday`` (UTC; 1 is Monday, 7 Sunday)
        those that were planned on it.
        """
        ...

    def receipts(self, run_id: str) -> Mapping[int, Mapping[str, Receipt]]:
        """By epoch number, by sink."""
        ...

    def rejects(self, key: PipelineKey | None = None, *, run_id: str | None = None) -> Sequence[RejectEntry]:
        """Newest first. All that there ever were: no question for an epoch to ask, which those below are."""
        ...

    def nodes_of_open_rejects(self, key: PipelineKey, incarnation: str) -> frozenset[str]:
        """Those of which rows that this history rejected may be sent again. Takes no longer the more files there are."""
        ...

    def newest_rejects(self, key: PipelineKey) -> Mapping[str, int]:
        """By node the highest number of an epoch that rejected rows there, whatever became of them; of every history. Takes no
        longer the more files there are.
        """
        ...

    def runs_of_rejects(self, key: PipelineKey, paths: Sequence[str]) -> Mapping[str, str]:
        """By path of a reject file the run that wrote it; without those of which there is no record."""
        ...

    def settle(self, lease: Lease, outcomes: Sequence[RejectOutcome]) -> None:
        """Records what was done with rejects without an epoch. Raises LED-111."""
        ...

    def outcomes(self, key: PipelineKey) -> Sequence[RejectOutcome]:
        """What was done with the pipeline's rejects, oldest first."""
        ...

    def close(self) -> None:
        """Idempotent; no other method may be called afterwards."""
        ...
