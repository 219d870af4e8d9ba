"""A source whose columns change between two epochs, over every target that keeps rows: what fits is taken by policy, and
what does not stops the run before a row is written.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from penstock.cli.app import execute

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.testing.servers import MariadbServer, PostgresServer

DOCUMENT = """pipeline: drift
sources:
  rows: {{type: parquet, path: "in/*.parquet", incremental: files, differing_columns: union{source}}}
sinks:
  out: {{from: rows, {target}, mode: append{sink}}}
run: {{memory: 256 MiB, threads: 1}}
"""
FIRST = "select 1::int as k, 'a' as v"
NEW_COLUMN = "select 2::int as k, 'b' as v, date '2024-01-02' as day"
WIDER = "select 5000000000::bigint as k, 'c' as v"
OTHER = "select 'x' as k, 'd' as v"
RENAMED = "select 3::int as key, 'e' as v"
TAKES_ALL = (", on_new_column: add, on_type_change: widen", ", on_schema_change: evolve")


class Drift:
    def __init__(self, folder: Path, target: str) -> None:
        self.folder, self.target = folder, target
        (folder / "in").mkdir()

    def run(self, rows: str, source: str = "", sink: str = "") -> int:
        """The exit code of a run after which these rows alone are in the folder that is read."""
        text = DOCUMENT.format(target=self.target, source=source, sink=sink)
        (self.folder / "drift.yml").write_text(text, encoding="utf-8")
        files = list((self.folder / "in").iterdir())
        for file in files:
            file.rename(self.folder / f"{file.name}.done")
        done = len(list(self.folder.glob("*.done")))
        duckdb.connect().execute(f"copy ({rows}) to '{self.folder}/in/{done}.parquet' (format parquet)")
        return execute(["run", str(self.folder / "drift.yml")])

    def table(self, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
        """What the target has, read as a source."""
        text = f"pipeline: back\nsources: {{out: {{{self.target}}}}}\n"
        (self.folder / "back.yml").write_text(text, encoding="utf-8")
        capsys.readouterr()
        assert execute(["preview", str(self.folder / "back.yml"), "out", "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)["rows"]
        return sorted(rows, key=lambda row: (row["k"] or 0, str(row.get("day"))))


@pytest.fixture(params=["sqlite", "duckdb", "delta", "postgres", "mariadb"])
def drift(request: pytest.FixtureRequest, tmp_path: Path) -> Drift:
    match request.param:
        case "postgres":
            server: PostgresServer = request.getfixturevalue("postgres_server")
            database = request.getfixturevalue("postgres_database")
            return Drift(tmp_path, f"type: postgres, connection: {server.url(database)}, table: out")
        case "mariadb":
            other: MariadbServer = request.getfixturevalue("mariadb_server")
            name = request.getfixturevalue("mariadb_database")
            return Drift(tmp_path, f"type: mariadb, connection: {other.url(name)}, table: out")
        case "sqlite":
            return Drift(tmp_path, "type: sqlite, path: out.db, table: out")
        case "duckdb":
            return Drift(tmp_path, "type: duckdb, path: out.duckdb, table: out")
        case _:
            return Drift(tmp_path, "type: delta, path: lake")


def test_a_new_column_is_left_out_added_or_refused(drift: Drift, capsys: pytest.CaptureFixture[str]) -> None:
    assert drift.run(FIRST) == 0
    assert drift.run(NEW_COLUMN) == 0  # left out, as nothing else is said
    assert drift.run(NEW_COLUMN, ", on_new_column: fail") == 2
    assert "CMP-231" in capsys.readouterr().err
    assert drift.run(NEW_COLUMN, ", on_new_column: add") == 2
    shown = capsys.readouterr().err
    assert "SNK-111" in shown
    assert "on_schema_change: evolve" in shown
    assert [row["k"] for row in drift.table(capsys)] == [1, 2]
    assert drift.run(NEW_COLUMN, *TAKES_ALL) == 0
    assert [(row["k"], row["day"]) for row in drift.table(capsys)] == [(1, None), (2, "2024-01-02"), (2, None)]


def test_a_wider_type_widens_the_target_or_stops(drift: Drift, capsys: pytest.CaptureFixture[str]) -> None:
    assert drift.run(FIRST) == 0
    assert drift.run(WIDER) == 2
    shown = capsys.readouterr().err
    assert 'column "k" of "rows" is int64, its recorded schema says int32' in shown
    assert "on_type_change: widen takes the type that holds both" in shown
    code = drift.run(WIDER, *TAKES_ALL)
    shown = capsys.readouterr().err
    if code:
        assert 'column "k" of sink "out" has the type int32, not int64' in shown  # where columns keep their types
        assert [row["k"] for row in drift.table(capsys)] == [1]
    else:
        assert [row["k"] for row in drift.table(capsys)] == [1, 5_000_000_000]


def test_another_type_stops_before_a_row_is_written(drift: Drift, capsys: pytest.CaptureFixture[str]) -> None:
    assert drift.run(FIRST) == 0
    assert drift.run(OTHER) == 2
    shown = capsys.readouterr().err
    assert 'column "k" of "rows" is string, its recorded schema says int32' in shown
    assert "schema accept" in shown
    assert execute(["plan", str(drift.folder / "drift.yml")]) == 2
    assert "CMP-232" in capsys.readouterr().err
    assert [row["k"] for row in drift.table(capsys)] == [1]


def test_a_renamed_column_is_a_missing_one(drift: Drift, capsys: pytest.CaptureFixture[str]) -> None:
    assert drift.run(FIRST) == 0
    assert drift.run(RENAMED) == 2
    shown = capsys.readouterr().err
    assert '"rows" lacks the column "k"' in shown
    assert drift.run(RENAMED, ", on_missing_column: null") == 0
    assert execute(["schema", "accept", str(drift.folder / "drift.yml")]) == 0
    assert drift.run(RENAMED, sink=", on_schema_change: evolve") == 0
    assert sorted(row.get("key") or 0 for row in drift.table(capsys)) == [0, 0, 3]
