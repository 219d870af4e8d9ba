"""``mode: overwrite_partitions``: what a partition holds once epochs of new rows, intervals and series have been written."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Said

FILE = "pipelines/parts.yml"
SINK = "type: parquet, path: out/parts, mode: overwrite_partitions, partition_by: [region]"
CURSOR = """\
pipeline: parts
sources:
  raw: {type: sqlite, path: shop.db, table: t, incremental: {cursor: at},
        schema: {columns: {at: int64, id: int64, region: string}}}
sinks:
  out: {from: raw, %s}
run: {memory: 256 MiB, threads: 1}
"""
FILES = """\
pipeline: parts
sources:
  raw: {type: csv, path: "data/part-*.csv", incremental: files, schema: {columns: {region: string, id: int64}}}
sinks:
  out: {from: raw, %s}
run: {memory: 256 MiB, threads: 1}
"""


def write(project: Path, text: str, *changes: tuple[str, str]) -> None:
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (project / FILE).write_text(text, encoding="utf-8")


def put(project: Path, *rows: tuple[int, int, str]) -> None:
    with closing(sqlite3.connect(project / "shop.db")) as connection:
        connection.execute("create table if not exists t (at integer, id integer, region text)")
        connection.executemany("insert into t values (?, ?, ?)", rows)
        connection.commit()


def held(project: Path) -> dict[str, list[int]]:
    """The ids by partition."""
    found = duckdb.execute(
        "select region, list(id order by id) from read_parquet(?, hive_partitioning = true) group by region",
        [f"{project}/out/parts/**/*.parquet"],
    )
    return dict(found.fetchall())


# ---------------------------------------------------------------- new rows


def test_new_rows_replace_no_partition_of_earlier_ones(penstock: Callable[..., Said], project: Path) -> None:
    """Whatever the command: the table that a full read has filled stays as it is."""
    put(project, (10, 1, "eu"), (11, 2, "eu"))
    write(project, CURSOR % SINK, ("incremental: {cursor: at},", ""))
    assert penstock("run", FILE, "-q").code == 0
    put(project, (12, 3, "eu"))
    for incremental in ("incremental: {cursor: at}", "incremental: {cursor: at, lag: 5}"):
        write(project, CURSOR % SINK, ("incremental: {cursor: at}", incremental))
        commands = (("validate",), ("plan",), ("run",), ("run", "--from", "11"), ("run", "--full-refresh"))
        for command, *options in commands:
            said = penstock(command, FILE, *options, "--json")
            assert (said.code, said.codes) == (2, ["CMP-355"]), command
    (problem,) = said.json["problems"]
    assert problem["message"].startswith('partitions of "out" would hold the new rows of "raw" alone')
    assert "`scope: epoch`" in problem["hint"]
    assert held(project) == {"eu": [1, 2]}


def test_new_files_replace_no_partition_of_earlier_ones(penstock: Callable[..., Said], project: Path) -> None:
    (project / "data" / "part-1.csv").write_text("region,id\neu,1\nus,1\n", encoding="utf-8")
    write(project, FILES % SINK)
    assert penstock("validate", FILE, "--json").codes == ["CMP-355"]
    assert penstock("run", FILE, "--json").codes == ["CMP-355"]
    assert not (project / "out").exists()


def test_a_document_may_say_that_an_epoch_brings_whole_partitions(penstock: Callable[..., Said], project: Path) -> None:
    """A day that is sent once more, as a whole, takes its own place; the others stay."""
    write(project, FILES % f"{SINK}, scope: epoch")
    (project / "data" / "part-1.csv").write_text("region,id\neu,1\nus,1\n", encoding="utf-8")
    assert penstock("run", FILE, "-q").code == 0
    (project / "data" / "part-2.csv").write_text("region,id\neu,2\neu,3\n", encoding="utf-8")
    assert "by those of the epoch alone" in penstock("plan", FILE).out
    assert penstock("run", FILE, "-q").code == 0
    assert held(project) == {"eu": [2, 3], "us": [1]}
    assert penstock("run", FILE, "--full-refresh", "-q").code == 0
    assert held(project) == {"eu": [1, 2, 3], "us": [1]}, "all that there is, in one epoch"


def test_a_full_read_needs_no_word(penstock: Callable[..., Said], project: Path) -> None:
    put(project, (10, 1, "eu"), (11, 2, "us"))
    write(project, CURSOR % SINK, ("incremental: {cursor: at},", ""))
    assert penstock("run", FILE, "-q").code == 0
    put(project, (12, 3, "eu"))
    said = penstock("run", FILE, "--json")
    assert (said.code, said.json["warnings"], held(project)) == (0, [], {"eu": [1, 3], "us": [2]})


def test_a_table_that_accumulates_may_replace_partitions(penstock: Callable[..., Said], project: Path) -> None:
    put(project, (10, 1, "eu"), (11, 2, "us"))
    both = f"  all: {{from: raw, type: sqlite, path: all.db, table: t, mode: append}}\n  out: {{from: all, {SINK}}}\n"
    write(project, CURSOR % SINK, (f"  out: {{from: raw, {SINK}}}\n", both))
    assert penstock("run", FILE, "-q").code == 0
    put(project, (12, 3, "eu"))
    assert penstock("run", FILE, "-q").code == 0
    assert held(project) == {"eu": [1, 3], "us": [2]}


# ---------------------------------------------------------------- intervals


def test_an_interval_tells_that_its_rows_replace_partitions(penstock: Callable[..., Said], project: Path) -> None:
    put(project, (10, 1, "eu"), (20, 2, "us"), (21, 3, "us"), (30, 4, "cn"))
    write(project, CURSOR % f"{SINK}, scope: epoch")
    assert penstock("run", FILE, "--json").json["warnings"] == []
    with closing(sqlite3.connect(project / "shop.db")) as connection:
        connection.execute("update t set id = id * 10 where region = 'us'")
        connection.commit()
    said = penstock("run", FILE, "--from", "20", "--to", "30", "--json")
    assert (said.code, held(project)) == (0, {"eu": [1], "us": [20, 30], "cn": [4]})
    (warning,) = said.json["warnings"]
    assert (warning["code"], warning["message"]) == (
        "CMP-362",
        'partitions of "out" are replaced by the rows from 20 on and before 30 alone',
    )
    half = penstock("run", FILE, "--to", "21")
    assert "by the rows before 21 alone" in half.err
    assert held(project)["us"] == [20], "what is said is what is done"


def test_an_interval_of_another_sink_replaces_no_partition(penstock: Callable[..., Said], project: Path) -> None:
    put(project, (10, 1, "eu"))
    (project / "data" / "whole.csv").write_text("region,id\neu,7\n", encoding="utf-8")
    whole = "  whole: {type: csv, path: data/whole.csv, schema: {columns: {region: string, id: int64}}}\n"
    more = f"  merged: {{from: raw, type: sqlite, path: all.db, table: t, mode: merge, keys: [id]}}\n  out: {{from: whole, {SINK}}}\n"
    write(project, CURSOR % SINK, ("sinks:\n", f"{whole}sinks:\n"), (f"  out: {{from: raw, {SINK}}}\n", more))
    assert penstock("run", FILE, "-q").code == 0
    said = penstock("run", FILE, "--from", "5", "--json")
    assert (said.code, said.json["warnings"], held(project)) == (0, [], {"eu": [7]})


# ---------------------------------------------------------------- series

# A partition's rows lie in all three epochs: ids grow, regions take turns.
REGIONS = ("eu", "us", "cn")
WHOLE = {region: list(range(place, 30, 3)) for place, region in enumerate(REGIONS)}
THREE = ("threads: 1}", "threads: 1, epoch: {rows: 10}}")


def fill(project: Path) -> None:
    put(project, *((k, k, REGIONS[k % 3]) for k in range(30)))
    lines = "".join(f"{REGIONS[k % 3]},{k}\n" for k in range(30))
    (project / "data" / "part-1.csv").write_text(f"region,id\n{lines}", encoding="utf-8")


def series(project: Path, source: str) -> None:
    fill(project)
    match source:
        case "full read":
            write(project, FILES % SINK, (" incremental: files,", ""), THREE)
        case "files":
            write(project, FILES % f"{SINK}, scope: epoch", THREE)
        case _:
            write(project, CURSOR % f"{SINK}, scope: epoch", THREE)


def epochs(said: Said) -> list[dict[str, Any]]:
    return [epoch["sinks"] for epoch in said.json["epochs"]]


@pytest.mark.parametrize("source", ["full read", "files", "cursor"])
def test_a_partition_that_lies_in_three_epochs_is_whole(
    source: str, penstock: Callable[..., Said], project: Path
) -> None:
    series(project, source)
    assert penstock("plan", FILE, "--json").json["series"]["at_the_end"] == ["out"]
    written = epochs(penstock("run", FILE, "--json"))
    assert ([list(sinks) for sinks in written], written[-1]["out"]["rows"]) == ([[], [], ["out"]], 30)
    assert held(project) == WHOLE


@pytest.mark.parametrize("source", ["full read", "cursor"])
@pytest.mark.parametrize("point", ["run.sealed@2", "run.kept@2", "run.committed@1"])
def test_so_it_is_where_the_series_died(
    source: str, point: str, penstock: Callable[..., Said], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its midst, and after the only commit that there is."""
    series(project, source)
    with monkeypatch.context() as died:
        died.setenv("PENSTOCK_FAULTS", f"{point}=raise")
        assert penstock("run", FILE, "-q").code != 0
    assert (project / "out" / "parts").exists() == (point == "run.committed@1")
    assert penstock("run", FILE, "-q").code == 0
    assert held(project) == WHOLE
    if source == "full read":  # once more, over what is there
        assert penstock("run", FILE, "-q").code == 0
        assert held(project) == WHOLE


@pytest.mark.parametrize("point", ["", "run.sealed@2", "run.committed@1"])
def test_so_it_is_after_an_interval_of_three_epochs(
    point: str, penstock: Callable[..., Said], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series(project, "cursor")
    assert penstock("run", FILE, "-q").code == 0
    with closing(sqlite3.connect(project / "shop.db")) as connection:
        connection.execute("update t set id = id + 100")
        connection.commit()
    if point:
        with monkeypatch.context() as died:
            died.setenv("PENSTOCK_FAULTS", f"{point}=raise")
            assert penstock("run", FILE, "--from", "0", "-q").code != 0
    assert penstock("run", FILE, "--from", "0", "-q").code == 0
    assert held(project) == {region: [k + 100 for k in ids] for region, ids in WHOLE.items()}


def test_so_it_is_after_a_full_refresh(
    penstock: Callable[..., Said], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series(project, "full read")
    (project / "data" / "part-0.csv").write_text("region,id\nold,1\neu,99\n", encoding="utf-8")
    assert penstock("run", FILE, "-q").code == 0
    before = held(project)
    assert before["old"] == [1]
    (project / "data" / "part-0.csv").unlink()
    with monkeypatch.context() as died:
        died.setenv("PENSTOCK_FAULTS", "run.sealed@2=raise")
        assert penstock("run", FILE, "--full-refresh", "-q").code != 0
    assert held(project) == before
    assert penstock("run", FILE, "-q").code == 0
    assert held(project) == WHOLE, "the partition that has no rows any more is gone too"
