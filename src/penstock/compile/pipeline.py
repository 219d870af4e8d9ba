"""Compiling a pipeline: the graph is built and typed, then walked through the passes below, in this order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.compile.build import build
from penstock.compile.guarantee import Delivery, delivery_of
from penstock.compile.labels import label
from penstock.compile.prune import prune
from penstock.compile.prune_columns import prune_columns
from penstock.compile.push_filters import push_filters
from penstock.compile.push_projection import push_projection
from penstock.compile.rewrite_queries import rewrite_queries
from penstock.compile.warnings import warnings_of
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.compile.facts import Facts
    from penstock.compile.series import Series
    from penstock.document.models import Pipeline
    from penstock.engines.api import Engine
    from penstock.errors import Problem
    from penstock.graph import Graph


class Compiled(Frozen):
    """``written`` is the graph as the document says it, for lineage and previews; ``graph`` is what runs. ``scoped`` are the
    nodes of which the document says that the rows of one epoch are meant; ``reduced`` are those among them that only give a
    merge one row per key.
    """

    pipeline: Pipeline
    written: Graph
    graph: Graph
    delivery: Delivery
    warnings: tuple[Problem, ...] = ()
    series: Series | None = None
    scoped: frozenset[str] = frozenset()
    reduced: frozenset[str] = frozenset()


# Each takes a graph and gives one that means the same.
OPTIMISING: Final[tuple[Callable[[Graph, Pipeline, Facts], Graph], ...]] = (
    prune,
    push_filters,
    prune_columns,
    push_projection,
    rewrite_queries,
)


def compile_pipeline(pipeline: Pipeline, facts: Facts, engine: Engine, *, optimise: bool = True) -> Compiled:
    """Raises ConfigError with every error of the document (codes CMP-...)."""
    built = build(pipeline, facts, engine)
    written = label(built.graph, pipeline)
    graph = written
    for change in OPTIMISING if optimise else ():
        graph = change(graph, pipeline, facts)
    found = (*built.warnings, *warnings_of(written, pipeline))
    delivery = delivery_of(pipeline, graph)
    return Compiled(pipeline, written, graph, delivery, found, built.series, built.scoped, built.reduced)
