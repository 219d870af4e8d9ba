"""A few rows that violate rules which let them pass, for people to look at: a statement hands each of the first ones it meets
to a function, and to no function any other.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp

from penstock.engines.duckdb.row_json import json_object
from penstock.secret import MASK
from penstock.trees import call, column
from penstock.types.logical import STRING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from penstock.connectors.api import Json
    from penstock.engines.duckdb.session import Session
    from penstock.graph.nodes import Check, Note

ROWS: Final = 5  # of each rule
_COLUMNS: Final = 50
_CHARACTERS: Final = 100


def handed_over(node: Check, note: Note, function: str) -> exp.Expr:
    """The call that takes a row; true. Values of labelled columns are not in it."""
    rule = exp.Literal.string(note.code)
    return call(function, rule, _row(node, note))


def _row(node: Check, note: Note) -> exp.Expr:
    """As JSON, the columns first that the rule speaks of."""
    if node.schema is None or not len(node.schema.names):
        return exp.Literal.string("{}")
    known = node.schema.names if node.record is None else node.record
    spoken_of = {found.name for found in note.violated.find_all(exp.Column)}
    names = sorted(known, key=lambda name: name not in spoken_of)[:_COLUMNS]
    shown = {
        name: (exp.Literal.string(MASK), STRING) if node.schema[name].labels else (column(name), node.schema[name].type)
        for name in names
    }
    return json_object(shown)


class Sampler:
    """Takes rows of one check from the moment it is made until ``close``."""

    def __init__(self, session: Session, node: Check, function: str) -> None:
        from duckdb.func import ARROW, SPECIAL

        self._session, self._function = session, function
        self._taken: Mapping[str, list[str]] = {note.code: [] for note in node.notes}
        session.connection.create_function(
            function,
            lambda rules, rows: self._take(rules, rows),  # noqa: PLW0108 -- DuckDB evaluates the annotations of what it gets
            ["VARCHAR", "VARCHAR"],
            "BOOLEAN",
            type=ARROW,
            null_handling=SPECIAL,
            side_effects=True,
        )

    def _take(self, rules: pa.ChunkedArray, rows: pa.ChunkedArray) -> pa.Array:
        """On the statement's threads; to append is one act."""
        import pyarrow as pa

        for rule, row in zip(rules.to_pylist(), rows.to_pylist(), strict=True):
            self._taken[rule].append(row)
        return pa.repeat(pa.scalar(value=True), len(rows))

    def found(self) -> dict[str, Sequence[Mapping[str, Json]]]:
        """By rule, the rows that it spoke of first, long values cut."""
        return {
            rule: tuple({name: _cut(value) for name, value in json.loads(row).items()} for row in rows[:ROWS])
            for rule, rows in self._taken.items()
            if rows
        }

    def close(self) -> None:
        self._session.connection.remove_function(self._function)


def _cut(value: Any) -> Json:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return value if len(text) <= _CHARACTERS else f"{text[: _CHARACTERS - 1]}…"
