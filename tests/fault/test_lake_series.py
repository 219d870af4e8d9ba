"""Delta and Iceberg tables in a series of epochs: the version of its first epoch is read to the end, whatever becomes of the
table meanwhile, and a load that is killed goes on behind the files that it had.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from epochs import completed, die, once
from systems import FILES, sealed

from iceberg_tables import Lake as IcebergLake
from penstock.cli.app import execute
from penstock.faults.points import Faults
from penstock.ledger.api import RunStatus

if TYPE_CHECKING:
    from pathlib import Path


def keys(*numbers: int) -> pa.Table:
    return pa.table({"k": pa.array(numbers, pa.int64())})


SINKS = (
    "sinks:\n"
    "  o: {from: t, type: sqlite, path: out.db, table: o, mode: append}\n"
    "  whole: {from: t, type: sqlite, path: out.db, table: whole, mode: overwrite}\n"
    "run: {memory: 256 MiB, threads: 1, epoch: {rows: 4}}\n"
)


class Lake:
    """A table of six files of two rows each, written by the formats' own libraries, and a pipeline that reads it."""

    def __init__(self, folder: Path, kind: str) -> None:
        catalog = "connection: {path: catalog.db, warehouse: lake}, table: oil.prices"
        table = "type: delta, path: table" if kind == "delta" else f"type: iceberg, {catalog}"
        self.folder, self.kind, self.read = folder, kind, folder / "read.yml"
        self.read.write_text(f"pipeline: read\nsources: {{t: {{{table}}}}}\n{SINKS}")
        if kind == "iceberg":
            IcebergLake(folder).create(keys(0).schema)
        for number in range(6):
            self.put(2 * number, 2 * number + 1)

    def put(self, *numbers: int, mode: Literal["append", "overwrite"] = "append") -> None:
        if self.kind == "delta":
            write_deltalake(self.folder / "table", keys(*numbers), mode=mode)
        elif mode == "append":
            IcebergLake(self.folder).add(keys(*numbers))
        else:
            IcebergLake(self.folder).table().overwrite(keys(*numbers))

    def found(self, name: str = "o") -> list[int]:
        with closing(sqlite3.connect(self.folder / "out.db")) as connection:
            return [row[0] for row in connection.execute(f"select k from {name} order by k")]


@pytest.fixture(params=["delta", "iceberg"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    return Lake(tmp_path, request.param)


@pytest.mark.parametrize(
    ("point", "act"),
    [
        (("run.planned", 2), "kill"),
        (("run.committed", 2), "raise"),
        (("run.kept", 2), "raise"),
        (("run.sealed", 2), "raise"),
    ],
)
def test_it_goes_on_in_the_version_of_its_first_epoch(point: tuple[str, int], act: Any, lake: Lake) -> None:
    if act == "kill" and lake.kind == "iceberg":
        act = "raise"  # a process of its own takes long to begin
    die(FILES, lake.read, *point, act)
    done = sealed(lake.folder)
    assert done in {1, 2}
    lake.put(100)
    lake.put(200, 201, mode="overwrite")
    result = completed(FILES, lake.read)
    assert [epoch.record.number for epoch in result.epochs] == list(range(done + 1, 4))
    assert lake.found() == lake.found("whole") == list(range(12))
    again = completed(FILES, lake.read)  # a new load, of what is there now
    assert (len(again.epochs), lake.found("whole")) == (1, [200, 201])


def test_what_versions_added_is_cut_too(lake: Lake) -> None:
    text = lake.read.read_text().replace("}}\nsinks", ", incremental: version}}\nsinks", 1)
    lake.read.write_text("".join(line for line in text.splitlines(keepends=True) if "whole" not in line))
    assert len(completed(FILES, lake.read).epochs) == 3
    for number in range(3):
        lake.put(20 + 2 * number, 21 + 2 * number)
    once(FILES, lake.read, Faults({("run.sealed", 1): "raise"}))
    lake.put(30)
    assert len(completed(FILES, lake.read).epochs) == 1
    completed(FILES, lake.read)
    assert completed(FILES, lake.read).epochs == ()
    assert lake.found() == [*range(12), *range(20, 26), 30]


def test_a_version_that_is_gone_is_named_with_the_way_out(lake: Lake) -> None:
    if lake.kind == "iceberg":
        pytest.skip("its files are removed by the suite of the connector")
    once(FILES, lake.read, Faults({("run.sealed", 1): "raise"}))
    lake.put(200, mode="overwrite")
    DeltaTable(lake.folder / "table").vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    result = once(FILES, lake.read, Faults())
    assert [problem.code for problem in result.problems] == ["SRC-370"]
    assert once(FILES, lake.read, Faults(), full_refresh=True).status is RunStatus.DONE
    assert lake.found() == lake.found("whole") == [200]


def test_the_plan_says_what_comes_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("create table t (k integer)")
    (tmp_path / "read.yml").write_text(
        f"pipeline: read\nsources: {{t: {{type: sqlite, path: shop.db, table: t}}}}\n{SINKS}"
    )
    assert execute(["plan", str(tmp_path / "read.yml")]) == 0
    shown = capsys.readouterr()
    assert "CMP-360" in shown.out + shown.err
    assert "incremental: {cursor" in shown.out + shown.err
