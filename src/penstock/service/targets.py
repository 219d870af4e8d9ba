"""No two sinks of a document write to one place, and none writes over files that a source reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from penstock.connectors.files.places import place_url
from penstock.errors import PenstockError, Problem
from penstock.registry import Capability
from penstock.structs import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.document.models import Pipeline, SinkUse, SourceUse

    Resolve = Callable[[str], Path]

_WILD: Final = frozenset("*?[")


def collisions(pipeline: Pipeline, resolve: Resolve) -> Iterator[Problem]:
    """CMP-340 for two sinks with one target, or with one inside the other's; CMP-341 for files that are read and written."""
    sinks = [*pipeline.sinks.values(), *_of_rejects(pipeline)]
    for number, sink in enumerate(sinks):
        for other in sinks[:number]:
            if _collide(sink, other, resolve):
                yield Problem(
                    "CMP-340",
                    f'the sinks "{other.name}" and "{sink.name}" write to the same place',
                    at=sink.at,
                    hint="give each a target of its own, or one sink the union of the rows",
                )
        for source in pipeline.sources.values():
            if _writes_over(sink, source, resolve):
                yield Problem(
                    "CMP-341",
                    f'the sink "{sink.name}" writes over what the source "{source.name}" reads',
                    at=sink.at,
                    detail="an epoch that has to be done again would not find its input.",
                    hint="write to another place",
                )


def _of_rejects(pipeline: Pipeline) -> Iterator[SinkUse]:
    """By what the document calls it."""
    if pipeline.rejects is not None:
        yield replace(pipeline.rejects, name="rejects")


def _collide(one: SinkUse, other: SinkUse, resolve: Resolve) -> bool:
    first, second = _place(one, resolve), _place(other, resolve)
    if first is None or second is None:
        return first is second and _same_table(one, other, as_named=str)
    if first == second and _table_of(one) is not None and _table_of(other) is not None:
        return _same_table(one, other, as_named=str.casefold)  # tables lie beside each other in a file
    return first.is_relative_to(second) or second.is_relative_to(first)


def _writes_over(sink: SinkUse, source: SourceUse, resolve: Resolve) -> bool:
    """Not of what is read as it stood, whatever is written to it meanwhile."""
    target, read = _place(sink, resolve), _place(source, resolve)
    if target is None or read is None or Capability.SNAPSHOT in source.descriptor.capabilities:
        return False
    if read.is_relative_to(target):
        return True
    pattern = str(source.params.path)  # type: ignore[attr-defined]  # it has a place
    matches = target.match(pattern) if _WILD & set(pattern) else target.suffix == f".{source.descriptor.name}"
    return target.is_relative_to(read) and matches


def _place(use: SinkUse | SourceUse, resolve: Resolve) -> Path | None:
    """The file or folder that a component names, up to the first wildcard; in a store as if its URL were a folder. None
    where it names none, or a wrong one, of which it says so itself.
    """
    text = getattr(use.params, "path", None)
    if not isinstance(text, str) or Capability.LOCAL not in use.descriptor.capabilities:
        return None
    parts = Path(text).parts
    plain = next((at for at, part in enumerate(parts) if _WILD & set(part)), len(parts))
    connection = getattr(use.params, "connection", None)
    if connection is not None:
        return Path(f"//{place_url(connection)}", *parts[:plain])
    if plain == 0:
        return None
    try:
        return resolve(str(Path(*parts[:plain]))).resolve()
    except PenstockError:
        return None


def is_local(use: SinkUse | SourceUse) -> bool:
    """Whether it lies in files of this machine: a connection leads away from it."""
    return Capability.LOCAL in use.descriptor.capabilities and getattr(use.params, "connection", None) is None


def _same_table(one: SinkUse, other: SinkUse, *, as_named: Callable[[str], str]) -> bool:
    """``as_named``: what of a table's name tells it from others."""
    first, second = _table_of(one), _table_of(other)
    if first is None or second is None or as_named(first) != as_named(second):
        return False
    return getattr(one.params, "connection", None) == getattr(other.params, "connection", None)


def _table_of(use: SinkUse) -> str | None:
    table = getattr(use.params, "table", None)
    return table if isinstance(table, str) else None
