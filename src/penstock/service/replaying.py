"""``rejects try``, ``replay`` and ``discard``: what becomes of rows that were rejected."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal

from penstock.clock import SystemClock
from penstock.connectors.api import BatchWriter, Staged
from penstock.engines.api import Pass
from penstock.errors import ConfigError
from penstock.graph.moment import at_moment
from penstock.graph.replayed import is_read, node_of
from penstock.ledger.api import RejectOutcome
from penstock.ledger.rejects import RejectFiles, read
from penstock.run import balance
from penstock.run.feeds import as_they_stand
from penstock.run.heartbeat import LEASE
from penstock.run.passes import labels_of, places_of
from penstock.run.replays import replay_of
from penstock.service.causes import CauseRows, by_cause, group_name
from penstock.service.desk import Wanted, chosen, open_parts, planned, unordered, warnings_of
from penstock.service.families import parts
from penstock.service.holders import caller, holder_of
from penstock.service.ledgers import key_of
from penstock.service.masking import hidden_columns, masked_rejects
from penstock.service.opening import opened
from penstock.service.rejected import chosen_group, records_of
from penstock.service.remembering import is_called, project_ledger
from penstock.service.running import RunResult, run
from penstock.structs import Frozen, replace

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import pyarrow as pa

    from penstock.clock import Clock
    from penstock.document.assembly import Settings
    from penstock.document.models import Pipeline
    from penstock.errors import Problem
    from penstock.events import Events
    from penstock.faults.points import Faults
    from penstock.graph import Graph
    from penstock.ledger.api import Ledger, PipelineKey, RejectFile
    from penstock.ledger.rejects import Group
    from penstock.run.stopping import Stop
    from penstock.service.families import Part
    from penstock.service.rejected import RejectedRecord
    from penstock.service.request import Request

_EXAMPLES: Final = 3


class Asked(Frozen):
    """A group by its name, and its repair as it was written; ``pipeline`` where the document's tables have groups of one
    name. ``replaces_newer``: its rows may replace newer ones of their keys.
    """

    group: str
    sets: tuple[str, ...] = ()
    repaired: Path | None = None
    pipeline: str | None = None
    replaces_newer: bool = False


# ---------------------------------------------------------------- try


class Tried(Frozen):
    """What would come of ``rows``: by sink how many it would get; rejected again, by cause, and the first of these, in
    files below the project's ``root``. ``place``: whether they take the way from their source, or from the node that rejected them.
    """

    group: str
    root: Path
    rows: int
    filtered: int
    rejected: int
    sinks: Mapping[str, int]
    causes: tuple[CauseRows, ...]
    examples: tuple[RejectedRecord, ...]
    warnings: tuple[Problem, ...] = ()
    place: Literal["source", "node"] = "source"

    @property
    def saved(self) -> int:
        """Rows that nothing rejects any more."""
        return max(0, self.rows - self.rejected)

    def to_json(self) -> dict[str, Any]:
        return {
            "group": self.group,
            "from": self.place,
            "rows": self.rows,
            "saved": self.saved,
            "filtered": self.filtered,
            "rejected": self.rejected,
            "sinks": dict(self.sinks),
            "by_cause": [one.to_json() for one in self.causes],
            "examples": [one.to_json() for one in self.examples],
            "warnings": [problem.to_json() for problem in self.warnings],
        }


def try_group(request: Request, asked: Asked, *, allow: Collection[str] = ()) -> Tried:
    """Sends the rows of a group through the pipeline up to its sinks, and writes nothing there: what a replay would be
    refused for since it could replace newer rows is a warning. Raises as ``replay``.
    """
    with _part(request, replace(asked, replaces_newer=True)) as (part, wanted), opened(request, part.loaded) as found:
        found.connect()
        compiled = found.compile()
        root = part.loaded.project.root
        replay = chosen(found, compiled, wanted)
        if replay is None:
            return Tried(asked.group, root, 0, 0, 0, {}, (), ())
        plan, sources = planned(found, compiled, replay)
        graph = at_moment(_without_tables(plan.graph), request.clock.now())
        rejects = RejectFiles(found.scratch, found.key, 0, "try", labels_of(graph), places=places_of(graph))
        outcome = found.engine.run(
            Pass(graph),
            inputs=as_they_stand(graph, sources, sinks=found.sinks, scratch=found.scratch),
            outputs={write.sink: _Counted for write in graph.writes},
            rejects=rejects,
        )
        files = rejects.finish()
        entries = balance.account(graph, outcome.counts)
        _, _, rejected = balance.totals(entries)
        return Tried(
            asked.group,
            root,
            sum(sum(entry.into.values()) for entry in entries if entry.node == plan.graph.reads[0].id),
            sum(entry.filtered for entry in entries),
            rejected,
            {name: sum(part.rows for part in staged) for name, staged in outcome.staged.items()},
            by_cause(files),
            tuple(islice(_examples(found.scratch, files, allow), _EXAMPLES)),
            tuple(warnings_of(unordered(plan.graph, found.pipeline))),
            place=replay.place,
        )


def _without_tables(graph: Graph) -> Graph:
    """Without the sinks that are made of tables: these have nothing new before a commit."""
    tables = {node.id for node in graph.tables}
    return graph.only(graph.upstream(*(node.id for node in graph.writes if not tables & graph.upstream(node.id))))


def _examples(folder: Path, files: Sequence[RejectFile], allow: Collection[str]) -> Iterator[RejectedRecord]:
    for file in files:
        hidden = hidden_columns(file.labels, allow)
        for batch in read(folder, file):
            yield from records_of(file, masked_rejects(batch, hidden), epoch=0, status="tried")


class _Counted(BatchWriter):
    """Counts what a sink would get."""

    def __init__(self) -> None:
        self._rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        self._rows += batch.num_rows

    def stage(self) -> Staged:
        return Staged(self._rows, 0)

    def abort(self) -> None:
        self._rows = 0


# ---------------------------------------------------------------- replay


class ReplayResult(Frozen):
    """``rows`` were sent again, or are settled by the ``given`` rows of a file; ``rejected`` of what was sent were rejected
    again. 0 where nothing of the group is open. ``run`` is the account of the run, which may have finished an earlier one's
    epoch before. ``read_whole`` are the sources of the group that have no position: the next run reads their records again.
    """

    group: str
    rows: int
    rejected: int
    run: RunResult
    given: int | None = None
    read_whole: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        told = {
            "group": self.group,
            "rows": self.rows,
            "given": self.given,
            "rejected": self.rejected,
            "read_whole": list(self.read_whole),
        }
        return {**self.run.to_json(), "replay": told}


def replay(request: Request, asked: Asked, *, events: Events, faults: Faults, stop: Stop | None = None) -> ReplayResult:
    """Sends the open rows of a group again as an epoch of its own. What fails once it is planned is told in the result.

    Raises ConfigError LED-140 for a group that there is not, CLI-114 and CMP-2xx for a repair that is wrong, CMP-390 to
    CMP-392 where the document does not take them, LED-143 where they could replace newer rows of a sink, and ``asked`` does
    not say that they may; DataError LED-120.
    """
    with _part(request, asked) as (part, wanted):
        done = run(request, events, faults, part.loaded, wanted=wanted, stop=stop)
        whole = tuple(_read_whole(part.loaded.pipeline, wanted.node))
    rows, rejected = 0, 0
    given = 0 if wanted.repaired is not None else None
    for epoch in done.epochs:
        sent = replay_of(epoch.record.ranges)
        if sent is not None and (sent.node, sent.group) == (wanted.node, wanted.group):
            rows += sent.rows
            rejected += sum(entry.rejected for entry in epoch.account.balance)
            if given is not None:
                given += sum(sum(entry.into.values()) for entry in epoch.account.balance if is_read(entry.node))
    return ReplayResult(asked.group, rows, rejected, done, given, whole)


def _read_whole(pipeline: Pipeline, node: str) -> Iterator[str]:
    """The sources that a node's rows come from (``from``, step by step) and that are not incremental."""
    name = node_of(node).removesuffix(".rules")
    transforms = {name: use.inputs for name, use in pipeline.transforms.items()}
    known = transforms | {name: use.inputs for name, use in pipeline.sinks.items()}
    todo = [name if name in known or name in pipeline.sources else name.partition(".")[0]]
    seen: set[str] = set()
    while todo:
        name = todo.pop(0)
        if name in seen:
            continue
        seen.add(name)
        if name in pipeline.sources and pipeline.sources[name].params.incremental is None:
            yield name
        todo += map(str, known.get(name, ()))


@contextmanager
def _part(request: Request, asked: Asked) -> Iterator[tuple[Part, Wanted]]:
    """The document, of one with ``tables:`` the part of the one table, that has rejects of that name."""
    with parts(request) as every:
        named = {key_of(part.loaded): part for part in every.each}
        with project_ledger(request.settings, request.file) as (ledger, _):
            groups = {key: _groups(ledger, key) for key in named if is_called(key, asked.pipeline)}
        node, group, key = _one(asked.group, groups)
        yield named[key], Wanted(node, group, asked.sets, asked.repaired, asked.replaces_newer)


def _groups(ledger: Ledger | None, key: PipelineKey) -> dict[str, tuple[str, Group]]:
    """Of all that the pipeline rejected in sealed epochs, by name; a later epoch may have read it again."""
    if ledger is None:
        return {}
    kept = [entry.file for entry in ledger.rejects(key) if entry.status in {"kept", "superseded"}]
    return {group_name(file.node, group): (file.node, group) for file in kept for group in file.groups}


def _one(name: str, groups: Mapping[PipelineKey, Mapping[str, tuple[str, Group]]]) -> tuple[str, Group, PipelineKey]:
    having = [key for key, known in groups.items() if name in known]
    if len(having) > 1:
        raise ConfigError(
            "LED-141",
            f'several pipelines have a group "{name}" of rejects',
            detail=f"they are {', '.join(key.pipeline for key in having)}.",
            hint="name one with --pipeline",
        )
    every = {known: group for found in groups.values() for known, group in found.items()}
    node, group = chosen_group(name, every)
    return node, group, having[0]


# ---------------------------------------------------------------- discard


class Discarded(Frozen):
    """How many rows of a group were given up, by whom and why; 0 where none was open."""

    pipeline: str
    group: str
    rows: int
    by: str
    reason: str

    def to_json(self) -> dict[str, Any]:
        return {
            "pipeline": self.pipeline,
            "group": self.group,
            "rows": self.rows,
            "by": self.by,
            "reason": self.reason,
        }


def discard(
    settings: Settings, group: str, reason: str, *, pipeline: str | None = None, clock: Clock | None = None
) -> Discarded:
    """Settles the open rows of a group: they are never sent again. Their file stays, and who did it, when and why is
    remembered.

    Raises ConfigError LED-140 for a group that there is not, LED-141, LED-142 while a replay is not finished; FatalError
    LED-110 while the pipeline is being run; DataError LED-120.
    """
    by = caller()
    with project_ledger(settings) as (ledger, project):
        keys = {entry.key for entry in ledger.rejects()} if ledger is not None else set()
        groups = {key: _groups(ledger, key) for key in keys if is_called(key, pipeline)}
        node, cause, key = _one(group, groups)
        assert ledger is not None
        lease = ledger.take(key, holder_of("rejects"), duration=LEASE)
        try:
            last = ledger.last_epoch(key, lease.incarnation)
            if last is not None and last.sealed_at is None and replay_of(last.ranges) is not None:
                raise ConfigError(
                    "LED-142",
                    f'a replay of rejects of "{key.pipeline}" is not finished',
                    hint="run the pipeline, which finishes it",
                )
            done = _outcomes(
                ledger, key, node, cause, state=project.state, by=by, reason=reason, at=(clock or SystemClock()).now()
            )
            ledger.settle(lease, done)
        finally:
            ledger.release(lease)
    return Discarded(key.pipeline, group, sum(one.rows for one in done), by, reason)


def _outcomes(
    ledger: Ledger, key: PipelineKey, node: str, group: Group, *, state: Path, by: str, reason: str, at: datetime
) -> list[RejectOutcome]:
    return [
        RejectOutcome(part.file.path, *group, "discarded", part.rows, part.left_rows, part.left, by, at, reason=reason)
        for part in open_parts(ledger, key, state, node, group)
    ]
