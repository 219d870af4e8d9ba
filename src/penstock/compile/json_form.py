"""JSON in one form, whatever the order of its keys and the spelling of its numbers.

PostgreSQL keeps ``jsonb`` with keys in an order of its own, so that a document which comes back is another text. DuckDB has
no function that orders keys: each level of a value is taken apart by itself, which takes microseconds per value.
"""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from penstock.trees import call, text_of

LEVELS: Final = 3  # of maps and lists; what is nested deeper is compared by its text
_EXACT_DIGITS: Final = 15  # of a number: longer ones are compared by their text


def json_form(value: exp.Expr, levels: int = LEVELS) -> exp.Expr:
    """A text: equal for equal documents. Null for null."""
    if not levels:
        return text_of(value)
    key, item = exp.column(f"key{levels}"), exp.column(f"item{levels}")
    below = call("json_extract", value, _pointer(key))
    member = exp.DPipe(
        this=exp.DPipe(this=text_of(call("to_json", key)), expression=exp.Literal.string(":"), safe=True),
        expression=json_form(below, levels - 1),
        safe=True,
    )
    members = _each(call("list_sort", call("json_keys", value)), key, member)
    items = _each(call("json_extract", value, exp.Literal.string("$[*]")), item, json_form(item, levels - 1))
    kinds = {"OBJECT": _within("{", members, "}"), "ARRAY": _within("[", items, "]")}
    kinds |= dict.fromkeys(("DOUBLE", "BIGINT", "UBIGINT"), _number(value))
    ifs = [exp.If(this=exp.Literal.string(kind), true=form) for kind, form in kinds.items()]
    return exp.Case(this=call("json_type", value), ifs=ifs, default=text_of(value))


def _pointer(key: exp.Expr) -> exp.Expr:
    """A path of one step (RFC 6901)."""
    escaped: exp.Expr = key
    for mark, told in (("~", "~0"), ("/", "~1")):
        escaped = call("replace", escaped, exp.Literal.string(mark), exp.Literal.string(told))
    return exp.DPipe(this=exp.Literal.string("/"), expression=escaped, safe=True)


def _each(values: exp.Expr, name: exp.Column, form: exp.Expr) -> exp.Expr:
    lambda_ = exp.Lambda(this=form, expressions=[exp.to_identifier(name.name)])
    return call("array_to_string", call("list_transform", values, lambda_), exp.Literal.string(","))


def _within(begin: str, inner: exp.Expr, end: str) -> exp.Expr:
    opened = exp.DPipe(this=exp.Literal.string(begin), expression=inner, safe=True)
    return exp.DPipe(this=opened, expression=exp.Literal.string(end), safe=True)


def _number(value: exp.Expr) -> exp.Expr:
    text = text_of(value)
    is_short = exp.LTE(this=call("strlen", text), expression=exp.Literal.number(_EXACT_DIGITS))
    as_double = text_of(exp.cast(text.copy(), "double"))
    return exp.Case(ifs=[exp.If(this=is_short, true=as_double)], default=text)
