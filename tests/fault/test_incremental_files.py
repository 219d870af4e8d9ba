"""New files only: each is read once, whatever its name, its dates and its contents become."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from arrived import keys, rows_of
from epochs import completed, once
from systems import FILES

from penstock.cli.app import execute
from penstock.faults.points import Faults

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.service.running import RunResult


class Folder:
    def __init__(self, folder: Path, incremental: str = "files", form: str = "csv") -> None:
        self.folder = folder
        (folder / "in").mkdir()
        self.file = folder / "files.yml"
        self.file.write_text(
            "pipeline: files\nsources:\n"
            f"  t: {{type: {form}, path: in, incremental: {incremental}, schema: {{columns: {{k: int64}}}}}}\n"
            "sinks: {one: {from: t, type: parquet, path: out/one, mode: append}}\n"
            "run: {memory: 256 MiB, threads: 1}\n",
            encoding="utf-8",
        )

    def put(self, name: str, *values: int) -> Path:
        path = self.folder / "in" / name
        path.write_text("\n".join(["k", *map(str, values)]) + "\n", encoding="utf-8")
        return path

    def run(self) -> RunResult:
        return completed(FILES, self.file)

    @property
    def found(self) -> list[int]:
        return keys(rows_of(self.folder))


def test_each_file_is_read_once(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.put("a.csv", 1, 2)
    assert folder.run().written == 2
    assert folder.run().epochs == ()
    folder.put("b.csv", 3)
    assert folder.run().written == 1
    assert folder.found == [1, 2, 3]


def test_a_file_that_goes_and_comes_back_or_is_touched_is_the_same(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    first, _ = folder.put("a.csv", 1), folder.put("b.csv", 2)
    folder.run()
    first.rename(tmp_path / "away.csv")
    folder.put("c.csv", 3)
    folder.run()
    (tmp_path / "away.csv").rename(first)
    os.utime(first, (1, 1))
    assert folder.run().epochs == ()
    assert folder.found == [1, 2, 3]


@pytest.mark.parametrize(("policy", "found"), [("again", [1, 1, 2]), ("ignore", [1]), ("fail", [1])])
def test_a_file_that_changed(policy: str, found: list[int], tmp_path: Path) -> None:
    folder = Folder(tmp_path, f"{{files: {{on_change: {policy}}}}}")
    folder.put("a.csv", 1)
    folder.run()
    folder.put("a.csv", 1, 2)
    result = once(FILES, folder.file, Faults())
    assert [problem.code for problem in result.problems] == (["SRC-113"] if policy == "fail" else [])
    assert folder.found == found


@pytest.mark.parametrize(("policy", "found"), [("skip", [1, 2]), ("read", [1, 1, 2])])
def test_the_same_content_under_another_name(policy: str, found: list[int], tmp_path: Path) -> None:
    folder = Folder(tmp_path, f"{{files: {{same_content: {policy}}}}}")
    folder.put("a.csv", 1)
    folder.run()
    folder.put("copy.csv", 1)
    folder.put("new.csv", 2)
    folder.run()
    assert folder.found == found
    assert folder.run().epochs == ()


def test_content_that_was_read_under_a_name_which_has_another_now_is_the_same(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "{files: {same_content: skip}}")
    for name, value in (("latest.csv", 1), ("latest.csv", 22), ("archive.csv", 1)):
        folder.put(name, value)
        folder.run()
    assert folder.found == [1, 22]


def test_a_file_that_changed_under_its_old_size_and_time_is_read_and_one_with_other_rights_is_not(
    tmp_path: Path,
) -> None:
    folder = Folder(tmp_path)
    path = folder.put("a.csv", 1)
    folder.run()
    path.chmod(0o600)
    assert folder.run().epochs == ()
    before = path.stat()
    folder.put("a.csv", 2)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    folder.run()
    assert folder.found == [1, 2]


def test_plan_and_run_tell_that_a_sink_which_appends_gets_rows_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Folder(tmp_path)
    folder.put("a.csv", 1)
    assert not folder.run().warnings
    folder.put("a.csv", 1, 2)
    folder.put("b.csv", 3)
    assert execute(["plan", str(folder.file), "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["warnings"]
    (warning,) = folder.run().warnings
    assert (told["code"], warning.code, warning.severity) == ("SRC-115", "SRC-115", "warning")
    assert (
        told["message"]
        == warning.message
        == '"one" appends rows of "t" that it has already: 1 file changed, and read again'
    )
    folder.put("c.csv", 4)
    assert not folder.run().warnings  # new files alone
    assert folder.found == [1, 1, 2, 3, 4]


def test_a_sink_that_merges_takes_a_changed_file_in_silence(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    text = folder.file.read_text().replace(
        "parquet, path: out/one, mode: append", "sqlite, path: o.db, table: o, mode: merge, keys: [k]"
    )
    folder.file.write_text(text)
    folder.put("a.csv", 1)
    folder.run()
    folder.put("a.csv", 1, 2)
    assert not folder.run().warnings


def test_twins_that_come_at_once_are_one(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "{files: {same_content: skip}}")
    folder.put("a.csv", 1)
    folder.put("b.csv", 1)
    folder.run()
    assert folder.found == [1]


@pytest.mark.parametrize("point", ["run.planned", "run.committed", "run.before_seal", "run.sealed"])
def test_a_run_that_dies_reads_its_files_once(point: str, tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.put("a.csv", 1)
    folder.run()
    folder.put("b.csv", 2)
    once(FILES, folder.file, Faults({(point, 1): "raise"}))
    folder.put("c.csv", 3)
    folder.run()
    assert folder.found == [1, 2, 3]


def test_bad_records_of_new_files_are_rejected_once(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.put("a.csv", 1).write_text("k\n1\nx\n", encoding="utf-8")
    assert folder.run().rejected == 1
    folder.put("b.csv", 2)
    assert folder.run().rejected == 0
