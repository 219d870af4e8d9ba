"""The embedded engine: a pass becomes one statement per shared node and per sink, counted by DuckDB's own profile."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from penstock.engines.api import Engine, FirstRows, Outcome, Unkept
from penstock.engines.duckdb import binder, outputs
from penstock.engines.duckdb.chance import drawing, seed_of, shared_by_chance
from penstock.engines.duckdb.execution import Execution, rejected_by
from penstock.engines.duckdb.session import Session, typing_connection
from penstock.engines.duckdb.statement import cut_off_joins, measured_in_part, read_twice
from penstock.errors import InternalError
from penstock.graph.nodes import Check, Python, Sort
from penstock.structs import replace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sqlglot import exp

    from penstock.connectors.api import ColumnFigures, Rows, Staged, Writer
    from penstock.engines.api import Limits, OpenWriter, Pass, Progress, RejectStore
    from penstock.graph import Graph
    from penstock.types import Schema


class DuckDBEngine(Engine):
    """One embedded database at a time. ``readable`` are the folders that its statements may read, and write; ``project`` the
    one that the modules of Python steps are taken from.
    """

    name = "duckdb"

    def __init__(
        self, limits: Limits, scratch: Path, readable: Sequence[Path] = (), *, project: Path | None = None
    ) -> None:
        self._limits = limits
        self._scratch = scratch
        self._readable = tuple(readable)
        self._project = project
        self._session: Session | None = None
        # A new database takes long enough to be made while the document is still being looked at.
        self._opener = ThreadPoolExecutor(max_workers=1, thread_name_prefix="duckdb-typing")
        self._typing = self._opener.submit(typing_connection)

    def schema_of(self, query: exp.Query, inputs: Mapping[str, Schema]) -> Schema:
        return binder.schema_of(self._typing.result(), query, inputs)

    # ------------------------------------------------------------ running

    def run(
        self,
        work: Pass,
        *,
        inputs: Mapping[str, Sequence[Rows]],
        outputs: Mapping[str, OpenWriter],
        rejects: RejectStore,
        progress: Progress | None = None,
    ) -> Outcome:
        drawn = drawing(work.graph) if work.seed is not None else ()
        # Which thread takes which rows is left to chance: numbers are drawn in order where there is one only.
        session = self._opened(work.graph, threads=1 if drawn else self._limits.threads, ordered=work.ordered)
        run = Execution(session, work.graph, inputs, rejects, progress, careful=work.careful)
        staged: dict[str, tuple[Staged, ...]] = {}
        done: list[Writer] = []
        try:
            once = work.materialize.union(
                shared_by_chance(work.graph), drawn, cut_off_joins(work.graph), measured_in_part(work.graph)
            )
            once = once.union(name for node in work.graph.nodes if isinstance(node, Check) for name in node.beside)
            for node in work.graph.nodes:
                if isinstance(node, Python):
                    run.python(node, self._project)
                elif node.id in once:
                    run.materialize(node.id, seed=seed_of(work.seed, node.id) if work.seed is not None else None)
            for write in work.graph.writes:
                writer, handed = self._write(run, write.id, outputs[write.sink])
                done.append(writer)
                staged[write.sink] = (handed,)
            run.close()
        except BaseException:
            for writer in done:
                writer.abort()
            run.abandon()
            self._end_session()
            raise
        return Outcome(staged, run.counts)

    def _write(self, run: Execution, write: str, opened: OpenWriter) -> tuple[Writer, Staged]:
        schema = run.graph[write].schema
        if schema is None:
            raise InternalError("INT-900", f"the write {write} has no schema")

        def attempt(query: exp.Query) -> tuple[Writer, Mapping[str, ColumnFigures]]:
            writer = opened()
            try:
                return writer, outputs.deliver(run.session, query, schema, writer, run.fraction)
            except BaseException:
                writer.abort()
                raise

        def undo(done: tuple[Writer, Mapping[str, ColumnFigures]]) -> None:
            done[0].abort()

        writer, columns = run.execute(write, attempt, undo)
        run.counts[write] = replace(run.counts[write], columns=columns)
        try:
            return writer, writer.stage()
        except BaseException:
            writer.abort()
            raise

    def sample(self, graph: Graph, node: str, inputs: Mapping[str, Sequence[Rows]], rows: int) -> FirstRows:
        part = graph.only(graph.upstream(node))
        run = Execution(
            self._opened(part, threads=self._limits.threads),
            part,
            inputs,
            Unkept(),
            None,
            careful=frozenset(inputs),
            whole=False,
        )
        try:
            twice = read_twice(part)  # the first rows are a limit, too
            for item in part.nodes:
                if isinstance(item, Python):
                    run.python(item, self._project)
                elif item.id in twice:
                    run.materialize(item.id)
            return FirstRows(run.table(node, rows), rejected_by(part, run.counts))
        finally:
            run.abandon()
            self._end_session()

    def interrupt(self) -> None:
        session = self._session
        if session is not None:
            session.interrupt()

    def close(self) -> None:
        self._end_session()
        self._opener.shutdown(wait=True)
        with suppress(Exception):
            self._typing.result().close()

    def _opened(self, graph: Graph, *, threads: int, ordered: bool = False) -> Session:
        """The session of the pass before, where it is alike: a new database takes 25 ms. It keeps the order of rows only
        where that is asked for or the graph sorts, for that costs memory.
        """
        ordered = ordered or any(isinstance(node, Sort) for node in graph.nodes)
        if self._session is None or not self._session.is_alike(threads=threads, ordered=ordered):
            self._end_session()
            limits = replace(self._limits, threads=threads)
            self._session = Session(limits, self._scratch, self._readable, ordered=ordered)
        return self._session

    def _end_session(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None
