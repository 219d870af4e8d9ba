"""A document whose sinks, ledger and rejects are somewhere else: what is tried on it touches nothing of the real ones.

Files lie in a room, a folder that is all of one trial::

    files/     what sinks with a path write, as they name it
    catalogs/  a folder per sink whose catalog is a file
    state/     ledger, rejects, spool

What a server holds has a place of its own there (registry.ScratchPlace), whose name begins with that of the room.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from penstock.connectors.families import PLACE
from penstock.document.paths import STATE
from penstock.errors import InternalError, PenstockError, Problem
from penstock.service.targets import is_local
from penstock.structs import Frozen, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from penstock.clock import Clock
    from penstock.connectors.params import SinkParams
    from penstock.document.assembly import Loaded
    from penstock.document.models import SinkUse

PREFIX: Final = "penstock_torture_"


class Room(Frozen):
    """``folder`` is absolute and real; ``name`` begins with PREFIX, and is made of letters, digits and ``_``."""

    folder: Path
    name: str

    @property
    def state(self) -> Path:
        return self.folder / "state" / STATE


def refusals(loaded: Loaded) -> Iterator[Problem]:
    """FLT-111 for each sink that can write nowhere else, or whose rows cannot be looked at."""
    for use in _every(loaded):
        if use.descriptor.scratch is None and not _has_path(use):
            yield Problem(
                "FLT-111",
                f'the sink "{use.name}" ({use.descriptor.name}) has no scratch copy',
                at=use.at,
                detail="what it sends cannot be sent elsewhere.",
            )
        elif use is not loaded.pipeline.rejects and "read_back" not in use.descriptor.capabilities:
            yield Problem(
                "FLT-111",
                f'the rows of the sink "{use.name}" ({use.descriptor.name}) cannot be read back',
                at=use.at,
                detail="without them nobody sees whether one is lost.",
            )


def moved(loaded: Loaded, room: Room) -> Loaded:
    """The document over the room's sinks and ledger; its sources stay. The same room gives the same places; its folders are made."""
    sinks = {
        name: replace(use, params=_moved(use, room, number))
        for number, (name, use) in enumerate(loaded.pipeline.sinks.items(), 1)
    }
    rejects = loaded.pipeline.rejects
    if rejects is not None:
        rejects = replace(rejects, params=_moved(rejects, room, 0))
    return replace(
        loaded,
        project=replace(loaded.project, state_elsewhere=room.state),
        pipeline=replace(loaded.pipeline, sinks=sinks, rejects=rejects),
        paths=replace(loaded.paths, allowed=(*loaded.paths.allowed, room.folder)),
        ledger=None,
    )


@contextmanager
def there(loaded: Loaded, clock: Clock) -> Iterator[None]:
    """The places on servers of a document that was moved, gone after the block. Raises what their systems raise, each error at
    its sink.
    """
    with ExitStack() as places:
        for use in _every(loaded):
            if use.descriptor.scratch is not None and not _has_path(use):
                try:
                    places.enter_context(use.descriptor.scratch.there(use.params, clock))
                except PenstockError as error:
                    raise error.placed(use.at, use.places) from None
        yield


def needs_places(loaded: Loaded) -> bool:
    """Whether a room of it has places on servers."""
    return any(True for _ in _removals(loaded))


def remove_places(loaded: Loaded, clock: Clock) -> None:
    """The places on servers of a document that was moved go, as far as they are there. Raises what their systems raise."""
    for remove, use in _removals(loaded):
        remove(use.params, clock)


def _removals(loaded: Loaded) -> Iterator[tuple[Callable[[SinkParams, Clock], None], SinkUse]]:
    for use in _every(loaded):
        scratch = use.descriptor.scratch
        if scratch is not None and scratch.remove is not None and not _has_path(use):
            yield scratch.remove, use


def _every(loaded: Loaded) -> Iterator[SinkUse]:
    """The sinks, and the place of rejects where the document names one."""
    yield from loaded.pipeline.sinks.values()
    if loaded.pipeline.rejects is not None:
        yield loaded.pipeline.rejects


def _moved(use: SinkUse, room: Room, number: int) -> SinkParams:
    if _has_path(use):
        path = room.folder / "files" / str(use.params.path).lstrip("/")  # type: ignore[attr-defined]  # it has one
        _fixed(path).mkdir(parents=True, exist_ok=True)
        return use.params.model_copy(update={"path": str(path)})
    scratch = use.descriptor.scratch
    if scratch is None:
        raise InternalError("INT-900", f'the sink "{use.name}" was not refused')
    folder = room.folder / "catalogs" / str(number)
    folder.mkdir(parents=True, exist_ok=True)
    params: SinkParams = scratch.moved(use.params, f"{room.name}_{number}", folder)
    return params


def _has_path(use: SinkUse) -> bool:
    """Whether its path alone says where its rows are."""
    return is_local(use) and isinstance(getattr(use.params, "path", None), str)


def _fixed(path: Path) -> Path:
    """The last folder above it that stands without the name of a table."""
    return next(parent for parent in path.parents if PLACE not in str(parent))
