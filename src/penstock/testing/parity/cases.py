"""The cases of the parity suite, made of the allow-list: every form of every entry over every type that it takes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import sqlglot
from sqlglot import exp

from penstock.engines.spark.portable import Cast, Entry, all_entries, cast_of
from penstock.engines.spark.portable.kinds import is_kind
from penstock.structs import Frozen, replace
from penstock.testing.parity.hostile import GROUP, crossed, grouped, grouped_schema, hostile
from penstock.testing.parity.row_by_row import ROW, Leave
from penstock.trees import column
from penstock.types import (
    BOOLEAN,
    DATE,
    FLOAT32,
    FLOAT64,
    INT8,
    INT16,
    INT32,
    INT64,
    STRING,
    TIMESTAMP,
    TIMESTAMPTZ,
    Decimal,
    Field,
    Kind,
    List,
    Map,
    Primitive,
    Schema,
    Struct,
    StructField,
)
from penstock.types.duckdb import to_duckdb

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa

    from penstock.types import LogicalType

Over: TypeAlias = Literal["rows", "pairs", "groups", "window"]

TYPES: Final[tuple[LogicalType, ...]] = (
    *(BOOLEAN, INT8, INT16, INT32, INT64, FLOAT32, FLOAT64, Decimal(10, 2), Decimal(38, 10), STRING),
    *(DATE, TIMESTAMP, TIMESTAMPTZ),
    *(Primitive(kind) for kind in (Kind.UINT8, Kind.UINT16, Kind.UINT32, Kind.UINT64)),
    *(Primitive(kind) for kind in (Kind.TIME, Kind.INTERVAL, Kind.UUID, Kind.BINARY, Kind.JSON)),
    *(List(INT64), List(STRING), List(FLOAT64), List(DATE), List(List(INT32)), Map(STRING, INT32)),
    Struct((StructField("number", INT32), StructField("text", STRING))),
)
_AGGREGATES, _WINDOWS = "aggregates", "windows"
_PLACES: Final = 3  # columns of a type
_MOST: Final = 12  # combinations of types of one form
_IN_ORDER: Final = ("row_number", "lag", "lead", "first_value", "last_value", "ntile")  # tell rows of one key apart


class Case(Frozen):
    """An expression over hostile rows, in DuckDB's dialect; ``over``: each value of a row, pairs of them in a row, a group, or a
    window. ``leave``: what its entry says may differ.
    """

    category: str
    expression: exp.Expr
    over: Over = "rows"
    leave: Leave = Leave.NOTHING

    def __str__(self) -> str:
        return self.expression.sql(dialect="duckdb")


def rows_of(over: Over) -> tuple[Schema, pa.Table]:
    """The rows that cases of this kind are over."""
    match over:
        case "rows":
            schema = _schema(1)
            return schema, hostile(schema)
        case "pairs":
            schema = _schema(_PLACES)
            return schema, crossed(schema, [place for _ in TYPES for place in range(_PLACES)])
        case _:
            schema = _schema(2)
            return grouped_schema(schema), grouped(schema)


def _schema(places: int) -> Schema:
    return Schema(tuple(Field(_name(kind, place), kind) for kind in TYPES for place in range(places)))


def _name(logical: LogicalType, place: int) -> str:
    return f"{''.join(mark if mark.isalnum() else '_' for mark in str(logical)).strip('_')}_{place}"


def cases() -> Iterator[Case]:
    """All of them. What DuckDB does not take (a sum of dates) is among them: who runs them leaves it out."""
    for entry in all_entries():
        yield from _of_entry(entry)
    yield from _casts()
    yield from _written_out()


def _of_entry(entry: Entry) -> Iterator[Case]:
    texts = [sqlglot.parse_one(text, dialect="duckdb") for text in entry.examples]
    for form in texts or entry.forms:
        for types in _combinations(entry.where):
            over: Over = "rows" if len(types) < 2 else "pairs"  # noqa: PLR2004
            for case in _placed(entry.category, _over_columns(form, types), over):
                yield replace(case, leave=_left(entry))


def _left(item: Entry | Cast) -> Leave:
    if isinstance(item, Entry) and item.near:
        return Leave.LAST_DIGITS
    return Leave.NOTHING if item.stricter is None else Leave.ERRORS


def _placed(category: str, expression: exp.Expr, over: Over) -> Iterator[Case]:
    if category == _AGGREGATES:
        yield Case(category, expression, "groups")
        if not expression.find(exp.Distinct):
            yield Case(category, _windowed(expression, ROW), "window")
            yield Case(category, _windowed(expression, _name(INT32, 1), descending=True), "window")
    elif category == _WINDOWS:
        name = expression.sql(dialect="duckdb").lower()
        yield Case(category, _windowed(expression, ROW), "window")
        if not name.startswith(_IN_ORDER):
            yield Case(category, _windowed(expression, _name(INT32, 1), descending=True), "window")
    else:
        yield Case(category, expression, over)


def _windowed(call: exp.Expr, key: str, *, descending: bool = False) -> exp.Window:
    order = exp.Order(expressions=[exp.Ordered(this=column(key), desc=descending, nulls_first=False)])
    return exp.Window(this=call.copy(), partition_by=[column(GROUP)], order=order, over="OVER")


def _combinations(where: Mapping[str, str]) -> list[dict[str, tuple[LogicalType, int]]]:
    """Types for the parameters, and for each the place among the columns of its type."""
    names = list(where)
    choices = [[kind for kind in TYPES if is_kind(kind, where[name])] for name in names]
    product = list(itertools.product(*choices))
    step = max(1, -(-len(product) // _MOST))
    equal = [kinds for kinds in product if len(set(kinds)) <= 1]
    chosen = dict.fromkeys([*equal, *product[::step]]) if len(names) > 1 else dict.fromkeys(product)
    return [
        {name: (kind, place % _PLACES) for place, (name, kind) in enumerate(zip(names, kinds, strict=True))}
        for kinds in chosen
    ]


def _over_columns(form: exp.Expr, types: Mapping[str, tuple[LogicalType, int]]) -> exp.Expr:
    def put(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column) and node.name in types and not node.table:
            return column(_name(*types[node.name]))
        return node

    return form.copy().transform(put)


def _casts() -> Iterator[Case]:
    for source, target in itertools.permutations(TYPES, 2):
        found = cast_of(source, target)
        if found is not None:
            value, to = column(_name(source, 0)), to_duckdb(target)
            yield Case("casts", exp.Cast(this=value, to=to), leave=_left(found))
            yield Case("casts", exp.TryCast(this=value.copy(), to=to.copy()), leave=_left(found))


def _written_out() -> Iterator[Case]:
    """What is lowered by code: comparisons of every two types, and the shapes around them."""
    for one, other in itertools.product(TYPES, TYPES):
        left, right = column(_name(one, 0)), column(_name(other, 1))
        casts = [cast for cast in (cast_of(one, other), cast_of(other, one)) if cast is not None and one != other]
        leave = Leave.ERRORS if any(cast.stricter is not None for cast in casts) else Leave.NOTHING
        for compare in (
            (exp.EQ, exp.LT, exp.GTE) if one != other else (exp.EQ, exp.NEQ, exp.GT, exp.LTE, exp.NullSafeEQ)
        ):
            yield Case("comparisons", compare(this=left.copy(), expression=right.copy()), "pairs", leave)
    for kind in TYPES:
        for text in _SHAPES:
            names = {letter: (kind, place) for place, letter in enumerate("abc")}
            yield Case("shapes", _over_columns(sqlglot.parse_one(text, dialect="duckdb"), names), "pairs")
    for text in _FILTERED:
        yield Case("frames", sqlglot.parse_one(text, dialect="duckdb"), "groups")
        yield Case("frames", _windowed(sqlglot.parse_one(text, dialect="duckdb"), ROW), "window")
    for text in _FRAMES:
        yield Case("frames", sqlglot.parse_one(text, dialect="duckdb"), "window")
    for text in _CONSTANTS:
        yield Case("shapes", sqlglot.parse_one(text, dialect="duckdb"))


_SHAPES: Final = (
    "a IS NULL",
    "a IS NOT NULL",
    "coalesce(a, b, c)",
    "nullif(a, b)",
    "CASE WHEN a = b THEN a WHEN a > b THEN b END",
    "CASE a WHEN b THEN 1 WHEN c THEN 2.5 ELSE 0 END",
    "if(a IS NULL, b, c)",
    "a IN (b, c)",
    "a NOT IN (b, NULL)",
    "a BETWEEN b AND c",
    "a IS DISTINCT FROM b",
    "NOT (a = b) OR a < c AND b IS NULL",
)
_FILTERED: Final = tuple(
    f"{function} FILTER (WHERE {condition})"
    for function in ("count(*)", "count(string_0)", "sum(int64_0)", "max(date_0)", "avg(int32_0)", "bool_or(boolean_1)")
    for condition in ("boolean_0", "int32_0 > 0", "string_0 IS NULL")
)
_FRAMES: Final = (
    *(
        f"{function} OVER (PARTITION BY group_key ORDER BY {order} {frame})"
        for function in ("sum(int32_0)", "count(string_0)", "max(date_0)", "last_value(int64_0)")
        for order in ("row_id", "row_id DESC")
        for frame in (
            "ROWS BETWEEN 2 PRECEDING AND CURRENT ROW",
            "ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING",
            "ROWS BETWEEN 3 PRECEDING AND 1 PRECEDING",
            "RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
        )
    ),
    *(
        f"{function} OVER (PARTITION BY group_key ORDER BY {order} RANGE BETWEEN {frame})"
        for function in ("sum(int32_0)", "count(*)", "min(date_0)")
        for order, frame in (
            ("date_1", "INTERVAL 6 DAYS PRECEDING AND CURRENT ROW"),
            ("date_1 DESC", "INTERVAL '2' WEEKS PRECEDING AND INTERVAL 400 DAYS FOLLOWING"),
            ("timestamp_1", "INTERVAL 90 MINUTES PRECEDING AND CURRENT ROW"),
            ("timestamp_1 DESC NULLS LAST", "UNBOUNDED PRECEDING AND INTERVAL '36' HOURS FOLLOWING"),
        )
    ),
)
_CONSTANTS: Final = (
    *(
        "1",
        "2147483648",
        "99999999999999999999",
        "1.5",
        "-1.50",
        "1e3",
        "TRUE",
        "NULL",
        "''",
        "'it''s'",
        "'back\\slash'",
    ),
    *("'line\nbreak ${x} $1 😀'", "DATE '2024-02-29'", "TIMESTAMP '2024-02-29 12:00:00.5'"),
    *("CAST('2024-02-29 12:00:00+00' AS TIMESTAMPTZ)", "1 + 1", "7 // 2", "7 / 2", "1.10 + 2", "2 * 1.5"),
)

__all__ = ["Case", "cases", "rows_of"]
