"""``quality --advise``: rules that would have held in all runs, by what these left in the ledger and by what the sinks'
tables hold now.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from penstock.connectors.families import is_family
from penstock.document.assembly import load
from penstock.document.models import SinkUse, Transform
from penstock.service.advising import MANY, advised, advised_by_history
from penstock.service.held import Held, held
from penstock.service.ledgers import find_ledger
from penstock.service.quality import pipelines_of
from penstock.service.recalled import REMEMBERED, recalled
from penstock.service.remembering import no_run
from penstock.structs import Frozen, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.document.assembly import Loaded
    from penstock.document.models import Pipeline, SourceUse
    from penstock.service.advising import Advice
    from penstock.service.recalled import Recalled
    from penstock.service.request import Request


class Suggested(Frozen):
    """What no rule says yet, and was true of the ``rows`` that ``runs`` wrote into a sink (none where these left no figures)
    and of all that its table holds: the rows ``now``, None where they were not read; ``unread`` is why, None where nobody
    asked for them.
    """

    sink: str
    runs: int
    rows: int
    advice: tuple[Advice, ...]
    now: int | None = None
    unread: str | None = None


def suggested(
    request: Request, *, reads: bool = True, told: Callable[[str], None] = lambda _: None
) -> tuple[Suggested, ...]:
    """For each sink of which anything is known; of a document with ``tables:`` what is true of every table, by the ledger
    alone. ``reads``: whether the sinks' tables are; else no system is asked, and sinks whose runs left no figures are left
    out. ``told`` hears what is done next. Raises ConfigError LED-130 where nothing was run.
    """
    loaded = load(request.file, request.settings)
    ledger = find_ledger(loaded.project, loaded.ledger)
    if ledger is None:
        raise no_run(None)
    try:
        keys = pipelines_of(ledger, loaded)
        history = list(chain.from_iterable(ledger.history(key, limit=REMEMBERED) for key in keys))
    finally:
        ledger.close()
    found: list[Suggested] = []
    for name in loaded.pipeline.sinks:
        before = recalled(history, name)
        now = _now(request, loaded, name, told) if reads and history else None
        if before is not None or now is not None:
            found.append(_suggested(loaded.pipeline, name, before, now))
    return tuple(found)


def _now(request: Request, loaded: Loaded, sink: str, told: Callable[[str], None]) -> Held | str:
    if any(is_family(use.descriptor, use.params) for use in loaded.pipeline.sources.values()):
        return "of many tables only what their runs left is told"
    return held(request, loaded, sink, told)


def _suggested(pipeline: Pipeline, sink: str, before: Recalled | None, now: Held | str | None) -> Suggested:
    uses = tuple(_above(pipeline, sink))
    runs, rows = (before.runs, before.rows) if before is not None else (0, 0)
    if isinstance(now, Held) and now.rows >= MANY:
        known = [before] if before is not None else []
        advice = advised(now.columns, now.rows, uses=uses, is_part=False, before=known)
        return Suggested(sink, runs, rows, tuple(_taken(advice, pipeline.sinks[sink], now)), now.rows)
    advice = advised_by_history(before, uses=uses) if before is not None else ()
    if isinstance(now, Held):
        return Suggested(sink, runs, rows, advice, now.rows)
    return Suggested(sink, runs, rows, advice, unread=now)


def _taken(advice: tuple[Advice, ...], use: SinkUse, now: Held) -> Iterator[Advice]:
    """``unique`` compares the rows of an epoch before a merge looks at their keys, of which there may be several of one then
    that the table has as one: of a merge its table does not tell whether the rows that come are.
    """
    for item in advice:
        if item.rule != "unique":
            yield item
        elif str(use.params.mode) != "merge":
            yield replace(item, of_epoch=now.is_part)


def _above(pipeline: Pipeline, name: str) -> Iterator[SourceUse | Transform | SinkUse]:
    """The sink, and what it gets its rows from as long as that is one node."""
    use: SourceUse | Transform | SinkUse | None = pipeline.sinks.get(name)
    while use is not None:
        yield use
        inputs = use.inputs if isinstance(use, SinkUse | Transform) else ()
        above = inputs[0] if len(inputs) == 1 else None
        use = None if above is None else pipeline.transforms.get(above) or pipeline.sources.get(above)


__all__ = ["Suggested", "suggested"]
