"""The condition of a join: what it compares, and whether its two sides can be compared at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from sqlglot import exp

from penstock.errors import nearest
from penstock.steps.collect import each
from penstock.structs import Frozen
from penstock.trees import column, conjuncts
from penstock.types.families import comparable
from penstock.types.logical import fold_case

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.fields import ExpressionText
    from penstock.steps.api import Scope
    from penstock.types import Schema

LEFT = "this"
_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ)
_INEQUALITIES = (exp.GT, exp.GTE, exp.LT, exp.LTE)


class Sides(Frozen):
    """The two inputs of a join: what comes in is ``this``, the other has ``alias``; ``to`` is its name."""

    left: Schema
    right: Schema
    alias: str
    to: str

    @property
    def schemas(self) -> dict[str, Schema]:
        return {LEFT: self.left, self.alias: self.right}


def named(name: str, schema: Schema, owner: str, scope: Scope, *, hint: str | None = None) -> str:
    """The exact name of a column: as it stands, else the one that differs in case only. Fails with CMP-203, with the
    ``hint`` in place of the nearest name.
    """
    if name in schema:
        return name
    folded = [known for known in schema.names if fold_case(known) == fold_case(name)]
    if len(folded) == 1:
        return folded[0]
    near = nearest(name, schema.names)
    return scope.fail(
        "CMP-203",
        f'column "{name}" does not exist in "{owner}"',
        at=name,
        detail=f'"{owner}" has the columns {", ".join(schema.names[:20])}.',
        hint=hint or (f'did you mean "{near}"?' if near else None),
    )


def equal_columns(names: Sequence[str], sides: Sides, scope: Scope) -> tuple[tuple[str, str], ...]:
    """(left, right) of each name that stands under ``on``."""

    def pair(name: str) -> tuple[str, str]:
        left = scope.column(name).name
        return left, named(name, sides.right, sides.to, scope, hint=_of_two_names(left, sides))

    return each(dict.fromkeys(names), pair)


def _of_two_names(left: str, sides: Sides) -> str:
    """How a key is written whose columns have two names."""
    other = nearest(left, sides.right.names) or "its_column"
    sql = " = ".join(
        exp.column(exp.to_identifier(name), alias).sql(dialect="duckdb")
        for name, alias in ((left, LEFT), (other, sides.alias))
    )
    return f"`on: [...]` names columns that both have; of two names make an expression: `on: {sql}`"


def equality(pairs: Sequence[tuple[str, str]], alias: str) -> exp.Expr:
    """``this.a = alias.a AND …``: null equals nothing."""
    return exp.and_(*[exp.EQ(this=column(left, LEFT), expression=column(right, alias)) for left, right in pairs])


def aliases_of(tree: exp.Expr) -> set[str]:
    return {found.table for found in tree.find_all(exp.Column)}


def check_types(condition: exp.Expr, sides: Sides, *, scope: Scope, at: object) -> None:
    """Fails with CMP-280 where a comparison between columns would need one side turned into another kind of value."""
    for compared in condition.find_all(*_COMPARISONS):
        left, right = compared.this, compared.expression
        if not (left.find(exp.Column) and right.find(exp.Column)):
            continue  # a literal takes the type of the other side
        one, other = scope.type_of(left, sides.schemas), scope.type_of(right, sides.schemas)
        if one is not None and other is not None and not comparable(one, other):
            scope.fail(
                "CMP-280",
                f"{_shown(left)} and {_shown(right)} cannot be compared: {one} and {other}",
                at=at,
                hint="cast one of them in a step before the join",
            )


def _shown(tree: exp.Expr) -> str:
    return f'"{tree.table}.{tree.name}"' if isinstance(tree, exp.Column) else tree.sql(dialect="duckdb")


def asof_keys(condition: exp.Expr, sides: Sides, *, scope: Scope, text: ExpressionText) -> tuple[exp.Expr, ...]:
    """The right-hand values of an as-of join's comparisons, unqualified: the order key and the equalities.

    Fails with CMP-282 unless the condition is one inequality and any number of equalities, each between a value of
    ``this`` and a value of the other side.
    """
    keys: list[exp.Expr] = []
    inequalities = 0
    for part in conjuncts(condition):
        sides_of = (part.this, part.expression) if isinstance(part, (exp.EQ, *_INEQUALITIES)) else ()
        ends = {frozenset(aliases_of(end)): end for end in sides_of}
        right = ends.get(frozenset({sides.alias}))
        if right is None or frozenset({LEFT}) not in ends:
            _not_asof(scope, text, sides.alias)
        inequalities += isinstance(part, _INEQUALITIES)
        keys.append(right.copy().transform(_unqualified))
    if inequalities != 1:
        _not_asof(scope, text, sides.alias)
    return tuple(keys)


def _not_asof(scope: Scope, text: ExpressionText, alias: str) -> NoReturn:
    scope.fail(
        "CMP-282",
        "an as-of join compares by one inequality and any number of equalities",
        at=text,
        detail=f"each of them has a value of {LEFT} on one side and a value of {alias} on the other.",
        hint=f'write it such as "{LEFT}.key = {alias}.key and {LEFT}.day >= {alias}.day"',
    )


def _unqualified(tree: exp.Expr) -> exp.Expr:
    return column(tree.name) if isinstance(tree, exp.Column) else tree
