"""One writer of an attempt: the engine writes into a private folder, which is counted, summed and made durable."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError

from penstock.connectors.api import Epoch, FileFormat, FileTarget, FileWriter, Staged
from penstock.connectors.files.commit import disk
from penstock.connectors.files.commit.log import PARTS
from penstock.connectors.files.commit.names import STAGED
from penstock.connectors.files.commit.records import KeptColumn, kept_columns
from penstock.errors import InternalError, PenstockError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from penstock.connectors.api import Allowance
    from penstock.connectors.files.commit.target import Target
    from penstock.types import Schema


# Writes the rows of a Parquet file, which has these columns, to a file of another format; whatever it raises fails the
# attempt. OSError stands for what the disk answers.
Encoder: TypeAlias = "Callable[[Path, Path, Schema], None]"


class StagedFile(BaseModel):
    """A file of an attempt; ``path`` is relative to the attempt's ``parts``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    rows: int
    bytes: int
    checksum: str


class StagedPart(BaseModel):
    """What one writer hands to the commit; ``columns`` are those of its rows, as ``Schema.to_json`` gives them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    attempt: str
    columns: list[KeptColumn]
    files: tuple[StagedFile, ...]

    @classmethod
    def of(cls, staged: Staged) -> StagedPart:
        try:
            return cls.model_validate(staged.payload)
        except ValidationError as error:
            raise InternalError("INT-900", "what was staged for a sink of files is not what its writer said") from error


class StagingWriter(FileWriter):
    """``folder`` is this writer's own, in ``attempt``; ``single`` the name of the one file the engine is asked for.

    ``at`` is where they are staged. ``encode`` makes of each file that the engine has written one of the sink's own format, before it is staged.
    """

    def __init__(
        self,
        *,
        at: Target,
        epoch: Epoch,
        attempt: Path,
        folder: Path,
        form: FileFormat,
        schema: Schema,
        partition_by: tuple[str, ...],
        single: str | None,
        max_file_bytes: int | None,
        reached: Callable[[str], None],
        allowance: Allowance,
        encode: Encoder | None = None,
    ) -> None:
        self.at = at
        self.epoch = epoch
        self.attempt = attempt
        self.folder = folder
        self.form = form
        self.schema = schema
        self.partition_by = partition_by
        self.single = single
        self.max_file_bytes = max_file_bytes
        self.reached = reached
        self.allowance = allowance
        self.encode = encode
        self._counts: dict[str, int] = {}

    def target(self) -> FileTarget:
        return FileTarget(
            folder=self.folder,
            format=self.form,
            partition_by=self.partition_by,
            single=self.single,
            extension=STAGED,
            max_file_bytes=self.max_file_bytes,
        )

    def counted(self, rows: Mapping[str, int]) -> None:
        self._counts = dict(rows)

    def stage(self) -> Staged:
        """Raises FatalError SNK-120 (a newer runner has thrown the attempt away), SNK-133, TransientError SNK-134."""
        self.reached("files.written")
        with disk.classified(self.folder):
            try:
                files = self._files()
                self.at.keep(self.folder, self._written())
            except FileNotFoundError:
                self.at.check_fence(self.epoch)
                raise
        self.reached("files.staged")
        part = StagedPart(
            attempt=self.attempt.name,
            columns=kept_columns(self.schema),
            files=files,
        )
        rows, size = sum(file.rows for file in files), sum(file.bytes for file in files)
        return Staged(rows, size, part.model_dump(mode="json"))

    def abort(self) -> None:
        with suppress(OSError, PenstockError):
            self.at.drop(self.epoch, self.folder)

    def _written(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())

    def _files(self) -> tuple[StagedFile, ...]:
        from penstock.connectors.files.counting import count_rows

        written = self._written()
        uncounted = [path for path in written if str(path.relative_to(self.folder)) not in self._counts]
        counts = count_rows(
            self.form, uncounted, width=len(self.schema) - len(self.partition_by), allowance=self.allowance
        )
        for path in written:
            self._encode(path)
        return tuple(self._file(path, counts) for path in written)

    def _encode(self, path: Path) -> None:
        if self.encode is not None:
            made = path.with_name(f"{path.name}.encoded")
            self.encode(path, made, self.schema.without(self.partition_by))
            made.replace(path)

    def _file(self, path: Path, counts: Mapping[Path, int]) -> StagedFile:
        rows = counts[path] if path in counts else self._counts[str(path.relative_to(self.folder))]
        checksum = disk.checksum_and_sync(path)
        return StagedFile(
            path=str(path.relative_to(self.attempt / PARTS)), rows=rows, bytes=path.stat().st_size, checksum=checksum
        )
