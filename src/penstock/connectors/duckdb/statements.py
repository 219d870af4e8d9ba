"""The statements on tables whose names come from documents, as trees in DuckDB's dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.connectors.merge_statements import Merge
from penstock.trees import column, identifier, relation
from penstock.types.duckdb import to_duckdb

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.types import Field, Schema
    from penstock.types.duckdb import EngineType

STAGE: Final = "_penstock_stage"
ARRIVING: Final = "_penstock_arriving"  # what a writer staged, in Arrow


def _definition(field: Field) -> exp.ColumnDef:
    return exp.ColumnDef(this=identifier(field.name), kind=to_duckdb(field.type))


def create(table: str, schema: Schema) -> exp.Create:
    """CREATE TABLE, every column nullable."""
    columns = exp.Schema(this=relation(table), expressions=[_definition(field) for field in schema])
    return exp.Create(this=columns, kind="TABLE")


def create_stage(schema: Schema) -> exp.Create:
    """CREATE TEMPORARY TABLE, of this connection alone."""
    made = create(STAGE, schema)
    made.set("properties", exp.Properties(expressions=[exp.TemporaryProperty()]))
    return made


def drop(table: str) -> exp.Drop:
    """DROP TABLE."""
    return exp.Drop(tables=[relation(table)], kind="TABLE")


def add_column(table: str, field: Field) -> exp.Alter:
    """ALTER TABLE ADD COLUMN; null in the rows that are there."""
    return exp.Alter(this=relation(table), kind="TABLE", actions=[_definition(field)])


def widen_column(table: str, field: Field) -> exp.Alter:
    """ALTER TABLE ALTER COLUMN SET DATA TYPE."""
    action = exp.AlterColumn(this=identifier(field.name), dtype=to_duckdb(field.type))
    return exp.Alter(this=relation(table), kind="TABLE", actions=[action])


def insert(table: str, columns: Sequence[str], source: str) -> exp.Insert:
    """INSERT of these columns, by name."""
    rows = exp.select(*map(column, columns)).from_(relation(source))
    into = exp.Schema(this=relation(table), expressions=[identifier(name) for name in columns])
    return exp.Insert(this=into, expression=rows)


def delete_all(table: str) -> exp.Delete:
    """DELETE without a condition."""
    return exp.Delete(this=relation(table))


def delete_partitions(table: str, partition_by: Sequence[str]) -> exp.Delete:
    """DELETE of the rows whose values in these columns, nulls among them, any staged row has."""
    same = [exp.NullSafeEQ(this=column(name, "s"), expression=column(name, "t")) for name in partition_by]
    there = exp.select("1").from_(exp.alias_(relation(STAGE), "s", table=True)).where(exp.and_(*same))
    target = exp.alias_(relation(table), "t", table=True)
    return exp.Delete(this=target, where=exp.Where(this=exp.Exists(this=there)))


def merge_into(table: str, keys: Sequence[str], *, values: Sequence[str], order_by: str | None) -> Merge:
    """Of what lies in ``STAGE``."""
    return Merge(relation(table), relation(STAGE), keys, values, order_by)


def count_repeated_keys(table: str, keys: Sequence[str]) -> exp.Select:
    """One row: how many of the staged keys several rows of the table have."""
    same = [exp.EQ(this=column(key, "s"), expression=column(key, "t")) for key in keys]
    old = exp.alias_(relation(table), "t", table=True)
    staged = exp.select(*(column(key, "s") for key in keys)).from_(exp.alias_(relation(STAGE), "s", table=True))
    several = exp.GT(this=exp.Count(this=exp.Star()), expression=exp.Literal.number(1))
    grouped = staged.join(old, on=exp.and_(*same)).group_by(*(column(key, "s") for key in keys)).having(several)
    return exp.select(exp.Count(this=exp.Star())).from_(grouped.subquery("k"))


def read(table: str, types: Mapping[str, EngineType], columns: Sequence[str], predicate: exp.Expr | None) -> exp.Select:
    """SELECT of these columns in their logical types; the predicate sees logical types too."""
    kept = [name for name in types if name in columns or predicate is not None]
    named = [exp.alias_(_logical(name, types[name]), name, quoted=True) for name in kept]
    rows = exp.select(*named).from_(relation(table))
    query = exp.select(*map(column, columns)).from_(rows.subquery("rows"))
    return query if predicate is None else query.where(predicate.copy())


def _logical(name: str, kind: EngineType) -> exp.Expr:
    return exp.Cast(this=column(name), to=to_duckdb(kind.type)) if kind.differs else column(name)
