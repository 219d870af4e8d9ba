"""What tells a good line of JSON from a bad one, as SQL over ``lines`` (line, record, byte).

DuckDB's lenient transformation gives null for what it cannot take; a null is a bad value where the text has something
else there, at any depth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from sqlglot import exp

from penstock.engines.duckdb.careful import rejects as r
from penstock.engines.duckdb.readers import json_structure
from penstock.graph.select import column, identifier
from penstock.types import JSON, STRING
from penstock.types.logical import Decimal, List, Map, Primitive, Struct

if TYPE_CHECKING:
    from penstock.types import Field, Schema
    from penstock.types.logical import LogicalType

LINES: Final = "lines"
PARSED: Final = "__parsed"
VALID_LINES: Final = "SELECT record FROM lines WHERE json_valid(line)"
_BLANKS: Final = " \t\r\n"


def likely_lines(held: Schema) -> exp.Subquery:
    """As ``parsed_lines``, of those that begin and end as objects do."""
    begins, ends = (
        r.call(name, column("line"), r.text(text)) for name, text in (("starts_with", "{"), ("suffix", "}"))
    )
    parsed = exp.alias_(_transformed(held), identifier(PARSED))
    inner = exp.select(column("record"), parsed).from_(exp.Table(this=identifier(LINES))).where(begins, ends)
    return inner.subquery(identifier("__lines"))


def parsed_lines(held: Schema) -> exp.Subquery:
    """The lines, and ``__parsed``: a struct of the columns, null where the line is no JSON or is ``null``."""
    parsed = exp.Case().when(r.call("json_valid", column("line")), _transformed(held))
    inner = exp.select("*", exp.alias_(parsed, identifier(PARSED))).from_(exp.Table(this=identifier(LINES)))
    return inner.subquery(identifier("__lines"))


def _transformed(held: Schema) -> exp.Expr:
    # A structure without a key is none; this one is in no object.
    structure = json_structure({item.name: item.type for item in held} or {"__none": STRING})
    return r.call("json_transform", column("line"), r.text(structure))


def part_of(owner: str, name: str) -> exp.Expr:
    """A field of a struct by its exact name, whatever characters it has."""
    return r.call("struct_extract", column(owner), r.text(name))


def blank() -> exp.Expr:
    trimmed = r.call("trim", column("line"), r.text(_BLANKS))
    return exp.or_(exp.Is(this=column("line"), expression=exp.null()), exp.EQ(this=trimmed, expression=r.text("")))


def plain_object() -> exp.Expr:
    """What nearly every line is, found without trimming it."""
    begins = r.call("starts_with", column("line"), r.text("{"))
    return exp.and_(exp.Not(this=exp.Is(this=column(PARSED), expression=exp.null())), begins)


def malformed() -> exp.Expr:
    """No JSON at all, or something else than an object or null."""
    begun = r.call("ltrim", column("line"), r.text(_BLANKS))
    is_object = r.call("starts_with", begun, r.text("{"))
    trimmed = r.call("trim", column("line"), r.text(_BLANKS))
    fails = exp.or_(exp.Is(this=column(PARSED), expression=exp.null()), exp.Not(this=is_object))
    return exp.and_(fails, exp.NEQ(this=trimmed, expression=r.text("null")))


def bad_value(item: Field) -> exp.Expr | None:
    """Whether the column's value is one that its type cannot take; None where it can take all."""
    value = r.call("json_extract", column("line"), r.text(pointer(item.name)))
    return _bad(value, part_of(PARSED, item.name), item.type, depth=0)


def pointer(name: str) -> str:
    """The JSON pointer (RFC 6901) of a key."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _bad(value: exp.Expr, parsed: exp.Expr, kind: LogicalType, depth: int) -> exp.Expr | None:
    """``value`` is the JSON, ``parsed`` what became of it."""
    if kind in (STRING, JSON):
        return None
    lost = _lost(value, parsed, kind)
    within = _within(value, parsed, kind, depth)
    return lost if within is None else exp.or_(lost, within)


def _lost(value: exp.Expr, parsed: exp.Expr, kind: LogicalType) -> exp.Expr:
    """Something is there, and it is not of this kind."""
    found = r.call("coalesce", r.call("json_type", value.copy()), r.text("NULL"))
    match kind:
        case Primitive() | Decimal():
            is_null = exp.Is(this=parsed.copy(), expression=exp.null())
            return exp.and_(is_null, exp.NEQ(this=found, expression=r.text("NULL")))
        case Struct() | Map():
            return exp.not_(exp.In(this=found, expressions=[r.text("NULL"), r.text("OBJECT")]))
        case List():
            return exp.not_(exp.In(this=found, expressions=[r.text("NULL"), r.text("ARRAY")]))
        case _:
            assert_never(kind)


def _within(value: exp.Expr, parsed: exp.Expr, kind: LogicalType, depth: int) -> exp.Expr | None:
    match kind:
        case Primitive() | Decimal():
            return None
        case Struct():
            tests = [
                _bad(
                    r.call("json_extract", value.copy(), r.text(pointer(item.name))),
                    r.call("struct_extract", parsed.copy(), r.text(item.name)),
                    item.type,
                    depth,
                )
                for item in kind.fields
            ]
            found = [test for test in tests if test is not None]
            return exp.or_(*found) if found else None
        case List():
            return _any_bad(_elements(value), parsed.copy(), kind.element, depth)
        case Map():
            values = r.call("json_extract", value.copy(), r.text("$.*"))
            return _any_bad(values, r.call("map_values", parsed.copy()), kind.value, depth)
        case _:
            assert_never(kind)


def _elements(value: exp.Expr) -> exp.Expr:
    return r.call("json_extract", value.copy(), r.text("$[*]"))


def _any_bad(values: exp.Expr, parsed: exp.Expr, kind: LogicalType, depth: int) -> exp.Expr | None:
    """Over a list of JSON values and the list of what became of them, of the same length."""
    pair = f"__pair{depth}"
    one, other = (r.call("struct_extract_at", column(pair), exp.Literal.number(place)) for place in (1, 2))
    test = _bad(one, other, kind, depth + 1)
    if test is None:
        return None
    pairs = r.call("list_zip", values, parsed)
    chosen = r.call("list_filter", pairs, exp.Lambda(this=test, expressions=[identifier(pair)]))
    return exp.GT(this=r.call("len", chosen), expression=exp.Literal.number(0))


def causes(checked: Schema) -> exp.Expr:
    """Why the line is rejected: that it is no object, or each bad value."""
    whole = exp.Case().when(
        malformed(), r.cause(r.text("malformed"), r.null_text(), r.text("the record is no JSON object"))
    )
    found: list[exp.Expr] = [whole]
    for item in checked:
        test = bad_value(item)
        if test is not None:
            value = r.call("json_extract_string", column("line"), r.text(pointer(item.name)))
            message = r.call("concat", r.text(f'"{item.name}" is no {item.type}: '), r.shown(value))
            reason = r.cause(r.text("bad_value"), r.text(item.name), message)
            found.append(exp.Case().when(malformed(), exp.null()).when(test, reason))
    name = identifier("__cause")
    given = exp.Not(this=exp.Is(this=column("__cause"), expression=exp.null()))
    return r.call("list_filter", exp.Array(expressions=found), exp.Lambda(this=given, expressions=[name]))
