"""A pipeline opened up to the moment where its run begins, so that a test can put something faulty in its way.

Every fault wraps the real thing: an engine that loses a row, a sink whose receipt is wrong, a store that keeps nothing.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from penstock.document.assembly import Settings
from penstock.engines.api import Engine, NodeCounts, Outcome, Pass
from penstock.events import Events
from penstock.faults.points import Faults
from penstock.graph import Graph
from penstock.graph.nodes import Filter, Query, Union
from penstock.ledger.api import RunRecord, RunStatus
from penstock.run.runner import run
from penstock.service.opening import opened
from penstock.service.request import Request
from penstock.service.running import _Begun, _surroundings
from penstock.structs import replace
from penstock.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from penstock.connectors.api import Sink
    from penstock.graph import Node
    from penstock.run.runner import Done
    from penstock.run.surroundings import Surroundings


@contextmanager
def begun(file: Path, *, clock: FakeClock | None = None, faults: Faults | None = None) -> Iterator[Surroundings]:
    """All that a run of the file would touch."""
    clock, faults = clock or FakeClock(), faults or Faults()
    with opened(Request(file, Settings(dict(os.environ)), clock, faults.reached)) as found:
        found.connect()
        compiled, plan = found.plan()
        record = RunRecord("a-run", found.key, RunStatus.RUNNING, clock.now())
        yield _surroundings(_Begun(found, compiled, plan, record, Events(level="error"), faults))


def with_engine(around: Surroundings, engine: Engine) -> Surroundings:
    return replace(around, engine=engine, feeds=replace(around.feeds, engine=engine))


def with_sink(around: Surroundings, name: str, change: Callable[[Sink], Any]) -> Surroundings:
    return replace(around, sinks={**around.sinks, name: change(around.sinks[name])})


def go(around: Surroundings, holder: str = "me") -> Done:
    return run(around, holder)


def epochs(folder: Path) -> list[tuple[int, str]]:
    """Number and status of every epoch in the ledger, oldest first."""
    with closing(sqlite3.connect(folder / ".penstock" / "ledger.db")) as connection:
        return connection.execute("select number, status from epochs order by number, rowid").fetchall()


def is_sealed(folder: Path) -> bool:
    return any(status == "sealed" for _, status in epochs(folder))


class Wrapped(Engine):
    """An engine that does what the real one does."""

    def __init__(self, inner: Engine) -> None:
        self.inner = inner
        self.name = inner.name

    def schema_of(self, *given: Any) -> Any:
        return self.inner.schema_of(*given)

    def run(self, work: Pass, **given: Any) -> Outcome:
        return self.inner.run(work, **given)

    def sample(self, *given: Any) -> Any:
        return self.inner.sample(*given)

    def interrupt(self) -> None:
        self.inner.interrupt()

    def close(self) -> None:
        self.inner.close()


class LosesARow(Wrapped):
    """One row gets lost on its way into the node ``into`` from its input ``source``."""

    def __init__(self, inner: Engine, source: str, into: str, lost: Any) -> None:
        super().__init__(inner)
        self.source, self.into, self.lost = source, into, lost

    def run(self, work: Pass, **given: Any) -> Outcome:
        if self.into not in work.graph.by_id:
            return self.inner.run(work, **given)
        outcome = self.inner.run(replace(work, graph=self._holed(work.graph)), **given)
        counts = dict(outcome.counts)
        arrived = counts.pop("a hole").out
        own = counts[self.into]
        into = {(self.source if name == "a hole" else name): rows for name, rows in own.into.items()}
        counts[self.into] = NodeCounts(into | {self.source: arrived}, own.out, own.unmatched, own.empty, own.rejected)
        return Outcome(outcome.staged, counts)

    def _holed(self, graph: Graph) -> Graph:
        hole = Filter("a hole", input=self.source, condition=self.lost, schema=graph[self.source].schema)
        nodes: list[Node] = []
        for node in graph.nodes:
            nodes += [hole, self._rewired(node)] if node.id == self.into else [node]
        return Graph(tuple(nodes), graph.outputs)

    def _rewired(self, node: Node) -> Node:
        if isinstance(node, Query):
            tables = {name: "a hole" if table == self.source else table for name, table in node.tables.items()}
            return replace(node, tables=tables)
        if isinstance(node, Union):
            members = tuple("a hole" if name == self.source else name for name in node.members)
            return replace(node, members=members)
        names = {"input", "left", "right"} & set(node.__struct_fields__)
        return replace(node, **{name: "a hole" for name in names if getattr(node, name) == self.source})


class Around:
    """Passes everything on to the thing inside; a subclass changes what it must."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)
