"""Values of exactly the type that a node tells: the engine computes some in a type that no document has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from penstock.errors import ConfigError
from penstock.graph.nodes import Aggregate, Column, Join, Project, Query
from penstock.structs import replace
from penstock.trees import column, identifier
from penstock.types.duckdb import read_duckdb, to_duckdb
from penstock.types.logical import MAX_PRECISION, Decimal, children

if TYPE_CHECKING:
    from penstock.graph import Node
    from penstock.types import LogicalType, Schema

_WHOLE = Decimal(MAX_PRECISION, 0)


def exact(node: Node, schema: Schema) -> Node:
    """The node with a cast around each value that may be of another engine type: 128-bit integers (the sum of integers),
    a bare null, and what the author cast to a type such as TIMESTAMP_NS himself.
    """
    match node:
        case Project() | Join():
            return replace(node, columns=_exact(node.columns, schema))
        case Aggregate():
            return replace(node, by=_exact(node.by, schema), measures=_exact(node.measures, schema))
        case Query():
            return replace(node, query=_exact_query(node.query, schema))
        case _:
            return node


def _exact_query(query: exp.Query, schema: Schema) -> exp.Query:
    """The author's SELECT, with a SELECT of casts around it where one of its columns may differ."""
    bare = any(isinstance(item.unalias().unnest(), exp.Null) for item in query.selects)
    if not (bare or any(_mentions_whole(item.type) for item in schema) or _casts_oddly(query)):
        return query
    casts = [
        exp.alias_(exp.Cast(this=column(item.name), to=to_duckdb(item.type)), identifier(item.name)) for item in schema
    ]
    return exp.select(*casts).from_(query.subquery(identifier("__typed")))


def _exact(columns: tuple[Column, ...], schema: Schema) -> tuple[Column, ...]:
    return tuple(
        replace(item, value=exp.Cast(this=item.value, to=to_duckdb(schema[item.name].type)))
        if _may_differ(item.value, schema[item.name].type)
        else item
        for item in columns
    )


def _may_differ(value: exp.Expr, kind: LogicalType) -> bool:
    match value:
        case exp.Column() | exp.Literal():
            return False
        case exp.Cast():
            return _is_odd(value.to)
        case _:
            return isinstance(value.unnest(), exp.Null) or _mentions_whole(kind) or _casts_oddly(value)


def _mentions_whole(kind: LogicalType) -> bool:
    """decimal(38,0) is how a 128-bit integer is told."""
    return kind == _WHOLE or any(_mentions_whole(part) for part in children(kind))


def _casts_oddly(value: exp.Expr) -> bool:
    return any(_is_odd(cast.to) for cast in value.find_all(exp.Cast))


def _is_odd(kind: exp.DataType) -> bool:
    try:
        return read_duckdb(kind.sql(dialect="duckdb")).differs
    except ConfigError:
        return True
