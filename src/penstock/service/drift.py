"""What is other in the columns of the sources than what was seen before, and what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

from penstock.structs import Frozen
from penstock.types import Schema
from penstock.types.compatibility import (
    ColumnAdded,
    ColumnMissing,
    NullabilityLoosened,
    NullabilityTightened,
    RenameSuspected,
    Reordered,
    TypeChanged,
    TypeNarrowed,
    TypeWidened,
    diff,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from penstock.document.models import SourceUse
    from penstock.service.opening import Opened
    from penstock.types.compatibility import Change


class Drift(Frozen):
    """A change of one source; ``outcome``: what the document's policy makes of it, None where it has none to say."""

    source: str
    change: Change
    outcome: str | None

    def __str__(self) -> str:
        return f'"{self.source}": {self.change}' + (f": {self.outcome}" if self.outcome is not None else "")


def seen_columns(found: Opened) -> dict[str, Any]:
    """Of every source the columns that it has now, for the record of the run."""
    return {name: schema.relaxed().to_json() for name, schema in found.facts.sources.items() if schema is not None}


def drifts(found: Opened) -> tuple[Drift, ...]:
    """Of a source whose columns are recorded: since then, for that is what it is held to. Of one with a ``schema:`` of its
    own: since the last run that sealed anything, for the rest of its columns is nobody's concern until it changes.
    """
    return tuple(_drifts(found))


def _drifts(found: Opened) -> Iterator[Drift]:
    before = {**_last_seen(found), **found.facts.recorded}
    for name, use in found.pipeline.sources.items():
        old, now = before.get(name), found.facts.sources.get(name)
        if old is None or now is None:
            continue
        for change in diff(old, now.relaxed()):
            if use.contract is None or not _is_as_declared(change, use.contract):
                yield Drift(name, change, _outcome(change, use, use.contract or old))


def _last_seen(found: Opened) -> Mapping[str, Schema]:
    memory = found.memory
    last = memory.last_sealed(found.key) if memory is not None else None
    if memory is None or last is None:
        return {}
    (run,) = memory.runs_beginning(last.run_id, limit=1) or (None,)
    columns = run.summary.get("sources") if run is not None else None
    return {name: Schema.from_json(found) for name, found in columns.items()} if isinstance(columns, dict) else {}


def _is_as_declared(change: Change, contract: Schema) -> bool:
    """Whether it is the document that changed: what comes now is what it says."""
    match change:
        case ColumnAdded():
            return False
        case ColumnMissing(field):
            return field.name not in contract
        case Reordered():
            return True
        case RenameSuspected():
            return False
        case (
            TypeWidened(new=new)
            | TypeNarrowed(new=new)
            | TypeChanged(new=new)
            | NullabilityLoosened(new=new)
            | NullabilityTightened(new=new)
        ):
            held = contract.get(new.name)
            return held is None or held.type == new.type
        case _:
            assert_never(change)


def _outcome(change: Change, use: SourceUse, held: Schema) -> str | None:
    match change:
        case ColumnAdded(field):
            if field.name in held or use.params.on_new_column == "fail":
                return None
            taken = "taken" if use.params.on_new_column == "add" else "left out"
            return f"{taken} (on_new_column: {use.params.on_new_column})"
        case ColumnMissing(field):
            is_null = use.params.on_missing_column == "null" and field.name in held
            return "null (on_missing_column: null)" if is_null else None
        case TypeWidened() | TypeChanged():
            return "cast (on_type_change: widen)" if use.params.on_type_change == "widen" else None
        case _:
            return None
