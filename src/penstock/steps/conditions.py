"""The written-out form of a condition: ``{all|any|not: [{column, op, value}, ...]}``, nested as wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, assert_never, cast, get_args

from sqlglot import exp

from penstock.errors import nearest
from penstock.steps.collect import each
from penstock.steps.literals import Value, literal
from penstock.steps.patterns import check_pattern
from penstock.structs import Frozen
from penstock.trees import call, is_not_null, is_null
from penstock.types.families import Family, family
from penstock.types.logical import STRING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.steps.api import Scope

Operator: TypeAlias = Literal[
    "=", "!=", "<", "<=", ">", ">=", "in", "not_in", "between", "is_null", "is_not_null",
    "starts_with", "ends_with", "contains", "like", "not_like", "matches",
]  # fmt: skip
OPERATORS: Final[tuple[str, ...]] = get_args(Operator)
_TAKES_NOTHING: Final = frozenset({"is_null", "is_not_null"})
_TAKES_MANY: Final = frozenset({"in", "not_in", "between"})
_TAKES_TEXT: Final = frozenset({"starts_with", "ends_with", "contains", "like", "not_like", "matches"})
_COMPARISONS: Final[Mapping[str, type[exp.Binary]]] = {
    "=": exp.EQ, "!=": exp.NEQ, "<": exp.LT, "<=": exp.LTE, ">": exp.GT, ">=": exp.GTE,
}  # fmt: skip
_FUNCTIONS: Final = {
    "starts_with": "starts_with",
    "ends_with": "suffix",
    "contains": "contains",
    "matches": "regexp_matches",
}
_BOUNDS: Final = 2


class Comparison(Frozen):
    """A column against literals: one, or a list for in, not_in, between."""

    column: str
    op: Operator
    values: tuple[Value, ...]


class Group(Frozen):
    """``all``: every one is true; ``any``: at least one is; ``not``: none is."""

    kind: Literal["all", "any", "not"]
    parts: tuple[Condition, ...]


Condition: TypeAlias = Comparison | Group


def read_condition(value: object) -> Condition:
    """From the document's data. Raises ValueError with what is expected."""
    match value:
        case {"column": str() as name, "op": str() as op, **rest} if set(rest) <= {"value"} and name:
            return _comparison(name, op, rest)
        case {**entries} if len(entries) == 1 and (kind := str(next(iter(entries)))) in {"all", "any", "not"}:
            parts = entries[next(iter(entries))]
            items = parts if isinstance(parts, list) else [parts]
            if not items:
                raise ValueError(f"has nothing under {kind}")
            return Group(cast('Literal["all", "any", "not"]', kind), tuple(read_condition(part) for part in items))
        case _:
            raise ValueError("takes a SQL expression, {all|any|not: [...]}, or {column, op, value}")


def _comparison(name: str, op: str, rest: Mapping[Any, Any]) -> Comparison:
    if op not in OPERATORS:
        near = nearest(op, OPERATORS)
        raise ValueError(
            f'has no op "{op}"; ' + (f'did you mean "{near}"?' if near else f"known: {', '.join(OPERATORS)}")
        )
    given = rest.get("value")
    values = tuple(given) if isinstance(given, list) else (given,)
    if op in _TAKES_NOTHING:
        if "value" in rest:
            raise ValueError(f"takes no value for the op {op}")
        values = ()
    elif any(item is None for item in values):
        raise ValueError(f"takes a value for the op {op}; null is asked for by is_null")
    elif isinstance(given, list) != (op in _TAKES_MANY) or not values:
        raise ValueError(f"takes {'a list of values' if op in _TAKES_MANY else 'one value'} for the op {op}")
    if op == "between" and len(values) != _BOUNDS:
        raise ValueError("takes the lowest and the highest value for the op between")
    if not all(isinstance(item, (str, int, float, bool)) for item in values):
        raise ValueError("takes texts, numbers and booleans as values")
    return Comparison(name, cast("Operator", op), values)


# ---------------------------------------------------------------- trees


def condition_tree(scope: Scope, condition: Condition) -> exp.Expr:
    """The condition over the scope's columns. Raises ConfigError CMP-203, CMP-258 (a value not of the column's type),
    CMP-259 (an op that the column's type does not have).
    """
    match condition:
        case Comparison():
            return _comparison_tree(scope, condition)
        case Group():
            parts = each(condition.parts, lambda part: condition_tree(scope, part))
            tree = exp.Paren(this=exp.and_(*parts) if condition.kind == "all" else exp.or_(*parts))
            return exp.Not(this=tree) if condition.kind == "not" else tree


def _comparison_tree(scope: Scope, condition: Comparison) -> exp.Expr:
    column = scope.column(condition.column)
    kind = scope.schema[column.name].type
    op = condition.op
    if op in _TAKES_TEXT and family(kind) is not Family.TEXT:
        scope.fail("CMP-259", f'the op "{op}" is about text, and column "{column.name}" is {kind}', at=condition.column)
    if family(kind) is None and op not in _TAKES_NOTHING:
        scope.fail(
            "CMP-259",
            f'column "{column.name}" is {kind}, which no literal can be compared with',
            at=condition.column,
            hint="write the condition as an expression",
        )
    values = [
        literal(scope, value, kind if op not in _TAKES_TEXT else STRING, of=column.name) for value in condition.values
    ]
    if op == "matches" and isinstance(condition.values[0], str):
        check_pattern(scope, condition.values[0])
    match op:
        case "is_null":
            return is_null(column)
        case "is_not_null":
            return is_not_null(column)
        case "in":
            return exp.In(this=column, expressions=values)
        case "not_in":
            return exp.Not(this=exp.In(this=column, expressions=values))
        case "between":
            return exp.Between(this=column, low=values[0], high=values[1])
        case "like":
            return exp.Like(this=column, expression=values[0])
        case "not_like":
            return exp.Not(this=exp.Like(this=column, expression=values[0]))
        case "starts_with" | "ends_with" | "contains" | "matches":
            return call(_FUNCTIONS[op], column, values[0])
        case "=" | "!=" | "<" | "<=" | ">" | ">=":
            return _COMPARISONS[op](this=column, expression=values[0])
    assert_never(op)
