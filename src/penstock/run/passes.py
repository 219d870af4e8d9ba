"""Walks of the engine through an epoch's graph: into the sinks, or into a file that keeps a node's rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.engines import api as engines
from penstock.errors import InternalError
from penstock.events import PassDone, PassMoved, PassStarted
from penstock.graph import Graph
from penstock.graph.aging import with_ages
from penstock.graph.chance import with_kept
from penstock.graph.history import windows_of, with_history
from penstock.graph.moment import at_moment
from penstock.graph.nodes import Check, Read, Sort, Write
from penstock.graph.span import in_ranges
from penstock.ledger.api import Account
from penstock.ledger.rejects import RejectFiles
from penstock.run import balance, once
from penstock.run.before import ages_before, history_of, is_of_news
from penstock.run.kept import KeptWriter, kept_rows, rows_of
from penstock.structs import Frozen, field

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from penstock.connectors.api import Rows, Staged, Writer
    from penstock.graph import Node
    from penstock.ledger.api import EpochRecord, KeptRows, NodeBalance, RejectFile
    from penstock.plan.stages import Pass
    from penstock.run.surroundings import Surroundings
    from penstock.types import Schema


class Passes(Frozen):
    """Those of one stage under one attempt. None has an effect before a commit: each may be done again."""

    around: Surroundings
    record: EpochRecord
    stage: Pass
    held: Mapping[str, Sequence[KeptRows]] = field(default_factory=dict)  # by node, of the earlier epochs of the series

    def to_hold(self) -> tuple[str, ...]:
        """The nodes of this stage whose rows wait for the end of the series, in graph order."""
        series, needed = self.around.plan.series, self.around.plan.graph.upstream(*self.stage.sinks)
        held = series.held.values() if series is not None else ()
        return tuple(node.id for node in self.around.plan.graph.nodes if node.id in held and node.id in needed)

    def to_keep(self, ends: Sequence[str], kept: Collection[str]) -> tuple[str, ...]:
        """The nodes that these ends need from a file which is not there yet, in graph order."""
        plan = self.around.plan
        needed = with_kept(plan.graph, kept).upstream(*ends)
        return tuple(node.id for node in plan.graph.nodes if node.id in plan.keeps & needed and node.id not in kept)

    def keep(self, node: str, kept: Mapping[str, KeptRows]) -> Account:
        """Writes the rows of one node to a file, durably. Errors as ``fill``."""
        from penstock.types.arrow import to_arrow

        feeds, record = self.around.feeds, self.record
        part, schema = self._part(kept, node), _schema(self.around.plan.graph, node)
        write = Write(f"{node}.kept", input=node, sink=node, schema=schema)
        path = feeds.folder / f"{record.number}-{record.attempt}" / f"{len(kept)}.arrow"
        done, _ = self._run(
            Graph((*part.nodes, write)),
            kept,
            outputs={node: lambda: KeptWriter(path, to_arrow(schema))},
            told=(f"{node} (kept)",),
        )
        entries = tuple(entry for entry in done.balance if entry.node != write.id)
        return Account(entries, done.rejects, {node: kept_rows(feeds.folder, path)})

    def fill(
        self, sinks: Sequence[str], kept: Mapping[str, KeptRows]
    ) -> tuple[Account, Mapping[str, Sequence[Staged]]]:
        """Stages the rows of the sinks. Raises the five error classes, FatalError RUN-120 where a row got lost."""
        around, part = self.around, self._part(kept, *sinks)
        for write in part.writes:
            with around.at_sink(write.sink):
                around.sinks[write.sink].prepare(_schema(part, write.id))
        around.faults.reached("run.prepared_sinks")
        outputs = {write.sink: self._opener(write.sink, _schema(part, write.id)) for write in part.writes}
        done = self._run(part, kept, outputs=outputs, told=sinks)
        around.faults.reached("run.staged")
        return done

    def _part(self, kept: Collection[str], *ends: str) -> Graph:
        whole = with_kept(self.around.plan.graph, kept)
        part = at_moment(whole.only(whole.upstream(*ends)), self.record.planned_at)
        part = with_ages(part, self._ages(part))
        windows = windows_of(part)
        if windows:
            history = history_of(self.around.ledger, self.around.plan.graph, self.record, windows)
            part = with_history(part, history)
        feeds, ranges = self.around.feeds, self.record.ranges
        return in_ranges(part, feeds.conditions(ranges), feeds.numbers(ranges))

    def _ages(self, part: Graph) -> Mapping[tuple[str, str], float]:
        """What is known of rules about an age, for places that no value comes to. Nothing is asked where the part has none: such a
        rule stands at the end of a series, and the answer takes the longer, the more epochs there were.
        """
        record, around = self.record, self.around
        has_rule = any(rule.aging for node in part.nodes if isinstance(node, Check) for rule in node.table_rules)
        if not has_rule or not is_of_news(record.ranges):
            return {}
        return ages_before(around.ledger, record.key, record.incarnation, around.plan.graph, record.planned_at)

    def _run(
        self,
        part: Graph,
        kept: Mapping[str, KeptRows],
        *,
        outputs: Mapping[str, engines.OpenWriter],
        told: Sequence[str],
    ) -> tuple[Account, Mapping[str, Sequence[Staged]]]:
        """Nodes that are read from what was kept of them keep the figures of the pass that computed them."""
        around, record, stage = self.around, self.record, self.stage
        whole = around.plan.graph
        seed = f"{record.incarnation}/{record.number}" if len(whole.writes) > 1 else None  # else nobody compares
        sorted_before = any(
            isinstance(whole[name], Sort) for name in whole.upstream(*(kept.keys() & part.by_id.keys()))
        )
        started = around.clock.monotonic()
        around.events.emit(PassStarted(stage.number, len(around.plan.passes), tuple(told)))
        rejects = self._reject_files(part)
        files: tuple[RejectFile, ...] = ()
        try:
            outcome = around.engine.run(
                engines.Pass(part, stage.kept & part.by_id.keys(), self._careful(part), seed, ordered=sorted_before),
                inputs={
                    **{node.id: self._rows(node, kept) for node in part.reads},
                    **{node.id: around.feeds.of_table(node) for node in part.tables},
                },
                outputs=outputs,
                rejects=rejects,
                progress=lambda fraction, rows: around.events.emit(PassMoved(stage.number, fraction, rows)),
            )
            self._recheck(part, kept)
            files = rejects.finish()
            entries = balance.account(part, outcome.counts)
            balance.check(part, entries, files, outcome.staged)
            entries, files = self._told_once(part, entries, files)
        except BaseException:
            around.ledger.abort(record, files or rejects.finish(), around.clock.now())
            raise
        own = tuple(entry for entry in entries if entry.node not in kept)
        around.events.emit(PassDone(stage.number, *balance.totals(own), around.clock.monotonic() - started))
        return Account(own, files), outcome.staged

    def _told_once(
        self, part: Graph, entries: tuple[NodeBalance, ...], files: tuple[RejectFile, ...]
    ) -> tuple[tuple[NodeBalance, ...], tuple[RejectFile, ...]]:
        """Without the records that an earlier epoch has rejected. Nothing is asked where no read that may find records again
        has rejected any now.
        """
        around = self.around
        again = {node.id for node in part.reads if node.cursor is not None}
        if not any(file.node in again for file in files):
            return entries, files
        earlier = once.before(around.ledger.rejects(around.key), part.reads, self.record)
        if not any(file.node in earlier for file in files):
            return entries, files
        return once.Once(around.engine, around.state, earlier).told(entries, files, self._reject_files(part))

    def _reject_files(self, part: Graph) -> RejectFiles:
        around, record = self.around, self.record
        return RejectFiles(
            around.state, around.key, record.number, record.attempt, labels_of(part), places=places_of(part)
        )

    def _rows(self, node: Read, kept: Mapping[str, KeptRows]) -> list[Rows]:
        feeds = self.around.feeds
        if node.id in kept:
            return [rows_of(feeds.folder, node, file) for file in (*self.held.get(node.id, ()), kept[node.id])]
        return feeds.of_read(node, self.record.ranges)

    def _recheck(self, part: Graph, kept: Collection[str]) -> None:
        for node in part.reads:
            if node.id not in kept:
                self.around.feeds.recheck(node, self.record.ranges)

    def _opener(self, name: str, schema: Schema) -> engines.OpenWriter:
        around, epoch = self.around, self.around.epoch(name, self.record)

        def opened() -> Writer:
            with around.at_sink(name):
                return around.sinks[name].writer(epoch, schema)

        return opened

    def _careful(self, part: Graph) -> frozenset[str]:
        """Reads whose last sealed epoch had malformed records start with care: trying fast first would cost more. Those with a
        cursor find again what an earlier one had.
        """
        around = self.around
        newest = around.ledger.newest_rejects(around.key)
        last = max(newest.values(), default=0)

        def had(node: Read) -> bool:
            return node.id in newest if node.cursor is not None else newest.get(node.id) == last

        return frozenset(node.id for node in part.reads if last and had(node))


def labels_of(part: Graph) -> dict[str, dict[str, frozenset[str]]]:
    """Of the columns of each node's rejects: a check's hold the source's row too, also columns that are gone."""

    def of(node: Node) -> dict[str, frozenset[str]]:
        columns = list(node.schema or ())
        if isinstance(node, Check):
            columns += [item for read in part.only(part.upstream(node.id)).reads for item in read.schema or ()]
        found: dict[str, frozenset[str]] = {}
        for column in columns:
            if column.labels:
                found[column.name] = found.get(column.name, frozenset()) | column.labels
        return found

    return {node.id: of(node) for node in part.nodes if node.schema is not None and len(node.schema.names)}


def places_of(part: Graph) -> dict[str, dict[str, str]]:
    """Where the document says what rejects rows, by node and by code of the cause."""
    return {
        node.id: {
            "": node.at.spelling,
            **{cause.code: cause.at.spelling for cause in (node.causes if isinstance(node, Check) else ()) if cause.at},
        }
        for node in part.nodes
        if node.at is not None and isinstance(node, Read | Check)
    }


def _schema(part: Graph, node_id: str) -> Schema:
    schema = part[node_id].schema
    if schema is None:
        raise InternalError("INT-900", f'"{node_id}" has no columns yet')
    return schema
