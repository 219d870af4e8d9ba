"""The engine for clusters: relations run on Spark; what is read, judged and written goes through the local engine."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.engines.api import Engine, Outcome
from penstock.engines.spark.execution import Execution
from penstock.engines.spark.session import SparkSettings, open_session

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlglot import exp

    from penstock.connectors.api import Rows
    from penstock.engines.api import FirstRows, OpenWriter, Pass, Progress, RejectStore
    from penstock.graph import Graph
    from penstock.types import Schema


class SparkEngine(Engine):
    """``local`` types queries, reads sources, judges rejected rows and hands rows to sinks, so that all of it is exactly as it is
    where nothing runs on Spark; it is closed with this engine. ``scratch`` is a present, private folder that the driver
    and the executors share.
    """

    name = "spark"

    def __init__(self, local: Engine, settings: SparkSettings, scratch: Path) -> None:
        self._local, self._settings, self._scratch = local, settings, scratch
        self._running: Execution | None = None

    @property
    def local(self) -> Engine:
        return self._local

    def schema_of(self, query: exp.Query, inputs: Mapping[str, Schema]) -> Schema:
        return self._local.schema_of(query, inputs)

    def run(
        self,
        work: Pass,
        *,
        inputs: Mapping[str, Sequence[Rows]],
        outputs: Mapping[str, OpenWriter],
        rejects: RejectStore,
        progress: Progress | None = None,
    ) -> Outcome:
        if work.own:
            return self._local.run(work, inputs=inputs, outputs=outputs, rejects=rejects, progress=progress)
        session = open_session(self._settings).newSession()
        with tempfile.TemporaryDirectory(dir=self._scratch, prefix="spark-") as folder:
            run = Execution(session, self._local, work, folder=Path(folder), rejects=rejects, progress=progress)
            self._running = run
            try:
                staged = run.deliver(inputs, outputs)
            finally:
                self._running = None
                run.close()
        return Outcome(staged, run.counts)

    def sample(self, graph: Graph, node: str, inputs: Mapping[str, Sequence[Rows]], rows: int) -> FirstRows:
        return self._local.sample(graph, node, inputs, rows)

    def interrupt(self) -> None:
        self._local.interrupt()
        running = self._running
        if running is not None:
            running.interrupt()

    def close(self) -> None:
        self._local.close()
