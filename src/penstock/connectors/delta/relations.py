"""The rows of a table, and of what was staged for it, as queries of our own DuckDB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.connectors.delta.literals import column, identifier, parquet, value_of
from penstock.types import STRING, Field, Kind, Primitive, Schema
from penstock.types.duckdb import to_duckdb
from penstock.types.logical import fold_case

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from penstock.connectors.delta.table import DataFile, Snapshot
    from penstock.types import LogicalType

FILE: Final = "file_index"  # the virtual column of read_parquet that counts the files of its list


def free_name(wanted: str, taken: Iterable[str]) -> str:
    """A column name that none of these is, in whatever case."""
    folded = {fold_case(name) for name in taken}
    while fold_case(wanted) in folded:
        wanted += "_"
    return wanted


def same_in_files(written: LogicalType, kept: LogicalType) -> bool:
    """Whether a Parquet file of the one type is read as the other with no more ado: json is text there."""
    return written == kept or (written == Primitive(Kind.JSON) and kept == STRING)


def staged_rows(paths: Sequence[Path], rows: Schema, target: Schema) -> exp.Select:
    """Rows as the engine wrote them, in the target's types; the columns of ``rows``, in its order."""
    chosen = [
        exp.alias_(_converted(field, target[field.name].type), identifier(field.name), quoted=True) for field in rows
    ]
    source = parquet([str(path) for path in paths], rows) if paths else None
    query = exp.select(*chosen)
    return query.from_(exp.Table(this=source)) if source else query.from_(_no_rows(rows))


def _converted(field: Field, wanted: LogicalType) -> exp.Expr:
    if same_in_files(field.type, wanted) and field.type == wanted:
        return column(field.name)
    # By way of text where there is none between the two: an uuid.
    return exp.Cast(this=column(field.name), to=to_duckdb(wanted))


def _no_rows(schema: Schema) -> exp.Subquery:
    chosen = [exp.alias_(value_of(None, field.type), identifier(field.name), quoted=True) for field in schema]
    return exp.select(*chosen).where(exp.false()).subquery(identifier("nothing"))


def table_rows(
    table: Snapshot, files: Sequence[DataFile], target: Schema, *, alias: str, names: Sequence[str], number: str | None
) -> exp.Subquery:
    """Columns ``names`` of these files of the table, in the target's types, as a subquery of that name.

    ``number``: the name of one more column, the place of a row's file in ``files``.
    """
    kept = table.schema
    inner = Schema(tuple(field for field in kept if field.name not in table.partition_by))
    listed = exp.Table(this=parquet([str(table.root / file.path) for file in files], inner))
    chosen: list[exp.Expr] = []
    for name in names:
        wanted = target[name].type
        if name in table.partition_by:
            tree = _by_file([file.partition.get(name) for file in files], wanted)
        elif name not in kept:
            tree = value_of(None, wanted)
        elif kept[name].type == wanted:
            tree = column(name)
        else:
            tree = exp.Cast(this=column(name), to=to_duckdb(wanted))
        chosen.append(exp.alias_(tree, identifier(name), quoted=True))
    if number is not None:
        chosen.append(exp.alias_(column(FILE), identifier(number), quoted=True))
    return exp.select(*chosen).from_(listed).subquery(identifier(alias))


def _by_file(values: Sequence[object], logical: LogicalType) -> exp.Expr:
    """The value that belongs to the file of a row."""
    if len(set(values)) == 1:
        return value_of(values[0], logical)
    listed = exp.Array(expressions=[value_of(value, logical) for value in values])
    place = exp.Add(this=column(FILE), expression=exp.Literal.number(1))
    return exp.Anonymous(this="list_extract", expressions=[listed, place])


def all_of(rows: exp.Subquery) -> exp.Select:
    """All columns of a subquery."""
    return exp.select("*").from_(rows)
