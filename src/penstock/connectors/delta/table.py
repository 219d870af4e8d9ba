"""One version of a Delta table: its protocol, its columns, its files with the values of their partitions."""

from __future__ import annotations

import os
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from penstock.connectors.delta.driver import find, opening
from penstock.connectors.delta.layout import log_file
from penstock.connectors.delta.schema import from_delta
from penstock.connectors.lake.tables import DataFile, outside
from penstock.errors import ConfigError
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from arro3.core import Table
    from deltalake import DeltaTable

    from penstock.connectors.delta.places import Place
    from penstock.types import Schema

# Reader features under which a data file is plain Parquet with the columns that the log names.
_PLAIN: Final = frozenset({"timestampNtz", "vacuumProtocolCheck", "v2Checkpoint", "variantType", "variantType-preview"})
# Reader features under which deltalake's own scan must be used, where the table makes use of them.
_SCANNED: Final = frozenset({"deletionVectors", "columnMapping"})
_FOREIGN: Final = re.compile(r"(?!file://)[A-Za-z][A-Za-z0-9+.-]*://")
_MAPPED: Final = 2  # reader version 2 is column mapping


class Snapshot(Frozen, dict=True):
    """A table at one version. Everything is read from ``handle``, which must not be moved to another version."""

    place: Place
    handle: DeltaTable

    @property
    def root(self) -> Path:
        return self.place.root

    @property
    def title(self) -> str:
        return f'the Delta table "{self.place.name}"'

    @property
    def field_ids(self) -> Mapping[str, int]:
        return {}

    @property
    def version(self) -> int:
        return self.handle.version()

    @cached_property
    def schema(self) -> Schema:
        """All columns, those of the partitions among them. Raises ConfigError SRC-253."""
        return from_delta(self.handle.schema().to_json())

    @cached_property
    def partition_by(self) -> tuple[str, ...]:
        return tuple(self.handle.metadata().partition_columns)

    @cached_property
    def configuration(self) -> Mapping[str, str]:
        return self.handle.metadata().configuration

    @cached_property
    def actions(self) -> Table:
        """One row per live file: path (as in the log), size_bytes, num_records, and structs min, max, null_count,
        partition where the log has any; values have the columns' types.
        """
        return self.handle.get_add_actions(flatten=False)

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """The files in the order of ``actions``, relative to the table's folder as they lie on disk.

        Raises DataError SRC-254 for one that lies elsewhere.
        """
        return tuple(_inside(self.root, self.title, text) for text in self.actions.column("path").to_pylist())

    @cached_property
    def logged_paths(self) -> frozenset[str]:
        """The files as the log spells them."""
        return frozenset(self.actions.column("path").to_pylist())

    @cached_property
    def files(self) -> tuple[DataFile, ...]:
        """The live files in the order of ``actions``. Raises DataError SRC-254."""
        sizes = self.actions.column("size_bytes").to_pylist()
        rows = self.actions.column("num_records").to_pylist()
        partitions: list[dict[str, Any]] = [{}] * len(sizes)
        if self.partition_by:
            partitions = list(self.actions.column("partition").to_pylist())
        return tuple(map(DataFile, self.paths, sizes, rows, partitions))

    def local(self, files: Sequence[DataFile]) -> list[Path]:
        """As ``LakeTable.local``."""
        return self.place.local(self.title, files)

    def bounds(self, column: str) -> Mapping[str, tuple[Any, Any]]:
        """By path, as ``LakeTable.bounds``; empty where the log has none of that column."""
        least, greatest = self._logged("min", column), self._logged("max", column)
        return {path: (low, greatest.get(path)) for path, low in least.items()}

    def _logged(self, side: str, column: str) -> dict[str, Any]:
        from arro3.core import struct_field

        if side not in self.actions.column_names:
            return {}
        bounds = self.actions.column(side).combine_chunks()
        names = [field.name for field in bounds.type.fields]
        if column not in names:
            return {}
        return dict(zip(self.paths, struct_field(bounds, names.index(column)).to_pylist(), strict=True))

    @cached_property
    def reader_features(self) -> frozenset[str]:
        protocol = self.handle.protocol()
        named = frozenset(protocol.reader_features or ())
        return named | {"columnMapping"} if protocol.min_reader_version == _MAPPED else named

    @property
    def takes_zoneless(self) -> bool:
        """Whether columns of type timestamp, without a zone, may stand in the table."""
        return "timestampNtz" in self.reader_features

    @cached_property
    def needs_scan(self) -> bool:
        """Whether the data files do not say by themselves which rows and columns the table has.

        Raises ConfigError SRC-253 for a feature that neither way of reading knows.
        """
        unknown = self.reader_features - _PLAIN - _SCANNED
        if unknown:
            names = ", ".join(sorted(unknown))
            raise ConfigError("SRC-253", f'the Delta table "{self.place.name}" needs the feature {names} to be read')
        if self.configuration.get("delta.columnMapping.mode", "none") != "none":
            return True
        return "deletionVectors" in self.reader_features and self._has_deletions()

    def _has_deletions(self) -> bool:
        with opening(self.place.name):
            return any(batch.num_rows for batch in self.handle.deletion_vectors())


def newest(place: Place) -> Snapshot | None:
    """The table as it stands; None where there is none. Errors as :func:`driver.find`."""
    handle = find(place)
    return None if handle is None else Snapshot(place, handle)


def at_version(place: Place, version: int) -> Snapshot:
    """The table as of a version.

    Raises ConfigError SRC-250 (no table), SRC-252 (that version never was, or its log is gone).
    """
    from deltalake.exceptions import TableNotFoundError

    current = newest(place)
    if current is None:
        raise missing(place)
    if current.version == version:
        return current
    if version <= current.version:
        try:
            place.reach(version)
            handle = find(place, version)
        except (ConfigError, TableNotFoundError):
            handle = None
        if handle is not None and handle.version() == version:
            return Snapshot(place, handle)
    raise ConfigError(
        "SRC-252",
        f'the Delta table "{place.name}" has no version {version} to read',
        detail=f"its newest version is {current.version}; old ones go when the log is cleaned up",
    )


def at_time(place: Place, moment: datetime) -> Snapshot:
    """The version that was current at ``moment``, by the time at which its log entry was written.

    Raises ConfigError SRC-250, SRC-251, SRC-252 (the table, or what is left of its log, begins later).
    """
    place.reach(None)
    handle = find(place)
    if handle is None:
        raise missing(place)
    with opening(place.name):
        handle.load_as_version(moment)
    # deltalake gives the oldest version for every time before it.
    if _written_at(place.root, handle.version()) > moment.timestamp():
        raise ConfigError(
            "SRC-252",
            f'the Delta table "{place.name}" has no version as old as {moment.isoformat()}',
            detail=f"its oldest readable version is {handle.version()}",
        )
    return Snapshot(place, handle)


def missing(place: Place) -> ConfigError:
    """SRC-250, to be raised."""
    return ConfigError("SRC-250", f'there is no Delta table at "{place.name}"', detail=f"looked in {place.shown}")


def _written_at(root: Path, version: int) -> float:
    try:
        return log_file(root, version).stat().st_mtime
    except OSError:
        return float("inf")


def _inside(root: Path, title: str, logged: str) -> str:
    """A file's path relative to the root, as it lies on disk; the log has it percent-encoded."""
    text = unquote(logged)
    path = os.path.normpath(os.path.join(root, text.removeprefix("file://")))  # noqa: PTH118 -- pathlib keeps ".."
    if not path.startswith(f"{root}{os.sep}") or _FOREIGN.match(text):
        raise outside(title, text)
    return os.path.relpath(path, root)
