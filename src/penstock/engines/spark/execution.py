"""One walk over a graph: leaves are spooled, relations become views of Spark's, and each action ends in a spool of its own."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYetError
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, Self, TypeVar

from sqlglot import exp

from penstock.connectors.api import SOURCE_ROW
from penstock.engines.api import NodeCounts, Unkept
from penstock.engines.spark.configuration import FIXED
from penstock.engines.spark.errors import refused, translated
from penstock.engines.spark.lowering import Lowering
from penstock.engines.spark.refusal import UnportableError
from penstock.engines.spark.relations import BEFORE, EMPTY, Relations
from penstock.engines.spark.spool import SpoolWriter, rows_in, spooled
from penstock.errors import InternalError
from penstock.graph import Graph
from penstock.graph.chance import is_left_to_chance
from penstock.graph.nodes import Check, Join, Limit, Python, Query, Read, Sort, Table, Write
from penstock.structs import Frozen, replace
from penstock.trees import relation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa
    from pyspark.sql import Observation, SparkSession

    from penstock.connectors.api import Rows, Staged, Writer
    from penstock.engines.api import Engine, OpenWriter, Outcome, Pass, Progress, RejectStore
    from penstock.graph import Node
    from penstock.types import Schema

Result = TypeVar("Result")
_OUT: Final = "out"
_LOOK_S: Final = 0.05
_PATIENCE_S: Final = 5
# Every node's rows are counted where they pass: none may be left out because another side is empty, or a condition never true.
_SETTINGS: Final = {
    **FIXED,
    "spark.sql.optimizer.excludedRules": ",".join(
        f"org.apache.spark.sql.catalyst.optimizer.{rule}" for rule in ("PropagateEmptyRelation", "PruneFilters")
    ),
    "spark.sql.adaptive.optimizer.excludedRules": "org.apache.spark.sql.execution.adaptive.AQEPropagateEmptyRelation",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
}


class _Unplaced(Frozen):
    """A reject store for the rows of one node, of which nobody here can tell which row of the source they were. The spools
    that are read beside it stand for nodes whose own rejects were kept before, and are not to be cleared.
    """

    rejects: RejectStore
    node: str

    def write(self, node: str, batch: pa.RecordBatch) -> None:
        import pyarrow as pa

        if node != self.node:
            return
        for name in ("position", SOURCE_ROW[0]):
            place = batch.schema.get_field_index(name)
            if place >= 0:
                kind = batch.schema.field(place).type
                batch = batch.set_column(place, batch.schema.field(place), pa.nulls(batch.num_rows, kind))
        self.rejects.write(node, batch)

    def clear(self, node: str) -> None:
        if node == self.node:
            self.rejects.clear(node)


class Execution:
    """The state of one pass. A node is either spooled, its rows in a folder, or a view that the next action computes."""

    def __init__(
        self,
        session: SparkSession,
        local: Engine,
        work: Pass,
        *,
        folder: Path,
        rejects: RejectStore,
        progress: Progress | None,
    ) -> None:
        self.counts: dict[str, NodeCounts] = {}
        self._session, self._local, self._work = session, local, work
        self._graph, self._folder, self._rejects, self._progress = work.graph, folder, rejects, progress
        self._views: dict[str, str] = {}
        self._folders: dict[str, Path] = {}
        self._figures: dict[str, Mapping[str, int]] = {}
        self._open: dict[str, list[_Observed]] = {}  # by node: those below it that an action has to settle
        self._numbers = itertools.count()
        self._stopped = threading.Event()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spark")
        self._relations = Relations(work.graph, Lowering(local.schema_of), lambda node: self._views[node])
        self._do("opening a session", self._configure)

    def _configure(self) -> None:
        for name, value in _SETTINGS.items():
            self._session.conf.set(name, value)

    # ------------------------------------------------------------ the walk

    def deliver(
        self, inputs: Mapping[str, Sequence[Rows]], outputs: Mapping[str, OpenWriter]
    ) -> dict[str, tuple[Staged, ...]]:
        """Every node in its turn, then the sinks. On any error every writer is aborted."""
        opened: list[Writer] = []
        staged: dict[str, tuple[Staged, ...]] = {}
        try:
            read = self._graph.upstream(*(write.id for write in self._graph.writes))
            for node in self._graph.nodes:
                if node.id in read and not isinstance(node, Write):
                    self._compute(node, inputs)
            for write in self._graph.writes:
                staged |= self._hand_over(write, outputs[write.sink], opened)
        except BaseException:
            for writer in opened:
                writer.abort()
            raise
        return staged

    def _compute(self, node: Node, inputs: Mapping[str, Sequence[Rows]]) -> None:
        if isinstance(node, Read | Table):
            self._read(node, inputs[node.id])
        elif isinstance(node, Python) or (isinstance(node, Check) and self._is_local(node)):
            self._run_locally(node)
        else:
            for name in self._ended_before(node):
                self._spool(name)
            self._lower(node)
            if self._is_kept(node):
                self._spool(node.id)
            if isinstance(node, Check):
                self._settle(node)

    def _is_local(self, node: Check) -> bool:
        """Whether the local engine looks at all rows of a check: where it asks for more than what rejects a row, or in words
        that are not known to mean the same on Spark. A check alters no row, so that this moves nothing but the work.
        """
        if _needs_all(node):
            return True
        try:
            self._relations.judged(node)
        except UnportableError:
            return True
        return False

    def _ended_before(self, node: Node) -> tuple[str, ...]:
        """The nodes whose rows it may not read to their end, or reads twice: these are computed, and counted, by themselves.
        Spark orders rows after a look at a sample of them, which is a computation of its own.
        """
        if isinstance(node, Limit) and isinstance(below := self._graph[node.input], Sort):
            return (below.input,)
        if isinstance(node, Query | Limit | Check | Sort) or (
            isinstance(node, Join) and node.how in {"semi", "anti", "cross"}
        ):
            return tuple(dict.fromkeys(node.inputs))
        return ()

    def _is_kept(self, node: Node) -> bool:
        """Whether it is computed once for all that read it."""
        readers = self._graph.consumers[node.id]
        below_limit = isinstance(node, Sort) and any(isinstance(self._graph[name], Limit) for name in readers)
        return (
            len(readers) > 1
            or node.id in self._work.materialize
            or (is_left_to_chance(node) and not below_limit)
            or isinstance(node, Check)
        )

    def _lower(self, node: Node) -> None:
        try:
            lowered = self._relations.lowered(node)
        except UnportableError as error:
            raise refused(node, error.parts) from None
        observed = [item for name in node.inputs for item in self._open.get(name, [])]
        rows = lowered.rows
        if lowered.before is not None:
            figures = {key: tree.sql(dialect="spark") for key, tree in lowered.figures.items()}
            before = self._viewed(lowered.before, node, figures, observed)
            for table in [one for one in rows.find_all(exp.Table) if _is_table(one, BEFORE)]:
                table.replace(relation(before))
        is_sort = isinstance(node, Sort)
        self._views[node.id] = self._viewed(rows, node, {_OUT: "count(1)"}, observed, ordered=is_sort)
        self._open[node.id] = observed

    def _viewed(
        self,
        rows: exp.Query,
        node: Node,
        figures: Mapping[str, str],
        observed: list[_Observed],
        *,
        ordered: bool = False,
    ) -> str:
        """The name of a view of these rows, whose figures are taken by the action that computes them."""
        from pyspark.sql import Observation
        from pyspark.sql import functions as f

        name = f"penstock_{next(self._numbers)}"
        text = rows.sql(dialect="spark")

        def make() -> None:
            frame = self._session.sql(text)
            if ordered:  # in as it is out: its input is counted
                frame.createOrReplaceTempView(name)
                return
            observation = Observation(name)
            keys = list(figures)
            frame = frame.observe(observation, *[f.expr(figures[key]).alias(str(i)) for i, key in enumerate(keys)])
            frame.createOrReplaceTempView(name)
            observed.append(_Observed(node.id, name, observation, dict(figures)))

        self._do(f'computing "{node.id}"', make)
        return name

    # ------------------------------------------------------------ actions

    def _spool(self, node_id: str) -> None:
        """Computes a node into a folder, once, and settles what was counted on the way."""
        if node_id in self._folders:
            return
        folder = self._folder / f"rows-{next(self._numbers)}"
        view = self._views[node_id]

        def write() -> bool:
            with _Followed(self._session, folder.name) as followed:
                self._session.table(view).write.option("compression", "snappy").parquet(str(folder))
            return followed.is_repeated

        repeated = self._do(f'computing "{node_id}"', write)
        for item in self._open.pop(node_id, []):
            found = self._do(f'counting "{item.node}"', partial(item.figures, self._session, anew=repeated))
            self._figures[item.node] = {**self._figures.get(item.node, {}), **found}
        self._keep(node_id, folder)
        self._figures.setdefault(node_id, {_OUT: rows_in(folder)})
        if self._figures[node_id].get(_OUT) != rows_in(folder):
            counted, there = self._figures[node_id].get(_OUT), rows_in(folder)
            raise InternalError(
                "ENG-422", f'Spark counted other rows of "{node_id}" than it wrote', detail=f"{counted} and {there}"
            )
        self._count()

    def _keep(self, node_id: str, folder: Path) -> None:
        """From now on the node's rows are read from the folder."""
        name = f"penstock_{next(self._numbers)}"
        self._do(f'reading "{node_id}"', lambda: self._session.read.parquet(str(folder)).createOrReplaceTempView(name))
        self._views[node_id], self._folders[node_id], self._open[node_id] = name, folder, []

    def _count(self) -> None:
        """The counts of every node whose figures, and those of its inputs, are known by now."""
        for node in self._graph.nodes:
            if isinstance(node, Sort) and node.input in self._figures:
                self._figures.setdefault(node.id, {_OUT: self._figures[node.input][_OUT]})
            sources = (node.input,) if isinstance(node, Check) else node.inputs
            if (
                node.id in self.counts
                or node.id not in self._figures
                or any(one not in self._figures for one in sources)
            ):
                continue
            found = self._figures[node.id]
            into = {name: self._figures[name][_OUT] for name in sources}
            self.counts[node.id] = NodeCounts(
                into, found[_OUT], unmatched=_unmatched(node, into, found), empty=found.get(EMPTY, 0)
            )

    # ------------------------------------------------------------ the local engine

    def _locally(
        self,
        nodes: Sequence[Node],
        inputs: Mapping[str, Sequence[Rows]],
        outputs: Mapping[str, OpenWriter],
        rejects: RejectStore,
        *,
        ordered: bool = False,
    ) -> Outcome:
        graph = Graph(tuple(nodes))
        work = replace(self._work, graph=graph, materialize=frozenset(), ordered=ordered)
        return self._local.run(work, inputs=inputs, outputs=outputs, rejects=rejects, progress=self._progress)

    def _read(self, node: Read | Table, rows: Sequence[Rows]) -> None:
        """Parsing, bad values and malformed records are the local engine's."""
        done, folder = self._spooled_locally([node], node.id, {node.id: rows}, self._rejects)
        self._take(node.id, done, folder)

    def _run_locally(self, node: Python | Check) -> None:
        for name in node.inputs:
            self._spool(name)
        reads = [self._standing_for(name) for name in node.inputs]
        given = {name: [self._rows_of(name)] for name in node.inputs}
        done, folder = self._spooled_locally([*reads, node], node.id, given, _Unplaced(self._rejects, node.id))
        self._take(node.id, done, folder)

    def _spooled_locally(
        self, nodes: Sequence[Node], target: str, inputs: Mapping[str, Sequence[Rows]], rejects: RejectStore
    ) -> tuple[NodeCounts, Path]:
        schema = self._schema(target)
        sink = f"{target}.spool"
        folders: list[Path] = []

        def opened() -> Writer:
            folders.append(self._folder / f"rows-{next(self._numbers)}")
            return SpoolWriter(folders[-1], schema)

        write = Write(sink, input=target, sink=sink, schema=schema)
        done = self._locally([*nodes, write], inputs, {sink: opened}, rejects)
        return done.counts[target], folders[-1]

    def _take(self, node_id: str, counts: NodeCounts, folder: Path) -> None:
        self.counts[node_id] = counts
        self._figures[node_id] = {_OUT: counts.out}
        self._keep(node_id, folder)

    def _settle(self, node: Check) -> None:
        """The rows that a check refused are judged once more, by the local engine, which tells why."""
        counts = self.counts[node.id]
        lost = counts.into[node.input] - counts.out
        if not lost:
            return
        text = self._relations.rejected(node).sql(dialect="spark")
        folder = self._folder / f"rows-{next(self._numbers)}"
        self._do(f'collecting rejected rows of "{node.id}"', lambda: self._session.sql(text).write.parquet(str(folder)))
        read, write = (
            self._standing_for(node.input),
            Write(f"{node.id}.passed", input=node.id, sink=node.id, schema=node.schema),
        )
        schema = self._schema(node.id)
        done = self._locally(
            [read, node, write],
            {node.input: [spooled(folder, schema)]},
            {node.id: lambda: SpoolWriter(self._folder / f"rows-{next(self._numbers)}", schema)},
            _Unplaced(self._rejects, node.id),
        )
        judged = done.counts[node.id]
        if judged.out or judged.into[node.input] != lost:
            raise InternalError(
                "ENG-422",
                f'the engines judge the rows of "{node.id}" differently',
                at=node.at,
                detail=f"Spark rejected {lost}, of {judged.into[node.input]} the local engine let {judged.out} pass",
            )
        self.counts[node.id] = replace(counts, refused=judged.refused)

    def _hand_over(self, write: Write, opened: OpenWriter, writers: list[Writer]) -> Mapping[str, tuple[Staged, ...]]:
        self._spool(write.input)

        def remembered() -> Writer:
            writers.append(opened())
            return writers[-1]

        read = self._standing_for(write.input)
        ordered = self._work.ordered or isinstance(self._graph[write.input], Sort)
        rows = {read.id: [self._rows_of(read.id)]}
        done = self._locally([read, write], rows, {write.sink: remembered}, Unkept(), ordered=ordered)
        self.counts[write.id] = done.counts[write.id]
        return done.staged

    def _standing_for(self, node_id: str) -> Read:
        return Read(node_id, source=node_id, schema=self._schema(node_id), at=self._graph[node_id].at)

    def _rows_of(self, node_id: str) -> Rows:
        return spooled(self._folders[node_id], self._schema(node_id))

    def _schema(self, node_id: str) -> Schema:
        schema = self._graph[node_id].schema
        if schema is None:
            raise InternalError("INT-900", f"the node {node_id} has no schema")
        return schema

    # ------------------------------------------------------------ the driver

    def _do(self, doing: str, call: Callable[[], Result]) -> Result:
        """On a thread of its own, so that this one hears signals."""

        def done() -> Result:
            with translated(doing):
                return call()

        future = self._worker.submit(done)
        while True:
            if self._stopped.is_set():
                self._session.interruptAll()
            try:
                found = future.result(_LOOK_S)
            except NotYetError:
                if future.done():
                    raise
                continue
            if self._stopped.is_set():
                raise KeyboardInterrupt
            return found

    def interrupt(self) -> None:
        """From any thread, or a signal's handler: the thread that waits cancels the jobs."""
        self._stopped.set()

    def close(self) -> None:
        """Idempotent; leaves no view behind."""
        with suppress(Exception):
            for name in self._views.values():
                self._session.catalog.dropTempView(name)
        self._worker.shutdown(wait=True)


class _Followed:
    """Follows what Spark does in the block, by this thread. ``is_repeated``: parts of it were computed more than once, since a
    task failed or a machine was lost, so that what was counted on the way is too much. A session of Spark Connect does not say.
    """

    def __init__(self, session: SparkSession, name: str) -> None:
        self._context = getattr(session, "_sc", None)
        self._name = name
        self.is_repeated = False

    def __enter__(self) -> Self:
        if self._context is not None:
            self._context.setJobGroup(self._name, self._name)
        return self

    def __exit__(self, *_: object) -> None:
        if self._context is None:
            return
        tracker = self._context.statusTracker()
        jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(self._name)]
        stages = [tracker.getStageInfo(stage) for job in jobs if job is not None for stage in job.stageIds]
        self.is_repeated = any(one is not None and (one.currentAttemptId or one.numFailedTasks) for one in stages)


class _Observed(Frozen):
    """What an action tells of a node's view: its figures by name, as Spark's words for them, which it knows by their places."""

    node: str
    view: str
    observation: Observation
    asked: Mapping[str, str]

    def figures(self, session: SparkSession, *, anew: bool) -> Mapping[str, int]:
        """As the action counted them; ``anew``, and where it left them out, by another look at the view."""
        found = None if anew else self._told()
        if found is None:
            rows = session.table(self.view).selectExpr(*self.asked.values()).collect()
            found = dict(enumerate(rows[0]))
        return {key: int(found[place]) for place, key in enumerate(self.asked)}

    def _told(self) -> Mapping[int, int] | None:
        """Waits for a moment, for Spark tells them beside the action."""
        answers: list[Mapping[str, int]] = []
        asking = threading.Thread(target=lambda: answers.append(self.observation.get), daemon=True)
        asking.start()
        asking.join(_PATIENCE_S)
        if not answers or len(answers[0]) != len(self.asked):
            return None
        return {int(place): rows for place, rows in answers[0].items()}


def _is_table(tree: exp.Expr, name: str) -> bool:
    return isinstance(tree, exp.Table) and tree.name == name


def _needs_all(node: Check) -> bool:
    """Whether it looks at more than the rows that it rejects."""
    return bool(node.notes or node.table_rules or any(cause.threshold is not None for cause in node.causes))


def _unmatched(node: Node, into: Mapping[str, int], found: Mapping[str, int]) -> dict[str, int]:
    match node:
        case Join(how="semi"):
            return {node.left: into[node.left] - found[_OUT]}
        case Join(how="anti"):
            return {node.left: found[_OUT]}
        case Join(how="asof" | "asof_left"):
            return {node.left: found[node.left]}
        case Join(how="inner" | "left" | "right" | "full"):
            return {side: found[side] for side in dict.fromkeys((node.left, node.right))}
        case _:
            return {}
