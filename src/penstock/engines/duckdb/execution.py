"""One walk over a graph: statements one after the other, each with its inputs opened, its counts and rejects taken."""

from __future__ import annotations

import itertools
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, TypeVar

from sqlglot import exp

from penstock.engines.api import NodeCounts
from penstock.engines.duckdb import python_step, rejected
from penstock.engines.duckdb.errors import UncertainError, translated
from penstock.engines.duckdb.inputs import Input
from penstock.engines.duckdb.lowered import Asked
from penstock.engines.duckdb.observing import Findings, Observer, failing
from penstock.engines.duckdb.origin import Carried
from penstock.engines.duckdb.profile import Profile, read_profile
from penstock.engines.duckdb.sampling import Sampler
from penstock.engines.duckdb.statement import Composer, Statement, counts_of
from penstock.engines.duckdb.suspects import suspected
from penstock.errors import ConfigError, DataError, InternalError, PenstockError
from penstock.graph.chance import is_left_to_chance
from penstock.graph.nodes import Check, Read, Table
from penstock.structs import Frozen, replace
from penstock.trees import call, create_sequence, create_table, drop_table, relation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from penstock.connectors.api import Rows
    from penstock.engines.api import Progress, RejectStore
    from penstock.engines.duckdb.lowered import Leaf
    from penstock.engines.duckdb.session import Session
    from penstock.graph import Graph
    from penstock.graph.nodes import Python

Result = TypeVar("Result")


class _Taken(Frozen):
    """What an input gave to a statement: records that became no rows, and rows by the input's own count (or None)."""

    rejected: int
    delivered: int | None


def rejected_by(graph: Graph, counts: Mapping[str, NodeCounts]) -> dict[str, int]:
    """Rows that each node refused, where it refused any: records at a source, rows at a check."""
    found = {
        name: sum(count.into.values()) - count.out if isinstance(graph[name], Check) else count.rejected
        for name, count in counts.items()
    }
    return {name: rows for name, rows in found.items() if rows}


def _unmeasured(graph: Graph) -> Graph:
    """Without rules about all rows, for who does not read all of them."""
    return graph.map(lambda node: replace(node, table_rules=()) if isinstance(node, Check) else node)


class Execution:
    """The state of one pass. ``counts`` grow as statements end; nodes that were materialized are read from tables."""

    def __init__(
        self,
        session: Session,
        graph: Graph,
        inputs: Mapping[str, Sequence[Rows]],
        rejects: RejectStore,
        progress: Progress | None,
        *,
        careful: frozenset[str] = frozenset(),
        whole: bool = True,
    ) -> None:
        """``whole``: every node is to be run to its end, its counts exact and its rejects kept. Else only as much is read
        as some rows take, and the counts are of that.
        """
        self.session = session
        self.graph = graph if whole else _unmeasured(graph)
        self.counts: dict[str, NodeCounts] = {}
        self._composer = Composer(self.graph)
        self._whole = whole
        self._rejects = rejects
        self._progress = progress
        self._tables: dict[str, str] = {}
        self._numbers = itertools.count()  # of tables: one may be begun while another is made
        self._settled_checks: set[str] = set()
        self._inputs = {
            node.id: Input(node, inputs[node.id], careful=node.id in careful)
            for node in graph.nodes
            if isinstance(node, Read | Table)
        }

    def fraction(self, percent: float) -> None:
        """What DuckDB says of the running statement: percent, negative while it does not know."""
        if self._progress is not None:
            counted = [item.rows for item in self._inputs.values() if item.rows is not None]
            self._progress(percent / 100 if percent >= 0 else None, sum(counted) if counted else None)

    # ------------------------------------------------------------ statements

    def execute(
        self,
        target: str,
        attempt: Callable[[exp.Query], Result],
        undo: Callable[[Result], None],
        carried: Carried | None = None,
    ) -> Result:
        """Runs ``attempt`` with the statement of a node's rows; with ``carried`` they carry their source's row, and it says how.
        Where a fast read met a value it cannot tell, or a malformed record, the attempt is undone and made again with care.
        """
        try:
            statement = self._opened(target, carried)
            self._start(statement.sequences)
            result, findings = self._attempted(statement, attempt, undo)
            self._inspect(target, lambda: undo(result))
            profile = self._profile()
        except DataError as error:
            self._abandon(target)
            if not self._take_care(target, by_text=isinstance(error, UncertainError)):
                self._place(error, target)
                raise suspected(error, self.graph, target) from None
            return self.execute(target, attempt, undo, carried)
        except BaseException as error:
            self._abandon(target)
            if isinstance(error, PenstockError):
                self._place(error, target)
            raise
        before = frozenset(self.counts)
        try:
            fresh = frozenset(name for name, item in self._used(target) if not item.settled)
            taken = self._close(target)
            found = read_profile(profile)
            again = self._not_run(statement, found) if self._whole else ()
            if not again:
                self._count(statement, found, taken=taken, fresh=fresh, findings=findings)
                again = self._uncertain(statement) if self._whole else ()
            if not again:
                if self._whole:
                    self._take_rejects(statement)  # first: what was rejected is kept also where a rule fails the run
                    self._judge(statement)
                return result
        except BaseException:
            undo(result)
            raise
        undo(result)
        for name in self.counts.keys() - before:
            del self.counts[name]
        for name in again:
            self.materialize(name)
        return self.execute(target, attempt, undo, carried)

    def _attempted(
        self, statement: Statement, attempt: Callable[[exp.Query], Result], undo: Callable[[Result], None]
    ) -> tuple[Result, Mapping[str, Findings]]:
        """What the attempt gave, and by check what was found on the way."""
        with ExitStack() as open_ones:
            observers: dict[str, Observer] = {}
            samplers: dict[str, Sampler] = {}
            for name, function in statement.sampled.items():
                node = self.graph[name]
                if isinstance(node, Check):
                    samplers[name] = Sampler(self.session, node, function)
                    open_ones.callback(samplers[name].close)
            for name, function in statement.observed.items():
                node = self.graph[name]
                if isinstance(node, Check):
                    others = {other: exp.select("*").from_(relation(self._tables[other])) for other in node.beside}
                    labelled = [
                        other for other in node.beside if any(item.labels for item in self.graph[other].schema or ())
                    ]
                    observers[name] = Observer(self.session, node, function, others, labelled)
                    open_ones.callback(observers[name].close)
            result = attempt(statement.query)
            try:
                findings = {name: observer.findings() for name, observer in observers.items()}
            except BaseException:
                undo(result)
                raise
            for name, sampler in samplers.items():
                findings[name] = replace(findings.get(name, Findings()), samples=sampler.found())
            return result, findings

    def _not_run(self, statement: Statement, found: Profile) -> tuple[str, ...]:
        """Nodes that the statement left out, since a query does not read them or the planner proved what they lead to
        empty: their rows have to be read all the same, to be counted and looked at.
        """
        return tuple(
            name
            for name, counted in statement.counted.items()
            if name != statement.target and name not in self._tables and not found.rows.keys() >= set(counted.tags)
        )

    def _uncertain(self, statement: Statement) -> tuple[str, ...]:
        """Nodes left to chance below a check that rejected rows: asked once more for the rejected rows they could give
        others than those that were passed on.
        """
        checks = [name for name in statement.nodes if self._rejected_some(name)]
        below = self.graph.upstream(*checks)
        return tuple(
            name
            for name in statement.nodes
            if name in below and name not in self._tables and is_left_to_chance(self.graph[name])
        )

    def _rejected_some(self, name: str) -> bool:
        node = self.graph[name]
        if not isinstance(node, Check) or name in self._settled_checks or name in self._tables:
            return False
        return self.counts[name].into[node.input] > self.counts[name].out

    def _opened(self, target: str, carried: Carried | None) -> Statement:
        for _, item in self._used(target):
            if not item.settled:  # an earlier statement stopped before its end, and took some of its rejects
                self._rejects.clear(item.node.id)
        origin = carried.looked_up(self.graph, target, self._tables) if carried is not None else None
        located = {origin.read: origin.place} if origin is not None else {}
        with translated("opening the inputs"):
            opened = {
                name: item.open(self.session, self._keep(item), position=located.get(name))
                for name, item in self._used(target)
            }
        if origin is None:
            asked = Asked(
                target, self.graph.nodes, dict(self._tables), {name: leaf.form for name, leaf in opened.items()}
            )
            return self.session.lowered.statement(
                asked, lambda: self._composer.statement(target, self._leaves(opened), self._tables)
            )
        leaves = self._leaves(opened)
        if origin.begins in leaves:
            leaves[origin.begins] = origin.leaf(leaves[origin.begins])
        return replace(self._composer, graph=origin.graph).statement(target, leaves, self._tables)

    def _used(self, target: str) -> list[tuple[str, Input]]:
        """The inputs that a statement for this node reads."""
        needed = self._composer.needed(target, self._tables.keys() | self._inputs.keys())
        return [(name, self._inputs[name]) for name in needed if name in self._inputs and name not in self._tables]

    def _inspect(self, target: str, undo: Callable[[], None]) -> None:
        """Undoes an attempt that did not have all of its files."""
        try:
            for _, item in self._used(target):
                item.inspect()
        except BaseException:
            undo()
            raise

    def _leaves(self, opened: Mapping[str, Leaf]) -> dict[str, exp.Query]:
        tables = {name: exp.select("*").from_(relation(table)) for name, table in self._tables.items()}
        return {name: leaf.query() for name, leaf in opened.items()} | tables

    def _keep(self, item: Input) -> Callable[[pa.RecordBatch], int]:
        def keep(batch: pa.RecordBatch) -> int:
            if not item.settled and batch.num_rows:
                self._rejects.write(item.node.id, batch)
            return int(batch.num_rows)

        return keep

    def _abandon(self, target: str) -> None:
        """A producer's own error is the cause of what the engine said, and is raised instead."""
        causes: list[PenstockError] = []
        for _, item in self._used(target):
            try:
                item.abandon()
            except PenstockError as error:
                causes.append(error.placed(item.node.at, item.node.places))
        if causes:
            raise causes[0] from None

    def _place(self, error: PenstockError, target: str) -> None:
        """What the engine says of a file stands at the source that the file is of."""
        for _, item in self._used(target):
            if any(item.reads_of(problem.detail or "") for problem in error.problems):
                error.placed(item.node.at, item.node.places)

    def _take_care(self, target: str, *, by_text: bool) -> bool:
        """Whether there is an input that could be read with more care, and from now on is."""
        eased = [item for _, item in self._used(target) if item.can_be_eased]
        self._close_quietly(eased)
        for item in eased:
            item.ease(by_text=by_text)
        for _, item in self._used(target):
            if not item.settled:
                self._rejects.clear(item.node.id)
        return bool(eased)

    def _close_quietly(self, items: Sequence[Input]) -> None:
        for item in items:
            with suppress(PenstockError):
                item.abandon()

    def _close(self, target: str) -> dict[str, _Taken]:
        found: dict[str, _Taken] = {}
        for name, item in self._used(target):
            with translated("collecting malformed records"):
                ended, delivered = item.at_end, item.delivered
                found[name] = _Taken(item.close(), delivered)
            item.settled = item.settled or ended
        return found

    def _profile(self) -> str:
        return self.session.do(self.session.profile)

    def _count(
        self,
        statement: Statement,
        profile: Profile,
        *,
        taken: Mapping[str, _Taken],
        fresh: frozenset[str],
        findings: Mapping[str, Findings],
    ) -> None:
        counts = counts_of(statement, self.graph, self._rows(statement, profile))
        for name, found in counts.items():
            if name in self._tables:
                continue
            if name in findings:
                said = findings[name]
                found = replace(  # noqa: PLW2901 -- the same count
                    found, measured=said.measured, broken=said.broken, samples=said.samples
                )
            if name in taken:
                lost, delivered = taken[name].rejected, taken[name].delivered
                records = lost + (found.out if delivered is None else delivered)
                found = replace(found, into={name: records}, rejected=lost)  # noqa: PLW2901 -- the same count
            before = self.counts.get(name)
            # A limit stops what it reads, so a node that two statements run may have passed fewer rows in one of them;
            # rejected records are those of the last one that was not settled yet.
            if before is None or before.out < found.out or (name in fresh and before.rejected + found.rejected):
                self.counts[name] = found

    def _rows(self, statement: Statement, found: Profile) -> dict[str, int]:
        """Rows by tag. What was not run is a table, whose rows were counted before, or the target itself, proved empty."""
        rows = {**found.rows, **self._drawn(statement.sequences)}
        for name, counted in statement.counted.items():
            missing = [tag for tag in counted.tags if tag not in rows]
            if missing and self._whole and name not in self._tables and not found.is_pruned:
                raise InternalError("INT-900", f"the engine's profile does not count {', '.join(missing)}")
            rows |= dict.fromkeys(missing, 0)
            if name in self._tables and counted.out in missing:
                rows[counted.out] = self.counts[name].out
        return rows

    def _start(self, sequences: Sequence[str]) -> None:
        for name in sequences:
            self._run(create_sequence(name))

    def _drawn(self, sequences: Sequence[str]) -> dict[str, int]:
        """How many numbers each has given since it was made."""
        if not sequences:
            return {}
        query = exp.select("sequence_name", "last_value").from_(call("duckdb_sequences"))
        text = query.sql(dialect="duckdb")
        found = dict(self.session.do(lambda: self.session.connection.execute(text).fetchall()))
        return {name: found[name] or 0 for name in sequences}

    def _judge(self, statement: Statement) -> None:
        """What rows violate that pass. Raises DataError ENG-314, ENG-315."""
        for name in statement.nodes:
            node = self.graph[name]
            if isinstance(node, Check) and (node.notes or node.table_rules) and name not in self._tables:
                counts = self.counts[name]
                many = rejected.exceeded(node, node.notes, counts.noted, into=counts.into[node.input])
                problems = (*many, *failing(node, counts.broken))
                if problems:
                    raise DataError.of(problems)

    def _take_rejects(self, statement: Statement) -> None:
        for name in statement.nodes:
            node = self.graph[name]
            if isinstance(node, Check) and self._rejected_some(name):
                self._settled_checks.add(name)
                self._rejected_by(node)

    def _rejected_by(self, node: Check) -> None:
        """A second statement, over the same inputs, for the rows that did not pass. It reads all of them, also where the
        first one could stop early, so the check's counts are those of this one.
        """
        store = rejected.Store(self._rejects, node)
        carried = Carried()

        def fill(query: exp.Query) -> int:
            self._rejects.clear(node.id)
            with translated("collecting rejected rows"):
                text = rejected.rows_of(node, query, carried.origin)
                return self.session.do(lambda: store.fill(self.session, text), self.fraction)

        kept = self.execute(node.input, fill, lambda _: self._rejects.clear(node.id), carried)
        into = self.counts[node.input].out
        self.counts[node.id] = replace(
            self.counts[node.id], into={node.input: into}, out=into - kept, refused=dict(store.by_rule)
        )
        store.judge(into)

    # ------------------------------------------------------------ tables

    def materialize(self, node_id: str, *, seed: float | None = None) -> None:
        """Computes a node once into a table that later statements read; DuckDB spills it where memory is short.
        What it draws at random comes from ``seed`` (0 to 1).
        """
        if node_id in self._tables:
            return
        table = f"penstock_{next(self._numbers)}"

        def create(query: exp.Query) -> None:
            with translated(f'computing "{node_id}"'):
                if seed is not None:
                    self._run(exp.select(call("setseed", exp.Literal.number(seed))))
                self._run(create_table(table, query))

        def drop(_: None) -> None:
            self._run(drop_table(table))

        self.execute(node_id, create, drop)
        self._tables[node_id] = table

    def python(self, node: Python, folder: Path | None) -> None:
        """Its input is computed first, then streamed through the function, of a module in ``folder``, into a table."""
        if folder is None:
            raise ConfigError("CMP-264", "a python step needs a project's folder to take its module from", at=node.at)
        self.materialize(node.input)
        table = f"penstock_{next(self._numbers)}"
        into, out = python_step.run(self.session, node, self._tables[node.input], table, folder)
        self._tables[node.id] = table
        self.counts[node.id] = NodeCounts({node.input: into}, out)

    def table(self, node_id: str, rows: int) -> pa.Table:
        """The first rows of a node."""

        def fetch(query: exp.Query) -> pa.Table:
            limited = exp.select("*").from_(query.subquery("rows", copy=False), copy=False).limit(rows, copy=False)
            with translated(f'reading "{node_id}"'):
                text = limited.sql(dialect="duckdb")
                return self.session.do(lambda: self.session.connection.sql(text).to_arrow_table(), self.fraction)

        return self.execute(node_id, fetch, lambda _: None)

    def _run(self, tree: exp.Expr) -> None:
        text = tree.sql(dialect="duckdb")
        self.session.do(lambda: self.session.connection.execute(text), self.fraction)

    def close(self) -> None:
        """The end of a pass that came to its end: the session is as it was before."""
        self.abandon()
        for table in self._tables.values():
            self._run(drop_table(table))

    def abandon(self) -> None:
        """The end of any pass; what it made goes with its session."""
        self._close_quietly(list(self._inputs.values()))
