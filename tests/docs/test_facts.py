"""What pages say of closed sets is what the code knows: keys, policies, types, steps, variables, crash points, rooms."""

import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest
from pages import DOCS, ROOT, blocks, prose

from penstock import registry
from penstock.cli.output import INTERRUPTED
from penstock.connectors.api import WriteMode
from penstock.connectors.params import SinkParams, SourceParams
from penstock.document.models import RunSettings
from penstock.errors import ConfigError, DataError, FatalError, InternalError, TransientError
from penstock.faults.points import RUN_POINTS, Act
from penstock.service.describing import json_schema
from penstock.types.logical import Kind

DEFINITIONS = json_schema()["$defs"]


def section(page: str, heading: str) -> str:
    """The prose from a heading to the next one of its level or above."""
    text = prose(DOCS / page)
    level = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    assert level, f'{page} has no heading "{heading}"'
    rest = text[level.end() :]
    end = re.search(rf"^#{{1,{len(level[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def rows(page: str, heading: str) -> dict[str, str]:
    """The tables of a section: what stands in the first column, without its quotes, to the rest of the row."""
    found = re.findall(r"^\| (.+?) \|(.*)\|$", section(page, heading), re.MULTILINE)
    return {name.strip("`"): rest for name, rest in found if not set(name) <= set("-|")}


def words(text: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", text))


@pytest.mark.parametrize(
    ("heading", "keys"),
    [
        ("Top-level keys", set(DEFINITIONS["pipeline"]["properties"])),
        ("The project file", set(DEFINITIONS["project"]["properties"])),
        ("Run settings", set(RunSettings.model_fields)),
    ],
    ids=["pipeline", "project", "run"],
)
def test_tables_of_keys_have_every_key(heading: str, keys: set[str]) -> None:
    assert set(rows("document.md", heading)) - {"key"} == keys


@pytest.mark.parametrize("page", [("document.md", "Sources"), ("concepts.md", "Contracts and policies")])
def test_policies_have_their_values_the_default_first(page: tuple[str, str]) -> None:
    found = rows(*page)
    for name, field in SourceParams.model_fields.items():
        if name.startswith("on_"):
            values = [value for value in get_args(field.annotation) if isinstance(value, str)]
            told = re.findall(r"`(\w+)`", found[name].split("|")[0])
            assert told == values, name
            assert told[0] == field.default, name


def test_keys_of_every_sink_are_named() -> None:
    known = {field.alias or name for name, field in SinkParams.model_fields.items()}
    assert known <= words(section("document.md", "Sinks"))


def test_write_modes_are_told() -> None:
    assert set(rows("concepts.md", "Write modes")) - {"mode"} == {mode.value for mode in WriteMode}


def test_types_are_those_of_documents() -> None:
    told = {word for name in rows("document.md", "Types") for word in re.findall(r"\w+(?:[<(][^`]*)?", name)}
    plain = {word for word in told if re.fullmatch(r"\w+", word)} - {"type"}
    assert plain == {kind.value for kind in Kind}
    assert {word.split("<")[0].split("(")[0] for word in told - plain - {"type"}} == {
        "decimal",
        "list",
        "map",
        "struct",
    }


def test_every_step_is_named() -> None:
    told = set().union(*(re.findall(r"\w+", name) for name in rows("document.md", "Steps"))) - {"step"}
    assert told == set(registry.names("steps"))


def test_variables_are_told() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    known = set(re.findall(r'"(PENSTOCK_[A-Z]+)_?"', source))
    told = {re.sub("_NAME$", "", name) for name in rows("operations.md", "Environment variables")}
    assert known <= told


def test_crash_points_and_acts_are_told_in_order() -> None:
    text = section("operations.md", "After a crash")
    assert re.findall(r"`(run\.\w+)`", text) == list(RUN_POINTS)
    assert set(get_args(Act)) <= words(text)


def test_exit_codes_are_told() -> None:
    classes = (DataError, ConfigError, TransientError, FatalError, InternalError)
    told = set(rows("operations.md", "Exit codes")) - {"code"}
    assert told == {"0", str(INTERRUPTED), *(str(one.exit_code) for one in classes)}


def test_the_house_is_the_one_that_the_import_contract_enforces() -> None:
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(one["layers"] for one in contract if one["type"] == "layers")
    drawing = next(block.text for block in blocks(DOCS / "architecture.md") if block.language == "text").splitlines()
    places = []
    for layer in layers:
        rooms = layer.split(" : ")
        lines = [number for number, line in enumerate(drawing) if all(drawn(room, line) for room in rooms)]
        assert lines, f"{layer} is not drawn"
        places.append(lines[0])
    assert places == sorted(places)
    assert {path.name for path in (ROOT / "src" / "penstock").iterdir() if path.is_dir()} - {"__pycache__"} <= set(
        re.findall(r"\w+", "\n".join(drawing))
    )


def drawn(room: str, line: str) -> bool:
    return re.match(rf"[ +|-]*(?:\w+ {{2,}})*{room}\b(?!\.)", line) is not None


def test_glossary_is_sorted_and_says_each_word_once() -> None:
    found = re.findall(r"^\| (.+?) \|", Path(DOCS / "glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
    listed = [word for word in found if word != "word" and not set(word) <= set("-|")]
    assert listed == sorted(set(listed))
