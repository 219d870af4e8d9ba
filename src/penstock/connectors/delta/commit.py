"""The compare-and-swap on a table's log: data, marker and fence in one entry, or nothing at all.

deltalake writes the version after the handle's, and with no retries of its own fails where that version is there. So
what was checked on the handle (marker, fence, schema, files) still holds when the entry appears.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from penstock.connectors.api import EpochMarker
from penstock.connectors.delta.driver import brief, is_failure
from penstock.connectors.delta.layout import app_id, fence_id, logged
from penstock.connectors.delta.log import commit_of, to_metadata
from penstock.connectors.delta.schema import redefined, to_delta
from penstock.connectors.delta.table import Snapshot, newest
from penstock.errors import ConfigError, PenstockError, TransientError
from penstock.structs import Frozen, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

    from deltalake.transaction import AddAction, CommitProperties, PostCommitHookProperties, RemoveAction

    from penstock.connectors.api import Epoch, Receipt, SinkId
    from penstock.connectors.delta.places import Place
    from penstock.connectors.delta.staging import NewFile
    from penstock.connectors.lake.tables import DataFile
    from penstock.types import Schema

_CHECKPOINT_EVERY: Final = 20  # versions, where the table does not say


class Change(Frozen):
    """What one commit does to a table: ``whole`` replaces every file of the handle's version and sets the columns to
    ``target``; else ``removes`` go and the columns stay. ``placed`` names the notes of the files that are added.
    """

    target: Schema
    partition_by: tuple[str, ...]
    adds: tuple[NewFile, ...] = ()
    removes: tuple[DataFile, ...] = ()
    whole: bool = False
    placed: tuple[str, ...] = ()


def marker_of(table: Snapshot | None, sink_id: SinkId, *, told: bool = True) -> EpochMarker | None:
    """What the table's version says was committed last under this id; the receipt only if asked for."""
    last = None if table is None else table.handle.transaction_version(app_id(sink_id))
    if table is None or last is None:
        return None
    record = commit_of(table.place, table.version, app_id(sink_id), last) if told else None
    return EpochMarker(last, fence_of(table, sink_id), record.receipt if record else None)


def fence_of(table: Snapshot | None, sink_id: SinkId) -> int:
    """The fence of the sink's last commit, under whatever incarnation; 0 where there was none."""
    return (None if table is None else table.handle.transaction_version(fence_id(sink_id))) or 0


def swap(
    place: Place, table: Snapshot | None, change: Change, *, epoch: Epoch, receipt: Receipt, now: datetime
) -> Receipt | None:
    """Write the entry after the version of ``table``: the receipt with its version; None where another writer was first.

    Raises TransientError SNK-256 where nothing was written although nobody was in the way.
    """
    version = 0 if table is None else table.version + 1
    done = replace(receipt, version=str(version))
    try:
        _write(place.root, table, change, _properties(epoch, done, change.placed), now)
        if not place.publish(version):
            return None
    except BaseException as error:
        if not is_failure(error):
            raise
        return _settled(place, version, epoch, brief(error))
    return done


def _settled(place: Place, version: int, epoch: Epoch, reason: str) -> Receipt | None:
    """After an answer that was lost or unclear, what the log says. Errors as ``swap``."""
    after = newest(place)
    if after is not None and after.version >= version:
        record = commit_of(place, after.version, app_id(epoch.sink_id), epoch.number)
        if record is not None and record.attempt == epoch.attempt and record.receipt.version == str(version):
            return record.receipt
        return None
    raise TransientError("SNK-256", f'the commit to the Delta table "{place.name}" failed', detail=reason)


def evolve(table: Snapshot, adds: Schema, message: str) -> bool:
    """Add columns, null in every row that is there; False where another writer was first. Raises TransientError SNK-256."""
    from deltalake import Schema as DeltaSchema

    fields = DeltaSchema.from_json(to_delta(adds)).fields
    return _altered(table, message, partial(table.handle.alter.add_columns, fields))


def admit_zoneless(table: Snapshot, message: str) -> bool:
    """Let the table have columns of type timestamp, of which nothing shows before there is one. As ``evolve``."""
    from deltalake import TableFeatures

    feature = [TableFeatures.TimestampWithoutTimezone]
    add = partial(table.handle.alter.add_feature, feature, allow_protocol_versions_increase=True)
    return _altered(table, message, add)


def _altered(table: Snapshot, message: str, alter: Callable[..., None]) -> bool:
    from deltalake.transaction import CommitProperties

    try:
        version = table.version + 1
        alter(commit_properties=CommitProperties(max_commit_retries=0), post_commithook_properties=_no_hooks())
        if not table.place.publish(version):
            return False
    except BaseException as error:
        if not is_failure(error):
            raise
        after = newest(table.place)
        if after is not None and after.version > table.version:
            return False
        raise TransientError("SNK-256", message, detail=brief(error)) from None
    return True


def _write(root: Path, table: Snapshot | None, change: Change, properties: CommitProperties, now: datetime) -> None:
    from deltalake import Schema as DeltaSchema
    from deltalake.transaction import create_table_with_add_actions

    adds = [_add(file, now) for file in change.adds]
    if table is None:
        create_table_with_add_actions(
            str(root),
            DeltaSchema.from_json(to_delta(change.target)),
            adds,
            mode="error",
            partition_by=list(change.partition_by),
            commit_properties=properties,
            post_commithook_properties=_no_hooks(),
        )
        return
    _check_spelled(table, table.files if change.whole else change.removes)
    removes = [] if change.whole else [_remove(file, now) for file in change.removes]
    kept = table.handle.schema()
    columns = DeltaSchema.from_json(redefined(kept.to_json(), change.target))
    table.handle.create_write_transaction(
        [*adds, *removes],
        "overwrite" if change.whole else "append",
        columns if change.whole else kept,
        list(change.partition_by),
        commit_properties=properties,
        post_commithook_properties=_no_hooks(),
    )


def _properties(epoch: Epoch, receipt: Receipt, placed: Sequence[str]) -> CommitProperties:
    from deltalake.transaction import CommitProperties, Transaction

    return CommitProperties(
        custom_metadata=to_metadata(epoch, receipt, placed),
        max_commit_retries=0,
        app_transactions=[
            Transaction(app_id(epoch.sink_id), epoch.number),
            Transaction(fence_id(epoch.sink_id), epoch.fence),
        ],
    )


def _no_hooks() -> PostCommitHookProperties:
    """Checkpoints are ours to write (``keep_log``): after the entry is durable, and durable themselves."""
    from deltalake.transaction import PostCommitHookProperties

    return PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)


def _add(file: NewFile, now: datetime) -> AddAction:
    from deltalake.transaction import AddAction

    moment = int(now.timestamp() * 1000)
    return AddAction(file.path, file.size, file.partition, moment, data_change=True, stats=file.stats)


def _check_spelled(table: Snapshot, going: Iterable[DataFile]) -> None:
    """Raises ConfigError SNK-250 where deltalake would not name a file as the log does: it would stay, without a word."""
    for file in going:
        if logged(file.path) not in table.logged_paths:
            raise ConfigError(
                "SNK-250",
                f'the Delta table "{table.place.name}" cannot be written here: the log spells a file\'s path unusually',
                detail=f"{file.path!r} could not be replaced",
                hint="compact the table with the system that wrote it",
            )


def _remove(file: DataFile, now: datetime) -> RemoveAction:
    from deltalake.transaction import RemoveAction

    return RemoveAction(file.path, data_change=True, deletion_timestamp=int(now.timestamp() * 1000), size=file.size)


# ---------------------------------------------------------------- after the entry is there


def keep_log(place: Place, version: int) -> None:
    """Now and then sum the log up in a checkpoint, and let go of entries that have outlived their time.

    The table is right without it: what fails here is tried again at a later version.
    """
    from deltalake.exceptions import DeltaError

    with suppress(DeltaError, OSError, ValueError, PenstockError):
        table = newest(place)
        if table is None or version % _interval(table) or version == 0:
            return
        table.handle.create_checkpoint()
        cleans = table.configuration.get("delta.enableExpiredLogCleanup", "true") == "true"
        place.checkpointed(table.handle, cleans=cleans)


def _interval(table: Snapshot) -> int:
    told = table.configuration.get("delta.checkpointInterval", "")
    return int(told) if told.isdigit() and int(told) else _CHECKPOINT_EVERY
