"""Which columns can hold null: derived from the trees, on the safe side (nullable unless it is certain).

Engines do not say; a column counts as never null only if every rule below proves it.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from sqlglot import exp

from penstock.graph.nodes import Aggregate, Check, Explode, Filter, Join, Limit, Project, Sample, Sort, Union, Write
from penstock.types import Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penstock.graph import Node

# Operators of which the result is null only if an operand is. Division is not among them: by zero it gives null.
_STRICT = (
    exp.Add, exp.Sub, exp.Mul, exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.And, exp.Or, exp.Not, exp.Neg,
    exp.Paren, exp.DPipe, exp.Upper, exp.Lower, exp.Cast, exp.Between,
)  # fmt: skip
_NEVER = (exp.Count, exp.RowNumber, exp.Is)


def nullable_columns(node: Node, typed: Schema, inputs: Mapping[str, Schema]) -> Schema:
    """``typed`` with ``nullable`` set for each column of the node."""
    never = _never_null(node, inputs)
    return Schema(tuple(dataclasses.replace(item, nullable=item.name not in never) for item in typed))


def _never_null(node: Node, inputs: Mapping[str, Schema]) -> frozenset[str]:
    match node:
        case Filter():
            return _certain(inputs[node.input]) | _tested(node.condition)
        case Check():
            return _certain(inputs[node.input]) | _passed(node)
        case Sort() | Limit() | Sample() | Write():
            return _certain(inputs[node.input])
        case Project():
            return _values(node.columns, inputs[node.input])
        case Explode():
            return _values(node.columns, inputs[node.input])
        case Aggregate():
            keys = _values(node.by, inputs[node.input])
            return keys | {item.name for item in node.measures if isinstance(item.value, _NEVER)}
        case Union():
            schemas = [inputs[name] for name in node.members]
            places = range(len(schemas[0]))
            return frozenset(
                schemas[0].fields[i].name for i in places if all(not schema.fields[i].nullable for schema in schemas)
            )
        case Join():
            return _joined(node, inputs)
        case _:
            return frozenset()


def _certain(schema: Schema) -> frozenset[str]:
    return frozenset(item.name for item in schema if not item.nullable)


def _values(columns: object, schema: Schema) -> frozenset[str]:
    certain = _certain(schema)
    return frozenset(item.name for item in columns if never_null(item.value, lambda _, name: name in certain))  # type: ignore[attr-defined]


def _joined(node: Join, inputs: Mapping[str, Schema]) -> frozenset[str]:
    optional = {
        "left": {node.right_alias},
        "asof_left": {node.right_alias},
        "right": {node.left_alias},
        "full": {node.left_alias, node.right_alias},
    }.get(node.how, set())
    sides = {node.left_alias: inputs[node.left], node.right_alias: inputs[node.right]}
    certain = {(alias, name) for alias, schema in sides.items() if alias not in optional for name in _certain(schema)}
    return frozenset(
        item.name for item in node.columns if never_null(item.value, lambda table, name: (table, name) in certain)
    )


def _tested(condition: exp.Expr) -> frozenset[str]:
    """Columns of the conjuncts ``column IS NOT NULL``."""
    found: set[str] = set()
    for part in exp.Paren(this=condition).unnest().flatten() if isinstance(condition, exp.And) else [condition]:
        inner = part.unnest()
        if isinstance(inner, exp.Not):
            test = inner.this.unnest()
            if isinstance(test, exp.Is) and isinstance(test.expression, exp.Null) and isinstance(test.this, exp.Column):
                found.add(test.this.name)
    return frozenset(found)


def _passed(node: Check) -> frozenset[str]:
    """Columns of the causes ``column IS NULL``: a row with null there went to rejects."""
    tests = (cause.violated.unnest() for cause in node.causes)
    return frozenset(
        test.this.name
        for test in tests
        if isinstance(test, exp.Is) and isinstance(test.expression, exp.Null) and isinstance(test.this, exp.Column)
    )


def never_null(tree: exp.Expr, column_never_null: Callable[[str, str], bool]) -> bool:
    """Whether the value is certainly not null; ``column_never_null(table, name)`` answers for columns."""
    match tree:
        case exp.Column():
            return column_never_null(tree.table, tree.name)
        case exp.Null():
            return False
        case exp.Literal() | exp.Boolean():
            return True
        case exp.TryCast():
            return False
        case exp.Coalesce():
            return any(never_null(part, column_never_null) for part in (tree.this, *tree.expressions))
        case exp.Case():
            default = tree.args.get("default")
            ends = [default, *(part.args.get("true") for part in tree.args["ifs"])]
            return all(end is not None and never_null(end, column_never_null) for end in ends)
        case _ if isinstance(tree, _NEVER):
            return True
        case _ if isinstance(tree, _STRICT):
            return all(
                never_null(part, column_never_null)
                for part in tree.iter_expressions()
                if not isinstance(part, exp.DataType)
            )
        case _:
            return False
