"""A user's joins that are written as products: what links two relations goes from WHERE to where they meet.

The engine runs joins in the order and with the conditions that are written (its own pushdown is off, for the counts), so
``from a, b where a.k = b.k`` would be a product. SQLGlot's passes for this (``pushdown_predicates``, ``optimize_joins``)
do more than is safe for DuckDB's dialect (implicit lateral joins, samples, volatile functions), so only this is done,
SELECT by SELECT:

- a part of WHERE moves to the ON of the last relation it speaks of, if that one is inner joined;
- plain relations that are all inner joined are taken in an order in which each has a link to those before it.

Where a SELECT holds anything else it stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.graph.nodes import Query
from penstock.structs import Frozen, replace
from penstock.trees import conjuncts
from penstock.types.logical import fold_case

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.compile.facts import Facts
    from penstock.document.models import Pipeline
    from penstock.graph import Graph, Node

# What gives another value each time, has rows of its own, or is not known well enough.
_STAYS: Final = (exp.Query, exp.Window, exp.Lambda, exp.Unnest, exp.Anonymous, exp.Rand, exp.Randn, exp.Uuid, exp.Star)
_KINDS: Final = frozenset({"", "INNER", "CROSS"})
_FILTERING: Final = frozenset({"SEMI", "ANTI"})
_Columns = frozenset[str] | None  # folded names; None: not known


def rewrite_queries(graph: Graph, pipeline: Pipeline, facts: Facts) -> Graph:  # noqa: ARG001 -- every pass takes these
    def change(node: Node) -> Node:
        return replace(node, query=rewritten(node, graph)) if isinstance(node, Query) else node

    return graph.map(change)


def rewritten(node: Query, graph: Graph) -> exp.Query:
    """The node's query with its products made joins; the same rows, in any order."""
    tree = node.query.copy()
    known: dict[str, _Columns] = {}
    for name, source in node.tables.items():
        schema = graph[source].schema
        known[fold_case(name)] = frozenset(map(fold_case, schema.names)) if schema is not None else None
    for cte in tree.find_all(exp.CTE):
        known[fold_case(cte.alias)] = _alias_columns(cte) or _selected(cte.this)
    for select in tree.find_all(exp.Select):
        place = _Place.of(select, known)
        if place is not None:
            place.rewrite()
    return tree


class _Place(Frozen):
    """One SELECT's relations: names in order (the first is FROM's), their columns, and the joins of all but the first."""

    select: exp.Select
    names: tuple[str, ...]
    columns: Mapping[str, _Columns]
    joins: tuple[exp.Join, ...]

    @classmethod
    def of(cls, select: exp.Select, known: Mapping[str, _Columns]) -> _Place | None:
        """None where there is nothing to move, or something that this pass does not know."""
        begin = select.args.get("from_")
        if (
            begin is None
            or select.args.get("where") is None
            or select.args.get("sample")
            or select.args.get("laterals")
        ):
            return None
        joins = tuple(select.args.get("joins") or begin.this.args.get("joins") or ())
        items = (begin.this, *(join.this for join in joins))
        if (
            not joins
            or not _is_plain(begin.this, first=True)
            or not all(map(_is_plain, items[1:]))
            or not all(map(_keeps_sides, joins))
        ):
            return None
        names = tuple(fold_case(item.alias_or_name) for item in items)
        if len(set(names)) < len(names) or "" in names:
            return None
        columns = {name: _columns_of(item, known) for name, item in zip(names, items, strict=True)}
        if begin.this.args.get("joins"):  # "from a, b select ..." hangs them on the first table
            begin.this.set("joins", None)
            select.set("joins", list(joins))
        return cls(select, names, columns, joins)

    def rewrite(self) -> None:
        where = self.select.args["where"]
        parts = conjuncts(where.this)
        if self._reorders() and (taken := self._all_links(parts)) is not None:
            self._reorder(taken)
            kept = [part for part in parts if not any(part is link for link, _ in taken)]
        else:
            kept = [part for part in parts if not self._moved(part)]
        if len(kept) < len(parts):
            self.select.set("where", exp.Where(this=exp.and_(*kept, copy=False)) if kept else None)

    # ------------------------------------------------------------ one condition, in the order written

    def _moved(self, part: exp.Expr) -> bool:
        used = self._used(part)
        if used is None:
            return False
        last = max(self.names.index(name) for name in used)
        join = self.joins[max(last, 1) - 1]
        if not _is_inner(join):
            return False
        _link(join, [part])
        return True

    def _used(self, part: exp.Expr) -> frozenset[str] | None:
        """The relations that a condition speaks of; None where it must stay or that is not known."""
        if part.find(*_STAYS) is not None:
            return None
        used = {self._owner(column) for column in part.find_all(exp.Column)}
        return frozenset(name for name in used if name is not None) if used and None not in used else None

    def _owner(self, column: exp.Column) -> str | None:
        if column.args.get("db") is not None:
            return None
        if column.table:
            name = fold_case(column.table)
            return name if name in self.columns else None
        if any(columns is None for columns in self.columns.values()):
            return None
        owners = [name for name, columns in self.columns.items() if columns and fold_case(column.name) in columns]
        return owners[0] if len(owners) == 1 else None

    # ------------------------------------------------------------ another order

    def _reorders(self) -> bool:
        """Whether the order of the relations shows nowhere: three or more tables, no bare ``*`` over them."""
        items = (self.select.args["from_"].this, *(join.this for join in self.joins))
        star = any(item.find(exp.Star, exp.Columns) is not None and _is_bare(item) for item in self.select.expressions)
        tables = all(isinstance(item, exp.Table) for item in items)
        return len(items) > 2 and tables and not star and all(map(_is_inner, self.joins))  # noqa: PLR2004 -- as said

    def _all_links(self, parts: Sequence[exp.Expr]) -> list[tuple[exp.Expr, frozenset[str]]] | None:
        """Every condition that can be moved, from WHERE and ON, with what it speaks of; None where one in ON cannot."""
        found: list[tuple[exp.Expr, frozenset[str]]] = []
        for join in self.joins:
            for part in conjuncts(join.args.get("on")):
                used = self._used(part)
                if used is None:
                    return None
                found.append((part, used))
        return found + [(part, used) for part in parts if (used := self._used(part)) is not None]

    def _reorder(self, links: Sequence[tuple[exp.Expr, frozenset[str]]]) -> None:
        left = dict(zip(self.names[1:], self.joins, strict=True))
        placed = {self.names[0]}
        waiting = list(links)
        ordered: list[exp.Join] = []
        while left:
            name = _next(list(left), placed, waiting)
            join = left.pop(name)
            placed.add(name)
            join.set("on", None)
            _link(join, [part for part, used in waiting if used <= placed])
            waiting = [(part, used) for part, used in waiting if not used <= placed]
            ordered.append(join)
        self.select.set("joins", ordered)


def _next(left: Sequence[str], placed: set[str], links: Sequence[tuple[exp.Expr, frozenset[str]]]) -> str:
    """The first relation, as written, with a link to those that are placed; else the first."""
    for name in left:
        if any(name in used and len(used) > 1 and used <= placed | {name} for _, used in links):
            return name
    return left[0]


def _link(join: exp.Join, parts: Sequence[exp.Expr]) -> None:
    """The join with these conditions beside its own; one without any is a product."""
    parts = [*conjuncts(join.args.get("on")), *parts]
    join.set("on", exp.and_(*parts, copy=False) if parts else None)
    join.set("kind", "INNER" if parts else "CROSS")


def _is_plain(item: exp.Expr, *, first: bool = False) -> bool:
    """A table or a subquery, named, with nothing of its own beside it; the first table may hold the joins."""
    if not isinstance(item, exp.Table | exp.Subquery) or item.args.get("laterals"):
        return False
    if item.args.get("joins") and not (first and isinstance(item, exp.Table)):
        return False
    return not isinstance(item.this, exp.Func) and not item.args.get("pivots") and not item.args.get("sample")


def _keeps_sides(join: exp.Join) -> bool:
    """Whether rows of what stands to its left can be left out before it as well as after it."""
    plain = not join.args.get("method") and not join.args.get("using") and not join.args.get("global")
    return plain and join.side in {"", "LEFT"} and join.kind in _KINDS | _FILTERING | {"OUTER"}


def _is_inner(join: exp.Join) -> bool:
    return not join.side and join.kind in _KINDS


def _is_bare(item: exp.Expr) -> bool:
    return not (isinstance(item, exp.Column) and item.table)


def _columns_of(item: exp.Expr, known: Mapping[str, _Columns]) -> _Columns:
    listed = _alias_columns(item)
    if listed:
        return listed
    return _selected(item.this) if isinstance(item, exp.Subquery) else known.get(fold_case(item.name))


def _alias_columns(item: exp.Expr) -> frozenset[str]:
    alias = item.args.get("alias")
    return (
        frozenset(fold_case(part.name) for part in alias.columns) if isinstance(alias, exp.TableAlias) else frozenset()
    )


def _selected(query: exp.Expr) -> _Columns:
    """The columns of a query that names them all."""
    if not isinstance(query, exp.Query) or not query.selects:
        return None
    if any(item.find(exp.Star, exp.Columns) is not None for item in query.selects):
        return None
    names = [item.alias_or_name for item in query.selects]
    return frozenset(map(fold_case, names)) if all(names) else None
