"""The statements on tables whose names come from documents, as trees in SQLite's dialect or as text."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.connectors.merge_statements import Merge
from penstock.connectors.sqlite.affinity import declared
from penstock.trees import identifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.types import Field, Schema

STAGE: Final = "_penstock_stage"
DROP_STAGE: Final = "DROP TABLE IF EXISTS temp._penstock_stage"


def table(text: str, *, temporary: bool = False) -> exp.Table:
    """A table of the file, or of this connection alone."""
    return exp.Table(this=identifier(text), db=identifier("temp" if temporary else "main"))


def _definition(column: Field) -> exp.ColumnDef:
    return exp.ColumnDef(
        this=identifier(column.name), kind=exp.DataType(this=exp.DType.USERDEFINED, kind=declared(column.type))
    )


def create(text: str, schema: Schema, *, temporary: bool = False) -> exp.Create:
    """CREATE TABLE with a declared type per column, which ``affinity`` reads back."""
    columns = exp.Schema(this=table(text, temporary=temporary), expressions=[_definition(column) for column in schema])
    return exp.Create(this=columns, kind="TABLE")


def drop(text: str) -> exp.Drop:
    """DROP TABLE."""
    return exp.Drop(tables=[table(text)], kind="TABLE")


def add_column(text: str, column: Field) -> exp.Alter:
    """ALTER TABLE ADD COLUMN; null in the rows that are there."""
    return exp.Alter(this=table(text), kind="TABLE", actions=[_definition(column)])


def unique_index(text: str, index: str, keys: Sequence[str]) -> exp.Create:
    """An index by which a merge finds the row of a key."""
    columns = [exp.Ordered(this=exp.column(identifier(key)), nulls_first=True) for key in keys]
    made = exp.Index(
        this=exp.Table(this=identifier(index), db=identifier("main")),
        table=exp.Table(this=identifier(text)),
        params=exp.IndexParameters(columns=columns),
    )
    return exp.Create(this=made, kind="INDEX", unique=True, exists=True)


def select_from(relation: exp.Table, columns: Sequence[str], where: exp.Expr | None = None) -> exp.Select:
    """SELECT these columns, in this order, of all rows or of those that a condition is true of."""
    query = exp.select(*(exp.column(identifier(column)) for column in columns)).from_(relation)
    return query if where is None else query.where(where)


def delete_all(text: str) -> exp.Delete:
    """DELETE without a condition."""
    return exp.Delete(this=table(text))


@lru_cache
def insert(text: str, columns: tuple[str, ...], *, temporary: bool = False) -> str:
    """One row of placeholders, in the order of the columns; as text, for every epoch writes by it."""
    row = exp.Tuple(expressions=[exp.Placeholder() for _ in columns])
    into = exp.Schema(this=table(text, temporary=temporary), expressions=[identifier(column) for column in columns])
    return exp.Insert(this=into, expression=exp.Values(expressions=[row])).sql(dialect="sqlite")


def merge_into(text: str, keys: Sequence[str], *, values: Sequence[str], order_by: str | None) -> Merge:
    """Of what lies in ``STAGE``."""
    return Merge(table(text), table(STAGE, temporary=True), keys, values, order_by)
