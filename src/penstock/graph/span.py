"""The range of an epoch over a source with a cursor, as a condition on its rows.

A mark is the newest value of the cursor, and which rows of that value there were. A range (after, upto] has the rows
beyond ``after`` up to ``upto``: those of the one's own value that it had not seen, those of the other's own value that it
has. So a row that comes later with the value of the boundary is in the next range, and none is in two; and a range that
is read again has the same rows, whatever came since.

Where more rows have a value than a mark can name, and the document names further columns, it has the greatest of them by
these columns (graph/keyset.py): a range has the rows up to there, and the next one those behind it. Who lacks one of
the columns is named all the same.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Context
from decimal import Decimal as Number
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.errors import InternalError
from penstock.graph.keyset import is_beyond
from penstock.graph.nodes import Filter
from penstock.structs import Frozen, field
from penstock.trees import call, column, is_null, struct, text_of
from penstock.types.duckdb import to_duckdb
from penstock.types.families import Family, family

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from penstock.graph.graph import Graph
    from penstock.graph.keyset import Key
    from penstock.graph.nodes import Node, Read

_EXACT: Final = Context(prec=80)  # the widest decimal has 38 digits
_DAY: Final = len("2024-01-31")


class Ties(Frozen):
    """Rows that are told apart by ``columns``: by their checksums (``identity``) how many there are of each; None where all
    rows of one sum are one row, however many come.
    """

    columns: tuple[str, ...] = ()
    counts: Mapping[str, int | None] = field(default_factory=dict)

    @property
    def counted(self) -> dict[str, int]:
        return {item: count for item, count in self.counts.items() if count is not None}

    def fewer_than(self, found: Mapping[str, int]) -> bool:
        """Whether there are more equal rows now than these were."""
        return any(found.get(item, 0) > count for item, count in self.counted.items())


class Mark(Frozen):
    """``value`` as the engine writes it as text; ``seen`` are the rows of that value; with a ``key`` those of them that lack
    one of its columns, and all others up to it.

    A ``cut`` parts the epochs of a series: it has no rows of its value, nor those without a value that follow it, and
    nothing before it is read again for a lag.
    """

    value: str
    seen: Ties = field(default_factory=Ties)
    cut: bool = False
    key: Key | None = None


class Interval(Frozen):
    """Values of a cursor, as texts: from ``begin`` on (None: from the first) to before ``end`` (None: to the last)."""

    begin: str | None = None
    end: str | None = None


def in_ranges(graph: Graph, conditions: Mapping[str, exp.Expr], among: Mapping[str, exp.Expr] | None = None) -> Graph:
    """The graph with a condition for each filter of a range that is named, and with what tells equal rows by their number."""
    numbers = among or {}

    def narrowed(node: Node) -> Node:
        if node.id not in conditions or not isinstance(node, Filter):
            return node
        condition, told = conditions[node.id], numbers.get(node.id)
        return Filter(node.id, node.input, condition, among=told, schema=node.schema, at=node.at)

    return graph.map(narrowed)


def identity(read: Read, columns: Iterable[str]) -> exp.Expr:
    """What tells rows apart: a checksum (MD5, hex) of these columns; of the whole row where the document names them and one of
    them is null, so that they tell nothing.
    """
    names = tuple(columns)
    cursor = read.cursor
    if cursor is None or not cursor.row or names != cursor.identity:
        return _sum(names)
    return exp.Case(ifs=[exp.If(this=lacks(read), true=_sum(cursor.row))], default=_sum(names))


def lacks(read: Read) -> exp.Expr:
    """Whether a column that the document names to tell rows apart is null."""
    names = read.cursor.named[1:] if read.cursor is not None else ()
    return exp.or_(exp.false(), *(is_null(column(name)) for name in names))


def _sum(names: Iterable[str]) -> exp.Expr:
    return call("md5", text_of(struct({name: column(name) for name in names})))


def bounds(read: Read, after: Mark | None, upto: Mark | None) -> exp.Expr:
    """What every row of the range fulfils, and few others: simple enough for a source that takes conditions. Rows without
    a value are in every range, to be rejected.
    """
    by, lower = _by(read), _lower(read, after)
    parts: list[exp.Expr] = [exp.GTE(this=by.copy(), expression=lower)] if lower is not None else []
    if upto is not None:
        before = exp.LT if upto.cut else exp.LTE
        parts.append(before(this=by.copy(), expression=_value(read, upto)))
    if after is not None and after.cut:
        return exp.and_(*parts)
    return exp.or_(exp.and_(*parts), is_null(by)) if parts else exp.true()


def least(read: Read, after: Mark | None) -> str | None:
    """The least value of the cursor that a range beyond ``after`` has, as text; None where there is none, or no constant."""
    found = _lower(read, after)
    sign = "-" if isinstance(found, exp.Neg) else ""
    value = found.this if isinstance(found, exp.Cast | exp.Neg) else found
    return f"{sign}{value.name}" if isinstance(value, exp.Literal) else None


def within(read: Read, after: Mark | None, upto: Mark | None, *, numbered: bool = False) -> exp.Expr:
    """What the rows of the range (after, upto] fulfil and no other. ``upto`` None: no row had a value when it was planned.
    ``numbered``: of equal rows more than are in it, of which ``by_number`` takes some.
    """
    return condition(read, after, upto, numbered=numbered) if upto is not None else is_null(_by(read))


def condition(read: Read, after: Mark | None, upto: Mark | None, *, numbered: bool = False) -> exp.Expr:
    """As ``within``; ``upto`` None: to the end."""
    parts = [bounds(read, after, upto)]
    cursor = read.cursor
    if cursor is not None and cursor.lag is None:
        if after is not None and not after.cut:
            parts.append(_unless(read, after, exp.not_(_had(read, after, _left_out(after.seen, numbered)))))
        if upto is not None and not upto.cut:
            parts.append(_unless(read, upto, _had(read, upto, upto.seen.counts)))
    return exp.and_(*parts)


def _had(read: Read, mark: Mark, sums: Iterable[str]) -> exp.Expr:
    """Of the rows that have the mark's value those that it has; of those that it names one by one, these ``sums``."""
    named = _one_of(read, mark.seen, sums)
    if mark.key is None:
        return named
    upto = exp.not_(is_beyond(read, mark.key))
    return exp.Case(ifs=[exp.If(this=lacks(read), true=named)], default=upto)


def without_value(read: Read, known: Ties, now: Ties, *, numbered: bool = False) -> exp.Expr:
    """Of the rows without a value those that are among ``now`` and not ``known``; and all others."""
    parts = [_one_of(read, now, now.counts)]
    out = _left_out(known, numbered)
    if out:
        parts.append(exp.Not(this=_one_of(read, known, out)))
    return exp.or_(exp.Not(this=is_null(_by(read))), exp.and_(*parts))


def by_number(read: Read, after: Mark | None, upto: Mark | None, known: Ties, now: Ties) -> exp.Expr:
    """Of equal rows those that come behind as many as there were before, and are no more than there were when the range was
    planned. A window over the rows of ``within`` and ``without_value``; ``known`` and ``now`` are those without a value.
    """
    begins = is_at(read, after) if after is not None and not after.cut else exp.false()
    ends = is_at(read, upto) if upto is not None and not upto.cut else exp.false()
    nothing = is_null(_by(read))
    first, last = after.seen if after is not None else Ties(), upto.seen if upto is not None else Ties()
    key = exp.Case(
        ifs=[
            exp.If(this=place.copy(), true=identity(read, ties.columns))
            for place, ties in ((nothing, now), (begins, first), (ends, last))
            if ties.columns
        ]
    )
    # Rows may be the same in fewer columns than they have now: those of before had nothing in the later ones, as a rule.
    order = [exp.Ordered(this=column(name), nulls_first=True) for name in _later(read, first, last, known, now)]
    number = exp.Window(
        this=exp.RowNumber(),
        partition_by=[key, begins.copy()],
        order=exp.Order(expressions=order) if order else None,
    )
    parts = [
        *(_beyond(nothing, key, number, known, exp.LTE), _beyond(nothing, key, number, now, exp.GT)),
        *(_beyond(begins, key, number, first, exp.LTE), _beyond(ends, key, number, last, exp.GT)),
    ]
    return exp.and_(*(exp.not_(part) for part in parts))


def _beyond(place: exp.Expr, key: exp.Expr, number: exp.Expr, ties: Ties, than: type[exp.LTE | exp.GT]) -> exp.Expr:
    """Whether a row stands at the place with such a number among those of its sum."""
    sums: dict[int, list[str]] = {}
    for item, count in ties.counted.items():
        sums.setdefault(count, []).append(item)
    parts = [
        exp.and_(_in(key, items), than(this=number.copy(), expression=exp.Literal.number(count)))
        for count, items in sums.items()
    ]
    return exp.and_(place.copy(), call("coalesce", exp.or_(*parts), exp.false())) if parts else exp.false()


def _later(read: Read, *ties: Ties) -> list[str]:
    """The columns that are no part of what tells counted rows apart."""
    parts = [item.columns for item in ties if item.counted]
    names = read.cursor.whole if read.cursor is not None else ()
    return [name for name in names if not all(name in part for part in parts)]


def _left_out(ties: Ties, numbered: bool) -> list[str]:  # noqa: FBT001 -- what the range says
    """The sums of which no further row is taken."""
    return [item for item, count in ties.counts.items() if count is None or not numbered]


def is_at(read: Read, mark: Mark) -> exp.Expr:
    return call("coalesce", exp.EQ(this=_by(read), expression=_value(read, mark)), exp.false())


def _unless(read: Read, mark: Mark, then: exp.Expr) -> exp.Expr:
    """Of the rows that have the mark's value, those for which ``then`` is true; and all others."""
    other = exp.Not(this=exp.EQ(this=_by(read), expression=_value(read, mark)))
    return exp.or_(call("coalesce", other, exp.true()), then)


def _one_of(read: Read, ties: Ties, sums: Iterable[str]) -> exp.Expr:
    return _in(identity(read, ties.columns), sums)


def _in(found: exp.Expr, sums: Iterable[str]) -> exp.Expr:
    listed = [exp.Literal.string(item) for item in sorted(sums)]
    return exp.In(this=found.copy(), expressions=listed) if listed else exp.false()


def _lower(read: Read, after: Mark | None) -> exp.Expr | None:
    cursor = read.cursor
    if cursor is None:
        raise InternalError("INT-900", f'"{read.id}" has no cursor')
    if after is None:
        return cursor.initial.copy() if cursor.initial is not None else None
    if cursor.lag is None or after.cut:
        return _value(read, after)
    earlier = _earlier(after.value, cursor.lag)
    if earlier is not None:
        return _cast(read, exp.Literal.string(earlier))
    lag = cursor.lag
    assert isinstance(lag, timedelta)
    microseconds = exp.Literal.string(str(round(lag.total_seconds() * 1_000_000)))
    interval = exp.Interval(this=microseconds, unit=exp.var("MICROSECONDS"))
    return _cast(read, exp.Sub(this=_value(read, after), expression=interval))


def _earlier(value: str, lag: timedelta | Number) -> str | None:
    """The value less the lag, as a text that systems take for a constant; None for a time that Python does not know."""
    if not isinstance(lag, timedelta):
        return str(_EXACT.subtract(Number(value), lag))
    try:
        if len(value) == _DAY:
            return (datetime.combine(date.fromisoformat(value), time()) - lag).date().isoformat()
        return (datetime.fromisoformat(value) - lag).isoformat(" ")
    except (ValueError, OverflowError):
        return None


def _by(read: Read) -> exp.Column:
    if read.cursor is None:
        raise InternalError("INT-900", f'"{read.id}" has no cursor')
    return column(read.cursor.by)


def _value(read: Read, mark: Mark) -> exp.Expr:
    return _cast(read, exp.Literal.string(mark.value))


def _cast(read: Read, value: exp.Expr) -> exp.Expr:
    """A number as a literal, anything else as a text with its type around it."""
    if read.cursor is None or read.schema is None:
        raise InternalError("INT-900", f'"{read.id}" has no cursor')
    kind = read.schema[read.cursor.by].type
    if family(kind) is Family.NUMBER and isinstance(value, exp.Literal):
        digits = exp.Literal.number(value.name.removeprefix("-"))
        return exp.Neg(this=digits) if value.name.startswith("-") else digits
    return exp.Cast(this=value, to=to_duckdb(kind))


__all__ = [
    "Interval", "Mark", "Ties", "bounds", "by_number", "condition", "identity", "in_ranges", "is_at", "lacks", "least", "within",
    "without_value",
]  # fmt: skip
