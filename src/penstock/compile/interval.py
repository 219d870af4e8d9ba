"""An interval of its cursors that a run reads again (``run --from/--to``): whether the pipeline takes it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal as Number
from decimal import InvalidOperation
from typing import TYPE_CHECKING, Final

from penstock.compile.incremental import parts_of
from penstock.errors import ConfigError, Problem
from penstock.steps.literals import literal_of
from penstock.types.families import Family, family

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from penstock.document.models import Pipeline
    from penstock.graph import Graph
    from penstock.graph.nodes import Read
    from penstock.graph.span import Interval

_TAKES_AGAIN: Final = frozenset({"merge", "overwrite_partitions"})


def check_interval(interval: Interval, graph: Graph, pipeline: Pipeline) -> None:
    """Raises ConfigError RUN-132 where no source has a cursor, RUN-133 where a sink would have rows twice, RUN-134 where an
    end is no value of a cursor, CLI-290 where nothing can lie between the ends.
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
        ends = [text for text in (interval.begin, interval.end) if text is not None]
        unfit = [text for text in ends if not _fits(text, read)]
        yield from (_no_value(text, read) for text in unfit)
        if not unfit and _is_empty(interval, read):
            yield _nothing_between(interval, read)
    parts = _of_cursors(graph)
    for write in graph.writes:
        use = pipeline.sinks[write.sink]
        if parts[write.id] and str(use.params.mode) not in _TAKES_AGAIN:
            yield Problem(
                "RUN-133",
                f'"{write.sink}" would have the rows between --from and --to twice',
                at=use.places.get("mode", use.at),
                hint="merge them by their keys (`mode: merge`); where the interval has whole partitions, replace these "
                "(`mode: overwrite_partitions`, `scope: epoch`)",
            )


def replaced_by(interval: Interval, graph: Graph, pipeline: Pipeline) -> Iterator[Problem]:
    """CMP-362, a warning, for each sink whose partitions the rows of the interval replace: nothing shows whether the
    interval begins and ends where partitions do.
    """
    parts = _of_cursors(graph)
    for write in graph.writes:
        use = pipeline.sinks[write.sink]
        if parts[write.id] and str(use.params.mode) == "overwrite_partitions":
            yield Problem(
                "CMP-362",
                f'partitions of "{write.sink}" are replaced by the rows {_between(interval)} alone',
                at=use.places.get("mode", use.at),
                detail="Their rows outside of it are gone.",
                hint="begin and end the interval where partitions do",
                severity="warning",
            )


def _between(interval: Interval) -> str:
    ends = (f"from {interval.begin} on" if interval.begin else "", f"before {interval.end}" if interval.end else "")
    return " and ".join(filter(None, ends))


def _of_cursors(graph: Graph) -> Mapping[str, frozenset[str]]:
    """By node, of which sources with a cursor it has rows."""
    return parts_of(graph, {read.id: read.source for read in graph.reads if read.cursor is not None})


def _fits(text: str, read: Read) -> bool:
    """An empty text is nothing that anybody means: a variable of a shell that is not set."""
    assert read.cursor is not None
    assert read.schema is not None
    kind = read.schema[read.cursor.by].type
    if not text:
        return False
    if family(kind) is Family.NUMBER:
        try:
            return Number(text).is_finite()
        except InvalidOperation:
            return False
    return literal_of(text, kind) is not None


def _is_empty(interval: Interval, read: Read) -> bool:
    """Whether no value can lie in it, as far as that shows without the engine."""
    if interval.begin is None or interval.end is None:
        return False
    assert read.cursor is not None
    assert read.schema is not None
    match family(read.schema[read.cursor.by].type):
        case Family.NUMBER:
            return Number(interval.begin) >= Number(interval.end)
        case Family.TEXT:
            return interval.begin >= interval.end
        case _:
            begin, end = _moment(interval.begin), _moment(interval.end)
            return begin is not None and end is not None and begin >= end


def _moment(text: str) -> datetime | None:
    """None of what is no time, or one that Python does not know."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _nothing_between(interval: Interval, read: Read) -> Problem:
    assert read.cursor is not None
    return Problem(
        "CLI-290",
        f'no value of the cursor "{read.cursor.by}" lies between --from {interval.begin} and --to {interval.end}',
        hint="--from is the first value that is read, --to the first that is not",
    )


def _no_value(text: str, read: Read) -> Problem:
    assert read.cursor is not None
    assert read.schema is not None
    kind = read.schema[read.cursor.by].type
    return Problem(
        "RUN-134",
        f'"{text}" is no value of the cursor "{read.cursor.by}" of "{read.source}", which is {kind}',
        hint="--from is the first value that is read, --to the first that is not",
    )


__all__ = ["check_interval", "replaced_by"]
