"""Reads JSON out of texts: as json, or as a struct whose fields are declared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field
from sqlglot import exp

from penstock.fields import Name
from penstock.graph.nodes import Cause, Check, Column
from penstock.registry import Descriptor
from penstock.steps.json_shape import lacks, misfits
from penstock.steps.params import OnError, StepParams
from penstock.steps.rewrite import rewrite, shown
from penstock.trees import call, column, is_not_null, is_null
from penstock.types.duckdb import to_duckdb
from penstock.types.logical import JSON, STRING, Struct, StructField

if TYPE_CHECKING:
    from penstock.steps.api import Scope


class ParseJsonParams(StepParams):
    """``parse_json: payload`` or ``parse_json: {column, as, schema, on_error}``."""

    short: ClassVar[str | None] = "column"

    column: Name = Field(description="The column, text or json.")
    as_: Name | None = Field(default=None, alias="as", description="The column that is made; default takes its place.")
    schema_: Annotated[dict[Name, Name], Field(min_length=1)] | None = Field(
        default=None,
        alias="schema",
        description="The fields and their types, ? where one may be missing or null: the column becomes a struct of them. "
        "Without it the column becomes json.",
    )
    on_error: OnError = Field(
        default="reject",
        description="What a text does that is no JSON or has another shape: its row is rejected, it becomes null, or the "
        "run fails.",
    )


def make(params: ParseJsonParams, scope: Scope) -> str:
    """A Check where rows can be rejected, then one Project: null stays null, and so does JSON's null where there is a
    schema; keys that the schema does not name are left out.

    Raises ConfigError CMP-203 (no such column), CMP-251 (neither text nor json), DOC-400...
    """
    name = scope.column(params.column).name
    kind = scope.schema[name].type
    if kind not in (STRING, JSON):
        scope.fail("CMP-251", f'column "{name}" is {kind}, neither text nor json', at=params.column)
    document = exp.TryCast(this=column(name), to=to_duckdb(JSON))
    fields = _fields(params, scope)
    causes = _causes(name, document, fields)
    source = scope.input
    if params.on_error != "null":
        on_fail = params.on_error
        made = tuple(Cause(code, test, shown(name, column(name), words), name, on_fail) for code, test, words in causes)
        source = scope.add(Check(scope.node_id("check"), input=source, causes=made))
    value: exp.Expr = document if fields is None else exp.TryCast(this=document, to=to_duckdb(Struct(fields)))
    if params.on_error == "null" and fields is not None:
        bad = exp.or_(*(test for _, test, _ in causes))
        value = exp.Case(ifs=[exp.If(this=bad, true=exp.null())], default=value)
    never_null = fields is None and params.on_error != "null" and not scope.schema[name].nullable
    made_column = Column(str(params.as_ or name), value, getattr(params.column, "at", None), never_null)
    return rewrite(scope, [made_column], input_id=source)


def _fields(params: ParseJsonParams, scope: Scope) -> tuple[StructField, ...] | None:
    if params.schema_ is None:
        return None
    return tuple(StructField(str(name), *scope.type(text)) for name, text in params.schema_.items())


def _causes(name: str, document: exp.Expr, fields: tuple[StructField, ...] | None) -> list[tuple[str, exp.Expr, str]]:
    """Code, test and words of each way to be wrong."""
    causes: list[tuple[str, exp.Expr, str]] = [
        ("bad_json", exp.and_(is_not_null(column(name)), is_null(document)), "is no JSON")
    ]
    if fields is not None:
        json_null = exp.NEQ(this=call("json_type", document), expression=exp.Literal.string("NULL"))
        causes.append(("bad_value", misfits(document, Struct(fields)), "has a value of another type"))
        causes.append(
            ("null_value", exp.and_(json_null, lacks(document, fields)), "lacks a value that may not be null")
        )
    return causes


PARSE_JSON = Descriptor(
    name="parse_json",
    group="steps",
    summary="Reads JSON out of a text, as json or as a struct.",
    params=ParseJsonParams,
    make=make,
    example="parse_json: {column: payload, as: order, schema: {id: int64, note: string?, lines: 'list<string>?'}}",
    short="column",
    notes=(
        "A number with more digits than its type keeps is rounded, as DuckDB does.",
        "Keys are compared exactly; of a key that stands twice the first counts.",
    ),
)
