"""Every descriptor that is registered: what it says of itself, and what asking for it costs."""

import json
import pkgutil
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from pydantic import ValidationError

from penstock import registry
from penstock.connectors.api import Sink, Source, Spooling, WriteMode
from penstock.document.loader import load
from penstock.document.tree import plain
from penstock.errors import InternalError
from penstock.registry import GROUPS, Capability, Descriptor

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WRITTEN = {group: PROJECT["entry-points"][f"penstock.{group}"] for group in GROUPS}
REGISTERED = [(group, name) for group in GROUPS for name in WRITTEN[group]]
DRIVERS = (
    *("adbc_driver_manager", "boto3", "deltalake", "duckdb", "fastavro", "fastexcel", "httpx", "lxml", "numpy"),
    *(
        "openpyxl",
        "pandas",
        "polars",
        "psycopg",
        "pyarrow",
        "pycurl",
        "sqlalchemy",
        "sqlite3",
        "xlsxwriter",
        "zstandard",
    ),
)
NAMED = {
    "rest": {"base_url": "https://x.example"},
    "iceberg": {"path": "x.db"},
}  # what a connection that an example only names needs
OF_SOURCES = {*Capability} - {Capability.ATOMIC_COMMIT, Capability.READ_BACK}
OF_SINKS = {Capability.ATOMIC_COMMIT, Capability.READ_BACK, Capability.PARALLEL, Capability.NATIVE, Capability.LOCAL}

each = pytest.mark.parametrize(("group", "name"), REGISTERED)
each_use = pytest.mark.parametrize(("group", "name"), [found for found in REGISTERED if found[0] in {"steps", "rules"}])
each_source = pytest.mark.parametrize("name", WRITTEN["sources"])
each_sink = pytest.mark.parametrize("name", WRITTEN["sinks"])


def descriptor(group, name) -> Descriptor:
    found = registry.find(group, name)
    assert found is not None
    return found


# ---------------------------------------------------------------- finding


@pytest.mark.parametrize("group", GROUPS)
def test_the_names_are_those_of_the_project_file(group):
    assert list(registry.names(group)) == sorted(WRITTEN[group])
    assert [found.name for found in registry.every(group)] == sorted(WRITTEN[group])


@each
def test_an_entry_point_loads_the_descriptor_of_its_name_and_group(group, name):
    found = descriptor(group, name)
    assert (found.group, found.name) == (group, name)
    assert registry.find(group, name) is found


@pytest.mark.parametrize("name", ["", "no such", 'a"; DROP TABLE x;--', "../csv", "CSV"])
def test_a_name_that_nobody_registered_is_none(name):
    assert registry.find("sources", name) is None


def test_an_entry_point_that_names_another_descriptor_is_an_internal_error(monkeypatch):
    wrong = EntryPoint("csw", WRITTEN["sources"]["csv"], "penstock.sources")
    monkeypatch.setattr(registry, "_entry_points", {"sources": {"csw": wrong}}.__getitem__)
    with pytest.raises(InternalError, match='"csw" of sources names the descriptor of "csv"') as caught:
        registry.find.__wrapped__("sources", "csw")
    assert caught.value.code == "INT-900"


IMPORTED = """
import json, sys
from penstock import registry
registry.names({group!r})
before = [name for name in sys.modules if name.startswith(("penstock.connectors", "penstock.steps", "penstock.rules"))]
found = {{}}
for name in registry.names({group!r}):
    registry.find({group!r}, name)
    found[name] = [driver for driver in {drivers!r} if driver in sys.modules and driver not in sum(found.values(), [])]
print(json.dumps([before, found]))
"""


@pytest.mark.parametrize("group", GROUPS)
def test_a_descriptor_imports_no_driver_and_its_name_nothing(group):
    code = IMPORTED.format(group=group, drivers=DRIVERS)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    before, found = json.loads(done.stdout)
    assert before == []
    assert {name: drivers for name, drivers in found.items() if drivers} == {}
    assert sorted(found) == sorted(WRITTEN[group])


# ---------------------------------------------------------------- what it says


@each
def test_summary_and_notes_are_sentences(group, name):
    found = descriptor(group, name)
    for text in (found.summary, *found.notes):
        assert text == text.strip()
        assert text.endswith(".")
        assert "\n" not in text
    assert len(found.summary) <= 120


@each
def test_every_parameter_is_described(group, name):
    schema = descriptor(group, name).params.model_json_schema(by_alias=True)
    definitions = schema.get("$defs", {})
    for model in (schema, *definitions.values()):
        for key, said in model.get("properties", {}).items():
            reference = said.get("$ref", "").removeprefix("#/$defs/")
            text = said.get("description") or definitions.get(reference, {}).get("description", "")
            assert len(text.strip()) >= len("The key."), f"{model['title']}.{key} has no description"


@each
def test_a_parameter_model_takes_no_other_key(group, name):
    schema = descriptor(group, name).params.model_json_schema()
    assert descriptor(group, name).params.model_config["extra"] == "forbid"
    assert schema.get("additionalProperties", False) is False


@each_use
def test_a_short_form_fills_a_field_of_the_step_or_rule(group, name):
    found = descriptor(group, name)
    assert found.short == found.params.short
    fields = {field.alias or key for key, field in found.params.model_fields.items()}
    assert found.short is None or found.short in fields | set(found.params.model_fields)


@each_use
def test_a_step_or_rule_has_neither_capabilities_nor_modes(group, name):
    found = descriptor(group, name)
    assert (found.capabilities, found.modes) == (frozenset(), ())


@each
def test_an_extra_is_one_of_the_project(group, name):
    extra = descriptor(group, name).extra
    assert extra is None or extra in PROJECT["optional-dependencies"]


# ---------------------------------------------------------------- capabilities


def class_of(found) -> type:
    """What ``make`` gives: it is the class, or a function that says which one, the widest first."""
    if isinstance(found.make, type):
        return found.make
    module = import_module(found.make.__module__)
    package = import_module(module.__name__.rpartition(".")[0])
    for part in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        import_module(part.name)
    wanted = found.make.__annotations__["return"].split(" | ")[0]
    (made,) = {item for item in subclasses(Source) | subclasses(Sink) if item.__name__ == wanted}
    return made


def subclasses(base):
    return {base}.union(*(subclasses(item) for item in base.__subclasses__()))


@each_source
def test_a_source_declares_what_a_source_can_do(name):
    found = descriptor("sources", name)
    made = class_of(found)
    assert issubclass(made, Source)
    assert found.capabilities <= OF_SOURCES
    assert found.modes == ()
    assert issubclass(made, Spooling) == (Capability.SPOOLS in found.capabilities)
    assert not {Capability.REPLAYABLE, Capability.SPOOLS} <= found.capabilities, "what can be read again needs no spool"
    assert (made.takes is not Source.takes) == (Capability.FILTER in found.capabilities)


@each_sink
def test_a_sink_declares_what_a_sink_can_do(name):
    found = descriptor("sinks", name)
    made = class_of(found)
    assert issubclass(made, Sink)
    assert found.capabilities <= OF_SINKS
    assert (made.table is not Sink.table) == (Capability.READ_BACK in found.capabilities)
    assert made.remembers == (Capability.ATOMIC_COMMIT in found.capabilities)


def taken(found, mode) -> bool:
    """Whether the example's parameters are valid in that mode, with what a mode may ask for besides."""
    written = plain(load(found.example, "example.yml"))
    written = {key: value for key, value in written.items() if key not in {"keys", "order_by", "partition_by"}}
    if "path" in written:
        written["path"] = "out/folder"
    if "connection" in written:
        written["connection"] = NAMED.get(found.name, {})
    besides = ({}, {"keys": ["k"]}, {"partition_by": ["p"]})
    return any(is_valid(found.params, written | {"mode": mode} | more) for more in besides)


def is_valid(params, written) -> bool:
    try:
        params.model_validate(written)
    except ValidationError:
        return False
    return True


@each_sink
def test_the_modes_of_a_sink_are_those_it_takes_and_the_first_is_its_default(name):
    found = descriptor("sinks", name)
    assert found.modes == tuple(mode.value for mode in WriteMode if taken(found, mode.value))
    assert found.params.model_fields["mode"].default == found.modes[0]
