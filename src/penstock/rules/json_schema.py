"""Every JSON value of a column is one that a JSON Schema allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field, PlainValidator, WithJsonSchema
from sqlglot import exp

from penstock.fields import Name
from penstock.registry import Descriptor
from penstock.rules.api import Violation
from penstock.rules.json_conditions import Condition, UnsupportedError, conditions
from penstock.rules.params import RuleParams
from penstock.rules.values import json_column
from penstock.steps.patterns import check_pattern
from penstock.trees import call, is_not_null, is_null, text_of, when
from penstock.types.logical import STRING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.rules.api import Scope

_KEYWORDS: Final = (
    "Keywords: type, enum and const (of texts, numbers, booleans and null), required, properties, additionalProperties "
    "(true or false), items (one schema), pattern, minimum, maximum, exclusiveMinimum, exclusiveMaximum, minLength, "
    "maxLength, minItems, maxItems, minProperties, maxProperties, allOf, anyOf, oneOf, not. Any other is refused, but for "
    "those that only describe."
)


def _schema(value: object) -> dict[str, Any] | bool:
    if isinstance(value, (dict, bool)):
        return value
    raise ValueError("takes a JSON Schema: a map, true or false")


Schema = Annotated[
    dict[str, Any] | bool, PlainValidator(_schema), WithJsonSchema({"anyOf": [{"type": "object"}, {"type": "boolean"}]})
]


class JsonSchemaParams(RuleParams):
    """``json_schema: {column: payload, schema: {type: object, required: [id]}}``."""

    column: Name = Field(description="A column of JSON, or of text that is JSON.")
    schema_: Schema = Field(alias="schema", description="The JSON Schema (draft 2020-12), written as YAML.")


def make(params: JsonSchemaParams, scope: Scope) -> Sequence[Violation]:
    """One violation, whose message tells the first thing that is wrong. Raises ConfigError CMP-203, CMP-371 (neither JSON
    nor text), CMP-374 (what is not supported), CMP-247 (a pattern that is no regular expression).
    """
    column = json_column(scope, params.column)
    is_text = scope.schema[column.name].type == STRING
    as_json = exp.Cast(this=column.copy(), to=exp.DataType.build("json"))
    value = when(call("json_valid", column), as_json) if is_text else column
    try:
        found = list(conditions(params.schema_, value, lambda pattern: check_pattern(scope, pattern)))
    except UnsupportedError as error:
        hint = "`penstock rules json_schema` lists the keywords that there are"
        scope.fail("CMP-374", str(error), at=error.at or params.column, hint=hint)
    if is_text:
        found.insert(0, Condition(exp.and_(is_not_null(column), is_null(value)), "it is no JSON"))
    if not found:
        return ()
    told = [exp.If(this=item.broken.copy(), true=exp.Literal.string(item.told)) for item in found]
    text = exp.Left(this=text_of(column), expression=exp.Literal.number(100))
    words = [
        exp.Literal.string(f'"{column.name}" breaks its schema, '),
        exp.Case(ifs=told),
        exp.Literal.string(": "),
        text,
    ]
    message = exp.Concat(expressions=words, safe=True, coalesce=True)
    return (Violation(exp.or_(*(item.broken for item in found)), message, column.name),)


JSON_SCHEMA = Descriptor(
    name="json_schema",
    group="rules",
    dimension="validity",
    summary="Every JSON value of a column is one that a JSON Schema allows.",
    params=JsonSchemaParams,
    make=make,
    example="json_schema: {column: payload, schema: {type: object, required: [id], properties: {id: {type: integer}}}}",
    notes=(
        "Null passes; JSON's own null is a value. A text that is no JSON violates the rule.",
        "NaN, and a comma before a closing bracket, are taken as the engine takes them.",
        _KEYWORDS,
        "Patterns are RE2's; numbers are compared as doubles.",
    ),
)
