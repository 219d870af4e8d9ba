"""Comparisons that cannot be meant, and texts that are no value of the type they are read as: DuckDB would cast them, and
fail on the first row.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.errors import ConfigError
from penstock.steps.collect import each
from penstock.types import Schema
from penstock.types.duckdb import from_duckdb
from penstock.types.families import Family, comparable, family
from penstock.types.logical import FLOAT64, STRING, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.errors import Location
    from penstock.types import LogicalType

_COMPARED: Final = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ, exp.NullSafeNEQ)
# Year, month, day; hour, minute, second where there is a time.
_MOMENT: Final = re.compile(r"\s*(\d{4})-(\d{1,2})-(\d{1,2})(?!\d)(?:[ T](\d{1,2}):(\d{1,2})(?::(\d{1,2}))?)?")
_HOURS: Final = 24
_SPECIAL: Final = ("infinity", "-infinity", "epoch", "inf", "nan", "today", "now", "yesterday", "tomorrow")


def check_comparisons(tree: exp.Expr, schema: Schema, place: Callable[[exp.Expr], Location | None]) -> None:
    """Looks at comparisons of columns, casts and literals; what else there is, the engine types. Raises ConfigError
    CMP-242, CMP-248 (a literal that is cast).
    """

    def check(node: exp.Expr) -> None:
        if isinstance(node, exp.Cast):
            _check_cast(node, place)
        for other in _others(node):
            _check(node.this.unnest(), other.unnest(), schema=schema, place=place)

    each(tree.walk(), check)


def _check_cast(node: exp.Cast, place: Callable[[exp.Expr], Location | None]) -> None:
    kind = _type_of(node, Schema(()))
    fails = not isinstance(node, exp.TryCast) and node.find_ancestor(exp.Try) is None
    if fails and kind is not None and _is_text(node.this) and not _may_be(node.this.name, kind):
        raise ConfigError("CMP-248", f"{_shown(node.this, kind)} is no {kind}", at=place(node))


def _others(node: exp.Expr) -> Sequence[exp.Expr]:
    """What the node compares its first part with."""
    match node:
        case exp.Between():
            return node.args["low"], node.args["high"]
        case exp.In():
            return node.expressions
        case _:
            return (node.expression,) if isinstance(node, _COMPARED) else ()


def _check(one: exp.Expr, other: exp.Expr, *, schema: Schema, place: Callable[[exp.Expr], Location | None]) -> None:
    first, second = _type_of(one, schema), _type_of(other, schema)
    if first is None or second is None:
        return
    texts = [(item, kind) for item, kind in ((one, second), (other, first)) if _is_text(item)]
    good = all(_may_be(item.name, kind) for item, kind in texts) if texts else comparable(first, second)
    if good:
        return
    raise ConfigError(
        "CMP-242",
        f"{_shown(one, first)} cannot be compared with {_shown(other, second)}",
        at=place(one) if isinstance(one, exp.Column) else place(other),
        hint="cast one of them" if not texts else None,
    )


def _type_of(node: exp.Expr, schema: Schema) -> LogicalType | None:
    """None where only the engine knows."""
    match node:
        case exp.Column():
            found = schema.get(node.name)
            return found.type if found is not None and not node.table else None
        case exp.Literal():
            return STRING if node.is_string else FLOAT64
        case exp.Neg(this=exp.Literal(is_string=False)):
            return FLOAT64
        case exp.Cast():
            try:
                return from_duckdb(node.to.sql(dialect="duckdb"))
            except ConfigError:
                return None
        case _:
            return None


def _is_text(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal) and node.is_string


def _may_be(text: str, kind: LogicalType) -> bool:
    """Whether a quoted literal, which SQL reads as the other side's type, can be read so; in doubt it can."""
    if text.strip().casefold() in _SPECIAL:
        return True
    match family(kind):
        case Family.NUMBER:
            return _is_number(text)
        case Family.INSTANT | Kind.TIME:
            return any(character.isdigit() for character in text) and _may_be_moment(text)
        case _:
            return True


def _may_be_moment(text: str) -> bool:
    """Whether the parts of an ISO date and time, where the text has them, are such of a calendar and a clock."""
    found = _MOMENT.match(text)
    if found is None:
        return True
    year, month, day, hour, minute, second = (int(part) if part else 0 for part in found.groups())
    try:
        datetime(
            year or 4, month, day, hour % 24, minute, second, tzinfo=UTC
        )  # 24:00 ends a day; the year 0 is a leap year
    except ValueError:
        return False
    return hour <= _HOURS


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text.strip().casefold().startswith(("0x", "0b"))
    return True


def _shown(node: exp.Expr, kind: LogicalType) -> str:
    match node:
        case exp.Column():
            return f'"{node.name}", which is {kind},'
        case exp.Literal(is_string=True):
            return f"the text '{node.name[:60]}'"
        case exp.Literal() | exp.Neg():
            return f"the number {node.sql(dialect='duckdb')[:60]}"
        case _:
            return f"a value of {kind}"
