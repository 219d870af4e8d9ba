"""Makes columns of values: one row per group, one column per value and measure."""

from __future__ import annotations

import decimal
import math
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field, PlainValidator, WithJsonSchema
from sqlglot import exp

from penstock.fields import ColumnList, ColumnMap, Name
from penstock.graph.nodes import Aggregate, Column
from penstock.registry import Descriptor
from penstock.steps.aggregate import measured
from penstock.steps.aggregates import calls
from penstock.steps.collect import together
from penstock.steps.params import StepParams
from penstock.structs import Frozen
from penstock.types import BOOLEAN, DATE
from penstock.types.duckdb import to_duckdb
from penstock.types.families import Family, family

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from penstock.steps.api import Scope
    from penstock.types import LogicalType

MAX_VALUES: Final = 1000
"""A table of more columns is no table that somebody meant to make."""


class PivotValue(Frozen):
    """A value as text, which is cast to the type of the column; None is null. ``name`` is that of its columns."""

    name: str
    text: str | None


def _values(value: object) -> tuple[PivotValue, ...]:
    pairs = (
        [(name, item) for name, item in value.items()]
        if isinstance(value, dict)
        else [(None, item) for item in (value if isinstance(value, (list, tuple)) else [value])]
    )
    if not pairs:
        raise ValueError("takes a list of values, or a map of columns, new: value")
    return tuple(PivotValue(_spelled(item) if name is None else str(name), _text(item)) for name, item in pairs)


def _text(value: object) -> str | None:
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case int() | str():
            return str(value)
        case float() if math.isfinite(value):
            return repr(value)
        case _:
            raise ValueError("takes texts, numbers, booleans and null as values")


def _spelled(value: object) -> str:
    text = _text(value)
    return "null" if text is None else text


_SCALAR = {"type": ["string", "number", "boolean", "null"]}
Values = Annotated[
    tuple[PivotValue, ...],
    PlainValidator(_values),
    WithJsonSchema(
        {
            "description": "Values, or new: value.",
            "anyOf": [
                {"type": "array", "minItems": 1, "items": _SCALAR},
                {"type": "object", "minProperties": 1, "additionalProperties": _SCALAR},
            ],
        }
    ),
]


class PivotParams(StepParams):
    """A single measure gives columns named after the values, several give ``value_measure``."""

    on: Name = Field(description="The column whose values become columns.")
    by: ColumnList = Field(default=(), description="What makes a row: column names, or new: expression.")
    values: Values | None = Field(
        default=None, description="The values, in the order of their columns; found by a first read where not given."
    )
    measures: ColumnMap = Field(description="new: an expression of aggregates, such as sum(amount).")


def make(params: PivotParams, scope: Scope) -> str:
    """One Aggregate whose measures each look at the rows of one value: in = sum of group sizes."""
    node_id = scope.node_id()
    with together() as part:
        with part():
            on = scope.column(params.on)
        with part():
            by = scope.expressions(params.by)
        with part():
            measures = scope.expressions(params.measures, allows="aggregate")
    values = _declared(params.values, on, scope) if params.values is not None else _found(node_id, on, scope)
    measures = measured(measures, by, scope)
    for item in measures:
        if next(calls(item.value), None) is None:
            scope.fail("CMP-295", f'the measure "{item.name}" aggregates nothing', at=item.at, hint="such as sum(…)")
    columns = tuple(_columns(values, measures, on=on, scope=scope))
    if not (by or columns):
        scope.fail("CMP-294", f'"{params.on}" has no values, and nothing is grouped by', at=params.on)
    return scope.add(Aggregate(node_id, input=scope.input, by=by, measures=columns))


def _declared(values: tuple[PivotValue, ...], on: exp.Column, scope: Scope) -> tuple[PivotValue, ...]:
    kind = scope.schema[on.name].type
    for value in values:
        if value.text is not None and not _reads_as(value.text, kind):
            scope.fail("CMP-294", f'the value "{value.text}" is no {kind}, which "{on.name}" is')
    return values


def _found(node_id: str, on: exp.Column, scope: Scope) -> tuple[PivotValue, ...]:
    texts = scope.distinct(node_id, on, most=MAX_VALUES)
    if len(texts) > MAX_VALUES:
        scope.fail(
            "CMP-296",
            f'"{on.name}" has more than {MAX_VALUES} values',
            hint="declare those that are wanted: `values: [...]`",
        )
    return tuple(PivotValue(_spelled(text), text) for text in texts)


def _columns(
    values: Sequence[PivotValue], measures: Sequence[Column], *, on: exp.Column, scope: Scope
) -> Iterator[Column]:
    kind = scope.schema[on.name].type
    for value in values:
        if not value.name:
            scope.fail(
                "CMP-294",
                f'an empty value of "{on.name}" cannot name a column',
                hint="name it: `values: {empty: ''}`",
            )
        literal = (
            exp.null() if value.text is None else exp.Cast(this=exp.Literal.string(value.text), to=to_duckdb(kind))
        )
        chosen = exp.NullSafeEQ(this=on.copy(), expression=literal)
        for item in measures:
            name = value.name if len(measures) == 1 else f"{value.name}_{item.name}"
            yield Column(name, _only(item.value.copy(), chosen), item.at)


def _reads_as(text: str, kind: LogicalType) -> bool:
    """False where the text is certainly no value of the type: better said now than by the first row."""
    try:
        if family(kind) is Family.NUMBER:
            decimal.Decimal(text)
        elif kind == DATE:
            date.fromisoformat(text)
        elif family(kind) is Family.INSTANT:
            datetime.fromisoformat(text)
    except (ValueError, decimal.InvalidOperation):
        return False
    return kind != BOOLEAN or text.lower() in {"true", "false"}


def _only(measure: exp.Expr, chosen: exp.Expr) -> exp.Expr:
    """The measure over the rows for which the condition holds."""
    whole = exp.Paren(this=measure)
    for call in list(calls(measure)):
        if isinstance(call, exp.Filter):
            where = call.expression
            where.set("this", exp.and_(where.this.copy(), chosen.copy()))
        else:
            call.replace(exp.Filter(this=call.copy(), expression=exp.Where(this=chosen.copy())))
    return whole.unnest()


PIVOT = Descriptor(
    name="pivot",
    group="steps",
    summary="Makes one column of each value of a column.",
    params=PivotParams,
    make=make,
    example="pivot: {on: crude, by: [price_date], values: [brent, wti], measures: {price: avg(price_usd)}}",
    notes=(
        (
            "Without `values` they are found by a first read of the same ranges, and the columns come in the order of their "
            "texts; the schema of what follows then depends on the data."
        ),
        "A row whose value is not listed adds to no column, but its group stays.",
        "Values are written as text and read as the type of the column, so that 1 finds 1.00 in a decimal.",
        "Null is a value like any other; its column is called null, or what `values: {new: null}` says.",
    ),
)
