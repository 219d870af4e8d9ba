"""What a commit lists: which files come, under which names, and which go."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, assert_never

from penstock.connectors.api import WriteMode
from penstock.connectors.files.commit.names import part_name, partition_values, sink_key
from penstock.connectors.files.commit.records import Entry, KeptReceipt, Manifest, Placed, kept_columns
from penstock.errors import InternalError
from penstock.structs import Frozen
from penstock.types import Schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.connectors.api import Epoch
    from penstock.connectors.files.commit.records import State
    from penstock.connectors.files.writer import StagedFile, StagedPart


class Delivery(Frozen):
    """An epoch as the sink commits it; ``columns`` are the target's afterwards."""

    epoch: Epoch
    attempt: str
    mode: WriteMode
    form: str
    extension: str
    one_file: str | None
    partition_by: tuple[str, ...]
    columns: Schema


def manifest_of(delivery: Delivery, state: State, parts: Sequence[StagedPart]) -> Manifest:
    """The manifest of the version after ``state``."""
    version = state.version + 1
    added, shapes = _added(delivery, version, parts)
    removed = _removed(delivery, state, added)
    rows = sum(file.rows for part in parts for file in part.files)
    receipt = KeptReceipt(
        rows=rows,
        inserted=rows,
        deleted=sum(entry.rows for entry in removed),
        bytes=sum(placed.entry.bytes for placed in added),
        version=str(version),
        checksum=_checksum(added),
    )
    return Manifest(
        version=version,
        sink_id=sink_key(delivery.epoch.sink_id),
        epoch=delivery.epoch.number,
        attempt=delivery.attempt,
        fence=delivery.epoch.fence,
        mode=delivery.mode.value,
        form=delivery.form,
        partition_by=delivery.partition_by,
        columns=kept_columns(delivery.columns),
        shapes=shapes,
        receipt=receipt,
        added=added,
        removed=tuple(entry.path for entry in removed),
    )


def _added(
    delivery: Delivery, version: int, parts: Sequence[StagedPart]
) -> tuple[tuple[Placed, ...], tuple[tuple[str, ...], ...]]:
    shapes: list[tuple[str, ...]] = []
    added: list[Placed] = []
    for part in parts:
        names = Schema.from_json(part.columns).names
        shape = tuple(name for name in names if name not in delivery.partition_by)
        if shape not in shapes:
            shapes.append(shape)
        for file in part.files:
            added.append(_placed(delivery, version, file, place=len(added), shape=shapes.index(shape)))
    kept = [placed for placed in added if placed.entry.rows]
    if not kept and delivery.mode is WriteMode.OVERWRITE:
        kept = added[:1]  # readers of an empty table still find its columns
    if delivery.one_file and len(kept) > 1:
        raise InternalError("INT-900", f'"{delivery.one_file}" is one file and got rows from {len(kept)} writers')
    return tuple(kept), tuple(shapes)


def _placed(delivery: Delivery, version: int, file: StagedFile, *, place: int, shape: int) -> Placed:
    folders = PurePath(file.path).parts[1:-1]
    name = delivery.one_file or part_name(version, delivery.epoch, place=place, extension=delivery.extension)
    entry = Entry(
        path=str(PurePath(*folders, name)),
        rows=file.rows,
        bytes=file.bytes,
        checksum=file.checksum,
        shape=shape,
        version=version,
        partition=partition_values(folders, delivery.partition_by),
    )
    return Placed(staged=file.path, entry=entry)


def _removed(delivery: Delivery, state: State, added: Sequence[Placed]) -> list[Entry]:
    match delivery.mode:
        case WriteMode.APPEND | WriteMode.MERGE:
            return []
        case WriteMode.OVERWRITE:
            return list(state.live)
        case WriteMode.OVERWRITE_PARTITIONS:
            replaced = {placed.entry.partition for placed in added}
            return [entry for entry in state.live if entry.partition in replaced]
        case _:
            assert_never(delivery.mode)


def _checksum(added: Sequence[Placed]) -> str:
    """One sum over the files' own, in the order of their names."""
    import xxhash

    return xxhash.xxh3_128_hexdigest("\n".join(sorted(placed.entry.checksum for placed in added)).encode())
