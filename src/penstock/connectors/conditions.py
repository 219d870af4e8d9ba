"""Which conditions a database server may apply in the engine's place: those that mean the same to both.

Comparisons of a column with a constant of its own kind, IN, BETWEEN, IS NULL, AND, OR, NOT. Text is compared for equality
only, since order depends on collations, and only where the connector says that equal means the same bytes there.
"""

from __future__ import annotations

import re
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.trees import column, conjuncts
from penstock.types.logical import fold_case

if TYPE_CHECKING:
    from collections.abc import Mapping

_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")
# Every system reads a number of so few digits as the same exact number, and rounds it to the same float.
_MOST_DIGITS: Final = 15
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d{1,6})?")
_INSTANT: Final = re.compile(_MOMENT.pattern + r"(?:Z|[+-]\d\d(?::\d\d)?)")


class Sort(Enum):
    """What a column's constants are."""

    NUMBER = "number"
    TEXT = "text"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TIMESTAMPTZ = "timestamptz"
    NONE = "only null or not"


class Conditions:
    """Those over columns of these sorts."""

    def __init__(self, sorts: Mapping[str, Sort]) -> None:
        self._sorts = {fold_case(name): (name, sort) for name, sort in sorts.items()}

    def takes(self, condition: exp.Expr) -> bool:
        """Whether the server gives the same answer for every row."""
        return self._boolean(condition)

    def taken(self, condition: exp.Expr) -> exp.Expr | None:
        """The conjuncts that ``takes`` allows, columns by the names they have there; None where there is none."""
        kept = [part for part in conjuncts(condition) if self.takes(part)]
        return exp.and_(*[part.transform(self._named) for part in kept]) if kept else None

    def _boolean(self, node: exp.Expr) -> bool:
        match node:
            case exp.Paren() | exp.Not():
                return self._boolean(node.this)
            case exp.And() | exp.Or():
                return self._boolean(node.left) and self._boolean(node.right)
            case exp.Is():
                return self._known(node.this) is not None and isinstance(node.expression, exp.Null)
            case exp.Column():
                return self._known(node) is Sort.BOOLEAN
            case exp.In():
                listed = not any(node.args.get(key) for key in ("query", "unnest", "field"))
                return listed and bool(node.expressions) and self._compares(node.this, node.expressions)
            case exp.Between():
                bounds = [node.args["low"], node.args["high"]]
                return not node.args.get("symmetric") and self._compares(node.this, bounds, order=True)
            case exp.EQ() | exp.NEQ():
                return self._compares(*_sides(node))
            case exp.LT() | exp.LTE() | exp.GT() | exp.GTE():
                return self._compares(*_sides(node), order=True)
            case _:
                return False

    def _compares(self, column: exp.Expr, constants: list[exp.Expr], *, order: bool = False) -> bool:
        sort = self._known(column)
        if sort is None or (order and sort in (Sort.TEXT, Sort.BOOLEAN)):
            return False
        return all(_is_constant(constant, sort) for constant in constants)

    def _known(self, node: exp.Expr) -> Sort | None:
        if not isinstance(node, exp.Column) or isinstance(node.this, exp.Star):
            return None
        found = self._sorts.get(fold_case(node.name))
        return found[1] if found else None

    def _named(self, node: exp.Expr) -> exp.Expr:
        """A column by the name the table has for it, without the alias of the graph's node."""
        if not isinstance(node, exp.Column):
            return node
        return column(self._sorts[fold_case(node.name)][0])


def _sides(node: exp.Expr) -> tuple[exp.Expr, list[exp.Expr]]:
    """The column and the constant, whichever side each is on."""
    left, right = node.this, node.expression
    return (left, [right]) if isinstance(left, exp.Column) else (right, [left])


def _is_constant(node: exp.Expr, sort: Sort) -> bool:
    match sort:
        case Sort.NUMBER:
            value = node.this if isinstance(node, exp.Neg) else node
            plain = isinstance(value, exp.Literal) and not value.is_string and _NUMBER.fullmatch(value.name)
            return bool(plain) and len(value.name) <= _MOST_DIGITS
        case Sort.TEXT:
            return isinstance(node, exp.Literal) and node.is_string and "\0" not in node.name
        case Sort.BOOLEAN:
            return isinstance(node, exp.Boolean)
        case Sort.DATE:
            return _is_moment(node, _DATE, exp.DType.DATE)
        case Sort.TIMESTAMP:
            return _is_moment(node, _MOMENT, exp.DType.TIMESTAMP, exp.DType.TIMESTAMPNTZ)
        case Sort.TIMESTAMPTZ:
            return _is_moment(node, _INSTANT, exp.DType.TIMESTAMPTZ)
        case Sort.NONE:
            return False


def _is_moment(node: exp.Expr, pattern: re.Pattern[str], *kinds: exp.DType) -> bool:
    """A text in a form that both systems read alike, perhaps with a cast to the column's own type around it."""
    if isinstance(node, exp.Cast) and node.to.this in kinds:
        node = node.this
    if not (isinstance(node, exp.Literal) and node.is_string and pattern.fullmatch(node.name)):
        return False
    try:
        datetime.fromisoformat(node.name)
    except ValueError:  # the 30th of February: one system may take it for another day
        return False
    return True
