"""Rows as JSON that every reader of JSON takes: what JSON has no number for (NaN, infinities) is its name as text, and a
decimal is text with all its digits, which readers of JSON take for a double.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.trees import call, field_of, is_null, struct, text_of
from penstock.types.logical import Decimal, Kind, List, Map, Primitive, Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penstock.types import LogicalType

_FLOATS: Final = frozenset({Kind.FLOAT32, Kind.FLOAT64})


def json_object(values: Mapping[str, tuple[exp.Expr, LogicalType]]) -> exp.Expr:
    """One JSON object of these values by name, in this order."""
    return call("to_json", struct({name: _safe(value, kind, 0) for name, (value, kind) in values.items()}))


def _safe(value: exp.Expr, kind: LogicalType, depth: int) -> exp.Expr:
    """The value, with every float and decimal in it as JSON. Only what holds such is taken apart."""
    if not _needs_care(kind):
        return value.copy()
    match kind:
        case List():
            return _each(value, depth, lambda item: _safe(item, kind.element, depth + 1))
        case Struct():
            fields = {item.name: _safe(field_of(value, item.name), item.type, depth + 1) for item in kind.fields}
            return exp.Case(ifs=[exp.If(this=is_null(value), true=exp.null())], default=call("to_json", struct(fields)))
        case Map():
            inner = kind.value
            entries = _each(
                call("map_entries", value.copy()),
                depth,
                lambda item: struct(
                    {
                        "key": field_of(item, "key"),
                        "value": call("to_json", _safe(field_of(item, "value"), inner, depth + 1)),
                    }
                ),
            )
            return call("map_from_entries", entries)
        case Decimal():
            return text_of(value)
        case _:
            text = text_of(value)
            finite = call("isfinite", value.copy())
            named = exp.If(this=exp.Not(this=finite), true=call("to_json", _name(text)))
            return exp.Case(ifs=[named], default=call("to_json", value.copy()))


def _name(text: exp.Expr) -> exp.Expr:
    """``NaN``, ``Infinity``, ``-Infinity``, as Arrow, Python and JavaScript read them."""
    names = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
    ifs = [exp.If(this=exp.Literal.string(have), true=exp.Literal.string(told)) for have, told in names.items()]
    return exp.Case(this=text, ifs=ifs, default=text.copy())


def _needs_care(kind: LogicalType) -> bool:
    match kind:
        case Primitive():
            return kind.kind in _FLOATS
        case List():
            return _needs_care(kind.element)
        case Map():
            return _needs_care(kind.value)
        case Struct():
            return any(_needs_care(item.type) for item in kind.fields)
        case _:
            return isinstance(kind, Decimal)


def _each(value: exp.Expr, depth: int, change: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    name = exp.to_identifier(f"penstock_{depth}")
    function = exp.Lambda(this=change(exp.column(name.copy())), expressions=[name])
    return call("list_transform", value.copy(), function)
