"""What was lowered for an epoch serves the next one, which differs in nothing but the names of files or the rows that come."""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from penstock.structs import Frozen
from penstock.trees import file_patterns, set_variable, variable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import duckdb
    from sqlglot import exp

    from penstock.connectors.api import Files
    from penstock.engines.duckdb.statement import Statement
    from penstock.graph import Node

_KEPT: Final = 16  # statements: more than most passes have


class Leaf(Frozen):
    """An input of a statement. Those that have the same ``form`` have the same ``query``, which is made only when it is needed."""

    form: object
    query: Callable[[], exp.Query]


class Asked(Frozen):
    """Of what a statement is made: a ``target`` of these ``nodes``, some of which are ``tables`` by now, over leaves of these
    ``forms``.
    """

    target: str
    nodes: tuple[Node, ...]
    tables: Mapping[str, str]
    forms: Mapping[str, object]

    def is_as(self, other: Asked) -> bool:
        """Nodes are compared by being the very same: what an epoch alters of a graph are new ones."""
        return (
            self.target == other.target
            and len(self.nodes) == len(other.nodes)
            and all(node is its for node, its in zip(self.nodes, other.nodes, strict=True))
            and (self.tables, self.forms) == (other.tables, other.forms)
        )


class Lowered:
    """The newest statements of a session, and the relations that were made of their queries. Not thread-safe."""

    def __init__(self) -> None:
        self._statements: deque[tuple[Asked, Statement]] = deque(maxlen=_KEPT)
        self._relations: deque[tuple[exp.Query, duckdb.DuckDBPyRelation]] = deque(maxlen=_KEPT)

    def statement(self, asked: Asked, compose: Callable[[], Statement]) -> Statement:
        """Whose query nobody alters."""
        for known, statement in self._statements:
            if known.is_as(asked):
                return statement
        made = compose()
        self._statements.append((asked, made))
        return made

    def relation(self, query: exp.Query, connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyRelation:
        """The query as DuckDB has understood it. It is bound anew each time it is read: to the files, streams, tables and functions
        that its names stand for then.
        """
        for known, relation in self._relations:
            if known is query:
                return relation
        made = connection.sql(query.sql(dialect="duckdb"))
        self._relations.append((query, made))
        return made


# ---------------------------------------------------------------- files


def form_of(files: Files, *reading: object) -> object:
    """All that the query over files goes by, but for their names; ``reading`` is how they are read."""
    columns = tuple((files.layouts.get(path), files.constants.get(path)) for path in files.paths)
    return (files.format, files.schema, files.bad_values, files.union_by_name, files.field_ids, columns, *reading)


def named_by(name: str, connection: duckdb.DuckDBPyConnection, files: Files) -> Callable[[Sequence[str]], exp.Expr]:
    """Sets a variable of the session to the files' paths; how a query names neighbours among them by it."""
    connection.execute(_setting(name), [file_patterns(files.paths)])
    places = {path: place for place, path in enumerate(files.paths, start=1)}

    def listed(paths: Sequence[str]) -> exp.Expr:
        return variable(name, places[paths[0]], places[paths[-1]])

    return listed


@lru_cache
def _setting(name: str) -> str:
    return set_variable(name).sql(dialect="duckdb")
