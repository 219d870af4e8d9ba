"""Comparisons that cannot be meant: DuckDB would cast one side for them, and fail on the first value that does not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.errors import ConfigError
from penstock.steps.collect import each
from penstock.types.duckdb import from_duckdb
from penstock.types.families import Family, comparable, family
from penstock.types.logical import FLOAT64, STRING, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.errors import Location
    from penstock.types import LogicalType, Schema

_COMPARED: Final = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ, exp.NullSafeNEQ)
_SPECIAL: Final = ("infinity", "-infinity", "epoch", "inf", "nan", "today", "now", "yesterday", "tomorrow")


def check_comparisons(tree: exp.Expr, schema: Schema, place: Callable[[exp.Expr], Location | None]) -> None:
    """Looks at comparisons of columns, casts and literals; what else there is, the engine types. Raises ConfigError CMP-242."""

    def check(node: exp.Expr) -> None:
        for other in _others(node):
            _check(node.this.unnest(), other.unnest(), schema=schema, place=place)

    each(tree.walk(), check)


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
            return any(character.isdigit() for character in text)
        case _:
            return True


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
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
