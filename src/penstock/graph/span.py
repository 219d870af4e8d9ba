"""The range of an epoch over a source with a cursor, as a condition on its rows.

A mark is the newest value of the cursor, and which rows of that value there were. A range (after, upto] has the rows
beyond ``after`` up to ``upto``: those of the one's own value that it had not seen, those of the other's own value that it
has. So a row that comes later with the value of the boundary is in the next range, and none is in two; and a range that
is read again has the same rows, whatever came since.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Context
from decimal import Decimal as Number
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.errors import InternalError
from penstock.graph.nodes import Filter
from penstock.trees import call, column, is_null, struct, text_of
from penstock.types.duckdb import to_duckdb
from penstock.types.families import Family, family

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.graph.graph import Graph
    from penstock.graph.nodes import Node, Read

_EXACT: Final = Context(prec=80)  # the widest decimal has 38 digits
_DAY: Final = len("2024-01-31")


@dataclass(frozen=True, slots=True)
class Mark:
    """``value`` as the engine writes it as text; ``seen`` are MD5 sums of the rows of that value (``identity``).

    A ``cut`` parts the epochs of a series: it has no rows of its value, nor those without a value that follow it, and
    nothing before it is read again for a lag.
    """

    value: str
    seen: frozenset[str] = frozenset()
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Interval:
    """Values of a cursor, as texts: from ``begin`` on (None: from the first) to before ``end`` (None: to the last)."""

    begin: str | None = None
    end: str | None = None


def in_ranges(graph: Graph, conditions: Mapping[str, exp.Expr]) -> Graph:
    """The graph with a condition for each filter of a range that is named."""

    def narrowed(node: Node) -> Node:
        if node.id not in conditions or not isinstance(node, Filter):
            return node
        return Filter(node.id, node.input, conditions[node.id], schema=node.schema, at=node.at)

    return graph.map(narrowed)


def identity(read: Read) -> exp.Expr:
    """What tells rows of one value apart: a checksum (MD5, hex) of the cursor's other columns."""
    if read.cursor is None:
        raise InternalError("INT-900", f'"{read.id}" has no cursor')
    return call("md5", text_of(struct({name: column(name) for name in read.cursor.identity})))


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


def within(read: Read, after: Mark | None, upto: Mark | None) -> exp.Expr:
    """What the rows of the range (after, upto] fulfil and no other. ``upto`` None: no row had a value when it was planned."""
    return condition(read, after, upto) if upto is not None else is_null(_by(read))


def condition(read: Read, after: Mark | None, upto: Mark | None) -> exp.Expr:
    """As ``within``; ``upto`` None: to the end."""
    parts = [bounds(read, after, upto)]
    cursor = read.cursor
    if cursor is not None and cursor.lag is None:
        if after is not None and not after.cut:
            parts.append(_unless(read, after, exp.Not(this=_seen(read, after))))
        if upto is not None and not upto.cut:
            parts.append(_unless(read, upto, _seen(read, upto)))
    return exp.and_(*parts)


def without_value(read: Read, known: frozenset[str], now: frozenset[str]) -> exp.Expr:
    """Of the rows without a value those that are among ``now`` and not ``known`` (MD5 sums, ``identity``); and all others."""
    found = identity(read)
    parts: list[exp.Expr] = [_one_of(found, now)]
    if known:
        parts.append(exp.Not(this=_one_of(found, known)))
    return exp.or_(exp.Not(this=is_null(_by(read))), exp.and_(*parts))


def _unless(read: Read, mark: Mark, then: exp.Expr) -> exp.Expr:
    """Of the rows that have the mark's value, those for which ``then`` is true; and all others."""
    other = exp.Not(this=exp.EQ(this=_by(read), expression=_value(read, mark)))
    return exp.or_(call("coalesce", other, exp.true()), then)


def _seen(read: Read, mark: Mark) -> exp.Expr:
    return _one_of(identity(read), mark.seen)


def _one_of(found: exp.Expr, sums: frozenset[str]) -> exp.Expr:
    if not sums:
        return exp.false()
    return exp.In(this=found.copy(), expressions=[exp.Literal.string(item) for item in sorted(sums)])


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


__all__ = ["Interval", "Mark", "bounds", "condition", "identity", "in_ranges", "least", "within", "without_value"]
