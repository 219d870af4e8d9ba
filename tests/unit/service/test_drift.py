"""What is other in a source's columns than what was seen before is told, with what becomes of it, by ``plan`` and ``run``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from penstock.cli.app import execute

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

DOCUMENT = """pipeline: drift
sources:
  rows: {{type: parquet, path: rows.parquet{source}}}
sinks:
  out: {{from: rows, type: parquet, path: out.parquet, mode: overwrite, on_schema_change: evolve}}
"""
DECLARED = ', schema: {columns: {k: "int32?", v: "string?"}}'
FIRST = "select 1::int as k, 'a' as v"


class Source:
    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], source: str) -> None:
        self.folder, self.capsys, self.source = folder, capsys, source

    def told(self, command: str, rows: str, source: str | None = None) -> list[str]:
        """The news that a command tells where the source has these rows."""
        text = DOCUMENT.format(source=self.source if source is None else source)
        (self.folder / "drift.yml").write_text(text, encoding="utf-8")
        target = self.folder / "rows.parquet"
        target.unlink(missing_ok=True)
        duckdb.connect().execute(f"copy ({rows}) to '{target}' (format parquet)")
        self.capsys.readouterr()
        execute([command, str(self.folder / "drift.yml"), "--json"])
        said: dict[str, Any] = json.loads(self.capsys.readouterr().out)
        news: list[str] = said["news"]
        return news


@pytest.fixture
def source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Source:
    return Source(tmp_path, capsys, DECLARED)


CHANGES = [
    ("", "select 2::int as k, 'b' as v, 1 as note", 'column "note" is new (int32?): left out (on_new_column: ignore)'),
    (", on_new_column: add", "select 2::int as k, 'b' as v, 1 as note", 'column "note" is new (int32?): taken (on_new_column: add)'),
    (', on_missing_column: "null"', "select 2::int as k", 'column "v" is missing (it was string?): null (on_missing_column: null)'),
    (
        ", on_type_change: widen",
        "select 2::bigint as k, 'b' as v",
        'column "k" is wider: int64 instead of int32: cast (on_type_change: widen)',
    ),
]  # fmt: skip


@pytest.mark.parametrize(("policy", "rows", "news"), CHANGES)
@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_change_is_told_with_what_becomes_of_it(
    source: Source, command: str, policy: str, rows: str, news: str
) -> None:
    assert source.told("run", FIRST, DECLARED + policy) == []
    assert source.told("plan", FIRST, DECLARED + policy) == []
    assert source.told(command, rows, DECLARED + policy)[-1:] == [f'"rows": {news}']


def test_what_was_seen_by_a_run_is_no_news_for_the_next_one(source: Source) -> None:
    wider = "select 2::int as k, 'b' as v, 1 as note"
    source.told("run", FIRST)
    assert len(source.told("run", wider)) == 1
    assert source.told("run", wider) == []


def test_what_is_recorded_is_news_until_it_is_accepted(source: Source) -> None:
    wider = "select 2::int as k, 'b' as v, 1 as note"
    source.told("run", FIRST, "")
    expected = ['"rows": column "note" is new (int32?): left out (on_new_column: ignore)']
    assert source.told("run", wider, "") == expected
    assert source.told("run", wider, "") == expected
    assert execute(["schema", "accept", str(source.folder / "drift.yml")]) == 0
    assert source.told("run", wider, "") == []


def test_columns_that_the_document_declares_otherwise_now_are_no_news(source: Source) -> None:
    source.told("run", FIRST)
    assert source.told("plan", FIRST, ', schema: {columns: {k: "int64?"}}') == [
        "the pipeline has changed since its last run"
    ]


def test_a_run_that_sealed_nothing_has_seen_nothing(source: Source) -> None:
    wider = "select 2::int as k, 'b' as v, 1 as note"
    source.told("run", FIRST)
    narrow = f"{wider}, 2 as more"
    assert len(source.told("run", narrow, DECLARED + ", on_new_column: fail")) == 0  # refused before it began
    assert len(source.told("plan", narrow)) == 2


def test_the_columns_of_a_source_are_in_the_account_of_its_run(source: Source) -> None:
    source.told("run", "select 1::int as k, 'a' as v, 2 as note")
    source.capsys.readouterr()
    execute(["run", str(source.folder / "drift.yml"), "--json"])
    columns = json.loads(source.capsys.readouterr().out)["sources"]["rows"]
    assert [column["name"] for column in columns] == ["k", "v", "note"]
