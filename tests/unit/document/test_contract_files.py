"""Contracts of sources, transforms and sinks: inline, or in a file of Avro's or JSON Schema's form."""

import json

import pytest

from penstock.document.contracts import read_contract
from penstock.document.loader import load
from penstock.document.template import Values, fill
from penstock.errors import ConfigError
from penstock.secret import Secret


def contract(text, files=None):
    def read_file(path):
        return (files or {})[path]

    schema = read_contract(load(text, "p.yml"), read_file)
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
        return read_contract(fill(load(text, "p.yml"), Values({"T": "date?"}, NoSecrets())), None)

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


def record(name, **fields):
    return {"type": "record", "name": name, "fields": [{"name": key, "type": kind} for key, kind in fields.items()]}


def test_a_type_of_avro_may_stand_again_by_its_name():
    place = record("geo.place", x="int")
    found = of_file("a.avsc", record("row", home=place, work=["null", "geo.place"], other={"type": "place"}))
    assert found == {"home": "struct<x: int32>", "work": "struct<x: int32>?", "other": "struct<x: int32>"}


def test_nanoseconds_of_avro_are_timestamps():
    nanos = {
        "at": {"type": "long", "logicalType": "timestamp-nanos"},
        "local": {"type": "long", "logicalType": "local-timestamp-nanos"},
    }
    assert of_file("a.avsc", record("row", **nanos)) == {"at": "timestamptz", "local": "timestamp"}


def referring(properties, **definitions):
    return {"type": "object", "properties": properties, "required": list(properties), "$defs": definitions}


def test_a_json_schema_may_refer_to_its_definitions():
    place = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
    content = referring(
        {"home": {"$ref": "#/$defs/a~1place"}, "work": {"anyOf": [{"$ref": "#/$defs/a~1place"}, {"type": "null"}]}},
        **{"a/place": place},
    )
    expected = {"home": "struct<x: int64>", "work": "struct<x: int64>?"}
    assert of_file("a.schema.json", content) == expected
    assert of_file("a.schema.json", {"$ref": "#/$defs/row", "$defs": {"row": content, "a/place": place}}) == expected


def test_one_of_several_types_is_json_and_one_beside_null_is_that():
    whole, none = {"type": "integer"}, {"type": "null"}
    properties = {
        "one": {"oneOf": [whole]}, "maybe": {"anyOf": [none, whole]},
        "either": {"anyOf": [whole, {"type": "string"}]}, "any": {"oneOf": [whole, {"type": "string"}, none]},
    }  # fmt: skip
    assert of_file("a.schema.json", referring(properties)) == {
        "one": "int64", "maybe": "int64?", "either": "json", "any": "json?",
    }  # fmt: skip


def test_what_refers_to_itself_or_to_another_file_is_json():
    tree = {"type": "object", "properties": {"left": {"$ref": "#/$defs/tree"}}, "required": ["left"]}
    content = referring({"t": {"$ref": "#/$defs/tree"}, "u": {"$ref": "https://example.com/u.json"}}, tree=tree)
    assert of_file("a.schema.json", content) == {"t": "struct<left: json>", "u": "json"}


def test_definitions_that_double_each_other_end():
    def pair(name):
        return {"type": "object", "properties": {side: {"$ref": f"#/$defs/{name}"} for side in ("l", "r")}}

    grown = {f"d{at}": pair(f"d{at + 1}") for at in range(60)}
    assert codes(of_file, "a.schema.json", referring({"a": {"$ref": "#/$defs/d0"}}, d60={}, **grown)) == ["DOC-221"]
    levels = [record(f"d{at}", l=f"d{at - 1}", r=f"d{at - 1}") for at in range(1, 60)]
    columns = {f"c{at}": level for at, level in enumerate([record("d0", x="int"), *levels])}
    assert codes(of_file, "a.avsc", record("row", **columns)) == ["DOC-221"]


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
        ("a.avsc", record("a", inner=record("b", again="b"))),
        ("a.yaml", {}),
    ],
)
def test_a_file_that_is_no_schema_is_refused_where_it_is_named(name, content):
    assert codes(of_file, name, content) == ["DOC-221"]


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
