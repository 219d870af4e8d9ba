"""Parquet files that are written and not yet named by a table: what the table is to say of each."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from penstock.connectors.iceberg.schema import field_ids
from penstock.connectors.iceberg.transforms import place_of, values_of
from penstock.connectors.lake.duck import copy
from penstock.connectors.lake.literals import parquet
from penstock.connectors.lake.relations import renamed
from penstock.disk import sync_file, sync_folder
from penstock.errors import DataError
from penstock.structs import Frozen, replace
from penstock.trees import identifier, is_null, unused_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow.parquet as pq
    from pyiceberg.manifest import DataFile as Entry
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.schema import Schema as IcebergSchema

    from penstock.connectors.api import ParquetFormat
    from penstock.connectors.iceberg.partitions import Division
    from penstock.connectors.iceberg.staging import Attempt
    from penstock.connectors.lake.duck import Duck
    from penstock.types import Schema


class Layout(Frozen):
    """How files of a table are to be: ``target`` are its columns after the commit, with ``fields`` their ids."""

    target: Schema
    fields: IcebergSchema
    spec: PartitionSpec
    divisions: tuple[Division, ...]
    form: ParquetFormat

    def values(self, own: Duck) -> list[exp.Expr]:
        """What the table is divided by, over its columns."""
        return values_of(own, [(division, self.target[division.column].type) for division in self.divisions])


def write(own: Duck, query: exp.Query, columns: Iterable[str], folder: Path, layout: Layout) -> None:
    """The rows of a query of these columns of the target, below a present, empty folder: one folder per partition."""
    form = replace(layout.form, field_ids=field_ids(layout.fields, columns))
    if not layout.divisions:
        own.run(copy(query, folder, form, (), extension="parquet"))
        return
    place = unused_name("place", layout.target.names)
    rows = query.subquery(identifier("r"))
    placed = exp.select("*", renamed(place_of(layout.values(own)), place)).from_(rows)
    own.run(copy(placed, folder, form, (place,), extension="parquet"))


def collect(attempt: Attempt, own: Duck, folder: Path, layout: Layout, never_null: Sequence[str]) -> list[Entry]:
    """The files below a folder of the attempt, durable, as the table is to name them; empty ones are removed.

    Raises OSError, TransientError SNK-257, DataError SNK-252, SNK-253 for a null in one of ``never_null``.
    """
    import pyarrow.parquet as pq

    entries = []
    for path in sorted(_files_below(folder)):
        footer = pq.read_metadata(path)
        if footer.num_rows == 0:
            path.unlink()
            continue
        _refuse_nulls(own, path, layout, never_null)
        sync_file(path)
        location = attempt.place.location_of(path)
        entries.append(_entry(path, location, footer, layout, _partition(own, path, layout)))
    for top, _, _ in os.walk(folder):
        sync_folder(Path(top))
    sync_folder(folder.parent)
    return entries


def _files_below(folder: Path) -> Iterator[Path]:
    for top, _, names in os.walk(folder):
        for name in names:
            yield Path(top, name)


def _rows_of(path: Path, layout: Layout) -> exp.Table:
    return exp.Table(this=parquet([str(path)], layout.target))


def _refuse_nulls(own: Duck, path: Path, layout: Layout, names: Sequence[str]) -> None:
    for name in names:
        null = is_null(exp.column(identifier(name)))
        if own.rows(exp.select(exp.Literal.number(1)).from_(_rows_of(path, layout)).where(null).limit(1)):
            raise null_in(name)


def null_in(name: str) -> DataError:
    """SNK-253, to be raised."""
    return DataError("SNK-253", f'column "{name}" is never null in the Iceberg table, and the rows have a null there')


# ---------------------------------------------------------------- what the table says of a file


def _partition(own: Duck, path: Path, layout: Layout) -> tuple[Any, ...]:
    """The values that all rows of a file have in common, as Iceberg keeps them. Raises DataError SNK-252."""
    if not layout.divisions:
        return ()
    from pyiceberg.partitioning import partition_record_value

    chosen = [renamed(value, f"v{number}") for number, value in enumerate(layout.values(own))]
    try:
        (found,) = own.rows(exp.select(*chosen).from_(_rows_of(path, layout)).limit(1))
        parts = zip(layout.spec.fields, found, strict=True)
        return tuple(partition_record_value(part, value, layout.fields) for part, value in parts)
    except (ValueError, OverflowError):
        raise DataError(
            "SNK-252",
            "a column that divides the table holds a day outside the years 1 to 9999",
            hint="replace it before the sink, or divide by its year",
        ) from None


def _entry(path: Path, location: str, footer: pq.FileMetaData, layout: Layout, partition: tuple[Any, ...]) -> Entry:
    from pyiceberg.io.pyarrow import (
        compute_statistics_plan,
        data_file_statistics_from_parquet_metadata,
        parquet_path_to_id_mapping,
    )
    from pyiceberg.manifest import DataFile as NewEntry
    from pyiceberg.manifest import DataFileContent, FileFormat
    from pyiceberg.typedef import Record

    ids = parquet_path_to_id_mapping(layout.fields)
    told = data_file_statistics_from_parquet_metadata(footer, compute_statistics_plan(layout.fields, {}), ids)
    statistics = told.to_serialized_dict()
    for number in {ids[name] for name in _uncertain(footer)}:
        for bounds in ("lower_bounds", "upper_bounds"):
            statistics[bounds].pop(number, None)
    return NewEntry.from_args(
        content=DataFileContent.DATA,
        file_path=location,
        file_format=FileFormat.PARQUET,
        partition=Record(*partition),
        file_size_in_bytes=path.stat().st_size,
        sort_order_id=None,
        spec_id=layout.spec.spec_id,
        equality_ids=None,
        key_metadata=None,
        **statistics,
    )


def _uncertain(footer: pq.FileMetaData) -> set[str]:
    """Columns of which a part of the file tells no bounds, as where NaN is: those of the rest are not the file's. And
    columns that a path of names does not tell apart.
    """
    parts = [
        footer.row_group(group).column(place)
        for group in range(footer.num_row_groups)
        for place in range(footer.num_columns)
    ]
    repeated = Counter(part.path_in_schema for part in parts)
    return {part.path_in_schema for part in parts if not _is_bounded(part)} | {
        name for name, times in repeated.items() if times > footer.num_row_groups
    }


def _is_bounded(part: pq.ColumnChunkMetaData) -> bool:
    told = part.statistics
    return told is not None and (told.has_min_max or told.null_count == part.num_values)


def sizes(entries: Iterable[Entry]) -> int:
    """All bytes of these files."""
    return sum(entry.file_size_in_bytes for entry in entries)
