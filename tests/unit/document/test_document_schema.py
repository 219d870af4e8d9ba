"""The JSON Schema of documents says what the validator says."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from penstock import registry
from penstock.document.json_schema import document_schema
from penstock.document.loader import load, load_file
from penstock.document.read import Catalogue, read
from penstock.document.template import Values, fill
from penstock.document.tree import plain
from penstock.secret import Secret

EXAMPLES = sorted(Path(__file__).parents[3].glob("examples/**/*.yml"))
NAMED = {"rest": {"base_url": "https://x.example"}}  # what a connection that an example only names needs
REGISTERED = [(group, name) for group in registry.GROUPS for name in registry.names(group)]


@pytest.fixture(scope="module")
def real():
    return document_schema(item for group in registry.GROUPS for item in registry.every(group))


@pytest.fixture(scope="module")
def schema(tiny_descriptors):
    return document_schema(tiny_descriptors)


def wrong(schema, document):
    validator = jsonschema.Draft202012Validator(schema)
    data = plain(load(document, "p.yml")) if isinstance(document, str) else document
    return [error.message for error in validator.iter_errors(data)]


def test_it_is_valid_deterministic_and_plain_json(schema, real):
    for found in (schema, real):
        jsonschema.Draft202012Validator.check_schema(found)
        assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_order_of_descriptors_does_not_matter(schema, tiny_descriptors):
    assert json.dumps(document_schema(reversed(tiny_descriptors))) == json.dumps(schema)


def references(schema):
    match schema:
        case {"$ref": name}:
            yield name
        case dict():
            for item in schema.values():
                yield from references(item)
        case list():
            for item in schema:
                yield from references(item)


def test_every_reference_leads_somewhere(schema, real):
    for found in (schema, real):
        assert {f"#/$defs/{name}" for name in found["$defs"]} == set(references(found))


GOOD = [
    "pipeline: p",
    "pipeline: p\nsources:\ntransforms:\nsinks:\nrun:\n",
    "pipeline: p\nparams: {since: {type: date, default: 2024-01-01}}",
    "pipeline: p\nsources: {a: {type: csv, path: x, header: true, schema: {columns: {a: 'date?'}}, labels: {a: [pii]}}}",
    "pipeline: p\nsources: {a: {type: csv, path: x, header: '${env.HEADER}', schema: {file: x.avsc}}}",
    "pipeline: p\nsources: {a: {type: csv, path: x, on_bad_value: null, on_missing_column: fail}}",
    "pipeline: p\nsources: {a: {type: web, path: x, connection: eia, pages: '${param.n}'}}",
    """pipeline: p
sources:
  a:
    type: web
    path: x
    connection: {base_url: x, timeout: 10 s, max_bytes: 2 MiB, auth: {type: basic, username: u, password: '${secret.p}'}}
""",
    "pipeline: p\ntransforms: {t: {from: a, steps: [{limit: 3}, {limit: {count: 3, offset: 1}}, {limit: '${param.n}'}]}}",
    "pipeline: p\ntransforms: {t: {from: [a, b], steps: [{filter: a > 1, name: x, description: y}, {filter: {where: true}}]}}",
    "pipeline: p\ntransforms: {t: {from: a, steps: [{derive: {a: b + 1, c: {text: x}, columns: 1, e: null}}]}}",
    "pipeline: p\ntransforms: {t: {sql: select 1, schema: {columns: {a: date}}, labels: {a: [pii]}}}",
    "pipeline: p\nsinks: {s: {from: [a, b], type: csv, path: x, mode: overwrite, keys: [a], allow: [pii]}}",
    "pipeline: p\nrun: {memory: 2 GiB, threads: 4, guarantee: exactly_once, temp: '${env.T}'}",
    "project: x",
    "project: x\nconnections: {a: {type: web, base_url: x}, l: {type: files, root: /x}}\nrun: {threads: 1}",
    "project: x\nconnections: {a: {base_url: x}}",
    "project: x\nconnections: {a: {type: web}}\nenvironments: {prod: {connections: {a: {base_url: x}}, run: {}}, dev: }",
]
BAD = [
    "sources: {}",
    "pipeline: My p",
    "pipeline: p\nsuorces: {}",
    "pipeline: p\nrules: {}",
    "pipeline: p\nparams: {x: {typ: date}}",
    "pipeline: p\nsources: {A: {type: csv, path: x}}",
    "pipeline: p\nsources: {a: {type: cvs, path: x}}",
    "pipeline: p\nsources: {a: {path: x}}",
    "pipeline: p\nsources: {a: {type: csv}}",
    "pipeline: p\nsources: {a: {type: csv, path: x, pth: y}}",
    "pipeline: p\nsources: {a: {type: csv, path: x, header: maybe}}",
    "pipeline: p\nsources: {a: {type: csv, path: x, on_bad_value: drop}}",
    "pipeline: p\nsources: {a: {type: csv, path: x, schema: {colums: {a: date}}}}",
    "pipeline: p\nsources: {a: {type: web, path: x, connection: {base_url: x, auth: {type: basic, user: u}}}}",
    "pipeline: p\nsources: {a: {type: web, path: x, connection: {bas_url: x}}}",
    "pipeline: p\ntransforms: {t: {}}",
    "pipeline: p\ntransforms: {t: {from: a, sql: select 1}}",
    "pipeline: p\ntransforms: {t: {sql: select 1, steps: []}}",
    "pipeline: p\ntransforms: {t: {from: a, steps: [{limti: 1}]}}",
    "pipeline: p\ntransforms: {t: {from: a, steps: [{limit: 1, filter: x}]}}",
    "pipeline: p\ntransforms: {t: {from: a, steps: [{name: x}]}}",
    "pipeline: p\ntransforms: {t: {from: a, steps: [limit]}}",
    "pipeline: p\ntransforms: {t: {from: a, steps: [{limit: many}]}}",
    "pipeline: p\ntransforms: {t: {from: a, steps: [{limit: {count: 1, ofset: 2}}]}}",
    "pipeline: p\nsinks: {s: {type: csv, path: x}}",
    "pipeline: p\nsinks: {s: {from: a, type: csv, path: x, mode: merge}}",
    "pipeline: p\nsinks: {s: {from: a, type: web, path: x}}",
    "pipeline: p\nrun: {thrads: 4}",
    "pipeline: p\nrun: {guarantee: exactly-once}",
    "connections: {}",
    "project: x\npipeline: y",
    "project: x\nenvironments: {prod: {conections: {}}}",
]


@pytest.mark.parametrize("text", GOOD)
def test_what_the_validator_takes_is_valid(schema, text, home):
    assert wrong(schema, text) == []
    if text.startswith("pipeline") and not ("${" in text or "connection: eia" in text or ".avsc" in text):
        home.load(text)


@pytest.mark.parametrize("text", BAD)
def test_what_the_validator_refuses_by_its_form_is_not_valid(schema, text, home):
    assert wrong(schema, text)
    if "project" in text or text.startswith("connections"):
        home.write("penstock.yml", text)
        text = "pipeline: p"
    assert home.problems(text)


@pytest.mark.parametrize("connection", ["{type: web, bas_url: x}", "{type: nix}", "{type: files, rot: /x}"])
def test_connections_are_held_to_their_type_even_where_no_pipeline_uses_them(schema, connection):
    assert wrong(schema, f"project: x\nconnections: {{a: {connection}}}")


def test_fields_are_described_and_have_their_defaults(schema):
    definitions = schema["$defs"]
    assert definitions["sources.csv"]["description"] == "The csv."
    assert definitions["sources.csv"]["examples"] == [{"type": "csv", "path": "data/*.csv"}]
    assert definitions["steps.limit"]["examples"] == [3]
    web = definitions["sources.web.Service"]["properties"]
    assert resolved(schema, web["base_url"])["description"] == "Where it is."
    assert resolved(schema, web["max_bytes"])["default"] == 1024
    named = resolved(schema, definitions["steps.limit"]["anyOf"][1])["properties"]["offset"]
    offset = resolved(schema, named)
    assert (offset["default"], offset["description"]) == (0, "How many rows before.")


def resolved(schema, part):
    return schema["$defs"][part["$ref"].removeprefix("#/$defs/")] if "$ref" in part else part


class AnySecret:
    def get(self, name):
        return Secret(f"https://{name}.example")

    def names(self):
        return ()


def with_example(group, name):
    example = plain(load(registry.find(group, name).example, name))
    if group not in {"steps", "rules"}:
        return {"pipeline": "p", group: {"a": example}}
    uses = example if isinstance(example, list) else [example]
    return {"pipeline": "p", "transforms": {"t": {"from": "a", group: uses}}}


@pytest.mark.parametrize(("group", "name"), REGISTERED)
def test_the_example_of_every_descriptor_is_valid(real, group, name):
    document = with_example(group, name)
    assert wrong(real, document) == []
    (component,) = document.get(group, document.get("transforms")).values()
    component["nonsense"] = 1
    assert wrong(real, document)


@pytest.mark.parametrize(("group", "name"), REGISTERED)
def test_the_validator_takes_the_example_of_every_descriptor(group, name):
    connections = {
        title: {"type": name, **NAMED.get(name, {})}
        for title in re.findall(r"connection: (\w+)$", registry.find(group, name).example, re.MULTILINE)
    }
    tree = fill(load(json.dumps(with_example(group, name)), "p.yml"), Values({}, AnySecret()))
    found = read(
        tree,
        "p.yml",
        catalogue=Catalogue(registry.find, registry.names),
        connections=load(json.dumps(connections), "c.yml"),
        read_file=lambda path: path.encode(),
    )
    assert [problem.render() for problem in found.problems] == []


def test_a_connection_that_takes_a_url_says_so(real):
    connection = "{type: postgres, url: '${secret.shop}', sslmode: require}"
    assert wrong(real, f"project: x\nconnections: {{shop: {connection}}}") == []


@pytest.mark.parametrize("connection", ["shop", "postgresql://db/shop", "{host: db, port: '${env.PORT}'}", "{url: x}"])
def test_a_ledgers_connection_is_a_name_a_url_or_written_out(real, connection):
    ledger = f"ledger: {{connection: {connection}, schema: s}}"
    assert (
        wrong(real, f"project: x\n{ledger}\nenvironments: {{prod: {{{ledger}}}, dev: {{ledger: {{schema: t}}}}}}") == []
    )


@pytest.mark.parametrize(
    "ledger", ["shop", "{conection: shop}", "{connection: {hots: db}}", "{connection: a, schema: 1}"]
)
def test_a_ledger_of_another_form_is_not_valid(real, ledger):
    assert wrong(real, f"project: x\nledger: {ledger}")


@pytest.mark.parametrize(("group", "name"), REGISTERED)
def test_every_field_of_every_descriptor_is_described(real, group, name):
    fields = registry.find(group, name).params.model_fields
    assert [field for field, info in fields.items() if not info.description] == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_valid(real, path):
    assert wrong(real, plain(load_file(path))) == []
