"""The type that DuckDB gives to every part of an expression, asked of its binder in one statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from sqlglot import exp

from penstock.engines.api import BindError
from penstock.errors import ConfigError
from penstock.trees import identifier, relation
from penstock.types import INT64, List
from penstock.types.duckdb import to_duckdb

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from penstock.types import LogicalType, Schema

SchemaOf: TypeAlias = "Callable[[exp.Query, Mapping[str, Schema]], Schema]"

_AT_ONCE: Final = 200  # parts of a statement; one that is refused makes it be asked in halves
_UNTYPED: Final = (
    exp.DataType,
    exp.DataTypeParam,
    exp.Identifier,
    exp.Ordered,
    exp.Order,
    exp.WindowSpec,
    exp.Var,
    exp.If,
    exp.Lambda,
    exp.Interval,
    exp.PropertyEQ,
    exp.Star,
    exp.Tuple,
)


class Typed:
    """The types of an expression's parts. ``scope`` maps the qualifiers of its columns to the rows they are of: ``""`` where
    columns stand without one. ``of`` is None where DuckDB gives a part no type of its own (a name within a call, say).
    """

    def __init__(self, schema_of: SchemaOf, tree: exp.Expr, scope: Mapping[str, Schema]) -> None:
        self._schema_of = schema_of
        self._scope = scope
        self._found: dict[int, LogicalType] = {}
        self._bound: dict[int, exp.Expr] = {}  # parts of lambdas, with values in place of their parameters
        self._tree = tree  # kept: parts are known by their identity
        self._ask([part for part in tree.walk() if not isinstance(part, _UNTYPED) and not _within_lambda(part, tree)])
        for function in tree.find_all(exp.Lambda):
            self._enter(function)

    def of(self, part: exp.Expr) -> LogicalType | None:
        return self._found.get(id(part))

    def _enter(self, function: exp.Lambda) -> None:
        """Types what a lambda computes, from the type of the list that it is called with."""
        called = function.parent
        listed = called.this if isinstance(called, exp.Func) and not isinstance(called, exp.Anonymous) else None
        if isinstance(called, exp.Anonymous) and called.expressions:
            listed = called.expressions[0]
        kind = self.of(listed) if listed is not None else None
        if not isinstance(kind, List):
            return
        names = [item.name for item in function.expressions]
        values = dict(zip(names, (kind.element, INT64), strict=False))
        inner = [part for part in function.this.walk() if not isinstance(part, _UNTYPED)]
        for part in inner:
            self._bound[id(part)] = _with_values(self._bound.get(id(part), part), values)
        self._ask([part for part in inner if not _within_lambda(part, function.this)])

    def _ask(self, parts: Sequence[exp.Expr]) -> None:
        for start in range(0, len(parts), _AT_ONCE):
            self._ask_some(parts[start : start + _AT_ONCE])

    def _ask_some(self, parts: Sequence[exp.Expr]) -> None:
        if not parts:
            return
        try:
            types = self._types(parts, grouped=False)
        except (BindError, ConfigError):  # not bound, or of a type that no document has
            if len(parts) > 1:
                middle = len(parts) // 2
                self._ask_some(parts[:middle])
                self._ask_some(parts[middle:])
                return
            try:
                types = self._types(parts, grouped=True)
            except (BindError, ConfigError):
                return
        self._found |= {id(part): kind for part, kind in zip(parts, types, strict=True)}

    def _types(self, parts: Sequence[exp.Expr], *, grouped: bool) -> list[LogicalType]:
        """Each part is a subquery of its own, so that one with an aggregate stands beside one without."""
        inputs = {f"rows {place}": schema for place, schema in enumerate(self._scope.values())}
        select = exp.Select(
            expressions=[
                exp.Alias(this=self._rows_of(part, grouped=grouped).subquery(), alias=identifier(f"part {place}"))
                for place, part in enumerate(parts)
            ]
        )
        return [item.type for item in self._schema_of(select, inputs)]

    def _rows_of(self, part: exp.Expr, *, grouped: bool) -> exp.Select:
        value = self._bound.get(id(part), part).copy()
        select = exp.Select(expressions=[exp.Alias(this=value, alias=identifier("value"))])
        for place, qualifier in enumerate(self._scope):
            table = relation(f"rows {place}")
            if qualifier:
                table.set("alias", exp.TableAlias(this=identifier(qualifier)))
            select = (
                select.from_(table, copy=False) if place == 0 else select.join(table, join_type="cross", copy=False)
            )
        return select.group_by("ALL", copy=False) if grouped else select


def _within_lambda(part: exp.Expr, tree: exp.Expr) -> bool:
    above = part.parent
    while above is not None and part is not tree:
        if isinstance(above, exp.Lambda):
            return True
        if above is tree:
            return False
        above = above.parent
    return False


def _with_values(part: exp.Expr, values: Mapping[str, LogicalType]) -> exp.Expr:
    def valued(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column) and node.name in values and not node.args.get("table"):
            return _some(to_duckdb(values[node.name]))
        return node

    return part.copy().transform(valued)


def _some(kind: exp.DataType) -> exp.Expr:
    """A value of a type that the binder cannot work out: of a constant null it takes a member to have no type."""
    chance = exp.LT(this=exp.Anonymous(this="random"), expression=exp.Literal.number(1))
    return exp.Paren(this=exp.Case(ifs=[exp.If(this=chance, true=exp.Cast(this=exp.null(), to=kind))]))


__all__ = ["SchemaOf", "Typed"]
