"""Comparisons that cannot be meant, and texts that are no value of the type they are read as: DuckDB would cast them, and
fail on the first row.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from sqlglot import exp

from penstock.errors import ConfigError
from penstock.steps.collect import each
from penstock.types.duckdb import from_duckdb
from penstock.types.families import Family, comparable, family
from penstock.types.logical import FLOAT64, STRING, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.errors import Location
    from penstock.types import LogicalType

    TypeOf: TypeAlias = Callable[[exp.Column], LogicalType | None]  # None where only the engine knows
    PlaceOf: TypeAlias = Callable[[exp.Expr], Location | None]

# All pairs of kinds; those with a constant on one side; quoted texts alone. Texts are looked at in any case.
Compared: TypeAlias = Literal["all", "constants", "texts"]
_COMPARED: Final = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ, exp.NullSafeNEQ)
# Year, month, day; hour, minute, second where there is a time.
_MOMENT: Final = re.compile(r"\s*(\d{4})-(\d{1,2})-(\d{1,2})(?!\d)(?:[ T](\d{1,2}):(\d{1,2})(?::(\d{1,2}))?)?")
_HOURS: Final = 24
_SPECIAL: Final = ("infinity", "-infinity", "epoch", "inf", "nan", "today", "now", "yesterday", "tomorrow")


def check_comparisons(tree: exp.Expr, types: TypeOf, place: PlaceOf, *, compared: Compared = "all") -> None:
    """Looks at comparisons of columns, casts and literals; what else there is, the engine types. Raises ConfigError
    CMP-242, CMP-248 (a literal that is cast).
    """

    def check(node: exp.Expr) -> None:
        if isinstance(node, exp.Cast):
            _check_cast(node, place)
        for other in _others(node):
            _check(node.this.unnest(), other.unnest(), types=types, place=place, compared=compared)

    each(tree.walk(), check)


def _check_cast(node: exp.Cast, place: PlaceOf) -> None:
    kind = _cast_kind(node)
    fails = not isinstance(node, exp.TryCast) and not _is_tried(node)
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


def _check(one: exp.Expr, other: exp.Expr, *, types: TypeOf, place: PlaceOf, compared: Compared) -> None:
    first, second = kind_of(one, types), kind_of(other, types)
    if first is None or second is None:
        return
    texts = [(item, kind) for item, kind in ((one, second), (other, first)) if _is_text(item)]
    if texts:
        good = all(_may_be(item.name, kind) for item, kind in texts) or _is_tried(one)
    else:
        judged = compared == "all" or (compared == "constants" and not (_has_column(one) and _has_column(other)))
        good = not judged or comparable(first, second)
    if good:
        return
    raise ConfigError(
        "CMP-242",
        f"{_shown(one, first)} cannot be compared with {_shown(other, second)}",
        at=place(one) if isinstance(one, exp.Column) else place(other),
        hint="cast one of them" if not texts else None,
    )


def kind_of(node: exp.Expr, types: TypeOf) -> LogicalType | None:
    """None where only the engine knows."""
    match node:
        case exp.Column():
            return types(node)
        case exp.Literal():
            return STRING if node.is_string else FLOAT64
        case exp.Neg(this=exp.Literal(is_string=False)):
            return FLOAT64
        case exp.Cast():
            return _cast_kind(node)
        case _:
            return None


def _cast_kind(node: exp.Cast) -> LogicalType | None:
    try:
        return from_duckdb(node.to.sql(dialect="duckdb"))
    except ConfigError:
        return None


def _is_tried(node: exp.Expr) -> bool:
    """Whether what fails here is null."""
    return node.find_ancestor(exp.Try) is not None


def _has_column(node: exp.Expr) -> bool:
    return node.find(exp.Column) is not None


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
        # 24:00 ends a day; the year 0 is a leap year.
        datetime(year or 4, month, day, hour % _HOURS, minute, second, tzinfo=UTC)
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
