"""The sink of files, whatever their format: a folder of part files, or one file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.connectors.api import Preparation, Receipt, Sink, WriteMode
from penstock.connectors.commits import clearing_up, compare, evolved, is_committed, policy_of, refuse_empty, taken_over
from penstock.connectors.files.commit.folder import Folder
from penstock.connectors.files.commit.names import STAGED, incarnation_of, sink_key
from penstock.connectors.files.foreign import refuse_foreign
from penstock.connectors.files.manifests import Delivery, manifest_of
from penstock.connectors.files.sink_params import FileSinkParams, is_one_file
from penstock.connectors.files.writer import StagedPart, StagingWriter
from penstock.errors import ConfigError, InternalError
from penstock.structs import Frozen
from penstock.types import Schema

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from penstock.connectors.api import Context, Epoch, EpochMarker, FileFormat, SinkId, Source, Staged
    from penstock.connectors.commits import Objection
    from penstock.connectors.files.commit.records import State
    from penstock.connectors.files.commit.target import Target
    from penstock.connectors.files.decoding import Decoder
    from penstock.connectors.files.writer import Encoder

# The boundaries that a sink of files passes, in order; Context.reached is told each.
CRASH_POINTS: Final = (
    "files.opened",
    "files.written",
    "files.staged",
    "files.manifest_written",
    "files.committed",
    "files.old_removed",
    "files.part_placed",
    "files.placed",
    "files.published",
    "files.snapshot_written",
)


class FileKind(Frozen):
    """What a format brings: ``extension`` of committed files, ``objection`` to columns it cannot hold, ``needed``
    columns, ``one_per_writer`` where the engine is asked for one file, ``ordered`` where columns are found by place,
    ``unreadable`` why a column would not be read back exactly. A format that the engine does not write has ``encode``
    (``form`` is then what the engine stages) and, where the sink's table can be read, ``decode``.
    """

    name: str
    form: FileFormat
    extension: str
    objection: Objection
    needed: tuple[str, ...] = ()
    one_per_writer: bool = True
    ordered: bool = False
    unreadable: Objection | None = None
    max_file_bytes: int | None = None
    encode: Encoder | None = None
    decode: Decoder | None = None


class FileSink(Sink):
    """Promises to readers that list the folder: no row before its commit, none twice, no old rows beside those that
    replaced them. While a commit is published they may see a part of it.
    """

    def __init__(self, params: FileSinkParams, context: Context, kind: FileKind) -> None:
        self._params = params
        self._kind = kind
        self._name = context.name
        self._reached = context.reached
        self._allowance = context.allowance
        self._refreshes = context.refreshes
        self._policy = policy_of(params, context)
        self._target = _target_of(params, context)
        self._one_file = self._target.one_file
        self._prepared: Schema | None = None
        self._attempts: set[str] = set()

    # ------------------------------------------------------------ the target

    def describe(self) -> Schema | None:
        if self._refreshes:
            return None
        with self._target.classified():
            state = self._target.state()
        return state.schema_at(state.version)

    def preview(self, schema: Schema) -> Preparation:
        """Also raises ConfigError SNK-135 (files of others), SNK-136 (the folder's layout is another), SNK-137 (no
        column is left for the files), SNK-138 (columns found by place stand in another order).
        """
        with self._target.classified():
            state = self._target.state()
            self._check_layout(state, schema)
            change = self._change(state, schema)
            if self._params.mode is not WriteMode.APPEND and not self._one_file and not self._target.unpublished(state):
                names = self._target.names()
                refuse_foreign(names, state, extension=self._kind.extension, named=self._params.path)
        return change

    def prepare(self, schema: Schema) -> None:
        """Makes the folders, so that a path that cannot be written is known before a row is read."""
        change = self.preview(schema)
        with self._target.classified():
            self._target.prepare()
        self._prepared = schema.without(column.name for column in change.ignores)

    def _change(self, state: State, schema: Schema) -> Preparation:
        return compare(
            state.schema_at(state.version),
            schema,
            policy=self._policy,
            needed=(*self._params.partition_by, *self._kind.needed),
            objection=self._kind.objection,
            sink=self._name,
        )

    def _check_layout(self, state: State, schema: Schema) -> None:
        path, partition_by = self._params.path, tuple(self._params.partition_by)
        keeps_files = state.form and self._params.mode is not WriteMode.OVERWRITE
        if keeps_files and (state.form, state.partition_by) != (self._kind.name, partition_by):
            was = f"{state.form}, partitioned by {', '.join(state.partition_by) or 'nothing'}"
            raise ConfigError(
                "SNK-136",
                f'the files of "{path}" are of another format or partitioned otherwise',
                detail=f"it is {was}",
                about=("partition_by",),
            )
        if partition_by and not set(schema.names) - set(partition_by):
            raise ConfigError(
                "SNK-137",
                f'partition_by of "{path}" names every column, and none is left for the files',
                about=("partition_by",),
            )
        old = state.schema_at(state.version)
        if self._kind.ordered and old is not None and self._params.mode is not WriteMode.OVERWRITE:
            names = evolved(old, schema, Preparation(adds=tuple(item for item in schema if item.name not in old))).names
            if schema.names != names:
                raise ConfigError(
                    "SNK-138",
                    f'the files of "{path}" have no header, and the columns come in another order',
                    detail=f"the files have {', '.join(old.names)}, the rows {', '.join(schema.names)}",
                )

    # ------------------------------------------------------------ writing

    def marker(self, sink_id: SinkId) -> EpochMarker | None:
        """Raises FatalError SNK-131 (the log is damaged)."""
        with self._target.classified():
            state = self._published()
            self._target.clean(sink_id, keep=self._attempts)
        mark = state.marks.get(sink_key(sink_id))
        return mark.marker() if mark else None

    def missing(self) -> str | None:
        with self._target.classified():
            live = self._target.state().live
            names = set(self._target.names()) if live else set()
        gone = sum(entry.path not in names for entry in live)
        return f'{gone} of {len(live)} files of "{self._params.path}"' if gone else None

    def incarnations(self, sink_id: SinkId) -> frozenset[str]:
        with self._target.classified():
            marks = self._target.state().marks
        return frozenset(filter(None, (incarnation_of(key, sink_id) for key in marks)))

    def writer(self, epoch: Epoch, schema: Schema) -> StagingWriter:
        """Raises FatalError SNK-120 where a newer runner has opened a writer for this sink."""
        with self._target.classified():
            self._target.raise_fence(epoch)
            attempt = self._target.attempt(epoch)
            folder = self._target.new_part(attempt)
        self._attempts.add(attempt.name)
        self._reached("files.opened")
        single = self._one_file is not None or (self._kind.one_per_writer and not self._params.partition_by)
        return StagingWriter(
            at=self._target,
            epoch=epoch,
            attempt=attempt,
            folder=folder,
            form=self._kind.form,
            schema=schema,
            partition_by=tuple(self._params.partition_by),
            single=f"rows.{STAGED}" if single else None,
            max_file_bytes=None if single else self._kind.max_file_bytes,
            reached=self._reached,
            allowance=self._allowance,
            encode=self._kind.encode,
        )

    def commit(self, epoch: Epoch, staged: Sequence[Staged]) -> Receipt:
        """Also raises DataError SNK-114 (an empty input would overwrite)."""
        parts = [StagedPart.of(item) for item in staged]
        rows = sum(item.rows for item in staged)
        with self._target.classified():
            attempt = self._target.attempt(epoch)
            while True:
                state = self._published()
                mark = state.marks.get(sink_key(epoch.sink_id))
                if is_committed(mark.marker() if mark else None, epoch, newest=_newest(state, epoch.sink_id)) and mark:
                    self._attempts.discard(attempt.name)
                    with clearing_up():
                        self._target.drop(epoch)
                    return mark.receipt.receipt()
                refuse_empty(self._params.mode, rows, allow_empty=self._params.allow_empty, sink=epoch.sink_id.sink)
                if self._append(epoch, attempt, state=state, parts=parts):
                    break
            self._reached("files.committed")
            state = self._published()
            has_snapshot = False
            with clearing_up():  # of versions that nobody needs; without one, the next commit makes it
                has_snapshot = self._target.snapshot(state)
            if has_snapshot:
                self._reached("files.snapshot_written")
        return state.marks[sink_key(epoch.sink_id)].receipt.receipt()

    def _append(self, epoch: Epoch, attempt: Path, *, state: State, parts: Sequence[StagedPart]) -> bool:
        """Whether this attempt is now the version after ``state``."""
        self._check_staged(epoch, attempt, parts)
        rows_schema = self._rows_schema(parts)
        delivery = Delivery(
            epoch=epoch,
            attempt=attempt.name,
            mode=self._params.mode,
            form=self._kind.name,
            extension=self._kind.extension,
            one_file=self._one_file,
            partition_by=tuple(self._params.partition_by),
            columns=self._columns(state, rows_schema),
        )
        manifest = manifest_of(delivery, state, parts)
        self._target.ready(attempt, manifest)
        self._target.raise_fence(epoch)
        self._reached("files.manifest_written")
        try:
            return self._target.append(attempt, manifest)
        except FileNotFoundError:
            raise taken_over(epoch, "what it staged is gone") from None

    def _rows_schema(self, parts: Sequence[StagedPart]) -> Schema | None:
        if parts:
            return Schema.from_json(parts[0].columns)
        return self._prepared

    def _columns(self, state: State, rows: Schema | None) -> Schema:
        """The target's columns after this commit. An overwrite leaves no file with columns that its rows lack."""
        old = state.schema_at(state.version)
        if rows is None:
            return old or Schema()
        change = self._change(state, rows)
        new = evolved(old, rows.without(column.name for column in change.ignores), change)
        return new.select(rows.names) if self._params.mode is WriteMode.OVERWRITE else new

    def _check_staged(self, epoch: Epoch, attempt: Path, parts: Sequence[StagedPart]) -> None:
        for part in parts:
            if part.attempt != attempt.name:
                raise InternalError("INT-900", f"what was staged belongs to {part.attempt}, not to {attempt.name}")
        gone = self._target.lacking(attempt, [file.path for part in parts for file in part.files])
        if gone:
            raise taken_over(epoch, f"{gone} staged files are gone")

    def _published(self) -> State:
        """The newest state, once everything it lists lies where readers look."""
        state = self._target.state()
        for manifest in self._target.unpublished(state):
            self._target.publish(manifest, self._reached)
        return state

    def close(self) -> None:
        self._target.close()


class ReadableFileSink(FileSink):
    """A sink of files whose format gives back the rows as they were: ``table`` always reads a whole version."""

    def table(self) -> Source:
        from penstock.connectors.files.table import FileTable

        return FileTable(self._target, kind=self._kind, named=self._params.path, allowance=self._allowance)


def _newest(state: State, sink_id: SinkId) -> int:
    """The highest fence of the sink's commits, under whatever incarnation."""
    ours = (mark.fence for key, mark in state.marks.items() if incarnation_of(key, sink_id) is not None)
    return max(ours, default=0)


def _target_of(params: FileSinkParams, context: Context) -> Target:
    if params.connection is None:
        return Folder.of(context.resolve(params.path), params.path, one_file=is_one_file(params.path))
    from penstock.connectors.files.commit.bucket import BucketTarget

    return BucketTarget.of(params.connection, params.path, context=context, one_file=is_one_file(params.path))
