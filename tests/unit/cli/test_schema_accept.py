"""``schema accept``: a source without a schema is held to its first run until it is taken as it is now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Said

pytestmark = pytest.mark.slow

DOCUMENT = """
pipeline: acc
sources:
  prices: {type: csv, path: a.csv}
  declared: {type: csv, path: b.csv, schema: {columns: {id: int64}}}
transforms:
  x: {sql: "select p.* from prices p semi join declared d on p.id = d.id"}
sinks:
  one: {from: x, type: parquet, path: out/one.parquet, mode: overwrite, on_schema_change: evolve}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.yml").write_text(DOCUMENT, encoding="utf-8")
    (tmp_path / "a.csv").write_text("id,price\n1,2\n2,3\n", encoding="utf-8")
    (tmp_path / "b.csv").write_text("id\n1\n2\n", encoding="utf-8")
    return tmp_path


def rejected(run: Said) -> int:
    return int(run.json["rejects"]["total"])


def test_a_drifted_source_is_accepted(penstock: Callable[..., Said], folder: Path) -> None:
    assert penstock("run", "p.yml").code == 0
    assert penstock("schema", "accept", "p.yml").out == "prices: as it was recorded\n"
    (folder / "a.csv").write_text("id,vat\n1,2.5\n2,3\n", encoding="utf-8")
    said = penstock("run", "p.yml")
    assert said.code == 2
    assert 'error[CMP-230]: "prices" lacks the column "price" of its recorded schema' in said.err
    assert "detail: it has id, vat." in said.err
    assert "hint: `penstock schema accept FILE` takes the source as it is now" in said.err
    accepted = penstock("schema", "accept", "p.yml", "--json")
    assert accepted.json == {
        "sources": [
            {
                "pipeline": "acc",
                "source": "prices",
                "recorded_before": True,
                "added": ["vat"],
                "gone": ["price"],
                "changed": [],
            }
        ]
    }
    assert penstock("run", "p.yml").code == 0
    assert "vat" in penstock("preview", "p.yml", "prices").out


def test_another_type_is_told(penstock: Callable[..., Said], folder: Path) -> None:
    assert penstock("run", "p.yml").code == 0
    (folder / "a.csv").write_text("id,price\n1,2\n2,a lot\n", encoding="utf-8")
    assert rejected(penstock("run", "p.yml", "--json")) == 1
    assert (
        penstock("schema", "accept", "p.yml").out
        == 'prices: column "price" has another type: string instead of int64\n'
    )
    assert "a lot" in penstock("preview", "p.yml", "prices").out


def test_what_never_ran_is_recorded_before_its_first_run(penstock: Callable[..., Said], folder: Path) -> None:
    assert penstock("schema", "accept", "p.yml").out == "prices: its 2 columns are recorded\n"
    (folder / "a.csv").write_text("id\n1\n", encoding="utf-8")
    assert penstock("run", "p.yml", "--json").codes == ["CMP-230"]


def test_a_source_that_is_not_there_changes_nothing(penstock: Callable[..., Said], folder: Path) -> None:
    assert penstock("run", "p.yml").code == 0
    (folder / "a.csv").unlink()
    said = penstock("schema", "accept", "p.yml")
    assert said.code != 0
    assert "p.yml:4:29" in said.err
    (folder / "a.csv").write_text("id,price\n1,2\n", encoding="utf-8")
    assert penstock("schema", "accept", "p.yml").out == "prices: as it was recorded\n"


def test_a_document_that_declares_everything_has_nothing_to_accept(penstock: Callable[..., Said], folder: Path) -> None:
    (folder / "p.yml").write_text(DOCUMENT.replace("path: a.csv}", "path: a.csv, schema: {columns: {id: int64}}}"))
    assert penstock("schema", "accept", "p.yml").out == "every source declares its `schema:`; nothing is recorded\n"


def test_schema_alone_prints_the_json_schema(penstock: Callable[..., Said]) -> None:
    assert penstock("schema", "--json").json["$schema"].startswith("https://json-schema.org/")
    assert penstock("schema", "accpet").code == 2
