"""One test of a pipeline: its rows through the engine, over the graph as the document says it. No system is asked and
nothing is written.
"""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from penstock.compile.facts import Facts, FactsNeededError
from penstock.compile.literal_rows import given_rows
from penstock.compile.pipeline import compile_pipeline
from penstock.compile.scope import unknown_node
from penstock.engines.api import Pass, Unkept
from penstock.errors import ConfigError, InternalError, Problem
from penstock.graph import Graph
from penstock.graph.moment import at_moment
from penstock.graph.nodes import Write
from penstock.service.expecting import Wanted, rejecting_of
from penstock.service.given import MemoryWriter, self_contained, without_ends
from penstock.steps.collect import together as collected
from penstock.structs import Frozen, field
from penstock.types.arrow import to_arrow

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    import pyarrow as pa

    from penstock.compile.facts import DistinctRequest
    from penstock.document.models import Pipeline, PipelineTest
    from penstock.engines.api import Engine, NodeCounts
    from penstock.graph import Node
    from penstock.graph.nodes import Query
    from penstock.service.differing import Difference
    from penstock.types import Schema

_ROUNDS: Final = 100  # of first reads; each answers at least one step


class Outcome(Frozen):
    """What came of a test: how it differs from what is expected, the figures of the nodes that it ran, by id, and the rows
    of the further nodes that were asked for, by the id of what they are about.
    """

    differences: tuple[Difference, ...]
    counts: Mapping[str, NodeCounts] = field(default_factory=dict)
    asked: Mapping[str, pa.Table] = field(default_factory=dict)


class Rehearsal(Frozen):
    """Runs one test over a pipeline. ``schemas`` are those of the sources; ``now`` stands where the test names no moment."""

    engine: Engine
    pipeline: Pipeline
    schemas: Mapping[str, Schema]
    test: PipelineTest
    now: datetime

    def graph(self) -> Graph:
        """The compiled pipeline over the test's rows, whose values a pivot may ask for.

        Raises ConfigError with what is wrong with the pipeline, and with what the test gives: CMP-201 (no such node),
        CMP-380 (a node that takes no rows), CMP-203, CMP-258, CMP-381 (its columns and values).
        """
        self._check_given()
        given = {name: self._given(name, schema) for name, schema in self.schemas.items()}
        facts = Facts(sources=self.schemas)
        for _ in range(_ROUNDS):
            try:
                written = compile_pipeline(self.pipeline, facts, self.engine, optimise=False).written
            except FactsNeededError as needed:
                facts = facts.with_values({item.key: self._values(item, given) for item in needed.requests})
                continue
            for table in written.tables:
                if table.sink in self.test.given and table.schema is not None:
                    given[table.sink] = self._given(table.sink, table.schema)
            return self_contained(written, given)
        raise InternalError("INT-900", "a first read answered nothing")

    def outcome(self, graph: Graph, asked: Mapping[str, Node] = MappingProxyType({})) -> Outcome:
        """``graph`` is this test's; ``asked`` are further nodes over its nodes, by the id of the node that they are about:
        where the test needs that, their rows are in the outcome.

        Raises ConfigError with what is wrong with what the test expects (CMP-201, CMP-203, CMP-258, CMP-382), and
        whatever running raises.
        """
        with collected() as part:
            wanted = []
            for name, expectation in self.test.expect.items():
                with part():
                    wanted.append(Wanted.of(name, expectation, graph))
        rejecting = rejecting_of(graph, wanted)
        needed = graph.upstream(*(item.node for item in wanted), *(item.check.id for item in rejecting))
        kept = [node for item in wanted for node in item.nodes] + [item.rows for item in rejecting]
        kept += [node for name, node in asked.items() if name in needed]
        whole = Graph((*without_ends(graph).nodes, *(item.marks for item in rejecting), *kept))
        tables, counts = self._run(whole, [*(item.node for item in wanted), *(node.id for node in kept)])
        differences = [one for item in wanted for one in item.differences(tables, rejecting)]
        told = [item for item in rejecting if not any(one.owns(item.check.id) for one in wanted)]
        differences += [one for item in told for one in item.failures(tables)]
        return Outcome(
            tuple(differences), counts, {name: tables[node.id] for name, node in asked.items() if name in needed}
        )

    # ------------------------------------------------------------ rows

    def _check_given(self) -> None:
        known = (*self.pipeline.sources, *self.pipeline.sinks)
        problems = []
        for name, given in self.test.given.items():
            if name in self.pipeline.transforms:
                hint = "rows are given to sources, and to sinks whose tables are read"
                problems.append(
                    Problem("CMP-380", f'"{name}" takes no rows: it is a transform', at=given.at, hint=hint)
                )
            elif name not in known:
                problems.extend(unknown_node(name, known, at=given.at).problems)
        if problems:
            raise ConfigError.of(problems)

    def _given(self, name: str, schema: Schema) -> Query:
        given = self.test.given.get(name)
        return given_rows(given.rows if given is not None else (), schema, owner=name)

    def _values(self, request: DistinctRequest, given: Mapping[str, Query]) -> list[str | None]:
        found = self.engine.sample(self_contained(request.graph, given), request.node, {}, request.rows)
        return [value.as_py() for value in found.table.column("value")]

    def _run(self, whole: Graph, kept: Collection[str]) -> tuple[Mapping[str, pa.Table], Mapping[str, NodeCounts]]:
        """The rows of these nodes, and the figures of all nodes that it takes."""
        nodes = [whole[name] for name in dict.fromkeys(kept)]
        writes = [Write(f"{node.id}:kept", input=node.id, sink=node.id, schema=node.schema) for node in nodes]
        graph = Graph((*whole.nodes, *writes))
        part = at_moment(graph.only(graph.upstream(*(write.id for write in writes))), self.test.moment or self.now)
        writers = {node.id: MemoryWriter(to_arrow(node.schema)) for node in nodes if node.schema is not None}
        outcome = self.engine.run(
            Pass(part, seed=self.test.name, ordered=True),
            inputs={},
            outputs={name: partial(_again, writer) for name, writer in writers.items()},
            rejects=Unkept(),
        )
        return {name: writer.table for name, writer in writers.items()}, outcome.counts


def _again(writer: MemoryWriter) -> MemoryWriter:
    """The writer with nothing in it."""
    writer.abort()
    return writer
