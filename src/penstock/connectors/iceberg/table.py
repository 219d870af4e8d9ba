"""One version of an Iceberg table: its columns, its live data files, what the table says of each."""

from __future__ import annotations

import os
import re
import struct
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from penstock.connectors.iceberg.partitions import Division
from penstock.connectors.iceberg.schema import from_iceberg
from penstock.connectors.lake.tables import DataFile, outside
from penstock.errors import ConfigError
from penstock.structs import Frozen
from penstock.types import Kind, LogicalType, Primitive

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from pyiceberg.manifest import DataFile as Entry
    from pyiceberg.schema import Schema as IcebergSchema
    from pyiceberg.table import FileScanTask, Table
    from pyiceberg.table.snapshots import Snapshot as IcebergSnapshot

    from penstock.connectors.iceberg.catalog import Catalog
    from penstock.types import Schema

_UNKNOWN: Final = object()
# Names that no writer of Parquet files spells in another way: Iceberg's own escape what Avro does not take.
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DAY: Final = date(1970, 1, 1)
_MOMENT: Final = datetime(1970, 1, 1)  # noqa: DTZ001 -- of a column without a zone


class Snapshot(Frozen, dict=True):
    """A table at one of its snapshots; ``number`` None: a table that never had rows.

    ``root`` is its folder, absolute and free of links. Everything is read from ``handle``.
    """

    catalog: Catalog
    handle: Table
    number: int | None

    @property
    def title(self) -> str:
        return f'the Iceberg table "{".".join(self.handle.name())}"'

    @cached_property
    def root(self) -> Path:
        """Raises ConfigError SRC-265, DOC-232."""
        return self.catalog.folder_of(self.handle.metadata.location)

    @cached_property
    def fields(self) -> IcebergSchema:
        """The columns as of the snapshot: of the current one as the table says now."""
        metadata = self.handle.metadata
        if self.number == metadata.current_snapshot_id:
            return self.handle.schema()
        told = metadata.snapshot_by_id(self.number) if self.number is not None else None
        return self.handle.schemas()[told.schema_id] if told and told.schema_id is not None else self.handle.schema()

    @cached_property
    def schema(self) -> Schema:
        """Raises ConfigError SRC-112, SRC-261."""
        return from_iceberg(self.fields, self.title)

    # ------------------------------------------------------------ files

    @cached_property
    def tasks(self) -> tuple[FileScanTask, ...]:
        """The live data files with what deletes rows of them. Raises ConfigError SRC-261, SRC-264, TransientError SRC-263."""
        if self.number is None:
            return ()
        with self.catalog.asked():
            try:
                return tuple(self.handle.scan(snapshot_id=self.number).plan_files())
            except (ValueError, NotImplementedError) as error:
                raise ConfigError("SRC-261", f"{self.title} cannot be read", detail=str(error)) from None

    @cached_property
    def entries(self) -> Mapping[str, Entry]:
        """By path relative to the root. Raises DataError SRC-254 for a file that lies elsewhere."""
        return {self._inside(task.file.file_path): task.file for task in self.tasks}

    @cached_property
    def files(self) -> tuple[DataFile, ...]:
        return tuple(
            DataFile(path, entry.file_size_in_bytes, entry.record_count, self._values(entry))
            for path, entry in self.entries.items()
        )

    def tasks_of(self, paths: Collection[str]) -> Iterator[FileScanTask]:
        """Of these files, by path relative to the root."""
        return (task for task in self.tasks if self._inside(task.file.file_path) in paths)

    def _inside(self, location: str) -> str:
        path = os.path.normpath(self.catalog.place.path_of(location))
        if not path.startswith(f"{self.root}{os.sep}"):
            path = os.path.realpath(path)  # the location may be a link's
        if not path.startswith(f"{self.root}{os.sep}"):
            raise outside(self.title, location)
        return os.path.relpath(path, self.root)

    # ------------------------------------------------------------ how it is divided

    @cached_property
    def divisions(self) -> tuple[Division, ...]:
        """How new files are divided. Raises ConfigError SNK-250 for a transform that is not computed here."""
        found = [
            (str(part.transform), Division.of(part.transform, self.handle.schema().find_field(part.source_id).name))
            for part in self.handle.spec().fields
            if str(part.transform) != "void"
        ]
        unknown = [name for name, division in found if division is None]
        if unknown or len(found) != len(self.handle.spec().fields):
            raise ConfigError("SNK-250", f"{self.title} cannot be written here: it is divided by {unknown or 'void'}")
        return tuple(division for _, division in found if division is not None)

    @cached_property
    def partition_by(self) -> tuple[str, ...]:
        """The columns whose values the table tells of every live file, by identity."""
        specs = {entry.spec_id for entry in self.entries.values()}
        if len(specs) != 1:
            return ()
        spec = self.handle.specs()[specs.pop()]
        known = {field.field_id: field.name for field in self.fields.fields}
        names = (known.get(part.source_id) for part in spec.fields if str(part.transform) == "identity")
        return tuple(name for name in names if name is not None)

    def _values(self, entry: Entry) -> dict[str, Any]:
        if not self.partition_by:
            return {}
        spec = self.handle.specs()[entry.spec_id]
        known = {field.field_id: field.name for field in self.fields.fields}
        return {
            known[part.source_id]: _python(entry.partition[place], self.schema[known[part.source_id]].type)
            for place, part in enumerate(spec.fields)
            if str(part.transform) == "identity" and part.source_id in known
        }

    def local(self, files: Sequence[DataFile]) -> list[Path]:
        """As ``LakeTable.local``."""
        return self.catalog.place.local(self.root, self.title, files)

    def bounds(self, column: str) -> Mapping[str, tuple[Any, Any]]:
        """As ``LakeTable.bounds``; empty where the table has none of that column."""
        from pyiceberg.conversions import from_bytes
        from pyiceberg.types import PrimitiveType

        field = self.fields.find_field(column)
        kind = field.field_type
        found: dict[str, tuple[Any, Any]] = {}
        for path, entry in self.entries.items():
            low, high = ((told or {}).get(field.field_id) for told in (entry.lower_bounds, entry.upper_bounds))
            if low is not None and high is not None and isinstance(kind, PrimitiveType):
                with suppress(struct.error):  # of a type that was widened since
                    ends = (_python(from_bytes(kind, end), self.schema[column].type) for end in (low, high))
                    found[path] = (next(ends), next(ends))
        return found

    # ------------------------------------------------------------ how it can be read

    @cached_property
    def needs_scan(self) -> str | None:
        """Why the engine cannot read the data files; None: it can, by the names of their columns or by ``field_ids``."""
        if any(task.delete_files for task in self.tasks):
            return "delete files"
        if any(entry.file_format != "PARQUET" for entry in self.entries.values()):
            return "data files that are not Parquet"
        if any(field.initial_default is not None for field in self.fields.fields):
            return "columns with a default"
        if any(value is _UNKNOWN for file in self.files for value in file.partition.values()):
            return "partitions by days outside the years 1 to 9999"
        specs = {entry.spec_id for entry in self.entries.values()}
        if len(specs) > 1 and any(self.handle.specs()[number].fields for number in specs):
            return "files of several partitionings"
        if self._ids is None:
            return "files whose columns have no ids, or in them parts of other names"
        return None

    @property
    def field_ids(self) -> Mapping[str, int]:
        return self._ids or {}

    @cached_property
    def _ids(self) -> Mapping[str, int] | None:
        """Empty where all columns are found by their names; None where parts of them are found neither so nor by id."""
        if self._always_named_so():
            return {}
        now = _names_of(self.fields)
        top = {field.field_id for field in self.fields.fields}
        by_name = True
        for file in self.files:
            there = _names_in(self.local([file])[0])
            if there is None:
                return None
            changed = {number for number, name in there.items() if now.get(number, name) != name}
            changed |= {now_id for now_id, name in now.items() if _is_another(now_id, name, there)}
            if not changed <= top:
                return None
            by_name = by_name and not changed
        return {} if by_name else {field.name: field.field_id for field in self.fields.fields}

    def _always_named_so(self) -> bool:
        """Whether every column had one name ever since, one that no writer spells otherwise in its files."""
        schemas = self.handle.schemas().values()
        pairs = {(name, number) for schema in schemas for number, name in _names_of(schema).items()}
        names, numbers = {name for name, _ in pairs}, {number for _, number in pairs}
        return (
            len(pairs) == len(names) == len(numbers)
            and all(_PLAIN.fullmatch(self.fields.find_field(number).name) for number in self.fields.field_ids)
            and "schema.name-mapping.default" not in self.handle.metadata.properties
        )


def _names_of(schema: IcebergSchema) -> dict[int, str]:
    """The full names of columns and of all within them, by id."""
    return {number: schema.find_column_name(number) or "" for number in schema.field_ids}


def _names_in(path: Path) -> dict[int, str] | None:
    """As ``_names_of``, of a data file; None where its columns have no ids, or it cannot be read."""
    import pyarrow.parquet as pq
    from pyiceberg.io.pyarrow import pyarrow_to_schema

    try:
        return _names_of(pyarrow_to_schema(pq.read_schema(path)))
    except (ValueError, TypeError, OSError):
        return None


def _is_another(number: int, name: str, there: Mapping[int, str]) -> bool:
    """Whether a file has that name for another column."""
    return number not in there and name in there.values()


def newest(catalog: Catalog, table: str) -> Snapshot | None:
    """The table as it stands; None where there is none. Errors as ``Catalog.find``."""
    found = catalog.find(table)
    return None if found is None else Snapshot(catalog, found, found.metadata.current_snapshot_id)


def at_snapshot(catalog: Catalog, table: str, number: int | None) -> Snapshot:
    """Raises ConfigError SRC-259, SRC-260 (that snapshot never was, or has expired), and as ``newest``."""
    found = _found(catalog, table)
    if number is not None and found.handle.metadata.snapshot_by_id(number) is None:
        raise ConfigError(
            "SRC-260",
            f"{found.title} has no snapshot {number} to read",
            detail=f"its current one is {found.number}; old ones go when they are expired",
        )
    return Snapshot(catalog, found.handle, number)


def at_time(catalog: Catalog, table: str, moment: datetime) -> Snapshot:
    """The snapshot that was current at ``moment``. Errors as ``at_snapshot``."""
    found = _found(catalog, table)
    told = _current_at(found.handle, moment)
    if told is None:
        raise ConfigError("SRC-260", f"{found.title} has no snapshot as old as {moment.isoformat()}")
    return at_snapshot(catalog, table, told.snapshot_id)


def _current_at(handle: Table, moment: datetime) -> IcebergSnapshot | None:
    return handle.snapshot_as_of_timestamp(int(moment.timestamp() * 1000))


def _found(catalog: Catalog, table: str) -> Snapshot:
    found = newest(catalog, table)
    if found is None:
        raise catalog.missing(table)
    return found


def _python(value: Any, logical: LogicalType) -> Any:
    """A value as Iceberg keeps it, as Python has it; ``_UNKNOWN`` for one that Python does not hold."""
    if not isinstance(logical, Primitive) or not isinstance(value, int):
        return value
    try:
        match logical.kind:
            case Kind.DATE:
                return _DAY + timedelta(days=value)
            case Kind.TIMESTAMP:
                return _MOMENT + timedelta(microseconds=value)
            case Kind.TIMESTAMPTZ:
                return _MOMENT.replace(tzinfo=UTC) + timedelta(microseconds=value)
            case Kind.TIME:
                return (_MOMENT + timedelta(microseconds=value)).time()
            case _:
                return value
    except OverflowError:
        return _UNKNOWN
