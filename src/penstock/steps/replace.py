"""Puts other values in the place of some: whole values, parts of texts, or matches of a pattern."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator
from sqlglot import exp

from penstock.fields import Names, Params
from penstock.graph.nodes import Column
from penstock.registry import Descriptor
from penstock.steps.collect import each
from penstock.steps.literals import Scalar, Value, literal
from penstock.steps.params import StepParams
from penstock.steps.patterns import check_pattern
from penstock.steps.rewrite import rewrite, text_columns
from penstock.trees import call, column

if TYPE_CHECKING:
    from penstock.steps.api import Scope


class Replacement(Params):
    """One value and what takes its place."""

    find: Scalar = Field(description="The value, text or pattern that is looked for.")
    with_: Scalar | None = Field(alias="with", description="What takes its place; null empties the column.")


class ReplaceParams(StepParams):
    """``replace: {columns, find, with}`` or ``replace: {columns, values: [{find, with}, ...]}``."""

    columns: Names = Field(description="The columns in which values are replaced.")
    find: Scalar | None = Field(default=None, description="The value, text or pattern that is looked for.")
    with_: Scalar | None = Field(
        default=None, alias="with", description="What takes its place; null empties the column."
    )
    values: tuple[Replacement, ...] = Field(
        default=(), description="Several of them: whole values at once, others in turn."
    )
    match: Literal["value", "part", "pattern"] = Field(
        default="value",
        description="Whether `find` is a whole value, a part of a text (every occurrence), or a regular expression (RE2).",
    )

    @model_validator(mode="after")
    def _one_form(self) -> ReplaceParams:
        if (self.find is None) == (not self.values):
            raise ValueError("takes either find and with, or values: [{find, with}, ...]; null is found by fill_null")
        if self.find is not None and "with_" not in self.model_fields_set:
            raise ValueError("needs with beside find; with: null empties the column")
        return self

    @property
    def replacements(self) -> tuple[tuple[Value, Value], ...]:
        if self.find is not None:
            return ((self.find, self.with_),)
        return tuple((item.find, item.with_) for item in self.values)


def make(params: ReplaceParams, scope: Scope) -> str:
    """One Project: in = out; types stay. Raises ConfigError CMP-203 (no such column), CMP-258 (a value not of the column's
    type), CMP-251 (a part or a pattern of something that is not text).
    """
    if params.match == "value":
        names = tuple(found.name for found in each(params.columns, scope.column))
    else:
        names = text_columns(scope, params.columns)
    places = dict(zip(names, (getattr(name, "at", None) for name in params.columns), strict=True))
    return rewrite(scope, [Column(name, _replaced(params, scope, name), places[name]) for name in names])


def _replaced(params: ReplaceParams, scope: Scope, name: str) -> exp.Expr:
    kind = scope.schema[name].type
    pairs = [
        (literal(scope, find, kind, of=name), literal(scope, text, kind, of=name)) for find, text in params.replacements
    ]
    value: exp.Expr = column(name)
    match params.match:
        case "value":
            ifs = [exp.If(this=exp.EQ(this=column(name), expression=find), true=text) for find, text in pairs]
            return exp.Case(ifs=ifs, default=value)
        case "part":
            for find, text in pairs:
                value = call("replace", value, find, text)
        case "pattern":
            for item, _ in params.replacements:
                check_pattern(scope, item if isinstance(item, str) else str(item))
            for find, text in pairs:
                value = call("regexp_replace", value, find, text, exp.Literal.string("g"))
    return value


REPLACE = Descriptor(
    name="replace",
    group="steps",
    summary="Puts other values in the place of some.",
    params=ReplaceParams,
    make=make,
    example="replace: {columns: [country], values: [{find: UK, with: GB}, {find: n/a, with: null}]}",
    notes=("In a pattern's replacement \\1 to \\9 stand for what its groups matched.",),
)
