"""``quality --advise``: rules that would have held in all runs, by what these left in the ledger. No row is read."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from penstock.document.assembly import load
from penstock.document.models import SinkUse, Transform
from penstock.service.advising import advised_by_history
from penstock.service.ledgers import find_ledger
from penstock.service.quality import pipelines_of
from penstock.service.recalled import REMEMBERED, recalled
from penstock.service.remembering import no_run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.document.models import Pipeline, SourceUse
    from penstock.service.advising import Advice
    from penstock.service.request import Request


@dataclass(frozen=True, slots=True)
class Suggested:
    """What was true of the ``rows`` that ``runs`` wrote into a sink, and that no rule says yet."""

    sink: str
    runs: int
    rows: int
    advice: tuple[Advice, ...]


def suggested(request: Request) -> tuple[Suggested, ...]:
    """For each sink whose runs left figures; of a document with ``tables:`` what is true of every table. Raises ConfigError
    LED-130 where nothing was run.
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
    found = ((name, recalled(history, name)) for name in loaded.pipeline.sinks)
    return tuple(
        Suggested(name, one.runs, one.rows, advised_by_history(one, uses=tuple(_above(loaded.pipeline, name))))
        for name, one in found
        if one is not None
    )


def _above(pipeline: Pipeline, name: str) -> Iterator[SourceUse | Transform | SinkUse]:
    """The sink, and what it gets its rows from as long as that is one node."""
    use: SourceUse | Transform | SinkUse | None = pipeline.sinks.get(name)
    while use is not None:
        yield use
        inputs = use.inputs if isinstance(use, SinkUse | Transform) else ()
        above = inputs[0] if len(inputs) == 1 else None
        use = None if above is None else pipeline.transforms.get(above) or pipeline.sources.get(above)


__all__ = ["Suggested", "suggested"]
