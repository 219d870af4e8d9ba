"""JSON Schema held to a column: what each keyword lets pass, what it does not, and what is refused before a run."""

import json

import pytest
from demands import document, passing, wrong
from harness import run_document

HUGE = 2**70


def schema(text):
    return f"json_schema: {{column: a, schema: {text}}}"


def texts(*values):
    return [json.dumps(value, ensure_ascii=False) for value in values]


@pytest.mark.parametrize("kind", ["json", "string"])
@pytest.mark.parametrize(
    ("asked", "good", "bad"),
    [
        ("{type: object}", [{}, {"a": None}], [[], "", 1, True, None]),
        ("{type: array}", [[], [1]], [{}, "[]"]),
        ("{type: string}", ["", "é🛢", "1"], [1, None, False, []]),
        ("{type: number}", [1, -1, 1.5, 1e300, HUGE], ["1", True, None]),
        ("{type: integer}", [0, -5, 2**63, 1.0, -2.0], [1.5, "1", True, None]),
        ("{type: boolean}", [True, False], [0, "true", None]),
        ("{type: 'null'}", [None], [0, "", False, "null"]),
        ("{type: [string, 'null']}", ["x", None], [1, {}]),
        ("{}", [1, None, {}, []], []),
        ("true", [1, None], []),
        ("false", [], [1, None, {}]),
        ("{enum: [a, 1, true, null]}", ["a", 1, 1.0, True, None], ["A", 2, False, "1", "null", "true", []]),
        ("{const: 0}", [0, -0.0, 0.0], [1, "0", False, None, [], {}]),
        ("{const: x}", ["x"], ["", "X", 1]),
        ("{required: [a, 'b c', 'd/e~']}", [{"a": None, "b c": 1, "d/e~": 2}, 1, "x", []], [{}, {"a": 1}, {"a": 1, "b c": 1}]),
        ("{properties: {a: {type: integer}}}", [{}, {"a": 1}, {"b": "x"}, 5, ["x"]], [{"a": "x"}, {"a": None}]),
        ("{properties: {'0': {type: integer}}}", [["x"], {"0": 1}], [{"0": "x"}]),
        ("{properties: {'': {type: integer}, 'a\"b': {minimum: 1}}}", [{"": 1, 'a"b': 1}], [{"": "x"}, {'a"b': 0}]),
        ("{properties: {a: true, b: false}}", [{"a": 1}, {}], [{"b": 1}, {"b": None}]),
        ("{properties: {a: {properties: {b: {const: 1}}}}}", [{"a": {"b": 1}}, {"a": {}}, {"a": 1}], [{"a": {"b": 2}}]),
        ("{properties: {a: {}}, additionalProperties: false}", [{}, {"a": 1}, [], 1], [{"b": 1}, {"a": 1, "b": 1}]),
        ("{additionalProperties: false}", [{}, 3], [{"a": 1}]),
        ("{additionalProperties: true}", [{"a": 1}], []),
        ("{items: {type: string}}", [[], ["a"], {}, "x", 1, None], [[1], ["a", None]]),
        ("{items: {items: {minimum: 2}}}", [[[2]], [[]], [1]], [[[2], [3, 1]]]),
        ("{items: false}", [[], {}], [[1]]),
        ("{items: {required: [a]}}", [[{"a": 1}]], [[{"a": 1}, {}]]),
        ("{minimum: 1, maximum: 2.5}", [1, 2.5, "0", None, []], [0.999, 3, -HUGE]),
        ("{exclusiveMinimum: 1, exclusiveMaximum: 2}", [1.5], [1, 2, 1.0]),
        ("{minLength: 1, maxLength: 2}", ["a", "🛢é", 1, []], ["", "abc"]),
        ("{minItems: 1, maxItems: 2}", [[1], [1, 2], "", {}], [[], [1, 2, 3]]),
        ("{minProperties: 1, maxProperties: 1}", [{"a": 1}, []], [{}, {"a": 1, "b": 2}]),
        ("{pattern: b+}", ["abc", 5], ["ac", ""]),
        ("{pattern: '^b$'}", ["b"], ["bb"]),
        ("{allOf: [{type: integer}, {minimum: 3}]}", [3], [2, "x"]),
        ("{anyOf: [{type: string}, {minimum: 3}]}", ["", 3, None], [2]),
        ("{oneOf: [{type: integer}, {minimum: 3}]}", [2, 3.5, "x"], [4, 2.5]),
        ("{not: {type: string}}", [1, None, {}], ["", "x"]),
        ("{properties: {a: {not: {const: 1}}}}", [{}, {"a": 2}], [{"a": 1}]),
        ("{title: x, description: y, default: 1, $schema: z, type: integer}", [1], ["x"]),
    ],
)  # fmt: skip
def test_what_passes_and_what_does_not(asked, good, bad, kind):
    rows = [None, *texts(*good, *bad)]
    assert passing(schema(asked), kind, rows) == [None, *texts(*good)]


def test_a_text_that_is_no_json_violates_any_schema():
    broken = ["", "{", "[1", "x"]
    assert passing(schema("{}"), "string", [*broken, "1", " 1 ", None]) == ["1", " 1 ", None]
    assert passing(schema("{items: {properties: {a: {type: string}}}}"), "string", broken) == []


def test_the_first_thing_that_is_wrong_is_told_with_its_place():
    asked = "{required: [id], properties: {tags: {type: array, items: {properties: {n: {maximum: 9}}}}}}"
    text = document(f"- {schema(asked)}", {"a": "string?"})
    values = ['{"tags": 1}', '{"id": 1, "tags": [{"n": 1}, {"n": 10}]}', "{", '{"id": 1}']
    told = {item.row["a"]: item.message for item in run_document(text, {"rows": [{"a": v} for v in values]}).rejected}
    assert told == {
        values[0]: f'"a" breaks its schema, /id is missing: {values[0]}',
        values[1]: f'"a" breaks its schema, /tags: an element/n is more than 9: {values[1]}',
        values[2]: '"a" breaks its schema, it is no JSON: {',
    }


@pytest.mark.parametrize(
    ("asked", "codes"),
    [
        ("{format: date}", ["CMP-374"]),
        ("{properties: {a: {$ref: '#/x'}}}", ["CMP-374"]),
        ("{uniqueItems: true}", ["CMP-374"]),
        ("{patternProperties: {a: {}}}", ["CMP-374"]),
        ("{additionalProperties: {type: string}}", ["CMP-374"]),
        ("{type: text}", ["CMP-374"]),
        ("{type: []}", ["CMP-374"]),
        ("{minimum: x}", ["CMP-374"]),
        ("{minimum: true}", ["CMP-374"]),
        ("{minLength: -1}", ["CMP-374"]),
        ("{minLength: 1.5}", ["CMP-374"]),
        ("{required: a}", ["CMP-374"]),
        ("{enum: []}", ["CMP-374"]),
        ("{enum: [[1]]}", ["CMP-374"]),
        ("{anyOf: []}", ["CMP-374"]),
        ("{items: [{}]}", ["CMP-374"]),
        ("{pattern: '('}", ["CMP-247"]),
        ("7", ["DOC-203"]),
    ],
)
def test_what_is_not_supported_is_refused(asked, codes):
    assert [item.code for item in wrong(f"- {schema(asked)}", {"a": "json?"})] == codes


def test_a_refused_keyword_is_told_where_it_stands():
    (found,) = wrong(f"- {schema('{type: object, properties: {a: {format: date}}}')}", {"a": "json?"})
    assert found.message == 'the keyword "format" is not supported'
    assert found.at.column > len("      - json_schema: {column: a, schema: {type: object, properties: ")
    (found,) = wrong(f"- {schema('{type: object}')}", {"a": "int64?"})
    assert found.code == "CMP-371"
