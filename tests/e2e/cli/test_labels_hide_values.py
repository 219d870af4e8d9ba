"""Values of labelled columns are shown only where somebody asks for the label."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from penstock.cli.app import execute

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENT = """\
pipeline: people
sources:
  people:
    type: csv
    path: people.csv
    labels: {email: [pii], age: [pii, health]}
    schema: {columns: {id: int64, email: string, age: int64, town: string}}
transforms:
  known:
    from: people
    steps:
      - rename: {contact: email}
      - cast: {town: int64}
sinks:
  out: {from: known, type: parquet, path: out, allow: [pii, health]}
"""
# A bad value of a labelled column, one of another, a record that is none, and one whose cast fails later.
ROWS = (
    "id,email,age,town\n1,ann@x.org,forty-one,7\nsix,bob@x.org,90042,7\n3,cleo@x.org,90043\n4,dan@x.org,90044,Rome\n"
    "5,eve@x.org,90045,9\n"
)
PRIVATE = ("ann@", "forty-one", "bob@", "90042", "cleo@", "90043", "dan@", "90044", "eve@", "90045")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.csv").write_text(ROWS, encoding="utf-8")
    (tmp_path / "people.yml").write_text(DOCUMENT, encoding="utf-8")
    assert execute(["run", "people.yml"]) == 0
    capfd.readouterr()
    return tmp_path


def said(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert execute(list(arguments)) == 0
    return capfd.readouterr().out


def shown(text: str) -> list[str]:
    return [value for value in PRIVATE if value in text]


def test_rejects_hide_labelled_columns(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for form in ((), ("--json",)):
        assert shown(said(capfd, "rejects", "show", *form)) == []
    found = json.loads(said(capfd, "rejects", "show", "--json"))["records"]
    assert len(found) == 4
    late = next(item for item in found if item["node"].startswith("known"))
    assert {name: late["row"][name] for name in ("id", "contact", "age", "town")} == {
        "id": 4,
        "contact": "***",
        "age": "***",
        "town": "Rome",
    }
    assert late["source_row"]["email"] == "***"
    assert any("six" in cause["message"] for item in found for cause in item["causes"])


def test_rejects_show_a_label_that_is_asked_for(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mails = said(capfd, "rejects", "show", "--allow", "pii", "--json")
    assert "dan@x.org" in mails
    assert "90044" not in mails  # an age has another label too
    assert shown(said(capfd, "rejects", "show", "--allow", "pii", "--allow", "health")) != []
    whole = said(capfd, "rejects", "show", "--allow", "pii", "--allow", "health", "--json")
    assert {"ann@", "forty-one", "bob@", "cleo@", "dan@", "90044"} <= set(shown(whole))


@pytest.mark.parametrize("form", ["json", "parquet"])
def test_exported_rejects_hide_labelled_columns(form: str, project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def exported(name: str, *allow: str) -> str:
        said(capfd, "rejects", "export", name, *allow)
        file = project / name
        return str(pq.read_table(file).to_pylist()) if form == "parquet" else file.read_text(encoding="utf-8")

    assert shown(exported(f"masked.{form}")) == []
    assert "dan@" in exported(f"whole.{form}", "--allow", "pii", "--allow", "health")


def test_a_preview_hides_labelled_columns(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for node in ("people", "known", "out"):
        for form in ((), ("--json",)):
            assert shown(said(capfd, "preview", "people.yml", node, *form)) == []
    rows = json.loads(said(capfd, "preview", "people.yml", "out", "--json", "--allow", "pii"))["rows"]
    assert rows == [{"id": 5, "contact": "eve@x.org", "age": "***", "town": 9}]
