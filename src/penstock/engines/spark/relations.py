"""Every node as one SELECT in Spark's dialect, with the expressions that ``Lowering`` has proved to mean the same there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from sqlglot import exp

from penstock.engines.spark.asof import lined_up
from penstock.engines.spark.refusal import Unportable, UnportableError
from penstock.errors import InternalError
from penstock.graph.nodes import (
    Aggregate,
    Check,
    Explode,
    Filter,
    Join,
    Limit,
    Project,
    Python,
    Query,
    Read,
    Sample,
    Sort,
    Table,
    Union,
    Write,
)
from penstock.graph.select import violated
from penstock.structs import Frozen, field
from penstock.trees import call, column, identifier, is_not_null, is_null, relation, union_all

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from penstock.engines.spark.lowering import Lowering
    from penstock.graph import Graph, Node
    from penstock.graph.nodes import Column, SortKey
    from penstock.types import Schema

# A document's column may have any name; these are not expected in it.
_KEPT, _LEFT, _RIGHT = "penstock kept", "penstock left", "penstock right"
_PLACE, _ELEMENT, _ROWS = "penstock place", "penstock element", "penstock_rows"


class Lowered(Frozen):
    """A node in up to two queries. ``rows`` are those of the node; where there are ``figures``, sums over more rows than the
    node has, ``before`` are these rows, and ``rows`` is a query over the relation ``BEFORE``.
    """

    rows: exp.Query
    before: exp.Query | None = None
    figures: Mapping[str, exp.Expr] = field(default_factory=dict)


BEFORE: Final = "penstock before"
EMPTY: Final = "empty"


class Relations:
    """The nodes of one graph; ``name`` gives the relation that stands for a node id."""

    def __init__(self, graph: Graph, lowering: Lowering, name: Callable[[str], str]) -> None:
        self._graph, self._lowering, self._name = graph, lowering, name

    def lowered(self, node: Node) -> Lowered:
        """Raises UnportableError. Leaves, checks of more than causes, Python and Write are the engine's affair."""
        match node:
            case Project():
                return Lowered(self._over(node.input, self._projections(node.columns, self._scope(node.input))))
            case Filter():
                return Lowered(self._filter(node))
            case Check():
                return Lowered(self._kept(self._rows(node.input), exp.Not(this=violated(node.causes)), node.input))
            case Join():
                return self._join(node)
            case Aggregate():
                return Lowered(self._aggregate(node))
            case Explode():
                return self._explode(node)
            case Union():
                return Lowered(union_all([self._rows(member) for member in node.members]))
            case Sort():
                return Lowered(self._sorted(node))
            case Limit():
                below = self._graph[node.input]
                rows = self._sorted(below) if isinstance(below, Sort) else self._rows(node.input)
                return Lowered(rows.limit(node.rows))
            case Query():
                return Lowered(self._query(node))
            case Sample():
                why = "its rows are chosen by DuckDB's hash of them, which Spark does not have"
                raise UnportableError([Unportable("sample", why)])
            case Read() | Table() | Python() | Write():
                raise InternalError("INT-900", f"the node {node.id} is no relation of Spark's")
        assert_never(node)

    def judged(self, node: Check) -> exp.Expr:
        """What rejects a row. Raises UnportableError."""
        return self._lowering.expression(violated(node.causes), self._scope(node.input))

    def rejected(self, node: Check) -> exp.Query:
        """The rows that the check refuses."""
        return self._kept(self._rows(node.input), violated(node.causes), node.input)

    # ------------------------------------------------------------ of one input

    def _schema(self, node_id: str) -> Schema:
        schema = self._graph[node_id].schema
        if schema is None:
            raise InternalError("INT-900", f"the node {node_id} has no schema")
        return schema

    def _scope(self, node_id: str) -> Mapping[str, Schema]:
        return {"": self._schema(node_id)}

    def _table(self, node_id: str) -> exp.Table:
        return relation(self._name(node_id))

    def _rows(self, node_id: str) -> exp.Select:
        return exp.select(*[column(name) for name in self._schema(node_id).names]).from_(self._table(node_id))

    def _over(self, node_id: str, values: Sequence[exp.Expr]) -> exp.Select:
        return exp.select(*values).from_(self._table(node_id))

    def _projections(self, columns: Sequence[Column], scope: Mapping[str, Schema]) -> list[exp.Expr]:
        return [
            exp.alias_(self._lowering.expression(item.value, scope), identifier(item.name), copy=False)
            for item in columns
        ]

    def _filter(self, node: Filter) -> exp.Select:
        rows = self._kept(self._rows(node.input), node.condition, node.input)
        return rows if node.among is None else self._kept(rows, node.among, node.input)

    def _kept(self, rows: exp.Select, condition: exp.Expr, node_id: str) -> exp.Select:
        """The rows for which the condition is true; Spark has no QUALIFY, so that one of windows becomes a column first."""
        schema = self._schema(node_id)
        condition = self._lowering.expression(condition, {"": schema})
        if not condition.find(exp.Window):
            if not rows.args.get("where"):
                return rows.where(condition)
            return _select(schema.names, rows).where(condition)
        marked = exp.select(*[column(name) for name in schema.names], exp.alias_(condition, identifier(_KEPT)))
        return _select(schema.names, marked.from_(rows.subquery(identifier(_ROWS)))).where(column(_KEPT))

    def _aggregate(self, node: Aggregate) -> exp.Select:
        scope = self._scope(node.input)
        select = self._over(node.input, self._projections((*node.by, *node.measures), scope))
        places = [exp.Literal.number(place) for place in range(1, len(node.by) + 1)]
        return select.group_by(*places) if places else select

    def _explode(self, node: Explode) -> Lowered:
        scope = self._scope(node.input)
        value = self._lowering.expression(node.value, scope)
        function = "posexplode_outer" if node.keep_empty else "posexplode"
        exploded = exp.Aliases(this=call(function, value), expressions=[identifier(_PLACE), identifier(_ELEMENT)])
        before = self._rows(node.input)
        inner = exp.select(*self._projections(node.columns, scope), exploded).from_(relation(BEFORE))
        parts: list[exp.Expr] = [column(item.name) for item in node.columns]
        parts.append(exp.alias_(column(_ELEMENT), identifier(node.as_)))
        if node.position is not None:
            place = exp.Add(this=exp.cast(column(_PLACE), "bigint"), expression=exp.Literal.number(1))
            parts.append(exp.alias_(place, identifier(node.position)))
        rows = exp.select(*parts).from_(inner.subquery(identifier(_ROWS)))
        some = exp.GT(this=call("size", value.copy()), expression=exp.Literal.number(0))
        none = exp.Not(this=exp.Paren(this=exp.func("coalesce", some, exp.false())))
        return Lowered(rows, before, {EMPTY: _count_of(none)})

    def _sorted(self, node: Sort) -> exp.Select:
        scope = self._scope(node.input)
        return self._rows(node.input).order_by(*[self._order(key, scope) for key in node.keys])

    def _order(self, key: SortKey, scope: Mapping[str, Schema]) -> exp.Ordered:
        value = self._lowering.ordered(key.value, scope)
        return exp.Ordered(this=value, desc=key.descending, nulls_first=key.nulls_first)

    # ------------------------------------------------------------ of several inputs

    def _join(self, node: Join) -> Lowered:
        scope = {node.left_alias: self._schema(node.left), node.right_alias: self._schema(node.right)}
        if node.how in {"asof", "asof_left"}:
            return self._nearest(node, scope)
        if node.how in {"cross", "semi", "anti"}:
            return Lowered(self._plain_join(node, scope))
        left = exp.select("*", exp.alias_(exp.true(), identifier(_LEFT))).from_(self._table(node.left))
        right = exp.select("*", exp.alias_(exp.true(), identifier(_RIGHT))).from_(self._table(node.right))
        on = self._lowering.expression(node.on, scope) if node.on is not None else exp.true()
        join = exp.Join(this=right.subquery(identifier(node.right_alias)), side="FULL", on=on)
        marks = [column(_LEFT, node.left_alias), column(_RIGHT, node.right_alias)]
        before = exp.select(*self._projections(node.columns, scope), *marks)
        before = before.from_(left.subquery(identifier(node.left_alias)))
        before.append("joins", join)
        rows = exp.select(*[column(item.name) for item in node.columns]).from_(relation(BEFORE))
        if node.how in {"inner", "right"}:
            rows = rows.where(is_not_null(column(_RIGHT)))
        if node.how in {"inner", "left"}:
            rows = rows.where(is_not_null(column(_LEFT)))
        figures = {node.left: _count_of(is_null(column(_RIGHT))), node.right: _count_of(is_null(column(_LEFT)))}
        return Lowered(rows, before, figures)

    def _nearest(self, node: Join, scope: Mapping[str, Schema]) -> Lowered:
        """An alias is the name of a struct here, so that its columns are called as they are in any join."""
        before = lined_up(node, self._lowering, scope, self._table)
        rows = exp.select(*self._projections(node.columns, scope)).from_(relation(BEFORE))
        if node.how == "asof":
            rows = rows.where(is_not_null(column(node.right_alias)))
        return Lowered(rows, before, {node.left: _count_of(is_null(column(node.right_alias)))})

    def _plain_join(self, node: Join, scope: Mapping[str, Schema]) -> exp.Select:
        left = exp.alias_(self._table(node.left), identifier(node.left_alias), table=True)
        right = exp.alias_(self._table(node.right), identifier(node.right_alias), table=True)
        on = self._lowering.expression(node.on, scope) if node.on is not None else None
        side, kind = ("", "CROSS") if node.how == "cross" else ("LEFT", node.how.upper())
        select = exp.select(*self._projections(node.columns, scope)).from_(left)
        select.append("joins", exp.Join(this=right, on=on, side=side, kind=kind))
        return select

    def _query(self, node: Query) -> exp.Query:
        query = self._lowering.query(node.query, {name: self._schema(target) for name, target in node.tables.items()})

        def replaced(tree: exp.Expr) -> exp.Expr:
            if isinstance(tree, exp.Table) and not tree.args.get("db") and tree.name in node.tables:
                target = self._table(node.tables[tree.name])
                target.set("alias", tree.args.get("alias") or exp.TableAlias(this=identifier(tree.name)))
                return target
            return tree

        made = query.transform(replaced)
        if not isinstance(made, exp.Query):
            raise InternalError("INT-900", f"the query of {node.id} was lowered to {type(made).__name__}")
        return made


def _select(names: Sequence[str], rows: exp.Query) -> exp.Select:
    return exp.select(*[column(name) for name in names]).from_(rows.subquery(identifier(_ROWS)))


def _count_of(condition: exp.Expr) -> exp.Expr:
    """How many rows meet the condition."""
    return exp.Count(this=exp.Case(ifs=[exp.If(this=condition, true=exp.true())]))
