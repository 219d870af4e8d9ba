"""The flow of a user's SELECT: its names qualified, then scope by scope from the inside out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from penstock.compile.column_flow import Flow
from penstock.compile.query_scope import scope_of
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from penstock.graph import Graph
    from penstock.graph.nodes import Query

Places: TypeAlias = frozenset[tuple[str, str]]
_NOT_DECIDING: Final = frozenset({"expressions", "from_", "with_"})


class _Part(Frozen):
    """A SELECT's columns in order, and what decides its rows."""

    columns: tuple[tuple[str, Places], ...]
    rows: Places

    @property
    def by_name(self) -> Mapping[str, Places]:
        return {name.casefold(): places for name, places in self.columns}


def query_flow(node: Query, graph: Graph) -> Flow:
    """Where the query is beyond this analysis, every column comes from every column of every input."""
    names = node.schema.names if node.schema is not None else ()
    scope = scope_of(node.query, {name: _columns_of(graph, source) for name, source in node.tables.items()})
    try:
        part = _Walk(node, graph).part(scope) if scope is not None else None
    except (KeyError, RecursionError):
        part = None
    if part is None or not _same(part.columns, names):
        every = frozenset((source, name) for source in node.inputs for name in _columns_of(graph, source))
        return Flow(dict.fromkeys(names, every), {}, every)
    return Flow({name: places for name, (_, places) in zip(names, part.columns, strict=True)}, {}, part.rows)


def _same(columns: tuple[tuple[str, Places], ...], names: tuple[str, ...]) -> bool:
    """Whether these are the query's columns; the analysis has folded the case of letters, which the engine keeps."""
    return [name.casefold() for name, _ in columns] == [name.casefold() for name in names]


def _columns_of(graph: Graph, node_id: str) -> tuple[str, ...]:
    schema = graph[node_id].schema
    return schema.names if schema is not None else ()


class _Walk:
    def __init__(self, node: Query, graph: Graph) -> None:
        self._node, self._graph = node, graph
        self._done: dict[int, _Part] = {}

    def part(self, scope: Scope) -> _Part:
        if id(scope) not in self._done:
            self._done[id(scope)] = self._union(scope) if scope.set_operation_scopes else self._select(scope)
        return self._done[id(scope)]

    def _union(self, scope: Scope) -> _Part:
        parts = [self.part(member) for member in scope.set_operation_scopes]
        by_name = bool(scope.expression.args.get("by_name"))
        columns = _united_by_name(parts) if by_name else _united_by_place(parts)
        rows: Places = frozenset().union(*(part.rows for part in parts))
        if isinstance(scope.expression, exp.Intersect | exp.Except) or scope.expression.args.get("distinct"):
            rows = rows.union(*(places for _, places in columns))
        if any(scope.expression.args.get(key) for key in ("limit", "offset", "order")):
            # Which columns its order names is not looked into.
            rows = rows.union(*(places for _, places in columns))
        return _Part(columns, rows)

    def _select(self, scope: Scope) -> _Part:
        select = scope.expression
        if not isinstance(select, exp.Select) or scope.udtf_scopes or scope.lateral_sources:
            raise KeyError(type(select).__name__)
        nested = [self.part(inner) for inner in scope.subquery_scopes]
        beneath: Places = frozenset().union(*(self._rows_of(source) for _, source in self._sources(scope)))
        inner: Places = frozenset().union(
            *(part.rows.union(*(places for _, places in part.columns)) for part in nested)
        )
        columns = tuple((item.alias_or_name, self._item(item, scope, inner)) for item in select.expressions)
        rows = beneath | inner | self._deciding(select, scope, columns)
        return _Part(columns, rows)

    def _item(self, item: exp.Expr, scope: Scope, inner: Places) -> Places:
        found = self._places(item, scope)
        return found | inner if item.find(exp.Subquery, exp.Query) else found

    def _deciding(self, select: exp.Select, scope: Scope, columns: tuple[tuple[str, Places], ...]) -> Places:
        """Everything but the projections: where, join, group, having, qualify, order, distinct; and their windows."""
        parts = [value for key, value in select.args.items() if key not in _NOT_DECIDING and value]
        trees = [tree for part in parts for tree in (part if isinstance(part, list) else [part])]
        found: Places = frozenset().union(*(self._places(tree, scope) for tree in trees if isinstance(tree, exp.Expr)))
        if select.args.get("distinct") or _names_all(select):
            return found.union(*(places for _, places in columns))
        # A list that becomes rows decides how often the values beside it stand there.
        spread = [item for item in select.expressions if item.find(exp.Unnest, exp.Explode, exp.Posexplode)]
        return found.union(*(self._places(item, scope) for item in spread))

    def _sources(self, scope: Scope) -> Iterator[tuple[str, object]]:
        for name, source in scope.sources.items():
            if name in scope.selected_sources:
                yield name, source

    def _rows_of(self, source: object) -> Places:
        return self.part(source).rows if isinstance(source, Scope) else frozenset()

    def _places(self, tree: exp.Expr, scope: Scope) -> Places:
        """Of the tree without the queries in it: these are scopes of their own."""
        found: set[tuple[str, str]] = set()
        for column in tree.walk(prune=lambda item: isinstance(item, exp.Query)):
            if not isinstance(column, exp.Column):
                continue
            source = self._source_of(column.table, scope)
            if isinstance(source, Scope):
                found |= self.part(source).by_name[column.name.casefold()]
            elif isinstance(source, exp.Table) and source.name in self._node.tables:
                found.add(self._column(self._node.tables[source.name], column.name))
            else:
                raise KeyError(column.name)
        return frozenset(found)

    def _column(self, node_id: str, name: str) -> tuple[str, str]:
        """By its exact name. Raises KeyError where the node has none such, as for a row taken as a whole."""
        return node_id, {known.casefold(): known for known in _columns_of(self._graph, node_id)}[name.casefold()]

    def _source_of(self, name: str, scope: Scope) -> object:
        """A correlated column belongs to a scope around."""
        current: Scope | None = scope
        while current is not None:
            if name in current.sources:
                return current.sources[name]
            current = current.parent
        return None


def _names_all(select: exp.Select) -> bool:
    """`group by all`, `order by all`: the keys are the projections themselves."""
    group, order = select.args.get("group"), select.args.get("order")
    by_all = isinstance(group, exp.Group) and bool(group.args.get("all"))
    named = isinstance(order, exp.Order) and any(
        isinstance(item, exp.Ordered) and item.name.casefold() == "all" for item in order.expressions
    )
    return by_all or named


def _united_by_place(parts: list[_Part]) -> tuple[tuple[str, Places], ...]:
    names = [name for name, _ in parts[0].columns]
    return tuple(
        (name, frozenset().union(*(part.columns[place][1] for part in parts))) for place, name in enumerate(names)
    )


def _united_by_name(parts: list[_Part]) -> tuple[tuple[str, Places], ...]:
    names = dict.fromkeys(name.casefold() for part in parts for name, _ in part.columns)
    nothing: Places = frozenset()
    return tuple((name, nothing.union(*(part.by_name.get(name, nothing) for part in parts))) for name in names)
