"""Keeps the rows for which a condition is true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import Field, PlainValidator, WithJsonSchema

from penstock.fields import ExpressionText, read_expression
from penstock.graph.nodes import Filter
from penstock.registry import Descriptor
from penstock.steps.conditions import OPERATORS, Comparison, Group, condition_tree, read_condition
from penstock.steps.params import StepParams
from penstock.types.logical import BOOLEAN

if TYPE_CHECKING:
    from sqlglot import exp

    from penstock.steps.api import Scope


def _read(value: object) -> ExpressionText | Comparison | Group:
    if isinstance(value, dict) and set(value) != {"text"}:
        return read_condition(value)
    return read_expression(value)


_VALUE: Final[dict[str, Any]] = {"type": ["string", "number", "boolean"]}
_COMPARISON: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "column": {"type": "string", "minLength": 1},
        "op": {"enum": list(OPERATORS)},
        "value": {"anyOf": [_VALUE, {"type": "array", "minItems": 1, "items": _VALUE}]},
    },
    "required": ["column", "op"],
    "additionalProperties": False,
}


def _nested(levels: int) -> dict[str, Any]:
    """Spelled out some levels deep: a schema of a field cannot refer to itself."""
    inner = {"anyOf": [_COMPARISON, _nested(levels - 1)]} if levels else {"type": "object"}
    group = {"anyOf": [inner, {"type": "array", "minItems": 1, "items": inner}]}
    return {
        "type": "object",
        "properties": {"all": group, "any": group, "not": group},
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
    }


Condition = Annotated[
    ExpressionText | Comparison | Group,
    PlainValidator(_read),
    WithJsonSchema(
        {
            "description": "A SQL condition, or {all|any|not: [{column, op, value}, ...]}.",
            "anyOf": [{"type": "string"}, {"type": "boolean"}, _COMPARISON, _nested(2)],
        }
    ),
]


class FilterParams(StepParams):
    """``filter: expression`` or ``filter: {all: [{column, op, value}]}``."""

    short: ClassVar[str | None] = "condition"

    condition: Condition = Field(
        description="What is true of the rows that stay: an expression, or {all|any|not: [{column, op, value}]}, nested "
        "as wanted. `not` keeps rows of which none is true. A condition that is null keeps no row."
    )


def make(params: FilterParams, scope: Scope) -> str:
    """One Filter: in = out + filtered. Raises ConfigError CMP-246 for an expression that is not true or false."""
    condition = _tree(params, scope)
    at = params.condition.at if isinstance(params.condition, ExpressionText) else None
    return scope.add(Filter(scope.node_id(), input=scope.input, condition=condition, at=at))


def _tree(params: FilterParams, scope: Scope) -> exp.Expr:
    if not isinstance(params.condition, ExpressionText):
        return condition_tree(scope, params.condition)
    condition = scope.expression(params.condition)
    kind = scope.type_of(condition)
    if kind is not None and kind != BOOLEAN:
        scope.fail("CMP-246", f"a condition is true or false, and this is {kind}", at=params.condition)
    return condition


FILTER = Descriptor(
    name="filter",
    group="steps",
    summary="Keeps the rows for which a condition is true.",
    params=FilterParams,
    make=make,
    example="filter: {all: [{column: price, op: '>', value: 0}, {any: [{column: crude, op: in, value: [brent, wti]}]}]}",
    short="condition",
    notes=("A row for which the condition is null is left out, as in SQL.",),
)
