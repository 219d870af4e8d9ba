"""Rows as JSON text, and texts as requests: made by DuckDB, a column at a time, exactly.

Numbers keep all their digits; dates and times are text in ISO 8601 (UTC ends in Z), bytes are base64, intervals and uuids
text. The order of requests and the rows in each depend on the rows alone, so that the same rows make the same requests.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, assert_never

from sqlglot import exp

from penstock.connectors.rest.shape import member
from penstock.trees import call, is_null
from penstock.types import BINARY, BOOLEAN, FLOAT32, FLOAT64, JSON, STRING, TIMESTAMP, TIMESTAMPTZ
from penstock.types.logical import (
    INT8,
    INT16,
    INT32,
    INT64,
    UINT8,
    UINT16,
    UINT32,
    UINT64,
    Decimal,
    List,
    Map,
    Primitive,
    Struct,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.types import Schema
    from penstock.types.logical import LogicalType

ROWS: Final = "rows"  # the relation of rows, its columns named c0, c1, …
LINES: Final = "lines"  # the relation of rendered rows: LINE and KEY
LINE: Final = "line"
KEY: Final = "row_key"
_NUMBERS: Final = frozenset({INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64, BOOLEAN})


def rendered(schema: Schema, keys: Sequence[str]) -> exp.Select:
    """ROWS as LINE (one JSON object each) and KEY (what tells the row from others: its keys, or all of it)."""
    columns = {field.name: (exp.column(f"c{at}"), field.type) for at, field in enumerate(schema)}
    line = _object([(name, _text(*columns[name])) for name in schema.names])
    key = _array([_text(*columns[name]) for name in keys]) if keys else line.copy()
    return exp.select(exp.alias_(line, LINE), exp.alias_(key, KEY)).from_(ROWS)


def requests(most_records: int, most_bytes: int, between: str) -> exp.Select:
    """LINES as requests in their order: records joined by ``between``, SHA-256 of their keys, their number.

    A request ends before the record that would be one too many, or at the one that makes it too large. Equal rows are
    told apart by counting them.
    """
    copy = _over(exp.RowNumber(), [exp.column(LINE)], [exp.column(KEY)])
    counted = exp.select(LINE, KEY, exp.alias_(copy, "copy")).from_(LINES).subquery("counted")
    order = [exp.column(KEY), exp.column(LINE), exp.column("copy")]
    size = call("strlen", exp.column(LINE))
    told = exp.func("concat", exp.column(KEY), exp.Literal.string("#"), exp.column("copy"))
    # A value of type json is sent as it is written: between its parts it may have line breaks, which no text in it has.
    broken = call("translate", exp.column(LINE), exp.Literal.string("\n\r"), exp.Literal.string("  "))
    ordered = exp.select(
        exp.alias_(broken, LINE) if between == "\n" else LINE,
        exp.alias_(told, "told"),
        exp.alias_(_over(exp.RowNumber(), order), "n"),
        exp.alias_(_over(exp.Sum(this=size), order), "bytes"),
    ).from_(counted)
    by_count = exp.IntDiv(
        this=exp.paren(exp.Sub(this=exp.column("n"), expression=_number(1))), expression=_number(most_records)
    )
    by_size = exp.IntDiv(this=exp.cast(exp.column("bytes"), "bigint"), expression=_number(most_bytes))
    digest = call("sha256", _joined("told", "\n"))
    return (
        exp.select(
            exp.alias_(_joined(LINE, between), "records"),
            exp.alias_(digest, "digest"),
            exp.alias_(exp.Count(this=exp.Star()), "count"),
        )
        .from_(ordered.subquery("ordered"))
        .group_by(exp.paren(by_count), exp.paren(by_size))
        .order_by(exp.Min(this=exp.column("n")))
    )


# ---------------------------------------------------------------- pieces of SQL


def _number(value: int) -> exp.Expr:
    return exp.Literal.number(value)


def _over(function: exp.Expr, order: Sequence[exp.Expr], partition: Sequence[exp.Expr] = ()) -> exp.Expr:
    ordering = exp.Order(expressions=[exp.Ordered(this=item.copy(), nulls_first=False) for item in order])
    return exp.Window(this=function, partition_by=list(partition), order=ordering)


def _joined(column: str, mark: str) -> exp.Expr:
    ordered = exp.Order(this=exp.column(column), expressions=[exp.Ordered(this=exp.column("n"), nulls_first=False)])
    return exp.GroupConcat(this=ordered, separator=exp.Literal.string(mark))


def _concat(*parts: exp.Expr | str) -> exp.Expr:
    return call("concat", *(exp.Literal.string(part) if isinstance(part, str) else part for part in parts))


def _object(members: Sequence[tuple[str, exp.Expr]]) -> exp.Expr:
    parts: list[exp.Expr | str] = []
    for at, (name, text) in enumerate(members):
        parts += [f"{',' if at else ''}{json.dumps(name, ensure_ascii=False)}:", text]
    return _concat("{", *parts, "}")


def _array(texts: Sequence[exp.Expr]) -> exp.Expr:
    parts: list[exp.Expr | str] = []
    for at, text in enumerate(texts):
        parts += [",", text] if at else [text]
    return _concat("[", *parts, "]")


def _text(value: exp.Expr, kind: LogicalType, level: int = 0) -> exp.Expr:
    """JSON text of a value, ``null`` where it is null."""
    match kind:
        case Primitive():
            text = _of_primitive(value, kind)
        case Decimal():
            spelled = exp.cast(value.copy(), "text")
            text = call("regexp_replace", spelled, exp.Literal.string(r"^(-?)\."), exp.Literal.string(r"\10."))
        case List():
            text = _list(value, kind.element, level)
        case Map():
            text = _map(value, kind, level)
        case Struct():
            parts = [(item.name, _text(member(value.copy(), (item.name,)), item.type, level)) for item in kind.fields]
            text = _object(parts)
        case _:
            assert_never(kind)
    return exp.Case(ifs=[exp.If(this=is_null(value), true=exp.Literal.string("null"))], default=text)


def _of_primitive(value: exp.Expr, kind: Primitive) -> exp.Expr:
    spelled = exp.cast(value.copy(), "text")
    if kind in _NUMBERS:
        return spelled
    if kind in {FLOAT32, FLOAT64, STRING}:
        return exp.cast(call("to_json", value.copy()), "text")
    if kind == JSON:  # parsed once more: what is no JSON would break the request
        return exp.cast(exp.cast(spelled, "json"), "text")
    if kind == BINARY:
        return _quoted(call("to_base64", value.copy()))
    if kind in {TIMESTAMP, TIMESTAMPTZ}:
        iso = call("replace", spelled, exp.Literal.string(" "), exp.Literal.string("T"))
        return _quoted(call("regexp_replace", iso, exp.Literal.string(r"\+00$"), exp.Literal.string("Z")))
    return _quoted(spelled)


def _quoted(text: exp.Expr) -> exp.Expr:
    return exp.cast(call("to_json", text), "text")


def _list(value: exp.Expr, kind: LogicalType, level: int) -> exp.Expr:
    name = f"item{level}"
    each = exp.Lambda(this=_text(exp.column(name), kind, level + 1), expressions=[exp.to_identifier(name)])
    texts = call("list_transform", value.copy(), each)
    return _concat("[", call("array_to_string", texts, exp.Literal.string(",")), "]")


def _map(value: exp.Expr, kind: Map, level: int) -> exp.Expr:
    name = f"entry{level}"
    entry = exp.column(name)
    key = _quoted(exp.cast(member(entry.copy(), ("key",)), "text"))
    pair = _concat(key, ":", _text(member(entry.copy(), ("value",)), kind.value, level + 1))
    each = exp.Lambda(this=pair, expressions=[exp.to_identifier(name)])
    texts = call("list_transform", call("map_entries", value.copy()), each)
    return _concat("{", call("array_to_string", texts, exp.Literal.string(",")), "}")
