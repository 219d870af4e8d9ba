"""Whether a load may be cut into a series of epochs (``run.epoch``), so that one which is cut off resumes where it stood.

Every epoch of a series takes the next piece of the sources that the sinks' rows come from, and the whole of all others.
So the graph must need each row of those sources by itself. A sink that would be wrong until the last piece is there gets
its rows at the end of the series: they are kept until then, at the node that stands before it (``held``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.compile.incremental import parts_of, whole
from penstock.connectors.api import Size
from penstock.errors import Problem
from penstock.graph.nodes import Check, Join, Write
from penstock.registry import Capability
from penstock.structs import Frozen, field

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from penstock.compile.facts import Facts
    from penstock.document.models import Pipeline, SinkUse
    from penstock.graph import Graph


class Series(Frozen):
    """``sources`` are cut into pieces of about ``size``; ``each`` are the sinks that every epoch fills, the others get
    theirs from the last one, those of ``held`` (the node that keeps their rows, by sink) the rows of all.
    """

    size: Size
    sources: tuple[str, ...]
    each: tuple[str, ...]
    held: Mapping[str, str] = field(default_factory=dict)


_HELD: Final = ".held"


def held_node(sink: str) -> str:
    """The id of the node before a sink that may have to wait."""
    return sink + _HELD


def is_held(node_id: str) -> bool:
    return node_id.endswith(_HELD)


def waits(use: SinkUse) -> bool:
    """Whether a sink would be wrong until it has all rows: each epoch would replace those of the one before; or, where
    nothing says which of two rows of a key is the newer, the later one would win unseen.
    """
    mode = str(use.params.mode)
    return mode.startswith("overwrite") or (mode == "merge" and use.params.order_by is None)


def series_of(graph: Graph, pipeline: Pipeline, reduced: Collection[str]) -> Series | Problem | None:
    """The series that the document asks for; the warning CMP-357 where the graph cannot be cut; None where it asks for
    none. ``reduced`` are the nodes that reduce a merge to one row per key: a later piece merges over an earlier one.
    """
    asked = pipeline.run.epoch
    if asked is None:
        return None
    driving = {name for write in graph.writes for name in _driving(graph, write.id)}
    new = {read.id: read.source for read in graph.reads if read.id in driving or read.incremental}
    parts = parts_of(graph, new)
    held = {write.sink: held_node(write.sink) for write in graph.writes if held_node(write.sink) in graph.by_id}
    waiting = _behind(graph, held.values())
    because = _obstacle(graph, new, free=waiting.union(reduced))
    if because is not None:
        return Problem(
            "CMP-357",
            f'"{pipeline.name}" is run as one epoch: {because}',
            detail="A series of epochs is for loads that need each row by itself.",
            hint="take `run.epoch` out, or compute such a step from an accumulated table",
            severity="warning",
        )
    cut = {write.sink for write in graph.writes if parts[write.id]}
    return Series(
        Size(asked.rows, asked.bytes),
        tuple(dict.fromkeys(new.values())),
        tuple(sink for sink in cut if sink not in held),
        {sink: node for sink, node in held.items() if sink in cut},
    )


def coming_whole(graph: Graph, pipeline: Pipeline, series: Series, facts: Facts) -> Iterator[Problem]:
    """CMP-360, a warning, for each source of the series that is not cut. By a cursor any is, but for one whose answers are
    kept as they came.
    """
    by_cursor = {read.source for read in graph.reads if read.cursor is not None}
    for name in series.sources:
        use = pipeline.sources[name]
        if name in by_cursor and Capability.SPOOLS not in use.descriptor.capabilities:
            continue
        why = facts.undivided(name)
        if why is not None:
            yield Problem(
                "CMP-360",
                f'"{name}" comes whole, in the first epoch of the series',
                at=use.at,
                detail=f"{why.because[0].upper()}{why.because[1:]}.",
                hint=why.hint,
                severity="warning",
            )


def _driving(graph: Graph, node_id: str) -> frozenset[str]:
    """The reads whose rows a node's rows are: of a join those of the side that the document names first."""
    node = graph[node_id]
    match node:
        case Join(left=left, right=right, how=how):
            return _driving(graph, right if how == "right" else left)
        case Check(input=source):
            return _driving(graph, source)
        case _ if not node.inputs:
            return frozenset({node_id})
        case _:
            return frozenset().union(*(_driving(graph, name) for name in node.inputs))


def _behind(graph: Graph, held: Collection[str]) -> frozenset[str]:
    """What is computed of rows that were kept: at the end, over all of them."""
    found: set[str] = set()
    for node in graph.nodes:
        if any(name in held or name in found for name in node.inputs):
            found.add(node.id)
    return frozenset(found)


def _obstacle(graph: Graph, new: Mapping[str, str], *, free: Collection[str]) -> str | None:
    parts = parts_of(graph, new)
    tables = {table.id: table.sink for table in graph.tables}
    beside = parts_of(graph, tables)
    for node in graph.nodes:
        if not parts[node.id]:
            continue
        if beside[node.id]:
            (sink, *_) = sorted(beside[node.id])
            return f'"{node.id}" reads the table of "{sink}" beside the rows that are cut'
        if isinstance(node, Write) or node.id in free:
            continue
        what = "measures all rows" if isinstance(node, Check) and node.table_rules else whole(node, parts)
        if what is not None:
            return f'"{node.id}" {what}'
    return None


__all__ = ["Series", "coming_whole", "held_node", "is_held", "series_of", "waits"]
