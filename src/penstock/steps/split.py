"""Takes a text apart at a separator: into columns, or into a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator
from sqlglot import exp

from penstock.fields import Name, Names
from penstock.graph.nodes import Column, Project
from penstock.registry import Descriptor
from penstock.steps.params import StepParams
from penstock.steps.rewrite import rewrite, text_columns
from penstock.trees import call, column

if TYPE_CHECKING:
    from penstock.steps.api import Scope


class SplitParams(StepParams):
    """``split: {column, separator, into}`` or ``split: {column, separator, as}``."""

    column: Name = Field(description="The text.")
    separator: str = Field(min_length=1, description="What stands between the parts; literal, not a pattern.")
    into: Names | None = Field(
        default=None, description="Columns for the parts, behind the others; those without a part are null."
    )
    as_: Name | None = Field(default=None, alias="as", description="A column for the list of all parts.")
    rest: Literal["keep", "drop"] = Field(
        default="keep",
        description="Whether the last column takes all that is left, separators included, or its part only.",
    )
    trim: bool = Field(default=False, description="Whether spaces at both ends of each part go.")
    keep: bool = Field(default=False, description="Whether the text itself stays, where the parts become columns.")

    @model_validator(mode="after")
    def _one_of_two(self) -> SplitParams:
        if self.into is not None and self.as_ is not None:
            raise ValueError("takes either into or as")
        return self


def make(params: SplitParams, scope: Scope) -> str:
    """One Project: in = out; null gives null in every part, and the empty text one empty part.

    Raises ConfigError CMP-203 (no such column), CMP-251 (not text), CMP-209 (two columns of one name).
    """
    (name,) = text_columns(scope, [params.column])
    parts = call("string_split", column(name), exp.Literal.string(params.separator))
    if params.into is None:
        return rewrite(scope, [Column(str(params.as_ or name), _list(params, parts))])
    carried = scope.carried(without=() if params.keep else (name,))
    columns = [
        Column(str(new), _part(params, parts, place, last=place == len(params.into)), getattr(new, "at", None))
        for place, new in enumerate(params.into, 1)
    ]
    return scope.add(Project(scope.node_id(), input=scope.input, columns=(*carried, *columns)))


def _list(params: SplitParams, parts: exp.Expr) -> exp.Expr:
    if not params.trim:
        return parts
    item = exp.to_identifier("item")
    trimmed = exp.Lambda(this=exp.Trim(this=exp.Column(this=item.copy())), expressions=[item], colon=True)
    return call("list_transform", parts, trimmed)


def _part(params: SplitParams, parts: exp.Expr, place: int, *, last: bool) -> exp.Expr:
    number = exp.Literal.number(place)
    part: exp.Expr = call("list_extract", parts, number)
    if last and params.rest == "keep":
        count = call("len", parts)
        left = call("list_slice", parts, number, count)
        joined = call("array_to_string", left, exp.Literal.string(params.separator))
        enough = exp.GTE(this=count.copy(), expression=number.copy())
        part = exp.Case(ifs=[exp.If(this=enough, true=joined)])
    return exp.Trim(this=part) if params.trim else part


SPLIT = Descriptor(
    name="split",
    group="steps",
    summary="Takes a text apart at a separator, into columns or a list.",
    params=SplitParams,
    make=make,
    example="split: {column: name, separator: ' ', into: [first, last]}",
)
