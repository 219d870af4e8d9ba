"""Leaves out what no sink needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.compile.facts import Facts
    from penstock.document.models import Pipeline
    from penstock.graph import Graph


def prune(graph: Graph, _pipeline: Pipeline, _facts: Facts) -> Graph:
    """The nodes upstream of the sinks. A document without sinks keeps all of them: it is there to be previewed."""
    writes = [write.id for write in graph.writes]
    return graph.only(graph.upstream(*writes)) if writes else graph
