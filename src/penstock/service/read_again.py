"""Files that are read again into sinks that append: their rows are there twice, or some of them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from penstock.compile.incremental import appending
from penstock.errors import Problem
from penstock.run.series import own_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from penstock.connectors.api import Position, Source
    from penstock.document.models import Pipeline
    from penstock.graph import Graph


def warnings_of_repeats(
    graph: Graph,
    pipeline: Pipeline,
    sources: Mapping[str, Source],
    ranges: Iterable[tuple[str, Position | None, Position | None]],
) -> Iterator[Problem]:
    """SRC-115 for each source and sink of such files in these ``ranges`` (source, after, upto); of one whose end is not known
    yet nothing is.
    """
    files: Counter[str] = Counter()
    for name, after, upto in ranges:
        if name in sources and after is not None and upto is not None:  # rows that are replayed come from none
            files[name] += sources[name].read_again(own_of(after), own_of(upto))
    for name in +files:
        many = "1 file" if files[name] == 1 else f"{files[name]:,} files"
        use = pipeline.sources[name]
        for sink in appending(graph, pipeline, name):
            yield Problem(
                "SRC-115",
                f'"{sink}" appends rows of "{name}" that it has already: {many} changed, and read again',
                at=use.places.get("incremental", use.at),
                detail="A file that has changed since it was read is read again as a whole.",
                hint="`incremental: {files: {on_change: fail}}`, or `ignore`, or a sink that merges (`mode: merge`) by keys",
                severity="warning",
            )


__all__ = ["warnings_of_repeats"]
