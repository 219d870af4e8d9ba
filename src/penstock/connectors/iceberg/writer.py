"""The writer of one attempt: the engine writes Parquet files, which become the table's own without being read again.

Where the table is divided, or a column's type or id in the rows is not the table's, the commit writes the rows once more
with our own DuckDB; in a merge it does so anyway.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from penstock.connectors.api import FileTarget, FileWriter, Staged
from penstock.connectors.iceberg.staging import ROWS
from penstock.errors import InternalError, PenstockError
from penstock.structs import Frozen
from penstock.types import Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from pyiceberg.table import Table

    from penstock.connectors.api import Epoch, Json, ParquetFormat
    from penstock.connectors.iceberg.staging import Attempt
    from penstock.trees import FieldIds


class Part(Frozen):
    """What one writer staged, as it travels: files with columns ``schema`` below ``rows`` of an attempt's folder.

    ``ids`` are those that the files have, none where they are not the table's own.
    """

    folder: str
    schema: Schema
    ids: FieldIds
    rows: int

    def to_payload(self) -> dict[str, Json]:
        return {
            "v": 1,
            "folder": self.folder,
            "schema": [dict(column) for column in self.schema.to_json()],  # type: ignore[arg-type]  # labels are texts
            "ids": self.ids,
            "rows": self.rows,
        }

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Part:
        """Raises InternalError INT-900 for what no writer gave."""
        match payload:
            case {"v": 1, "folder": str() as folder, "schema": schema, "ids": ids, "rows": int() as rows}:
                return cls(folder, Schema.from_json(schema), _tuples(ids), rows)
        raise InternalError("INT-900", "what is to be committed was not staged by an iceberg writer of this version")


def _tuples(ids: Any) -> FieldIds:
    """Ids that went through JSON."""
    return tuple((name, number, _tuples(within)) for name, number, within in ids)


class IcebergWriter(FileWriter):
    """Holds the attempt's lock until it is staged or aborted."""

    def __init__(
        self,
        attempt: Attempt,
        epoch: Epoch,
        schema: Schema,
        *,
        form: ParquetFormat,
        touching: Callable[[], AbstractContextManager[None]],
        find: Callable[[], Table | None],
        reached: Callable[[str], None],
    ) -> None:
        """``form`` has the ids of the table's columns, or none where the files will not be the table's own; ``find`` loads
        the table as it stands.
        """
        self._attempt = attempt
        self._epoch = epoch
        self._schema = schema
        self._form = form
        self._touching = touching
        self._find = find
        self._reached = reached
        self._rows: int | None = None

    def target(self) -> FileTarget:
        return FileTarget(folder=self._attempt.folder / ROWS, format=self._form, extension="parquet")

    def counted(self, rows: Mapping[str, int]) -> None:
        self._rows = sum(rows.values())

    def stage(self) -> Staged:
        """Raises ConfigError SNK-260, TransientError SNK-257."""
        try:
            with self._touching():
                staged = self._staged()
            self._reached("iceberg.staged")
        finally:
            self._attempt.release()
        return staged

    def _staged(self) -> Staged:
        import pyarrow.parquet as pq

        folder = self._attempt.folder / ROWS
        paths = sorted(folder.iterdir())
        self._attempt.stage(paths)
        rows = self._rows if self._rows is not None else sum(pq.read_metadata(path).num_rows for path in paths)
        part = Part(self._attempt.folder.name, self._schema, self._form.field_ids, rows)
        return Staged(rows, sum(path.stat().st_size for path in paths), part.to_payload())

    def abort(self) -> None:
        """Leaves what a commit may have taken to the next ``marker``."""
        with suppress(OSError, PenstockError):
            self._attempt.abandon(self._find)
