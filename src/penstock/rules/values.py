"""What several rules ask of a column: its kind, the forms of texts, and values that have no place in an order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.errors import ConfigError
from penstock.rules.api import Violation
from penstock.steps.rewrite import shown
from penstock.trees import call, column, matches, when
from penstock.types.families import Family, comparable, family
from penstock.types.logical import FLOAT32, FLOAT64, JSON, STRING, Kind, List

if TYPE_CHECKING:
    from penstock.rules.api import Scope
    from penstock.types import LogicalType

_ORDERED: Final = (Family.NUMBER, Family.INSTANT, Kind.TIME, Kind.INTERVAL)


def ordered_column(scope: Scope, name: str) -> exp.Column:
    """A column of numbers, dates or times. Raises ConfigError CMP-203, CMP-371."""
    column = scope.column(name)
    kind = scope.schema[column.name].type
    if family(kind) not in _ORDERED:
        raise _unfit(scope, name, column, "the rule is about numbers, dates and times")
    return column


def instant_column(scope: Scope, name: str) -> exp.Column:
    """A column of dates or timestamps. Raises ConfigError CMP-203, CMP-371."""
    column = scope.column(name)
    if family(scope.schema[column.name].type) is not Family.INSTANT:
        raise _unfit(scope, name, column, "the rule is about dates and timestamps")
    return column


def number_column(scope: Scope, name: str) -> exp.Column:
    """A column of numbers. Raises ConfigError CMP-203, CMP-371."""
    column = scope.column(name)
    if family(scope.schema[column.name].type) is not Family.NUMBER:
        raise _unfit(scope, name, column, "the rule is about numbers")
    return column


def column_of(scope: Scope, node: str, called: str, name: str) -> exp.Column:
    """A column of another node, which the document calls so. Raises ConfigError CMP-203."""
    schema = scope.schema_of(node)
    if name not in schema:
        raise ConfigError(
            "CMP-203",
            f'column "{name}" does not exist in "{called}"',
            at=getattr(name, "at", None) or scope.at,
            detail=f'"{called}" has the columns {", ".join(schema.names)}.',
        )
    return column(str(name))


def number_of(scope: Scope, node: str, called: str, name: str) -> exp.Column:
    """A column of numbers of another node. Raises ConfigError CMP-203, CMP-371."""
    found = column_of(scope, node, called, name)
    if family(scope.schema_of(node)[found.name].type) is not Family.NUMBER:
        raise _unfit(scope, name, found, "the rule is about numbers", node)
    return found


def same_kind(scope: Scope, one: exp.Column, node: str, other: exp.Column) -> None:
    """Whether values of a column are values of another node's column too. Raises ConfigError CMP-242: also for floating
    point beside other numbers, of which several are one and the same there.
    """
    kinds = scope.schema[one.name].type, scope.schema_of(node)[other.name].type
    floats = [kind in (FLOAT32, FLOAT64) for kind in kinds]
    if not comparable(*kinds) or floats[0] != floats[1]:
        scope.fail(
            "CMP-242",
            f'"{one.name}", which is {kinds[0]}, cannot be compared with "{other.name}", which is {kinds[1]}',
            hint="cast one of them in a step before",
        )


def text_column(scope: Scope, name: str) -> exp.Column:
    """A column of text. Raises ConfigError CMP-203, CMP-371."""
    column = scope.column(name)
    if scope.schema[column.name].type != STRING:
        raise _unfit(scope, name, column, "the rule is about text")
    return column


def json_column(scope: Scope, name: str) -> exp.Column:
    """A column of JSON or of text. Raises ConfigError CMP-203, CMP-371."""
    column = scope.column(name)
    if scope.schema[column.name].type not in (JSON, STRING):
        raise _unfit(scope, name, column, "the rule is about JSON, and text that is JSON")
    return column


def sized_column(scope: Scope, name: str) -> exp.Column:
    """A column of text or of lists. Raises ConfigError CMP-203, CMP-371."""
    column = scope.column(name)
    kind = scope.schema[column.name].type
    if kind != STRING and not isinstance(kind, List):
        raise _unfit(scope, name, column, "the rule is about text and lists")
    return column


def plain_column(scope: Scope, name: str) -> exp.Column:
    """A column whose values literals may be. Raises ConfigError CMP-203, CMP-371."""
    column = scope.column(name)
    if family(scope.schema[column.name].type) is None:
        raise _unfit(scope, name, column, "no value of a document can be compared with it")
    return column


def unlike(scope: Scope, name: str, pattern: str, words: str) -> Violation:
    """The text of the column is not as a whole what the pattern (RE2) says. Raises ConfigError CMP-203, CMP-371."""
    column = text_column(scope, name)
    return Violation(exp.Not(this=matches(column, pattern)), shown(column.name, column, words), column.name)


def _unfit(scope: Scope, name: str, column: exp.Column, why: str, node: str | None = None) -> ConfigError:
    kind = (scope.schema if node is None else scope.schema_of(node))[column.name].type
    return ConfigError(
        "CMP-371", f'column "{column.name}" is {kind}', at=getattr(name, "at", None) or scope.at, detail=f"{why}."
    )


def finite(scope: Scope, found: exp.Column) -> exp.Expr:
    """A column of numbers as DOUBLE, null where it is NaN or infinite."""
    value = exp.Cast(this=found.copy(), to=exp.DataType.build("double"))
    return value if is_nan(found, scope.schema[found.name].type) is None else when(call("isfinite", found), value)


def is_nan(column: exp.Column, kind: LogicalType) -> exp.Expr | None:
    """Whether the value is NaN; None where the type has none."""
    return call("isnan", column) if kind in (FLOAT32, FLOAT64) else None
