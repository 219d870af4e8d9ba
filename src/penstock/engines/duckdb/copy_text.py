"""A database's own text, read as it comes (``connectors.api.COPY_TEXT``): nothing in it was checked where it was written.

Every value is read as its type. What DuckDB would take otherwise than the database meant it is noticed: escapes in texts
are undone; a date is read as a timestamp, since only that refuses one before Christ; an infinite one is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.faithful import UNCERTAIN
from penstock.trees import call, column
from penstock.types import DATE, JSON, STRING, TIMESTAMP, TIMESTAMPTZ
from penstock.types.duckdb import to_duckdb

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.types import LogicalType, Schema

FILLER: Final = "filler"
_PLACEHOLDER: Final = 0  # a character that no text of the database has
_ESCAPES: Final[Mapping[str, int]] = {r"\n": 10, r"\t": 9, r"\r": 13, r"\b": 8, r"\f": 12, r"\v": 11}
_MOMENTS: Final = (DATE, TIMESTAMP, TIMESTAMPTZ)


def held(schema: Schema) -> dict[str, LogicalType]:
    """The columns that the reader is told of: the filler, then ``c0``, ``c1``, … as what they are read."""
    columns = {f"c{place}": _read_as(item.type) for place, item in enumerate(schema)}
    return {FILLER: STRING, **columns}


def _read_as(kind: LogicalType) -> LogicalType:
    if kind == DATE:
        return TIMESTAMP
    return STRING if kind == JSON else kind


def value(place: int, kind: LogicalType) -> exp.Expr:
    """A column of the schema, from the column that is held."""
    raw = column(f"c{place}")
    if kind == STRING:
        return _unescaped(raw)
    if kind == JSON:
        return exp.Cast(this=_unescaped(raw), to=to_duckdb(kind))
    return exp.Cast(this=raw, to=to_duckdb(kind)) if kind == DATE else raw


def are_finite(schema: Schema) -> exp.Expr | None:
    """True, or an error at the first row with a moment that is infinite; None where there is no such column."""
    finite = [call("isfinite", column(f"c{place}")) for place, item in enumerate(schema) if item.type in _MOMENTS]
    if not finite:
        return None
    failure = exp.Cast(this=call("error", exp.Literal.string(UNCERTAIN)), to=exp.DataType.build("boolean"))
    return exp.Case().when(exp.not_(exp.and_(*finite)), failure).else_(exp.true())


def _unescaped(text: exp.Column) -> exp.Expr:
    r"""Each ``\\`` waits aside while the other escapes are undone, so that none is seen where there is none."""
    value = _replaced(text, r"\\", _character(_PLACEHOLDER))
    for escape, code in _ESCAPES.items():
        value = _replaced(value, escape, _character(code))
    value = call("replace", value, _character(_PLACEHOLDER), exp.Literal.string("\\"))
    has_escape = call("contains", text.copy(), exp.Literal.string("\\"))
    return exp.Case().when(has_escape, value).else_(text.copy())


def _replaced(text: exp.Expr, escape: str, character: exp.Expr) -> exp.Expr:
    return call("replace", text, exp.Literal.string(escape), character)


def _character(code: int) -> exp.Expr:
    return call("chr", exp.Literal.number(code))
