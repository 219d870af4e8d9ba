"""Two sinks with one target, and a sink over its own source, are refused before a row moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Said

PG = '"postgres://u@localhost:1/db"'


def problems(penstock: Callable[..., Said], folder: Path, source: str, *sinks: str) -> list[str]:
    (folder / "in").mkdir()
    (folder / "in" / "a.csv").write_text("id\n1\n", encoding="utf-8")
    named = "".join(f"  s{number}: {{from: a, {sink}}}\n" for number, sink in enumerate(sinks))
    text = f"pipeline: p\nsources:\n  a: {{type: csv, {source}, schema: {{columns: {{id: int64}}}}}}\nsinks:\n{named}"
    (folder / "p.yml").write_text(text, encoding="utf-8")
    return [code for code in penstock("validate", "p.yml", "--json").codes if code.startswith("CMP-34")]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("type: csv, path: o, mode: append", "type: csv, path: ./o/, mode: append"),
        ("type: csv, path: o, mode: append", "type: parquet, path: o/x.parquet, mode: overwrite"),
        ("type: sqlite, path: o.db, table: t, mode: append", "type: sqlite, path: ./o.db, table: T, mode: append"),
        ("type: sqlite, path: o/x.db, table: t, mode: append", "type: csv, path: o, mode: append"),
        (f"type: postgres, connection: {PG}, table: t, mode: append",) * 2,
    ],
)
def test_two_sinks_with_one_target(penstock: Callable[..., Said], project: Path, one: str, other: str) -> None:
    assert problems(penstock, project, "path: in/a.csv", one, other) == ["CMP-340"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("type: csv, path: o, mode: append", "type: csv, path: oo, mode: append"),
        ("type: sqlite, path: o.db, table: t, mode: append", "type: sqlite, path: o.db, table: u, mode: append"),
        (
            f"type: postgres, connection: {PG}, table: t, mode: append",
            f"type: postgres, connection: {PG}, table: T, mode: append",
        ),
    ],
)
def test_neighbours_are_no_collision(penstock: Callable[..., Said], project: Path, one: str, other: str) -> None:
    assert problems(penstock, project, "path: in/a.csv", one, other) == []


@pytest.mark.parametrize(
    ("source", "sink", "found"),
    [
        ("path: in/a.csv", "path: in/a.csv, mode: overwrite", ["CMP-341"]),
        ("path: in/*.csv", "path: in, mode: append", ["CMP-341"]),
        ("path: in/*.csv", "path: in/b.csv, mode: overwrite", ["CMP-341"]),
        ("path: in", "path: in/b.csv, mode: overwrite", ["CMP-341"]),
        ("path: in/*.csv", "path: in/out/b.csv, mode: overwrite", []),
        ("path: in/a.csv", "path: in/b.csv, mode: overwrite", []),
    ],
)
def test_a_sink_over_its_own_source(
    penstock: Callable[..., Said], project: Path, source: str, sink: str, found: list[str]
) -> None:
    assert problems(penstock, project, source, f"type: csv, {sink}") == found


@pytest.mark.parametrize(
    ("sink", "code"),
    [
        ("type: csv, mode: overwrite, path: taken.csv", "SNK-132"),
        ("type: sqlite, table: t, path: in/a.csv/x.db", "SNK-170"),
        (f"type: sqlite, table: t, path: {'x' * 300}", "SNK-170"),
        ("type: delta, path: in/a.csv/x", "SNK-260"),
    ],
)
def test_a_target_that_cannot_be_written_is_told_at_its_path(
    penstock: Callable[..., Said], project: Path, sink: str, code: str
) -> None:
    (project / "in").mkdir()
    (project / "in" / "a.csv").write_text("id\n1\n", encoding="utf-8")
    (project / "taken.csv").mkdir()
    line = f"  b: {{from: a, {sink}}}"
    document = f"pipeline: p\nsources:\n  a: {{type: csv, path: in/a.csv}}\nsinks:\n{line}\n"
    (project / "p.yml").write_text(document, encoding="utf-8")
    said = penstock("run", "p.yml", "--json")
    (problem,) = said.json["problems"]
    assert (said.code, problem["code"], problem["line"]) == (2, code, 5)
    assert line[problem["column"] - 1 :] == f"{sink.rpartition('path: ')[2]}}}"
