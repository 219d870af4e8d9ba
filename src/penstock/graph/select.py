"""Every node as one SELECT in DuckDB's dialect: the meaning that all engines share.

An engine puts these together (as common table expressions), transpiles them, or adds what it needs for counting; it
does not invent another meaning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never, cast

from sqlglot import exp

from penstock.graph.nodes import (
    EARLIER,
    OTHER,
    Aggregate,
    Check,
    Column,
    Explode,
    Filter,
    Join,
    Limit,
    Node,
    Project,
    Python,
    Query,
    Read,
    Sample,
    Sort,
    SortKey,
    Table,
    Union,
    Write,
)
from penstock.trees import call, column, field_of, identifier, relation, struct, union_all
from penstock.types import FLOAT32, FLOAT64, Schema
from penstock.types.logical import children

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from penstock.graph.nodes import Cause, Note, TableRule

_TELLS_APART: Final = "tells_apart"
_ROWS, _MEASURED = "rows", "measured"


def to_select(node: Node, name: Callable[[str], exp.Table] = relation) -> exp.Query:
    """The node's rows as a SELECT over its inputs; ``name`` gives the table that stands for an input id.

    Leaves (Read, Table), Python and Write are the engine's affair: for them this is ``SELECT * FROM itself`` or
    ``SELECT * FROM its input``.
    """
    match node:
        case Read() | Table() | Python():
            return exp.select("*").from_(name(node.id))
        case Write():
            return exp.select("*").from_(name(node.input))
        case Project():
            return exp.select(*projections(node.columns)).from_(name(node.input))
        case Filter():
            return keep(exp.select("*").from_(name(node.input)), node.condition, node.among)
        case Check():
            return keep(exp.select("*").from_(name(node.input)), exp.Not(this=violated(node.causes)))
        case Join():
            return _join(node, name)
        case Aggregate():
            return _aggregate(node, name)
        case Explode():
            return _explode(node, name)
        case Union():
            return union_all([exp.select("*").from_(name(member)) for member in node.members])
        case Sort():
            return exp.select("*").from_(name(node.input)).order_by(*[order(key) for key in node.keys])
        case Limit():
            return exp.select("*").from_(name(node.input)).limit(node.rows)
        case Sample():
            return _sample(node, name)
        case Query():
            return _query(node, name)
    assert_never(node)


def projections(columns: Sequence[Column]) -> list[exp.Expr]:
    """What stands after SELECT: every value under its name."""
    return [exp.alias_(item.value.copy(), identifier(item.name)) for item in columns]


def order(key: SortKey) -> exp.Ordered:
    """What stands after ORDER BY."""
    return exp.Ordered(this=key.value.copy(), desc=key.descending, nulls_first=key.nulls_first)


def violated(causes: Sequence[Cause | Note]) -> exp.Expr:
    """True where at least one cause is violated; never null."""
    conditions = [exp.func("coalesce", cause.violated.copy(), exp.false()) for cause in causes]
    return exp.Paren(this=exp.or_(*conditions)) if conditions else exp.false()


def measured_columns(node: Check) -> tuple[str, ...]:
    """The columns of its input that its rules about all rows measure, in the input's order."""
    values = [item.value for rule in node.table_rules for item in rule.measures]
    named = {found.name for value in values for found in value.find_all(exp.Column)}
    return tuple(name for name in (node.schema.names if node.schema is not None else ()) if name in named)


def counted_columns(node: Check) -> frozenset[str]:
    """Of the measured columns those of which it counts alone whether there is a value: a long text need not be carried."""
    found = [item for rule in node.table_rules for one in rule.measures for item in one.value.find_all(exp.Column)]
    return frozenset(item.name for item in found) - {item.name for item in found if type(item.parent) is not exp.Count}


def judged(node: Check, rows: exp.Query, others: Mapping[str, exp.Query]) -> exp.Select:
    """One row: for each rule about all rows, by its code, a struct of ``measures`` (a struct of DOUBLE by the metric),
    ``violated`` and ``message``. ``rows`` are those that come in, with the measured columns at least; ``others`` the rows
    of the nodes beside it.
    """
    measures = [
        exp.alias_(struct({item.name: item.value for item in rule.measures}), identifier(rule.code))
        for rule in node.table_rules
    ]
    measured = exp.select(*measures).from_(rows.subquery(identifier(_ROWS)))
    verdicts = [exp.alias_(_verdict(rule), identifier(rule.code)) for rule in node.table_rules]
    select = exp.select(*verdicts).from_(measured.subquery(identifier(_MEASURED)))
    for name in node.beside:
        select = select.join(others[name].subquery(identifier(name)), join_type="cross")
    return select


def _verdict(rule: TableRule) -> exp.Struct:
    def of_measure(tree: exp.Expr) -> exp.Expr:
        if not isinstance(tree, exp.Column):
            return tree
        if tree.table == OTHER:
            return column(tree.name, rule.beside)
        if tree.table == EARLIER:  # no epoch has said what is expected
            return exp.null()
        return field_of(column(rule.code, _MEASURED), tree.name)

    double = exp.DataType.build("double")
    figures = {
        item.name: exp.Cast(this=field_of(column(rule.code, _MEASURED), item.name), to=double.copy())
        for item in rule.measures
    }
    return struct(
        {
            "measures": struct(figures),
            "violated": exp.func("coalesce", rule.violated.copy().transform(of_measure), exp.false()),
            "message": rule.message.copy().transform(of_measure),
        }
    )


def keep(select: exp.Select, condition: exp.Expr, among: exp.Expr | None = None) -> exp.Select:
    """The rows for which the condition is true; one with window functions goes to QUALIFY. ``among`` is one over the rows
    that ``condition`` leaves.
    """
    if among is not None:
        select = select.where(condition.copy())
        condition = among
    if condition.find(exp.Window):
        select.set("qualify", exp.Qualify(this=condition.copy()))
        return select
    return select.where(condition.copy())


def sample_hash(schema: Schema, names: Iterable[str], seed: int) -> exp.Expr:
    """A number of the row's content and the seed: the same for the same row whatever the threads and the order.

    Values of nested types count by their text, in which no two are alike: DuckDB 2.0 gives null, ``[]`` and ``[0]`` one hash.
    """
    number = call("hash", exp.Literal.number(seed), *(_told_apart(schema, name) for name in names))
    number.meta[_TELLS_APART] = True
    return number


def row_order(schema: Schema, names: Iterable[str]) -> tuple[exp.Ordered, ...]:
    """Keys of an order, the same on every engine, in which two rows are equal only where they are in all these columns."""
    return tuple(
        exp.Ordered(this=value, nulls_first=False) for name in names for value in _all_told_apart(schema, name)
    )


def _told_apart(schema: Schema, name: str) -> exp.Expr:
    value = column(name)
    return exp.cast(value, "text") if children(schema[name].type) else value


def _all_told_apart(schema: Schema, name: str) -> Iterator[exp.Expr]:
    """The column, and of floats whether a zero has a sign: an order takes 0.0 and -0.0 for equal."""
    values = [_told_apart(schema, name)]
    if schema[name].type in {FLOAT32, FLOAT64}:
        zero = exp.EQ(this=column(name), expression=exp.Literal.number(0))
        values.append(exp.Case(ifs=[exp.If(this=zero, true=call("signbit", column(name)))]))
    for value in values:
        value.meta[_TELLS_APART] = True
        yield value


def says_something(found: exp.Column) -> bool:
    """Whether a column takes part in an expression by its value: inside ``sample_hash`` and ``row_order`` it only tells rows
    apart.
    """
    above: exp.Expr | None = found
    while above is not None and not above.meta.get(_TELLS_APART):
        above = above.parent
    return above is None


def _join(node: Join, name: Callable[[str], exp.Table]) -> exp.Select:
    left = exp.alias_(name(node.left), identifier(node.left_alias), table=True)
    right = exp.alias_(name(node.right), identifier(node.right_alias), table=True)
    join = exp.Join(this=right, on=node.on.copy() if node.on is not None else None)
    match node.how:
        case "inner":
            join.set("kind", "INNER")
        case "left" | "right" | "full":
            join.set("side", node.how.upper())
        case "cross" | "semi" | "anti":
            join.set("kind", node.how.upper())
        case "asof":
            join.set("method", "ASOF")
        case "asof_left":
            join.set("method", "ASOF")
            join.set("side", "LEFT")
        case _:
            assert_never(node.how)
    select = exp.select(*projections(node.columns)).from_(left)
    select.append("joins", join)
    return select


def _aggregate(node: Aggregate, name: Callable[[str], exp.Table]) -> exp.Select:
    select = exp.select(*projections((*node.by, *node.measures))).from_(name(node.input))
    # By place: a key's alias may be the name of another column of the input.
    return select.group_by(*[exp.Literal.number(place) for place in range(1, len(node.by) + 1)]) if node.by else select


def _explode(node: Explode, name: Callable[[str], exp.Table]) -> exp.Select:
    values = _or_one_null(node, node.value.copy())
    parts = projections(node.columns)
    parts.append(exp.alias_(call("unnest", values), identifier(node.as_)))
    if node.position is not None:
        parts.append(exp.alias_(_places(node), identifier(node.position)))
    return exp.select(*parts).from_(name(node.input))


def _or_one_null(node: Explode, values: exp.Expr) -> exp.Expr:
    """``values``, or one null where the list is empty or null and its row is kept."""
    if not node.keep_empty:
        return values
    count = call("len", node.value)
    some = exp.GT(this=count, expression=exp.Literal.number(0))
    return exp.Case(ifs=[exp.If(this=some, true=values)], default=exp.Array(expressions=[exp.null()]))


def _places(node: Explode) -> exp.Expr:
    """1 to the number of elements; null for a kept row without one."""
    if not node.keep_empty:
        return call("generate_subscripts", node.value, exp.Literal.number(1))
    count = call("len", node.value)
    places = call("generate_series", exp.Literal.number(1), count)
    return call("unnest", _or_one_null(node, places))


def _sample(node: Sample, name: Callable[[str], exp.Table]) -> exp.Select:
    schema = node.schema or Schema(())
    number = sample_hash(schema, schema.names, node.seed)
    select = exp.select("*").from_(name(node.input))
    if node.rows is not None:
        return select.order_by(exp.Ordered(this=number, nulls_first=False)).limit(node.rows)
    part = exp.Mod(this=number, expression=exp.Literal.number(1_000_000))
    return select.where(exp.LT(this=part, expression=exp.Literal.number(round((node.percent or 0) * 10_000))))


def _query(node: Query, name: Callable[[str], exp.Table]) -> exp.Query:
    def replace(tree: exp.Expr) -> exp.Expr:
        if isinstance(tree, exp.Table) and not tree.args.get("db") and tree.name in node.tables:
            target = name(node.tables[tree.name])
            alias = tree.args.get("alias") or exp.TableAlias(this=identifier(tree.name))
            target.set("alias", alias)
            for part in ("joins", "sample", "pivots"):
                target.set(part, tree.args.get(part))
            return target
        return tree

    query = node.query.copy().transform(replace)
    return cast("exp.Query", query)


__all__ = [
    "counted_columns",
    "judged",
    "keep",
    "measured_columns",
    "order",
    "projections",
    "sample_hash",
    "says_something",
    "to_select",
    "violated",
]
