"""A merge into a table of a database file (SQLite, DuckDB), as trees: what is staged meets what is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.structs import Frozen
from penstock.trees import identifier, is_not_null, is_null

if TYPE_CHECKING:
    from collections.abc import Sequence

_OLD: Final = "t"
_NEW: Final = "s"


def _of(side: str, column: str) -> exp.Column:
    return exp.column(identifier(column), table=side)


def _count_or_none(condition: exp.Expr) -> exp.Coalesce:
    return exp.Coalesce(this=exp.Sum(this=condition), expressions=[exp.Literal.number(0)])


class Merge(Frozen):
    """``values`` are the columns that are sent and are no keys; ``order_by`` says which row of a key is newer."""

    target: exp.Table
    stage: exp.Table
    keys: Sequence[str]
    values: Sequence[str]
    order_by: str | None

    def count_bad_keys(self) -> exp.Select:
        """One row: staged rows with a null key, and how many rows more than keys there are."""
        columns = [exp.column(identifier(key)) for key in self.keys]
        null = exp.or_(*[is_null(column) for column in columns])
        distinct = exp.select(*columns).distinct().from_(self.stage.copy())
        keys_there = exp.select(exp.Count(this=exp.Star())).from_(distinct.subquery("k"))
        repeated = exp.Sub(this=exp.Count(this=exp.Star()), expression=keys_there.subquery())
        return exp.select(_count_or_none(exp.paren(null)), repeated).from_(self.stage.copy())

    def matches(self) -> exp.Select:
        """One row per staged row and row of its key: ``older`` whether it is older, ``kept`` whether it, being no older,
        changes nothing; never null.
        """
        older = self._older()
        kept = exp.and_(exp.Not(this=older.copy()), self._same_values())
        query = exp.select(exp.alias_(older, "older"), exp.alias_(kept, "kept"))
        old = exp.alias_(self.target.copy(), _OLD, table=True)
        return query.from_(self._staged()).join(old, on=self._same_key())

    def count(self, matches: exp.Select) -> exp.Select:
        """One row: all matches, of these older, of the others unchanged."""
        sums = [_count_or_none(exp.column(name)) for name in ("older", "kept")]
        return exp.select(exp.Count(this=exp.Star()), *sums).from_(matches.subquery("m"))

    def update(self) -> exp.Update:
        """Only the sent columns, only rows that differ, only by newer ones."""
        changes = [exp.EQ(this=exp.column(identifier(column)), expression=_of(_NEW, column)) for column in self.values]
        differing = exp.and_(exp.Not(this=self._older()), exp.Not(this=self._same_values()))
        return exp.Update(
            this=exp.alias_(self.target.copy(), _OLD, table=True),
            expressions=changes,
            from_=exp.From(this=self._staged()),
            where=exp.Where(this=exp.and_(self._same_key(), differing)),
        )

    def insert(self, columns: Sequence[str]) -> exp.Insert:
        """The staged rows whose key the table has not."""
        there = exp.select("1").from_(exp.alias_(self.target.copy(), _OLD, table=True)).where(self._same_key())
        rows = exp.select(*(_of(_NEW, column) for column in columns)).from_(self._staged())
        into = exp.Schema(this=self.target.copy(), expressions=[identifier(column) for column in columns])
        return exp.Insert(this=into, expression=rows.where(exp.Not(this=exp.Exists(this=there))))

    def _staged(self) -> exp.Expr:
        return exp.alias_(self.stage.copy(), _NEW, table=True)

    def _same_key(self) -> exp.Expr:
        return exp.and_(*[exp.EQ(this=_of(_OLD, key), expression=_of(_NEW, key)) for key in self.keys])

    def _older(self) -> exp.Expr:
        """Whether the new row is older than the row it meets. A row without a time is older than any with one."""
        if self.order_by is None:
            return exp.false()
        old, new = _of(_OLD, self.order_by), _of(_NEW, self.order_by)
        later = exp.or_(is_null(new), exp.GT(this=old.copy(), expression=new.copy()))
        return exp.paren(exp.and_(is_not_null(old), later))

    def _same_values(self) -> exp.Expr:
        """Whether nothing would change. Rows are compared as such: SQLite refuses a thousand terms in a row."""
        if not self.values:
            return exp.true()
        old, new = (exp.Tuple(expressions=[_of(side, column) for column in self.values]) for side in (_OLD, _NEW))
        return exp.paren(exp.NullSafeEQ(this=old, expression=new))
