"""What a user's SELECT compares with texts, where the compared column is one of a node's: through aliases, WITH and
subqueries, as far as they hand a column or a cast on as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from penstock.compile.comparisons import check_comparisons, kind_of
from penstock.compile.lambdas import is_bound
from penstock.compile.query import place_in
from penstock.compile.query_scope import scope_of
from penstock.types.logical import fold_case

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.fields import Located
    from penstock.types import LogicalType, Schema

_HANDED_ON: Final = (exp.Column, exp.Cast)


def check_query(query: exp.Query, tables: Mapping[str, Schema], text: Located) -> None:
    """Of comparisons only those with a text that is no value of the column's type: any other follows SQL, and is the
    engine's to refuse. Raises ConfigError CMP-242, CMP-248 with all of them.
    """
    scope = scope_of(query, {name: schema.names for name, schema in tables.items()})
    kinds = _kinds(scope, tables) if scope is not None else {}
    tree = scope.expression if scope is not None else query
    check_comparisons(tree, lambda column: kinds.get(id(column)), lambda node: place_in(node, text), compared="texts")


def _kinds(scope: Scope, tables: Mapping[str, Schema]) -> Mapping[int, LogicalType]:
    """Types by the identity of a column of the tree; those that are not there only the engine knows."""
    found: dict[int, LogicalType] = {}
    for part in scope.traverse():  # what a part reads from comes before it
        for column in part.columns:
            kind = None if is_bound(column) else _kind(part.sources.get(column.table), column.name, tables, found)
            if kind is not None:
                found[id(column)] = kind
    return found


def _kind(
    source: object, name: str, tables: Mapping[str, Schema], found: Mapping[int, LogicalType]
) -> LogicalType | None:
    folded = fold_case(name)
    match source:
        case exp.Table() if source.name in tables and not source.alias_column_names:
            return next((field.type for field in tables[source.name] if fold_case(field.name) == folded), None)
        case Scope(expression=exp.Select() as select):
            item = next((item for item in select.expressions if fold_case(item.alias_or_name) == folded), None)
            value = item.unalias() if item is not None else None
            return kind_of(value, lambda column: found.get(id(column))) if isinstance(value, _HANDED_ON) else None
        case _:
            return None
