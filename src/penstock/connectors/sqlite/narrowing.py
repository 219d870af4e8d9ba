"""A condition as SQLite can apply it without leaving out a row that it is true of: fewer rows are read, the engine decides.

Any value may stand in any column of SQLite, and what is none of the column's type is rejected when it is read. So only
values of which SQLite and the reader surely think alike are compared: whole numbers in a column of int64, and text that is
a date or a time without a zone, spelled out, in one of date or timestamp. Every other value passes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.trees import call, column
from penstock.types import DATE, INT64, TIMESTAMP

if TYPE_CHECKING:
    from penstock.types import Schema

_WHOLE: Final = re.compile(r"\d{1,18}")
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.\d+)?")
# Without it SQLite takes the 30th of February as it is written.
_REALLY: Final = exp.Literal.string("+0 days")
_DIGIT: Final = "[0-9]"
_DAYS: Final = "-".join([_DIGIT * 4, _DIGIT * 2, _DIGIT * 2])
_TIMES: Final = f"{_DAYS}[ T]{':'.join([_DIGIT * 2] * 3)}"
_FORMS: Final = tuple(_TIMES + part for part in ("", f".{_DIGIT * 3}", f".{_DIGIT * 6}"))
# Of times the seconds are compared: an end in the midst of one takes in all of it.
_WIDER: Final = {exp.LT: exp.LTE, exp.GT: exp.GTE}


def narrowed(condition: exp.Expr, schema: Schema) -> exp.Expr | None:
    """What is true of every row that ``condition`` (in DuckDB's dialect) is true of, and of few others; None: nothing is."""
    match condition:
        case exp.Paren():
            return narrowed(condition.this, schema)
        case exp.And():
            sides = [narrowed(side, schema) for side in (condition.left, condition.right)]
            known = [side for side in sides if side is not None]
            return exp.and_(*known) if known else None
        case exp.Or():
            left, right = narrowed(condition.left, schema), narrowed(condition.right, schema)
            return exp.or_(left, right) if left is not None and right is not None else None
        case exp.Is() if isinstance(condition.expression, exp.Null):
            return _unless_known(condition.this, schema)
        case exp.LT() | exp.LTE() | exp.GT() | exp.GTE():
            return _compared(condition, schema)
        case _:
            return None


def _compared(condition: exp.Binary, schema: Schema) -> exp.Expr | None:
    other = _unless_known(condition.this, schema)
    if other is None:
        return None
    named = column(condition.this.name)
    match schema[condition.this.name].type:
        case kind if kind == INT64:
            value = _number(condition.expression)
            found = type(condition)(this=named, expression=value) if value is not None else None
        case kind if kind == DATE:
            value = _text(condition.expression, _DAY)
            found = type(condition)(this=named, expression=value) if value is not None else None
        case _:
            value = _text(condition.expression, _MOMENT)
            wider = _WIDER.get(type(condition), type(condition))
            found = wider(this=_to_the_second(named), expression=value) if value is not None else None
    return exp.or_(other, found) if found is not None else None


def _unless_known(node: exp.Expr, schema: Schema) -> exp.Expr | None:
    """True of every value of a column that is not compared; None where none is."""
    if not isinstance(node, exp.Column) or isinstance(node.this, exp.Star) or node.name not in schema:
        return None
    named, kind = column(node.name), schema[node.name].type
    held = call("typeof", named)
    if kind == INT64:
        return exp.NEQ(this=held, expression=exp.Literal.string("integer"))
    if kind == DATE:
        shaped: exp.Expr = exp.Glob(this=named, expression=exp.Literal.string(_DAYS))
        valid: exp.Expr = exp.EQ(this=call("date", named, _REALLY), expression=named.copy())
    elif kind == TIMESTAMP:
        forms = [exp.Glob(this=named.copy(), expression=exp.Literal.string(form)) for form in _FORMS]
        shaped = exp.or_(*forms)
        told = call("strftime", exp.Literal.string("%Y-%m-%d %H:%M:%S"), named, _REALLY)
        valid = exp.EQ(this=told, expression=_to_the_second(named))
    else:
        return None
    is_text = exp.EQ(this=held, expression=exp.Literal.string("text"))
    known = call("coalesce", exp.and_(is_text, shaped, valid), exp.false())
    return exp.Not(this=known)


def _to_the_second(named: exp.Expr) -> exp.Expr:
    """``2024-01-31 12:00:00`` of a time in one of the forms."""
    day, clock = (
        call("substr", named.copy(), exp.Literal.number(start), exp.Literal.number(length))
        for start, length in ((1, 10), (12, 8))
    )
    blank = exp.DPipe(this=day, expression=exp.Literal.string(" "))
    return exp.DPipe(this=blank, expression=clock)


def _number(node: exp.Expr) -> exp.Expr | None:
    value = node.this if isinstance(node, exp.Neg) else node
    plain = isinstance(value, exp.Literal) and not value.is_string and _WHOLE.fullmatch(value.name)
    return node.copy() if plain else None


def _text(node: exp.Expr, form: re.Pattern[str]) -> exp.Expr | None:
    """A constant with its type around it."""
    value = node.this if isinstance(node, exp.Cast) else node
    found = form.fullmatch(value.name) if isinstance(value, exp.Literal) and value.is_string else None
    return exp.Literal.string(" ".join(found.groups()) or found.group()) if found else None


__all__ = ["narrowed"]
