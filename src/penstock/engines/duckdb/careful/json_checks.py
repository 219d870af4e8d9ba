"""What tells a good line of JSON from a bad one, as SQL over ``lines`` (line, record, byte).

DuckDB's lenient transformation takes a line apart into texts, and gives null where something else stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.engines.duckdb.careful import reject_rows, values
from penstock.engines.duckdb.readers import json_structure
from penstock.faithful import has_long_decimals, quoted_long_numbers
from penstock.trees import call, column, field_of, identifier, is_not_null, is_null
from penstock.types import JSON, STRING
from penstock.types.duckdb import to_duckdb
from penstock.types.logical import List, Map, Struct

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.faithful import Reading
    from penstock.types.logical import LogicalType

LINES: Final = "lines"
PARSED: Final = "__parsed"
VALID_LINES: Final = "SELECT record FROM lines WHERE json_valid(line)"
_BLANKS: Final = " \t\r\n"


def likely_lines(readings: Mapping[str, Reading]) -> exp.Subquery:
    """As ``parsed_lines``, of those that begin and end as objects do."""
    begins, ends = (
        call(name, column("line"), exp.Literal.string(text)) for name, text in (("starts_with", "{"), ("suffix", "}"))
    )
    parsed = exp.alias_(_transformed(column("line"), readings), identifier(PARSED))
    inner = exp.select(column("record"), parsed).from_(exp.Table(this=identifier(LINES))).where(begins, ends)
    return values.looked_at(inner.subquery("__lines", copy=False), readings, texts=_parts(readings), keep=["record"])


def parsed_lines(readings: Mapping[str, Reading]) -> exp.Subquery:
    """The lines, ``__parsed``: a struct of the texts, null where the line is no JSON or is ``null``, and of every reading
    the text and the value.
    """
    line: exp.Expr = column("line")
    texts = _parts(readings)
    if any(has_long_decimals(reading.kind) for reading in readings.values()):
        line = quoted_long_numbers(line)
        texts |= {name: _json_of(name) for name, reading in readings.items() if reading.kind == JSON}
    parsed = exp.Case().when(call("json_valid", column("line")), _transformed(line, readings))
    inner = exp.select("*", exp.alias_(parsed, identifier(PARSED))).from_(exp.Table(this=identifier(LINES)))
    lines = inner.subquery("__lines", copy=False)
    return values.looked_at(lines, readings, texts=texts, keep=["line", "record", "byte", PARSED])


def _parts(readings: Mapping[str, Reading]) -> dict[str, exp.Expr]:
    return {name: field_of(column(PARSED), name) for name in readings}


def _json_of(name: str) -> exp.Expr:
    """What stands in the line itself, whose numbers are no text."""
    is_object = is_not_null(column(PARSED))
    given = exp.Nullif(this=_value(name), expression=exp.Cast(this=exp.Literal.string("null"), to=to_duckdb(JSON)))
    return exp.Case().when(is_object, given)


def _transformed(line: exp.Expr, readings: Mapping[str, Reading]) -> exp.Expr:
    # A structure without a key is none; this one is in no object.
    structure = json_structure({name: reading.held for name, reading in readings.items()} or {"__none": STRING})
    return call("json_transform", line, exp.Literal.string(structure))


def blank() -> exp.Expr:
    trimmed = call("trim", column("line"), exp.Literal.string(_BLANKS))
    return exp.or_(is_null(column("line")), exp.EQ(this=trimmed, expression=exp.Literal.string("")))


def plain_object() -> exp.Expr:
    """What nearly every line is, found without trimming it."""
    begins = call("starts_with", column("line"), exp.Literal.string("{"))
    return exp.and_(is_not_null(column(PARSED)), begins)


def malformed() -> exp.Expr:
    """No JSON at all, or something else than an object."""
    begun = call("ltrim", column("line"), exp.Literal.string(_BLANKS))
    is_object = call("starts_with", begun, exp.Literal.string("{"))
    return exp.or_(is_null(column(PARSED)), exp.Not(this=is_object))


def tests_of(readings: Mapping[str, Reading]) -> dict[str, exp.Expr]:
    """As ``values.tests_of``, over ``parsed_lines``; that something else stands where a list or an object belongs is
    asked of the line itself.
    """
    tests = values.tests_of(readings)
    for name, reading in readings.items():
        misplaced = _misplaced(_value(name), reading.kind, depth=0)
        if misplaced is not None:
            tests[name] = exp.or_(misplaced, tests[name]) if name in tests else misplaced
    return tests


def _value(name: str) -> exp.Expr:
    return _part(column("line"), name)


def pointer(name: str) -> str:
    """The JSON pointer (RFC 6901) of a key."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _misplaced(value: exp.Expr, kind: LogicalType, depth: int) -> exp.Expr | None:
    """Whether something is there, and no list or object as the type wants; null may be. None where it wants neither."""
    found = call("coalesce", call("json_type", value.copy()), exp.Literal.string("NULL"))
    match kind:
        case Struct(fields):
            inner = [_misplaced(_part(value, item.name), item.type, depth) for item in fields]
            return exp.or_(_is_no(found, "OBJECT"), *[test for test in inner if test is not None])
        case Map(_, held):
            inside = _any_misplaced(call("json_extract", value.copy(), exp.Literal.string("$.*")), held, depth)
            return exp.or_(_is_no(found, "OBJECT"), *inside)
        case List(element):
            inside = _any_misplaced(call("json_extract", value.copy(), exp.Literal.string("$[*]")), element, depth)
            return exp.or_(_is_no(found, "ARRAY"), *inside)
        case _:
            return None


def _part(value: exp.Expr, name: str) -> exp.Expr:
    return call("json_extract", value.copy(), exp.Literal.string(pointer(name)))


def _is_no(found: exp.Expr, wanted: str) -> exp.Expr:
    return exp.not_(exp.In(this=found, expressions=[exp.Literal.string("NULL"), exp.Literal.string(wanted)]))


def _any_misplaced(elements: exp.Expr, kind: LogicalType, depth: int) -> list[exp.Expr]:
    name = f"__element{depth}"
    test = _misplaced(column(name), kind, depth + 1)
    if test is None:
        return []
    chosen = call("list_filter", elements, exp.Lambda(this=test, expressions=[identifier(name)]))
    return [exp.GT(this=call("len", chosen), expression=exp.Literal.number(0))]


def causes(readings: Mapping[str, Reading], tests: Mapping[str, exp.Expr]) -> exp.Expr:
    """Why the line is rejected: that it is no object, or each bad value."""
    is_none = malformed()
    whole = reject_rows.cause(
        exp.Literal.string("malformed"), reject_rows.null_text(), exp.Literal.string("the record is no JSON object")
    )
    shown = {name: call("json_extract_string", column("line"), exp.Literal.string(pointer(name))) for name in tests}
    bad = values.listed(values.causes(readings, tests, shown))
    return exp.Case().when(is_none, exp.Array(expressions=[whole])).else_(bad)
