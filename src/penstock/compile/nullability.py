"""Which columns can hold null: derived from the trees, on the safe side (nullable unless it is certain).

Engines do not say; a column counts as never null only if the rules below prove it, for every value of its type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from penstock.compile.proofs import null_if_true, true_proves
from penstock.graph.nodes import Aggregate, Check, Explode, Filter, Join, Limit, Project, Sample, Sort, Union, Write
from penstock.structs import replace
from penstock.types import Schema
from penstock.types.logical import Kind, Primitive

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TypeAlias

    from penstock.graph import Node
    from penstock.graph.nodes import Column

    Certain: TypeAlias = "Mapping[tuple[str, str], bool]"

# Operators of which the result is null only if an operand is. Division and remainder are not among them.
_STRICT = (
    exp.Add, exp.Sub, exp.Mul, exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Connector, exp.Not, exp.Neg,
    exp.Paren, exp.DPipe, exp.Upper, exp.Lower, exp.Between, exp.Like, exp.ILike, exp.Trim, exp.Length,
    exp.RegexpReplace, exp.RegexpLike, exp.Replace, exp.StartsWith, exp.EndsWith, exp.Contains, exp.Abs, exp.MD5,
    exp.NullSafeEQ, exp.NullSafeNEQ, exp.Interval,
)  # fmt: skip
_STRICT_FUNCTIONS = frozenset(
    {
        "nfc_normalize",
        "replace",
        "regexp_replace",
        "string_split",
        "starts_with",
        "suffix",
        "contains",
        "regexp_matches",
    }
)
_NEVER = (exp.Is, exp.NullSafeEQ, exp.NullSafeNEQ)
# Without a row they give zero, over a window or not.
_COUNTS = (exp.Count, exp.CountIf, exp.RowNumber, exp.Rank, exp.DenseRank, exp.ApproxDistinct)
# Null only where every value of the group is; a group of an Aggregate with keys has a row.
_KEEPING = (exp.Sum, exp.Min, exp.Max, exp.Avg, exp.Median, exp.AnyValue)


def nullable_columns(node: Node, typed: Schema, inputs: Mapping[str, Schema]) -> Schema:
    """``typed`` with ``nullable`` set for each column of the node."""
    never = _never_null(node, inputs)
    return Schema(tuple(replace(item, nullable=item.name not in never) for item in typed))


def _never_null(node: Node, inputs: Mapping[str, Schema]) -> frozenset[str]:
    match node:
        case Filter():
            return _certain(inputs[node.input]) | _names(true_proves(node.condition))
        case Check():
            return _certain(inputs[node.input]) | _passed(node)
        case Sort() | Limit() | Sample() | Write():
            return _certain(inputs[node.input])
        case Project():
            return _values(node.columns, inputs[node.input])
        case Explode():
            places = frozenset({node.position}) if node.position is not None and not node.keep_empty else frozenset()
            return _values(node.columns, inputs[node.input]) | places
        case Aggregate():
            return _aggregated(node, inputs[node.input])
        case Union():
            return _united([inputs[name] for name in node.members])
        case Join():
            return _joined(node, inputs)
        case _:
            return frozenset()


def _certain(schema: Schema) -> frozenset[str]:
    return frozenset(item.name for item in schema if not item.nullable)


def _names(columns: Iterable[tuple[str, str]]) -> frozenset[str]:
    return frozenset(name for _, name in columns)


def _passed(node: Check) -> frozenset[str]:
    """Columns that would have sent the row to rejects if they were null."""
    return frozenset(name for cause in node.causes for name in null_if_true(cause.violated))


def _facts(schema: Schema, alias: str = "") -> dict[tuple[str, str], bool]:
    """Columns that are never null; true where the type is json, whose own null a cast makes null."""
    return {(alias, item.name): item.type == Primitive(Kind.JSON) for item in schema if not item.nullable}


def _values(columns: Iterable[Column], schema: Schema) -> frozenset[str]:
    certain = _facts(schema)
    return frozenset(item.name for item in columns if item.never_null or never_null(item.value, certain))


def _aggregated(node: Aggregate, schema: Schema) -> frozenset[str]:
    certain = _facts(schema)
    found = {item.name for item in node.measures if item.never_null or never_null(item.value, certain)}
    if node.by:
        found |= {
            item.name
            for item in node.measures
            if isinstance(item.value, _KEEPING) and never_null(item.value.this, certain)
        }
    return _values(node.by, schema) | found


def _united(schemas: list[Schema]) -> frozenset[str]:
    """By place: names are the first member's."""
    return frozenset(
        first.name
        for place, first in enumerate(schemas[0])
        if all(place < len(schema) and not schema.fields[place].nullable for schema in schemas)
    )


def _joined(node: Join, inputs: Mapping[str, Schema]) -> frozenset[str]:
    optional = {
        "left": {node.right_alias},
        "asof_left": {node.right_alias},
        "right": {node.left_alias},
        "full": {node.left_alias, node.right_alias},
    }.get(node.how, set())
    sides = {node.left_alias: inputs[node.left], node.right_alias: inputs[node.right]}
    certain: dict[tuple[str, str], bool] = {}
    for alias, schema in sides.items():
        if alias not in optional:
            certain |= _facts(schema, alias)
    if node.how in {"inner", "semi", "asof"} and node.on is not None:
        for alias, name in true_proves(node.on):
            if alias in sides and name in sides[alias]:
                certain[alias, name] = sides[alias][name].type == Primitive(Kind.JSON)
    return frozenset(item.name for item in node.columns if item.never_null or never_null(item.value, certain))


def never_null(tree: exp.Expr, certain: Certain) -> bool:
    """Whether the value is certainly not null. ``certain`` are the columns, by (table, name), that never are; true for
    those of type json.
    """
    match tree:
        case exp.Column():
            return (tree.table, tree.name) in certain
        case exp.Literal() | exp.Boolean() | exp.Var():
            return True
        case exp.Connector():
            return all(never_null(part, certain) for part in tree.flatten())
        case exp.TryCast():
            return False
        case exp.Cast():
            return _plain(tree.this, certain) and _known(tree.to) and never_null(tree.this, certain)
        case exp.Coalesce():
            return any(never_null(part, certain) for part in (tree.this, *tree.expressions))
        case exp.Case():
            ends = [tree.args.get("default"), *(part.args.get("true") for part in tree.args["ifs"])]
            return all(end is not None and never_null(end, certain) for end in ends)
        case exp.If():
            ends = [tree.args.get("true"), tree.args.get("false")]
            return all(end is not None and never_null(end, certain) for end in ends)
        case exp.Window():
            return isinstance(tree.this, _COUNTS)
        case exp.Filter():
            return isinstance(tree.this, _COUNTS)
        case _ if isinstance(tree, (*_NEVER, *_COUNTS)):
            return True
        case exp.Anonymous():
            return tree.name.lower() in _STRICT_FUNCTIONS and all(
                never_null(part, certain) for part in tree.expressions
            )
        case _ if isinstance(tree, _STRICT):
            return all(never_null(part, certain) for part in tree.iter_expressions())
        case _:
            return False


def _known(kind: exp.DataType) -> bool:
    """A type of ours: a cast to one of the engine's odder types is not judged."""
    from penstock.errors import ConfigError
    from penstock.types.duckdb import read_duckdb

    try:
        return not read_duckdb(kind.sql(dialect="duckdb")).differs
    except ConfigError:
        return False


def _plain(tree: exp.Expr, certain: Certain) -> bool:
    """Whether the value is certainly not of type json, of which the null of JSON casts to null."""
    match tree:
        case exp.Column():
            return certain.get((tree.table, tree.name)) is False
        case exp.Literal() | exp.Boolean() | exp.Binary() | exp.Not() | exp.Neg() | exp.Is() | exp.Between():
            return not isinstance(tree, (exp.JSONExtract, exp.JSONExtractScalar, exp.Dot))
        case exp.Paren():
            return _plain(tree.this, certain)
        case exp.Cast():
            return tree.to.this is not exp.DType.JSON and _known(tree.to)
        case exp.Upper() | exp.Lower() | exp.Trim() | exp.Length() | exp.RegexpReplace():
            return True
        case exp.Window():
            return isinstance(tree.this, _COUNTS)
        case _:
            return isinstance(tree, _COUNTS)
