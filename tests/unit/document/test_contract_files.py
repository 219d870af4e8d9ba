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
