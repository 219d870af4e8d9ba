"""``connectors``, ``steps``, ``errors``, ``schema``: all of it from the descriptors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from penstock import registry
from penstock.errors.catalogue import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Said


def test_the_lists_name_everything_there_is(penstock: Callable[..., Said]) -> None:
    connectors = penstock("connectors").out
    for name in (*registry.names("sources"), *registry.names("sinks")):
        assert f"\n{name} " in connectors
    steps = penstock("steps", "--json").json["components"]
    assert [step["name"] for step in steps] == sorted(registry.names("steps"))
    assert len(penstock("errors").out.splitlines()) == len(CATALOGUE) + 1
    assert {item["code"] for item in penstock("errors", "--json").json["errors"]} == set(CATALOGUE)


def test_one_of_them_has_a_page(penstock: Callable[..., Said]) -> None:
    page = penstock("connectors", "csv").out
    assert page.startswith("csv  source\n")
    assert "\ncsv  sink\n" in page
    assert "such as {email: [pii]}" in page  # brackets are no markup
    assert "type: csv" in page
    assert "aggregate: {by:" in penstock("steps", "aggregate").out
    assert penstock("errors", "cli-101").out.startswith("CLI-101: no name=value (ConfigError)\n")
    found = penstock("steps", "filter", "--json").json["components"]
    assert [(item["name"], item["group"]) for item in found] == [("filter", "steps")]
    assert {"summary", "parameters", "example", "capabilities", "modes", "extra", "notes"} <= found[0].keys()


def test_a_sink_names_the_modes_that_it_has_and_no_other(penstock: Callable[..., Said]) -> None:
    found = {item["group"]: item for item in penstock("connectors", "csv", "--json").json["components"]}
    (mode,) = [item for item in found["sinks"]["parameters"] if item["name"] == "mode"]
    assert mode["type"] == " | ".join(found["sinks"]["modes"])
    assert "merge" not in mode["type"]


def test_what_stands_inside_a_parameter_has_its_type_default_unit_and_secrecy(penstock: Callable[..., Said]) -> None:
    (rest, *_) = penstock("connectors", "rest", "--json").json["components"]
    found = {item["name"]: (item["type"], item["default"], item["required"]) for item in rest["parameters"]}
    assert found["connection.base_url"][2] is True
    assert found["connection.auth(basic).password"] == ("secret", None, False)
    assert found["connection.auth(bearer).token"] == ("secret", None, True)
    assert found["connection.timeouts.connect"] == ("duration", "10 s", False)
    assert found["connection.retries.first_wait"] == ("duration", "500 ms", False)
    assert found["connection.max_response_bytes"] == ("size", "64 MiB", False)
    assert found["paginate(offset).size"] == ("integer", "1000", False)
    assert "paginate(offset).type" not in found
    assert all(item["description"] for item in rest["parameters"])
    (postgres, *_) = penstock("connectors", "postgres", "--json").json["components"]
    tables = [item["name"] for item in postgres["parameters"] if item["name"].startswith("tables")]
    assert tables == ["tables", "tables[].name", "tables[].keys", "tables[].priority"]


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["connectors", "cvs"], 'did you mean "csv"?'),
        (["connectors", "filter"], None),
        (["steps", "agregate"], 'did you mean "aggregate"?'),
        (["errors", "CLI-10"], 'did you mean "CLI-1'),
        (["errors", "none of these"], None),
    ],
)
def test_a_wrong_name_gets_the_nearest(penstock: Callable[..., Said], arguments: list[str], hint: str | None) -> None:
    said = penstock(*arguments, "--json")
    assert (said.code, said.codes) == (2, ["CLI-120"])
    given = said.json["problems"][0]["hint"]
    assert given.startswith(hint) if hint is not None else given is None or "did you mean" not in given


@pytest.mark.parametrize(
    ("command", "kind"), [("steps", "step"), ("rules", "rule"), ("connectors", "connector"), ("errors", "error")]
)
def test_a_wrong_name_is_of_a_kind(penstock: Callable[..., Said], command: str, kind: str) -> None:
    assert penstock(command, "zzzz", "--json").json["problems"][0]["message"] == f'there is no {kind} "zzzz"'


@pytest.mark.slow
def test_every_component_has_a_page_at_80_columns(
    penstock: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for command, group in (("connectors", "sources"), ("steps", "steps")):
        for name in registry.names(group):
            said = penstock(command, name)
            assert said.code == 0
            assert max(map(len, said.out.splitlines())) <= 80
            assert "…" not in said.out.replace("OVER (…)", "")


@pytest.mark.slow
def test_the_schema_is_one_of_the_standard_and_the_document_fits_it(
    penstock: Callable[..., Said], project: Path
) -> None:
    import jsonschema
    import yaml

    printed = penstock("schema")
    schema = json.loads(printed.out)
    validator = jsonschema.validators.validator_for(schema)
    assert schema["$schema"].startswith("https://json-schema.org/")
    validator.check_schema(schema)
    document = yaml.safe_load((project / "pipelines" / "days.yml").read_text(encoding="utf-8"))
    assert list(validator(schema).iter_errors(document)) == []
    assert list(validator(schema).iter_errors(document | {"pipelin": 1})) != []
    assert penstock("schema", "--json").json == schema
    assert penstock("schema", "--out", "s.json").out == "written to s.json\n"
    assert json.loads((project / "s.json").read_text(encoding="utf-8")) == schema
    assert penstock("schema", "--out", "no/s.json", "--json").codes == ["CLI-112"]
    assert penstock("schema", "--out", "data", "--json").codes == ["CLI-112"]
