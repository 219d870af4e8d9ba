"""The rows of a table, and of what was staged for it, as queries of our own DuckDB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.connectors.lake.literals import parquet, value_of
from penstock.errors import ConfigError
from penstock.trees import call, column, file_names, identifier, texts, unused_name
from penstock.types import STRING, Field, Kind, Primitive, Schema
from penstock.types.duckdb import from_duckdb, to_duckdb
from penstock.types.logical import fold_case

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from penstock.connectors.lake.duck import Duck
    from penstock.connectors.lake.tables import DataFile, LakeTable
    from penstock.types import LogicalType

FILE: Final = "file_index"  # the virtual column of read_parquet that counts the files of its list


def same_in_files(written: LogicalType, kept: LogicalType) -> bool:
    """Whether a Parquet file of the one type is read as the other with no more ado: json is text there."""
    return written == kept or (written == Primitive(Kind.JSON) and kept == STRING)


def all_of(rows: exp.Query) -> exp.Select:
    """All columns of a subquery."""
    return exp.select("*").from_(rows)


def renamed(tree: exp.Expr, name: str) -> exp.Alias:
    """``tree AS "name"``."""
    return exp.Alias(this=tree, alias=identifier(name))


def staged_rows(duck: Duck, paths: Sequence[Path], rows: Schema, target: Schema) -> exp.Select:
    """Rows as the engine wrote them, in the target's types; the columns of ``rows``, in its order."""
    if not paths:
        nothing = [renamed(value_of(None, target[field.name].type), field.name) for field in rows]
        return exp.select(*nothing).where(exp.false())
    chosen = [renamed(_converted(field, target[field.name].type), field.name) for field in rows]
    return exp.select(*chosen).from_(exp.Table(this=_reader(duck, paths, rows, {})))


def _converted(field: Field, wanted: LogicalType) -> exp.Expr:
    return column(field.name) if field.type == wanted else exp.Cast(this=column(field.name), to=to_duckdb(wanted))


def table_rows(
    duck: Duck,
    table: LakeTable,
    files: Sequence[DataFile],
    target: Schema,
    *,
    alias: str,
    number: str | None = None,
) -> exp.Subquery:
    """The target's columns of these files of the table, in the target's types, as a subquery of that name.

    ``number``: the name of one more column, the place of a row's file in ``files``.
    """
    kept = table.schema
    inner = Schema(tuple(field for field in kept if field.name not in table.partition_by))
    paths = table.local(files)
    reader, place = _placed(_reader(duck, paths, inner, table.field_ids), paths, kept)
    chosen: list[exp.Expr] = []
    for wanted in target:
        if wanted.name in table.partition_by:
            tree = _by_file([file.partition.get(wanted.name) for file in files], wanted.type, place)
        elif wanted.name not in kept:
            tree = value_of(None, wanted.type)
        else:
            tree = _converted(kept[wanted.name], wanted.type)
        chosen.append(renamed(tree, wanted.name))
    if number is not None:
        chosen.append(renamed(place, number))
    return exp.select(*chosen).from_(exp.Table(this=reader)).subquery(identifier(alias))


def _reader(duck: Duck, paths: Sequence[Path], schema: Schema, ids: Mapping[str, int]) -> exp.Anonymous:
    """``read_parquet`` that gives at least these columns in these types, by name or, where there are any, by their ids.

    Naming the columns' types makes the reader cast and skip less (1.7 times the processor time of a merge's join), so
    it is done only where the files, taken together, are not that already.
    """
    if ids:
        return parquet(map(str, paths), schema, ids)
    listed = file_names(map(str, paths))
    plain = call("read_parquet", listed, union_by_name=exp.true(), hive_partitioning=exp.false())
    found = duck.rows(exp.Describe(this=exp.select("*").from_(exp.Table(this=plain.copy()))))
    types = {str(name): str(text) for name, text, *_ in found}
    if all(_is(types.get(field.name), field.type) for field in schema.relaxed()):
        return plain
    return parquet([str(path) for path in paths], schema)


def _is(text: str | None, logical: LogicalType) -> bool:
    try:
        return text is not None and from_duckdb(text) == logical
    except ConfigError:
        return False


def _placed(reader: exp.Anonymous, paths: Sequence[Path], kept: Schema) -> tuple[exp.Anonymous, exp.Expr]:
    """The reader, and the 0-based place in ``paths`` of the file of a row.

    A column of the user's that is named as the virtual column hides it: then the file's name, under a free name, tells.
    """
    if fold_case(FILE) not in {fold_case(name) for name in kept.names}:
        return reader, exp.Cast(this=column(FILE), to=_bigint())
    path = unused_name("path", kept.names)
    named_so = exp.EQ(this=exp.to_identifier("filename"), expression=exp.Literal.string(path))
    reader.append("expressions", named_so)
    found = call("list_position", texts(map(str, paths)), column(path))
    return reader, exp.Sub(this=exp.Cast(this=found, to=_bigint()), expression=exp.Literal.number(1))


def _bigint() -> exp.DataType:
    return exp.DataType.build("bigint", dialect="duckdb")


def _by_file(values: Sequence[object], logical: LogicalType, place: exp.Expr) -> exp.Expr:
    """The value that belongs to the file of a row."""
    if len(set(values)) == 1:
        return value_of(values[0], logical)
    listed = exp.Array(expressions=[value_of(value, logical) for value in values])
    return call("list_extract", listed, exp.Add(this=place.copy(), expression=exp.Literal.number(1)))
