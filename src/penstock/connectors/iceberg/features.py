"""Which tables are not written, and how a table is divided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.connectors.api import WriteMode
from penstock.connectors.iceberg.evolving import stays
from penstock.errors import ConfigError
from penstock.trees import unused_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.schema import Schema as IcebergSchema

    from penstock.connectors.api import Preparation
    from penstock.connectors.iceberg.partitions import Division
    from penstock.connectors.iceberg.table import Snapshot
    from penstock.types import Schema

_NEWEST: Final = 2  # format version
_FIRST_FIELD: Final = 1000  # ids of partition fields begin there


def check_writable(table: Snapshot, mode: WriteMode, change: Preparation, rows: Schema) -> None:
    """Raises ConfigError SNK-250 where the table would not be what it promises, or cannot be rewritten exactly."""
    for reason in _reasons(table, mode, change, rows):
        raise ConfigError("SNK-250", f"{table.title} cannot be written here: it has {reason}")


def _reasons(table: Snapshot, mode: WriteMode, change: Preparation, rows: Schema) -> Iterator[str]:
    metadata = table.handle.metadata
    if metadata.format_version > _NEWEST:
        yield f"the format version {metadata.format_version}"
    by_whom = table.handle.spec().spec_id
    if mode is WriteMode.OVERWRITE_PARTITIONS and any(e.spec_id != by_whom for e in table.entries.values()):
        yield "files of several partitionings"
    if (mode is WriteMode.MERGE or needs_rewriting(table, change)) and table.needs_scan:
        yield table.needs_scan
    for division in table.divisions if change.replaces else ():
        if not stays(table.fields.find_field(division.column).field_type, rows[division.column].type):
            yield f'another type for column "{division.column}", by which it is divided'


def needs_rewriting(table: Snapshot, change: Preparation) -> bool:
    """Whether a column gets a type as which the files that are there cannot be read."""
    return any(not stays(table.fields.find_field(old.name).field_type, new.type) for old, new in change.widens)


def spec_of(divisions: Sequence[Division], fields: IcebergSchema) -> PartitionSpec:
    """For a new table."""
    from pyiceberg.partitioning import PartitionField, PartitionSpec

    taken = [field.name for field in fields.fields]
    parts = []
    for number, division in enumerate(divisions):
        source = fields.find_field(division.column)
        name = division.column
        if division.transform != "identity":
            name = unused_name(f"{division.column}_{division.transform}", taken)
            taken.append(name)
        parts.append(PartitionField(source.field_id, _FIRST_FIELD + number, division.to_transform(), name))
    return PartitionSpec(*parts)
