"""Contracts of sources, transforms and sinks: inline, or in a file of Avro's or JSON Schema's form."""

import json

import pytest

from penstock.document.contracts import read_contract
from penstock.document.loader import load
from penstock.document.template import Values, fill
from penstock.errors import ConfigError
from penstock.secret import Secret
from penstock.types import parse_type
from penstock.types.logical import INT32, INT64


def contract(text, files=None):
    def read_file(path):
        return (files or {})[path]

    schema, _ = read_contract(load(text, "p.yml"), read_file)
    return {field.name: f"{field.type}{'?' if field.nullable else ''}" for field in schema}


def of_file(name, content):
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return contract(f"file: {name}", {name: data})


def codes(call, *args):
    with pytest.raises(ConfigError) as caught:
        call(*args)
    assert all(problem.at is not None for problem in caught.value.problems)
    return [problem.code for problem in caught.value.problems]


def test_inline_columns_keep_their_order():
    found = contract("columns: {b: date, a: 'decimal(12,4)?', \"a; drop\": 'list<string?>'}")
    assert found == {"b": "date", "a": "decimal(12,4)?", "a; drop": "list<string?>"}
    assert list(found) == ["b", "a", "a; drop"]


@pytest.mark.parametrize(
    ("columns", "hint"),
    [
        ("{id: int64, email: {type: string, labels: [pii]}}", "`labels: {email: [pii]}`"),
        ("{id: int64, labels: [pii]}", "labels stand beside `schema`"),
        ("{id: int64, labels: {email: [pii]}}", "labels stand beside `schema`"),
        ("{price: {type: float64, nullable: true}}", 'or `price: "int64?"` where it may be null'),
    ],
)
def test_what_stands_in_the_place_of_a_type_is_told_its_own_place(columns, hint):
    with pytest.raises(ConfigError) as caught:
        contract(f"columns: {columns}")
    (problem,) = caught.value.problems
    assert problem.code == "DOC-400"
    assert hint in problem.hint


def test_all_wrong_types_are_told_at_once():
    assert codes(contract, "columns: {a: dat, b: date, c: [x], d: 'decimal(0)', '': date}") == [
        "DOC-401", "DOC-400", "DOC-402", "DOC-404",
    ]  # fmt: skip


def test_a_type_may_be_a_parameter():
    class NoSecrets:
        def get(self, name):
            return Secret("date") if name == "s" else None

        def names(self):
            return ()

    def read(text):
        return read_contract(fill(load(text, "p.yml"), Values({"T": "date?"}, NoSecrets())), None)[0]

    (column,) = read("columns: {a: '${env.T}'}")
    assert (str(column.type), column.nullable) == ("date", True)
    assert codes(read, "columns: {a: '${secret.s}'}") == ["DOC-400"]


@pytest.mark.parametrize(
    "text", ["x", "[a]", "{}", "columns: {}", "columns: [a]", "columns:", "file: [a]", "file: 5", "{file: a, columns: {a: date}}",
             "{columns: {a: date}, mode: x}"]
)  # fmt: skip
def test_another_form_is_refused(text):
    assert codes(contract, text) == ["DOC-220"]


AVRO = {
    "type": "record",
    "name": "order",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "note", "type": ["null", "string"], "default": None},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "at", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}]},
        {"name": "local", "type": {"type": "long", "logicalType": "local-timestamp-millis"}},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 4}},
        {"name": "id2", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "tags", "type": {"type": "array", "items": ["null", "string"]}},
        {"name": "attributes", "type": {"type": "map", "values": "double"}},
        {"name": "kind", "type": {"type": "enum", "name": "k", "symbols": ["A"]}},
        {"name": "hash", "type": {"type": "fixed", "name": "h", "size": 16}},
        {"name": "inner", "type": {"type": "record", "name": "i", "fields": [{"name": "a", "type": ["int", "null"]}]}},
    ],
}


def test_an_avro_schema_is_a_contract():
    assert of_file("a.avsc", AVRO) == {
        "id": "int64",
        "note": "string?",
        "day": "date",
        "at": "timestamptz?",
        "local": "timestamp",
        "price": "decimal(12,4)",
        "id2": "uuid",
        "tags": "list<string?>",
        "attributes": "map<string,float64>",
        "kind": "string",
        "hash": "binary",
        "inner": "struct<a: int32?>",
    }


JSON_SCHEMA = {
    "type": "object",
    "required": ["id", "day", "tags", "kind", "any"],
    "properties": {
        "id": {"type": "integer"},
        "price": {"type": "number"},
        "day": {"type": "string", "format": "date"},
        "at": {"type": ["string", "null"], "format": "date-time"},
        "tags": {"type": "array", "items": {"type": ["string", "null"]}},
        "inner": {"type": "object", "required": ["a b"], "properties": {"a b": {"type": "boolean"}}},
        "kind": {"enum": ["A", "B"]},
        "any": {},
        "either": {"type": ["string", "integer"]},
    },
}


def test_a_json_schema_is_a_contract():
    assert of_file("a.schema.json", JSON_SCHEMA) == {
        "id": "int64",
        "price": "float64?",
        "day": "date",
        "at": "timestamptz?",
        "tags": "list<string?>",
        "inner": 'struct<"a b": boolean>?',
        "kind": "string",
        "any": "json",
        "either": "json?",
    }


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.avsc", b""),
        ("a.avsc", b"{"),
        ("a.avsc", b"\xff\xfe"),
        ("a.avsc", b"[" * 100_000),
        ("a.avsc", []),
        ("a.avsc", {"type": "string"}),
        ("a.avsc", {"type": "record", "fields": []}),
        ("a.avsc", {"type": "record", "fields": [5]}),
        ("a.avsc", {"type": "record", "fields": [{"name": "a"}]}),
        ("a.avsc", {"type": "record", "fields": [{"name": "a", "type": "unknown"}]}),
        ("a.avsc", {"type": "record", "fields": [{"name": "a", "type": ["int", "string"]}]}),
        ("a.avsc", {"type": "record", "fields": [{"name": "a", "type": []}]}),
        ("a.avsc", {"type": "record", "fields": [{"name": "a", "type": None}]}),
        ("a.schema.json", {"type": "object"}),
        ("a.schema.json", {"properties": {}}),
        ("a.schema.json", {"properties": {"a": 5}}),
        ("a.schema.json", {"properties": {"a": {}}, "required": 5}),
        ("a.schema.json", [1]),
        ("a.schema.json", {"properties": {"a": {"$ref": "#/$defs/none"}}}),
        ("a.schema.json", {"$ref": "other.json"}),
        ("a.yaml", {}),
    ],
)
def test_a_file_that_is_no_schema_is_refused_where_it_is_named(name, content):
    assert codes(of_file, name, content) == ["DOC-221"]


def fields(*pairs):
    return {"type": "record", "name": "row", "fields": [{"name": name, "type": kind} for name, kind in pairs]}


def record(name, *pairs, **more):
    return {**fields(*pairs), "name": name, **more}


@pytest.mark.parametrize(
    ("name", "content", "rules"),
    [
        (
            "a.schema.json",
            {
                "type": "object",
                "properties": {
                    "minimum": {"type": "integer", "description": "a column of that name is no rule"},
                    "n": {"type": "integer", "minimum": 1, "$comment": "x"},
                    "k": {"type": ["string", "null"], "enum": ["a", "b"], "title": "K"},
                    "l": {"type": "array", "items": {"type": "string", "pattern": "^x"}},
                },
            },
            "minimum, enum, pattern",
        ),
        ("a.avsc", record("r", ("k", {"type": "enum", "name": "K", "symbols": ["A"]})), "enum"),
        ("a.schema.json", JSON_SCHEMA, "enum"),
    ],
)
def test_rules_of_a_schema_file_that_are_not_enforced_are_told(name, content, rules):
    data = json.dumps(content).encode()
    _, (warning,) = read_contract(load(f"file: {name}", "p.yml"), lambda _: data)
    assert (warning.code, warning.severity) == ("DOC-222", "warning")
    assert warning.detail == f"of its columns only types and nulls are checked, not {rules}."
    assert warning.at is not None


def test_a_schema_file_without_rules_is_told_nothing_of():
    data = json.dumps({"type": "object", "properties": {"n": {"type": "integer", "format": "int64"}}}).encode()
    assert read_contract(load("file: a.json", "p.yml"), lambda _: data)[1] == ()


def test_named_avro_types_are_known_after_their_first_place():
    money = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
    assert of_file("a.avsc", fields(
        ("kind", {"type": "enum", "name": "shop.Kind", "symbols": ["A"]}),
        ("other", ["null", "shop.Kind"]),
        ("price", record("Price", ("net", money), ("gross", ["null", money]), namespace="shop.sales")),
        ("again", {"type": "array", "items": "shop.sales.Price"}),
        ("deep", record("shop.Deep", ("kind", "Kind"), ("id", {"type": "fixed", "name": "Id", "size": 4}), ("by", "Id"))),
    )) == {
        "kind": "string",
        "other": "string?",
        "price": "struct<net: decimal(9,2), gross: decimal(9,2)?>",
        "again": "list<struct<net: decimal(9,2), gross: decimal(9,2)?>>",
        "deep": "struct<kind: string, id: binary, by: binary>",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (fields(("a", "Later"), ("b", record("Later", ("c", "int")))), "no type before it has that name"),
        (fields(("a", ["null", "row"])), 'the record "row" holds itself'),
        (fields(("a", {"type": "bytes", "logicalType": "decimal", "precision": "9"})), "are whole numbers"),
    ],
)  # fmt: skip
def test_avro_types_without_an_end_or_a_meaning_are_refused(content, said):
    with pytest.raises(ConfigError, match=said) as caught:
        of_file("a.avsc", content)
    assert caught.value.code == "DOC-221"


def test_nanoseconds_of_avro_are_timestamps():
    at, local = ({"type": "long", "logicalType": f"{kind}timestamp-nanos"} for kind in ("", "local-"))
    assert of_file("a.avsc", fields(("at", at), ("local", local))) == {"at": "timestamptz", "local": "timestamp"}


def test_an_avro_null_may_be_null_and_a_logical_type_of_another_type_is_none():
    wrong = {"type": "string", "logicalType": "decimal", "precision": 9}
    assert of_file("a.avsc", fields(("a", "null"), ("b", wrong))) == {"a": "string?", "b": "string"}


def test_names_inside_are_kept_as_they_are():
    names = ['say "it"', "naïve", "back\\slash", "tab\t", "struct<a: date>"]
    (avro,) = of_file("a.avsc", fields(("a", record("r", *((name, "int") for name in names))))).values()
    properties = {name: {"type": "integer"} for name in names}
    (given,) = of_file("a.json", {"properties": {"a": {"type": "object", "properties": properties}}}).values()
    for text, kind in ((avro, INT32), (given, INT64)):
        struct, _ = parse_type(text)
        assert [(field.name, field.type) for field in struct.fields] == [(name, kind) for name in names]


def test_references_within_a_json_schema_are_followed():
    definitions = {
        "money": {"type": "number"},
        "a/b~c": {"anyOf": [{"$ref": "#/$defs/money"}, {"type": "null"}]},
        "tree": {"type": "object", "properties": {"size": {"type": "integer"}, "parts": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}},
        "row": {"required": ["net", "gross", "tree", "none", "some"], "properties": {
            "net": {"$ref": "#/$defs/money"},
            "gross": {"$ref": "#/$defs/a~1b~0c"},
            "tree": {"$ref": "#/$defs/tree"},
            "whole": {"$ref": "#"},
            "none": {"type": "null"},
            "some": {"oneOf": [{"type": "integer"}, {"type": "string"}]},
        }},
    }  # fmt: skip
    assert of_file("a.json", {"$ref": "#/$defs/row", "$defs": definitions}) == {
        "net": "float64",
        "gross": "float64?",
        "tree": "struct<size: int64?, parts: list<json>?>",
        "whole": "json?",
        "none": "json?",
        "some": "json",
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"properties": {"a": {"$ref": "https://example.org/x.json"}}}, "leads out of the file"),
        ({"properties": {"a": {"$ref": "#/$defs/b"}}}, "leads nowhere"),
        ({"$ref": "#"}, "no JSON Schema of an object"),
        ({"properties": {"a": {"type": "decimal"}}}, 'no type "decimal"'),
        (b'{"properties": {"a": {"type": "date"}, "a": {"type": "string"}}}', 'the key "a" stands twice'),
    ],
)
def test_what_a_json_schema_does_not_say_is_not_guessed(content, said):
    with pytest.raises(ConfigError, match=said) as caught:
        of_file("a.json", content)
    assert caught.value.code == "DOC-221"


def test_a_small_file_that_stands_for_endless_types_is_refused():
    definitions = {"t0": {"type": "integer"}}
    for level in range(1, 30):
        both = {name: {"$ref": f"#/$defs/t{level - 1}"} for name in "ab"}
        definitions[f"t{level}"] = {"type": "object", "properties": both}
    bomb = {"properties": {"a": {"$ref": "#/$defs/t29"}}, "$defs": definitions}
    assert codes(of_file, "a.json", bomb) == ["DOC-221"]
    deep = {"type": "integer"}
    for _ in range(300):
        deep = {"type": "object", "properties": {"f": deep}}
    assert codes(of_file, "a.json", {"properties": {"a": deep}})[0] in ("DOC-221", "DOC-403")


def test_types_in_files_are_held_to_the_same_bounds():
    assert codes(of_file, "a.avsc", {"type": "record", "fields": [
        {"name": "a", "type": {"type": "bytes", "logicalType": "decimal", "precision": 99}}]}) == ["DOC-402"]  # fmt: skip
    deep = {"type": "int"}
    for _ in range(200):
        deep = {"type": "array", "items": deep}
    assert codes(of_file, "a.avsc", {"type": "record", "fields": [{"name": "a", "type": deep}]}) == ["DOC-403"]
    assert codes(of_file, "a.avsc", {"type": "record", "fields": [{"name": "", "type": "int"}]}) == ["DOC-404"]
    twice = [{"name": "a", "type": "int"}, {"name": "a", "type": "int"}]
    assert codes(of_file, "a.avsc", {"type": "record", "fields": twice}) == ["DOC-410"]


def test_what_reading_the_file_raises_stands_where_it_is_named():
    def read_file(_path):
        raise ConfigError("DOC-234", "gone")

    with pytest.raises(ConfigError) as caught:
        read_contract(load("file: a.avsc", "p.yml"), read_file)
    assert caught.value.problems[0].at.column == 7
