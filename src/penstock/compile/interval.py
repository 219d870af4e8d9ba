"""An interval of its cursors that a run reads again (``run --from/--to``): whether the pipeline takes it."""

from __future__ import annotations

from decimal import Decimal as Number
from decimal import InvalidOperation
from typing import TYPE_CHECKING, Final

from penstock.compile.incremental import parts_of
from penstock.errors import ConfigError, Problem
from penstock.steps.literals import literal_of
from penstock.types.families import Family, family

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.document.models import Pipeline
    from penstock.graph import Graph
    from penstock.graph.nodes import Read
    from penstock.graph.span import Interval

_TAKES_AGAIN: Final = frozenset({"merge", "overwrite_partitions"})


def check_interval(interval: Interval, graph: Graph, pipeline: Pipeline) -> None:
    """Raises ConfigError RUN-132 where no source has a cursor, RUN-133 where a sink would have rows twice, RUN-134 where an
    end is no value of a cursor.
    """
    problems = tuple(_problems(interval, graph, pipeline))
    if problems:
        raise ConfigError.of(problems)


def _problems(interval: Interval, graph: Graph, pipeline: Pipeline) -> Iterator[Problem]:
    reads = {read.id: read for read in graph.reads if read.cursor is not None}
    if not reads:
        yield Problem(
            "RUN-132",
            f'no source of "{pipeline.name}" has a cursor',
            detail="--from and --to are values of one.",
            hint="run it without them; or give a source `incremental: {cursor: …}`",
        )
        return
    for read in reads.values():
        yield from (_no_value(text, read) for text in (interval.begin, interval.end) if text and not _fits(text, read))
    parts = parts_of(graph, {read.id: read.source for read in reads.values()})
    for write in graph.writes:
        use = pipeline.sinks[write.sink]
        if parts[write.id] and str(use.params.mode) not in _TAKES_AGAIN:
            yield Problem(
                "RUN-133",
                f'"{write.sink}" would have the rows between --from and --to twice',
                at=use.places.get("mode", use.at),
                hint="merge them by their keys (`mode: merge`), or replace their partitions (`mode: overwrite_partitions`)",
            )


def _fits(text: str, read: Read) -> bool:
    assert read.cursor is not None
    assert read.schema is not None
    kind = read.schema[read.cursor.by].type
    if family(kind) is Family.NUMBER:
        try:
            return Number(text).is_finite()
        except InvalidOperation:
            return False
    return literal_of(text, kind) is not None


def _no_value(text: str, read: Read) -> Problem:
    assert read.cursor is not None
    assert read.schema is not None
    kind = read.schema[read.cursor.by].type
    return Problem(
        "RUN-134",
        f'"{text}" is no value of the cursor "{read.cursor.by}" of "{read.source}", which is {kind}',
        hint="--from is the first value that is read, --to the first that is not",
    )


__all__ = ["check_interval"]
