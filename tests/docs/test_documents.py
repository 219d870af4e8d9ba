"""The documents of the pages compile, their pieces meet the JSON Schema, and what a page calls refused is refused."""

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pages import ROOT, Block, blocks, pages

from penstock.clock import SystemClock
from penstock.document.assembly import Settings
from penstock.document.loader import load
from penstock.document.tree import Mapping as Map
from penstock.document.tree import Node, Scalar, Sequence
from penstock.service.describing import json_schema
from penstock.service.request import Request
from penstock.service.testing import check
from penstock.service.validating import Validation, validate

ALL = [block for page in pages() for block in blocks(page) if block.language in {"yaml", "json"}]
WHOLE = [block for block in ALL if "component" not in block.marks and block.marks.get("file") != "penstock.yml"]
PIECES = [block for block in ALL if "component" in block.marks]
TEMPLATE = ROOT / "src" / "penstock" / "service" / "templates" / "prices"
VARIABLES = {"EIA_URL": "https://api.eia.gov/v2", "SHOP_DATABASE": "shop"}


def wrapped(kind: str, piece: Any) -> Mapping[str, Any]:
    """A document in which the piece stands where it belongs."""
    match kind:
        case "pipeline":
            return {"pipeline": "x", **piece}
        case "project":
            return {"project": "x", **piece}
        case "source":
            return {"pipeline": "x", "sources": {"a": piece}}
        case "sink":
            return {"pipeline": "x", "sinks": {"a": piece}}
        case "transform":
            return {"pipeline": "x", "transforms": {"a": piece}}
        case "steps":
            return {"pipeline": "x", "transforms": {"a": {"from": "b", "steps": piece}}}
        case "connection":
            return {"project": "x", "connections": {"a": piece}}
        case _:
            raise AssertionError(f'there is no kind of component "{kind}"')


@functools.cache
def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json_schema())


def errors_of(kind: str, piece: Any) -> list[str]:
    return [error.message for error in validator().iter_errors(wrapped(kind, piece))]


def place(block: Block) -> str:
    return block.place


def parsed(block: Block) -> Any:
    return plain(load(block.text.encode(), block.place))


def plain(node: Node) -> Any:
    match node:
        case Map():
            return {name: plain(entry.value) for name, entry in node.entries.items()}
        case Sequence():
            return [plain(item) for item in node.items]
        case Scalar():
            return node.value


def project(folder: Path, block: Block) -> Path:
    """The files that the block's page names, the template's data, and the block as a pipeline beside them."""
    (folder / "data").mkdir()
    (folder / "data" / "spot.csv").write_bytes((TEMPLATE / "data" / "spot.csv").read_bytes())
    for other in blocks(block.page):
        if "file" in other.marks:
            path = folder / other.marks["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(other.text, encoding="utf-8")
    if not (folder / "penstock.yml").exists():
        (folder / "penstock.yml").write_text("project: pages\n", encoding="utf-8")
    document = folder / "pipelines" / f"line_{block.line}.yml"
    document.parent.mkdir(exist_ok=True)
    document.write_text(block.text, encoding="utf-8")
    return document


def validated(folder: Path, block: Block) -> Validation:
    secrets = {f"PENSTOCK_SECRET_{name}": "text" for name in re.findall(r"\$\{secret\.(\w+)\}", str(ALL))}
    return validate(Request(project(folder, block), Settings({**VARIABLES, **secrets}), SystemClock()))


@pytest.mark.parametrize("block", WHOLE, ids=place)
def test_documents_compile_or_are_refused_as_the_page_says(block: Block, tmp_path: Path) -> None:
    assert "pipeline" in parsed(block), f"{block.place} is no whole document and has no mark"
    found = validated(tmp_path, block)
    told = "\n".join(problem.render() for problem in found.problems)
    refused = block.marks.get("fails")
    if refused is None:
        assert found.ok, f"{block.place}:\n{told}"
    else:
        assert not found.ok, f"{block.place} is not refused"
        assert refused in {problem.code for problem in found.problems}, f"{block.place}:\n{told}"


@pytest.mark.parametrize("block", [block for block in WHOLE if "tests:" in block.text.splitlines()], ids=place)
def test_the_tests_of_documents_pass(block: Block, tmp_path: Path) -> None:
    tested = check(Request(project(tmp_path, block), Settings(VARIABLES), SystemClock()))
    assert tested.trials
    assert [trial.name for trial in tested.trials if not trial.passed] == []


@pytest.mark.parametrize("block", PIECES, ids=place)
def test_pieces_meet_the_json_schema(block: Block) -> None:
    assert not errors_of(block.marks["component"], parsed(block)), block.place


def test_a_wrong_piece_does_not_meet_it() -> None:
    assert errors_of("source", {"type": "csv", "pth": "a.csv"})
    assert errors_of("steps", [{"filtre": "a > 1"}])
    assert errors_of("project", {"connection": {}})


def test_the_whole_documents_name_their_files() -> None:
    for block in WHOLE:
        here = {other.marks["file"] for other in blocks(block.page) if "file" in other.marks}
        if "template" in block.marks:
            here.add("data/spot.csv")
        assert set(files_read(parsed(block))) <= here, block.place


def test_what_pages_show_of_the_template_is_the_template() -> None:
    shown = [block for page in pages() for block in blocks(page) if "template" in block.marks]
    assert shown
    for block in shown:
        written = (TEMPLATE / block.marks["template"]).read_text(encoding="utf-8").splitlines()
        assert block.text.splitlines() == [line for line in written if not line.startswith("#")], block.place


def files_read(document: Mapping[str, Any]) -> Iterator[str]:
    sources = document.get("sources", {})
    for use in sources.values() if isinstance(sources, dict) else ():
        if use.get("type") in {"csv", "json", "ndjson", "parquet", "xml", "avro", "orc"} and "*" not in use.get(
            "path", "*"
        ):
            yield use["path"]
