"""``schema accept``: the columns that undeclared sources have now become what the next runs hold them to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.errors import PenstockError
from penstock.run.heartbeat import LEASE
from penstock.service.families import parts
from penstock.service.holders import holder_of
from penstock.service.opening import opened
from penstock.structs import Frozen
from penstock.types.compatibility import Change, ColumnAdded, ColumnMissing, RenameSuspected, Reordered, diff

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.document.assembly import Loaded
    from penstock.service.opening import Opened
    from penstock.service.request import Request
    from penstock.types import Field, Schema


class Accepted(Frozen):
    """What is other in the columns of one source than what was recorded, None where nothing was."""

    pipeline: str
    source: str
    before: Schema | None
    now: Schema

    @property
    def changes(self) -> tuple[Change, ...]:
        """None where nothing was recorded, and where nothing is other."""
        return diff(self.before, self.now) if self.before is not None else ()

    @property
    def is_new(self) -> bool:
        """Whether there was anything to accept."""
        return self.before is None or bool(self.changes)

    def to_json(self) -> dict[str, Any]:
        added, gone = [], []
        changed: dict[str, tuple[Field, Field]] = {}
        for change in self.changes:
            match change:
                case ColumnAdded(field):
                    added.append(field.name)
                case ColumnMissing(field):
                    gone.append(field.name)
                case RenameSuspected() | Reordered():
                    pass
                case _:
                    changed[change.new.name] = change.old, change.new
        return {
            "pipeline": self.pipeline,
            "source": self.source,
            "recorded_before": self.before is not None,
            "added": added,
            "gone": gone,
            "changed": [
                {"column": name, "from": old.spelling, "to": new.spelling} for name, (old, new) in changed.items()
            ],
        }


def accept(request: Request) -> Sequence[Accepted]:
    """One per source without a ``schema:`` of its own, of every table of ``tables:``. Raises what asking the sources
    raises, and FatalError LED-110 while the pipeline is being run.
    """
    with parts(request) as found:
        return [one for part in found.each for one in _accepted(request, part.loaded)]


def _accepted(request: Request, loaded: Loaded) -> Sequence[Accepted]:
    with opened(request, loaded) as found:
        recorded = found.recorded()
        undeclared = [name for name, use in found.pipeline.sources.items() if use.contract is None]
        each = [Accepted(found.pipeline.name, name, recorded.get(name), _now(found, name)) for name in undeclared]
        news = {one.source: one.now for one in each if one.is_new}
        if news:
            lease = found.ledger.take(found.key, holder_of("schema"), duration=LEASE)
            try:
                found.ledger.accept(lease, news)
            finally:
                found.ledger.release(lease)
        return each


def _now(found: Opened, name: str) -> Schema:
    try:
        return found.inferred(name)
    except PenstockError as error:
        use = found.pipeline.sources[name]
        raise error.placed(use.at, use.places) from None
