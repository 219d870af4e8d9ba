"""Rows that stand in a document (``tests:``) as a query that gives them, every value in the type of its column."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.compile.expressions import missing_column
from penstock.document.template import text_of
from penstock.document.tree import Mapping, Scalar, Sequence, is_null, plain
from penstock.errors import ConfigError, Problem
from penstock.graph.nodes import Query
from penstock.secret import Secret
from penstock.steps.literals import literal_of
from penstock.structs import Mutable, field
from penstock.trees import call, column, identifier, struct
from penstock.types.duckdb import to_duckdb
from penstock.types.logical import JSON, STRING, Decimal, List, LogicalType, Map, Primitive, Struct

if TYPE_CHECKING:
    from collections.abc import Sequence as AbstractSequence

    from penstock.document.tree import Node
    from penstock.types import Field, Schema

_ROWS: Final = "rows"
_SHOWN: Final = 100  # characters of a value that a message shows


def given_rows(rows: AbstractSequence[Mapping], schema: Schema, *, owner: str) -> Query:
    """The rows with all columns of the schema. A column that a row leaves out is null.

    Raises ConfigError with every problem: CMP-203 (no such column), CMP-258 (no value of its type), CMP-381 (a column that
    is never null was left out; ``null`` in its place is a bad value that the pipeline has to meet).
    """
    reader = _Rows(owner, schema)
    reader.check_names(rows)
    for row in rows:
        for item in schema:
            if not item.nullable and item.name not in row.entries:
                reader.lacks(item, row)
    return reader.query(rows, schema)


def expected_rows(rows: AbstractSequence[Mapping], schema: Schema, *, owner: str) -> Query:
    """The rows with the columns that at least one of them names, in the schema's order; where none names any, with all.

    Raises ConfigError with every problem: CMP-203, CMP-258.
    """
    reader = _Rows(owner, schema)
    reader.check_names(rows)
    named = {name for row in rows for name in row.entries}
    kept = [name for name in schema.names if name in named] or schema.names
    return reader.query(rows, schema.select(kept))


class _Rows(Mutable):
    owner: str
    schema: Schema
    problems: list[Problem] = field(default_factory=list)

    def check_names(self, rows: AbstractSequence[Mapping]) -> None:
        for row in rows:
            for name, entry in row.entries.items():
                if name not in self.schema:
                    known = list(self.schema.names)
                    self.problems += missing_column(name, known, owner=self.owner, at=entry.key.at).problems

    def lacks(self, item: Field, row: Mapping) -> None:
        message = f'a row of "{self.owner}" lacks "{item.name}", which is never null'
        hint = "give it a value, or a null that is to be met as a bad value"
        self.problems.append(Problem("CMP-381", message, at=row.at, hint=hint))

    def query(self, rows: AbstractSequence[Mapping], schema: Schema) -> Query:
        cells = [[self.cell(row, item) for item in schema] for row in rows]
        if self.problems:
            raise ConfigError.of(self.problems)
        return Query(_ROWS, tables={}, query=_values(cells, schema), schema=schema.relaxed())

    def cell(self, row: Mapping, item: Field) -> exp.Expr:
        node = row.get(item.name)
        found = exp.null() if node is None else _literal(node, item.type)
        if found is None and node is not None:
            message = f'{_written(node)} is no value of the column "{item.name}", which is {item.type}'
            self.problems.append(Problem("CMP-258", message, at=node.at, hint=_hint(node, item.type)))
        return found or exp.null()


def _values(cells: AbstractSequence[AbstractSequence[exp.Expr]], schema: Schema) -> exp.Select:
    """Without rows an empty relation of the same columns."""
    names = [f"c{place}" for place in range(len(schema))]
    typed = [
        exp.alias_(exp.Cast(this=column(name), to=to_duckdb(item.type)), identifier(item.name))
        for name, item in zip(names, schema, strict=True)
    ]
    rows = cells or [[exp.null() for _ in schema]]
    tuples = [exp.Tuple(expressions=list(row)) for row in rows]
    alias = exp.TableAlias(this=identifier(_ROWS), columns=[identifier(name) for name in names])
    select = exp.select(*typed).from_(exp.Values(expressions=tuples, alias=alias))
    return select if cells else select.where(exp.false())


# ---------------------------------------------------------------- values


def _literal(node: Node, kind: LogicalType) -> exp.Expr | None:
    """The value in that type; None where it is no such value."""
    if is_null(node):
        return exp.Cast(this=exp.null(), to=to_duckdb(kind))
    tree = _tree(node, kind)
    return exp.Cast(this=tree, to=to_duckdb(kind)) if tree is not None else None


def _tree(node: Node, kind: LogicalType) -> exp.Expr | None:
    match kind:
        case List():
            return _array(_items(node), kind.element)
        case Map():
            keys = _array(_keys(node), kind.key)
            values = _array(_mapped(node), kind.value)
            return call("map", keys, values) if keys is not None and values is not None else None
        case Struct():
            return _struct(node, kind)
        case Primitive() | Decimal():
            return _json(node) if kind == JSON else _scalar(node, kind)


def _items(node: Node) -> tuple[Node, ...] | None:
    return node.items if isinstance(node, Sequence) else None


def _keys(node: Node) -> tuple[Node, ...] | None:
    return tuple(entry.key for entry in node.entries.values()) if isinstance(node, Mapping) else None


def _mapped(node: Node) -> tuple[Node, ...] | None:
    return tuple(entry.value for entry in node.entries.values()) if isinstance(node, Mapping) else None


def _array(items: tuple[Node, ...] | None, kind: LogicalType) -> exp.Expr | None:
    found = [_literal(item, kind) for item in items] if items is not None else [None]
    known = [item for item in found if item is not None]
    return exp.Array(expressions=known) if len(known) == len(found) else None


def _struct(node: Node, kind: Struct) -> exp.Expr | None:
    """A field that is left out is null."""
    if not isinstance(node, Mapping) or not set(node.entries) <= {item.name for item in kind.fields}:
        return None
    found: dict[str, exp.Expr] = {}
    for item in kind.fields:
        inner = node.get(item.name)
        value = exp.null() if inner is None else _literal(inner, item.type)
        if value is None:
            return None
        found[item.name] = value
    return struct(found)


def _json(node: Node) -> exp.Expr | None:
    """A text is JSON's own text, as a source gives it; anything else is the value itself."""
    value = plain(node)
    if not isinstance(value, str):
        return exp.Literal.string(json.dumps(value, ensure_ascii=False, default=str))
    try:
        json.loads(value)
    except ValueError:
        return None
    return exp.Literal.string(value)


def _scalar(node: Node, kind: LogicalType) -> exp.Expr | None:
    """A number keeps all of its digits; what took a placeholder's place is read as its text."""
    if not isinstance(node, Scalar) or node.value is None or isinstance(node.value, Secret):
        return None
    match node.value:
        case bool() | int() | str() as value:
            return literal_of(value, kind)
        case float() as value if kind == STRING:
            return literal_of(value, kind)
        case float() if not node.replacements:
            return literal_of(node.text, kind)
        case value:
            return literal_of(text_of(value), kind)


def _written(node: Node) -> str:
    if not isinstance(node, Scalar):
        return "a map" if isinstance(node, Mapping) else "a list"
    if isinstance(node.value, Secret):
        return "a secret"
    return f'"{node.text[:_SHOWN]}"' if isinstance(node.value, str) else node.text[:_SHOWN]


def _hint(node: Node, kind: LogicalType) -> str | None:
    is_number = isinstance(node, Scalar) and not isinstance(node.value, str)
    return "in quotes it is a text" if kind == STRING and is_number else None


__all__ = ["expected_rows", "given_rows"]
