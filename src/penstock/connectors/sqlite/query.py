"""A query of a document as a view of one connection, and the types of what a relation holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp, parse
from sqlglot.errors import SqlglotError

from penstock.connectors.sqlite import catalog
from penstock.connectors.sqlite.driver import run
from penstock.errors import ConfigError
from penstock.trees import call, column, complaint, identifier, relation
from penstock.types import BINARY, FLOAT64, INT64, STRING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from penstock.types import LogicalType

VIEW: Final = "_penstock_query"
_SAMPLE_ROWS: Final = 1_000
_BY_KIND: Final[dict[frozenset[str], LogicalType]] = {
    frozenset({"integer"}): INT64,
    frozenset({"real"}): FLOAT64,
    frozenset({"integer", "real"}): FLOAT64,
    frozenset({"blob"}): BINARY,
}


def parsed(sql: str) -> exp.Query:
    """One SELECT. Raises ConfigError SRC-177 for anything else."""
    try:
        trees = parse(sql, dialect="sqlite")
    except SqlglotError as error:
        raise ConfigError("SRC-177", "the query is not understood", detail=complaint(error), about=("query",)) from None
    found = [tree for tree in trees if tree is not None]
    if len(found) != 1 or not isinstance(found[0], exp.Query):
        hint = "a source reads; write one SELECT"
        raise ConfigError("SRC-177", "the query is not one SELECT", hint=hint, about=("query",))
    return found[0]


def as_view(connection: sqlite3.Connection, query: exp.Query) -> exp.Table:
    """A view that this connection alone has, so that SQLite tells its columns before it is read."""
    temporary = exp.Properties(expressions=[exp.TemporaryProperty()])
    named = relation(VIEW)
    run(connection, exp.Create(this=named, kind="VIEW", expression=query.copy(), properties=temporary))
    return exp.Table(this=identifier(VIEW), db=identifier("temp"))


def sampled(connection: sqlite3.Connection, relation: exp.Table, names: Sequence[str]) -> Mapping[str, LogicalType]:
    """Types of columns that declare none, by what the first rows hold; string where they hold several kinds, or none."""
    few = exp.select("*").from_(relation.copy()).limit(_SAMPLE_ROWS).subquery("few")
    kinds: dict[str, LogicalType] = {}
    for name in names:
        kind = call("typeof", column(name))
        found = run(connection, exp.select(kind).distinct().from_(few.copy())).fetchall()
        kinds[name] = _BY_KIND.get(frozenset(catalog.text(row[0]) for row in found) - {"null"}, STRING)
    return kinds
