"""What is no error and still is probably not meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.errors import Location, Problem
from penstock.structs import replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from penstock.document.models import Pipeline
    from penstock.graph import Graph


def warnings_of(graph: Graph, pipeline: Pipeline) -> Iterator[Problem]:
    """CMP-228 a node nobody uses, CMP-229 a full read into `append`, CMP-233 no sink."""
    if not pipeline.sinks:
        yield replace(nothing_written(pipeline), severity="warning")
    yield from _unused(graph, pipeline)
    for sink in pipeline.sinks.values():
        if sink.params.mode == "append" and sink.name in graph.by_id and _reads(graph, sink.name):
            yield Problem(
                "CMP-229",
                f'a second run appends the same rows to "{sink.name}" again',
                at=sink.at,
                detail=f"{', '.join(_reads(graph, sink.name))} is read in full each run.",
                hint=_other_modes(sink.descriptor.modes),
                severity="warning",
            )


def nothing_written(pipeline: Pipeline) -> Problem:
    """What is wrong with running a pipeline without a sink."""
    start = Location(pipeline.file, 1, 1, 2)
    return Problem(
        "CMP-233",
        f'"{pipeline.name}" writes nothing: it has no sink',
        at=start,
        hint="add one under `sinks`; `penstock preview` shows the rows of any node",
    )


def _unused(graph: Graph, pipeline: Pipeline) -> Iterator[Problem]:
    """Nothing is said without sinks, since everything is there to be previewed then; nor where a sink could not be
    built because columns are not known offline, for what it uses is not known either.
    """
    if not pipeline.sinks or len(graph.writes) < len(pipeline.sinks):
        return
    used = graph.upstream(*(write.id for write in graph.writes))
    places = {name: use.at for name, use in pipeline.sources.items()}
    places |= {name: use.at for name, use in pipeline.transforms.items()}
    for name, at in places.items():
        if graph.outputs.get(name) not in used:
            yield Problem(
                "CMP-228",
                f'nobody uses "{name}"',
                at=at,
                hint="name it under `from`, or take it out",
                severity="warning",
            )


def _other_modes(modes: Iterable[str]) -> str | None:
    """What a sink of these modes could do instead; None where it knows nothing but to append."""
    ways = {"merge": "`mode: merge` with keys", "overwrite": "`mode: overwrite`"}
    known = [words for mode, words in ways.items() if mode in modes]
    return f"use {', or '.join(known)}" if known else None


def _reads(graph: Graph, sink: str) -> list[str]:
    """Sources and sinks' tables that are read in full: nothing remembers how far they came."""
    needed = graph.upstream(sink)
    sources = [read.source for read in graph.reads if read.id in needed and not read.incremental]
    return [*sources, *(table.sink for table in graph.tables if table.id in needed)]
