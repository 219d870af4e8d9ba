"""Puts a value where null stands: one that is given, or one made of the column's other values."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Literal, TypeAlias, cast, get_args

from pydantic import Field
from sqlglot import exp

from penstock.fields import ColumnMap, SortTexts
from penstock.graph.nodes import Column
from penstock.graph.select import order
from penstock.registry import Descriptor
from penstock.steps.collect import each
from penstock.steps.literals import fits
from penstock.steps.params import StepParams
from penstock.steps.rewrite import rewrite
from penstock.trees import column
from penstock.types.compatibility import can_hold
from penstock.types.duckdb import to_duckdb
from penstock.types.families import Family, family

if TYPE_CHECKING:
    from penstock.fields import ExpressionText, NamedExpression
    from penstock.steps.api import Scope

Method: TypeAlias = Literal["mean", "median", "mode", "forward"]
_METHODS: Final[tuple[str, ...]] = get_args(Method)


class FillNullParams(StepParams):
    """``fill_null: {a: value or method}``, or with ``columns``, ``order_by`` and ``partition_by`` spelled out."""

    short: ClassVar[str | None] = "columns"

    columns: ColumnMap = Field(
        description="What takes the place of null in each column: an expression, or mean, median, mode, forward."
    )
    partition_by: SortTexts = Field(default=(), description="Methods look at rows with the same values of these only.")
    order_by: SortTexts = Field(default=(), description="The order in which `forward` takes the last value before.")


def make(params: FillNullParams, scope: Scope) -> str:
    """One Project: in = out; types stay.

    Raises ConfigError CMP-203 (no such column), CMP-260 (forward without an order), CMP-261 (mean or median of what is no
    number or instant), CMP-262 (a value not of the column's type).
    """

    def filled(item: NamedExpression) -> Column:
        name = scope.column(item.name).name
        filler = _filler(params, scope, name=name, item=item)
        return Column(name, exp.Coalesce(this=column(name), expressions=[filler]), item.value.at)

    return rewrite(scope, each(params.columns, filled))


def _filler(params: FillNullParams, scope: Scope, *, name: str, item: NamedExpression) -> exp.Expr:
    method = item.value.sql.strip()
    if method not in _METHODS or method in scope.schema.names:
        return _given(scope, name, item.value)
    value = _made(params, scope, name=name, method=cast("Method", method), text=item.value)
    return exp.Cast(this=value, to=to_duckdb(scope.schema[name].type))


def _given(scope: Scope, name: str, text: ExpressionText) -> exp.Expr:
    """A literal must be a value of the column's type, any other expression of a type that it holds."""
    tree = scope.expression(text)
    wanted = scope.schema[name].type
    found = scope.type_of(tree)
    if isinstance(tree, exp.Null):
        scope.fail("CMP-262", f'"{name}" would be filled with null', at=text, hint="give a value or a method")
    if found is not None and not (found == wanted or can_hold(wanted, found) or fits(tree, wanted)):
        scope.fail(
            "CMP-262",
            f'column "{name}" is {wanted}, and cannot be filled with {found}',
            at=text,
            hint="give a value of the column's type, or `cast` the column first",
        )
    return tree if found == wanted else exp.Cast(this=tree, to=to_duckdb(wanted))


def _made(params: FillNullParams, scope: Scope, *, name: str, method: Method, text: ExpressionText) -> exp.Expr:
    kind = scope.schema[name].type
    if method in {"mean", "median"} and family(kind) not in {Family.NUMBER, Family.INSTANT}:
        scope.fail("CMP-261", f'column "{name}" is {kind}, of which there is no {method}', at=text)
    partition = [key.value for key in scope.sort_keys(params.partition_by)] if params.partition_by else []
    match method:
        case "mean":
            return exp.Window(this=exp.Avg(this=column(name)), partition_by=partition)
        case "median":
            return exp.Window(this=exp.Median(this=column(name)), partition_by=partition)
        case "mode":
            # Of values that are equally frequent the least, whatever order the rows come in.
            values = exp.Order(this=column(name), expressions=[exp.Ordered(this=column(name), nulls_first=False)])
            return exp.Window(this=exp.Mode(this=values), partition_by=partition)
        case "forward":
            return _forward(params, scope, name=name, partition=partition, text=text)


def _forward(
    params: FillNullParams, scope: Scope, *, name: str, partition: list[exp.Expr], text: ExpressionText
) -> exp.Expr:
    if not params.order_by:
        scope.fail(
            "CMP-260",
            "forward takes the last value before, and no order says what is before",
            at=text,
            hint=f"write `fill_null: {{columns: {{{name}: forward}}, order_by: ...}}`" if name.isidentifier() else None,
        )
    keys = [order(key) for key in scope.sort_keys(params.order_by)]
    frame = exp.WindowSpec(kind="ROWS", start="UNBOUNDED", start_side="PRECEDING", end="CURRENT ROW")
    last = exp.IgnoreNulls(this=exp.LastValue(this=column(name)))
    return exp.Window(this=last, partition_by=partition, order=exp.Order(expressions=keys), spec=frame)


FILL_NULL = Descriptor(
    name="fill_null",
    group="steps",
    summary="Puts a value where null stands.",
    params=FillNullParams,
    make=make,
    example="fill_null: {columns: {price: forward, volume: 0}, partition_by: [crude], order_by: [day]}",
    short="columns",
    notes=(
        "A column's type stays: the mean of whole numbers is rounded.",
        "Where there is nothing to take a value from, null stays.",
    ),
)
