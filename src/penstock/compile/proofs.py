"""What a condition proves about nulls: a row that passes `price > 0` has a price."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

if TYPE_CHECKING:
    from typing import TypeAlias

    Columns: TypeAlias = frozenset[tuple[str, str]]  # (table or "", name)

# Null where an operand is null. `+` and `||` are not among them: of lists they take null for the empty list.
_PASSING_NULL_ON = (exp.Sub, exp.Mul, exp.Div, exp.Neg, exp.Paren, exp.Upper, exp.Lower, exp.Trim, exp.Length)
_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Like, exp.ILike, exp.Between)
_NOTHING: Columns = frozenset()


def true_proves(condition: exp.Expr) -> Columns:
    """Columns that are not null in every row for which the condition is true."""
    match condition:
        case exp.And():
            return frozenset().union(*(true_proves(part) for part in condition.flatten()))
        case exp.Or():
            return _shared([true_proves(part) for part in condition.flatten()])
        case exp.Paren():
            return true_proves(condition.this)
        case exp.Not():
            return _false_proves(condition.this)
        case exp.In():
            return _not_null_proves(condition.this)
        case exp.Column():
            return _not_null_proves(condition)
        case _ if isinstance(condition, _COMPARISONS):
            return frozenset().union(*(_not_null_proves(part) for part in condition.iter_expressions()))
        case _:
            return _NOTHING


def null_if_true(violated: exp.Expr) -> frozenset[str]:
    """Columns whose null makes the condition true: where it is not true, they are not null."""
    match violated:
        case exp.Or():
            return frozenset().union(*(null_if_true(part) for part in violated.flatten()))
        case exp.Paren():
            return null_if_true(violated.this)
        case exp.Is(this=exp.Column() as column, expression=exp.Null()):
            return frozenset({column.name})
        case _:
            return frozenset()


def _false_proves(condition: exp.Expr) -> Columns:
    """Columns that are not null in every row for which the condition is false (not: null)."""
    match condition:
        case exp.Is(this=value, expression=exp.Null()):
            return _not_null_proves(value)
        case exp.Paren():
            return _false_proves(condition.this)
        case exp.Not():
            return true_proves(condition.this)
        case exp.Or():
            return frozenset().union(*(_false_proves(part) for part in condition.flatten()))
        case exp.And():
            return _shared([_false_proves(part) for part in condition.flatten()])
        case exp.Between():
            return _NOTHING  # null between 1 and 2 is null, but 3 between null and 2 is false
        case exp.In():
            return _not_null_proves(condition.this)
        case exp.Column():
            return _not_null_proves(condition)
        case _ if isinstance(condition, _COMPARISONS):
            return frozenset().union(*(_not_null_proves(part) for part in condition.iter_expressions()))
        case _:
            return _NOTHING


def _not_null_proves(value: exp.Expr) -> Columns:
    """Columns that are not null where the value is not null."""
    match value:
        case exp.Column():
            return frozenset({(value.table, value.name)})
        case exp.Cast():
            return _not_null_proves(value.this)
        case _ if isinstance(value, _PASSING_NULL_ON):
            return frozenset().union(*(_not_null_proves(part) for part in value.iter_expressions()))
        case _:
            return _NOTHING


def _shared(parts: list[Columns]) -> Columns:
    return parts[0].intersection(*parts[1:])
