"""The statements on tables whose names come from documents, as trees in SQLite's dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.connectors.sqlite.affinity import declared
from penstock.trees import identifier, is_not_null, is_null

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.types import Field, Schema

STAGE: Final = "_penstock_stage"
DROP_STAGE: Final = "DROP TABLE IF EXISTS temp._penstock_stage"
_OLD: Final = "t"
_NEW: Final = "s"


def table(text: str, *, temporary: bool = False) -> exp.Table:
    """A table of the file, or of this connection alone."""
    return exp.Table(this=identifier(text), db=identifier("temp" if temporary else "main"))


def _of(side: str, column: str) -> exp.Column:
    return exp.column(identifier(column), table=side)


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


def select_from(relation: exp.Table, columns: Sequence[str]) -> exp.Select:
    """SELECT these columns, in this order."""
    return exp.select(*(exp.column(identifier(column)) for column in columns)).from_(relation)


def delete_all(text: str) -> exp.Delete:
    """DELETE without a condition."""
    return exp.Delete(this=table(text))


def insert(text: str, columns: Sequence[str], *, temporary: bool = False) -> exp.Insert:
    """One row of placeholders, in the order of the columns."""
    row = exp.Tuple(expressions=[exp.Placeholder() for _ in columns])
    into = exp.Schema(this=table(text, temporary=temporary), expressions=[identifier(column) for column in columns])
    return exp.Insert(this=into, expression=exp.Values(expressions=[row]))


# ---------------------------------------------------------------- merge


def _same_key(keys: Sequence[str]) -> exp.Expr:
    return exp.and_(*[exp.EQ(this=_of(_OLD, key), expression=_of(_NEW, key)) for key in keys])


def _older(order_by: str | None) -> exp.Expr:
    """Whether the new row is older than the row it meets; never null. A row without a time is older than any with one."""
    if order_by is None:
        return exp.Literal.number(0)
    old, new = _of(_OLD, order_by), _of(_NEW, order_by)
    later = exp.or_(is_null(new), exp.GT(this=old.copy(), expression=new.copy()))
    return exp.paren(exp.and_(is_not_null(old), later))


def _same_values(columns: Sequence[str]) -> exp.Expr:
    """Whether nothing would change; never null. Rows are compared as such: SQLite refuses a thousand terms in a row."""
    if not columns:
        return exp.Literal.number(1)
    old, new = (exp.Tuple(expressions=[_of(side, column) for column in columns]) for side in (_OLD, _NEW))
    return exp.paren(exp.Is(this=old, expression=new))


def _joined(query: exp.Select, text: str, keys: Sequence[str]) -> exp.Select:
    stage = exp.alias_(table(STAGE, temporary=True), _NEW, table=True)
    return query.from_(stage).join(exp.alias_(table(text), _OLD, table=True), on=_same_key(keys))


def count_matches(text: str, keys: Sequence[str], *, values: Sequence[str], order_by: str | None) -> exp.Select:
    """One row: matched, of these older, of the others unchanged.

    The limit, of none, keeps SQLite from aggregating over the columns themselves, of which it takes 2,000 in all.
    """
    older = _older(order_by)
    kept = exp.and_(exp.Not(this=older.copy()), _same_values(values))
    matches = _joined(exp.select(exp.alias_(older, "older"), exp.alias_(kept, "kept")), text, keys).limit(-1)
    sums = [exp.Sum(this=exp.column(name)) for name in ("older", "kept")]
    total = [exp.Coalesce(this=one, expressions=[exp.Literal.number(0)]) for one in sums]
    return exp.select(exp.Count(this=exp.Star()), *total).from_(matches.subquery("m"))


def count_bad_keys(keys: Sequence[str]) -> exp.Select:
    """One row: rows with a null key, and how many rows more than keys there are."""
    columns = [exp.column(identifier(key)) for key in keys]
    null = exp.or_(*[is_null(column) for column in columns])
    nulls = exp.Coalesce(this=exp.Sum(this=exp.paren(null)), expressions=[exp.Literal.number(0)])
    distinct = exp.select(*columns).distinct().from_(table(STAGE, temporary=True))
    keys_there = exp.select(exp.Count(this=exp.Star())).from_(distinct.subquery("k"))
    repeated = exp.Sub(this=exp.Count(this=exp.Star()), expression=keys_there.subquery())
    return exp.select(nulls, repeated).from_(table(STAGE, temporary=True))


def update_matches(text: str, keys: Sequence[str], *, values: Sequence[str], order_by: str | None) -> exp.Update:
    """Only the sent columns, only rows that differ, only by newer ones."""
    changes = [exp.EQ(this=exp.column(identifier(column)), expression=_of(_NEW, column)) for column in values]
    differing = exp.and_(exp.Not(this=_older(order_by)), exp.Not(this=_same_values(values)))
    stage = exp.alias_(table(STAGE, temporary=True), _NEW, table=True)
    return exp.Update(
        this=exp.alias_(table(text), _OLD, table=True),
        expressions=changes,
        from_=exp.From(this=stage),
        where=exp.Where(this=exp.and_(_same_key(keys), differing)),
    )


def insert_new(text: str, columns: Sequence[str], keys: Sequence[str]) -> exp.Insert:
    """Insert the staged rows whose key the table has not."""
    there = exp.select("1").from_(exp.alias_(table(text), _OLD, table=True)).where(_same_key(keys))
    stage = exp.alias_(table(STAGE, temporary=True), _NEW, table=True)
    rows = exp.select(*(_of(_NEW, column) for column in columns)).from_(stage)
    into = exp.Schema(this=table(text), expressions=[identifier(column) for column in columns])
    return exp.Insert(this=into, expression=rows.where(exp.Not(this=exp.Exists(this=there))))
