"""Which files a path stands for, and what happens when they change."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from file_sources import PART, rows, source

from penstock.connectors.api import Batches, Files, ScanRequest
from penstock.errors import ConfigError, DataError, PenstockError

if TYPE_CHECKING:
    from pathlib import Path


def put(folder: Path, *names: str) -> None:
    for at, name in enumerate(names, 1):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"n\n{at}\n")


def read(folder: Path, path: str) -> list[int]:
    return [row["n"] for row in rows(source(folder, json.dumps({"type": "csv", "path": path})))]


def test_patterns_and_folders_give_their_files_in_order_of_name(tmp_path: Path) -> None:
    put(tmp_path, "d/b.csv", "d/a.csv", "d/deep/c.csv", "d/other.md", "d/.hidden.csv", "d/_tmp/x.csv")
    assert read(tmp_path, "d/*.csv") == [2, 1]
    assert read(tmp_path, "d/**/?.csv") == [6, 2, 1, 3]
    assert read(tmp_path, "d") == [2, 1, 3]
    assert read(tmp_path, "d/[!a].csv") == [1]


HOSTILE = [
    "a b.csv",
    "qu'ote.csv",
    'dou"ble.csv',
    "new\nline.csv",
    "per%20cent.csv",
    "[x].csv",
    "star*.csv",
    "back\\[s].csv",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_that_file_and_no_other(tmp_path: Path, name: str) -> None:
    put(tmp_path, name, "starry.csv", "x.csv")
    assert read(tmp_path, name) == [1]


def test_a_link_out_of_the_project_is_refused(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    put(outside, "secret.csv")
    inside.mkdir()
    (inside / "x.csv").symlink_to(outside / "secret.csv")
    for path in ("x.csv", "*.csv"):
        with pytest.raises(ConfigError) as caught:
            source(inside, json.dumps({"type": "csv", "path": path})).describe()
        assert caught.value.code == "DOC-233"


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.csv")
    with pytest.raises(ConfigError) as caught:
        source(tmp_path, "{type: csv, path: x.csv}").describe()
    assert caught.value.code == "SRC-132"


@pytest.mark.parametrize("large", [False, True])
def test_a_file_that_changed_since_planning_is_an_error(tmp_path: Path, large: bool) -> None:  # noqa: FBT001 -- a case
    path = tmp_path / "x.csv"
    path.write_text("n\n" + "1234567\n" * (2_000_000 if large else 2))
    made = source(tmp_path, "{type: csv, path: x.csv}", {"n": "int64"})
    upto = json.loads(json.dumps(made.latest(PART)))
    assert isinstance(made.scan(ScanRequest(PART, None, upto)), Files)
    before = path.stat()
    with path.open("r+b") as stream:
        stream.seek(2)
        stream.write(b"9")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    for change in (lambda: None, lambda: path.write_text("n\n1\n"), path.unlink):
        change()
        with pytest.raises(DataError) as caught:
            made.scan(ScanRequest(PART, None, upto))
        (problem,) = caught.value.problems
        assert problem.code == "SRC-110"
        assert str(problem.hint).startswith("run again, so that the epoch is planned anew; where a sink has")


def test_a_file_that_changed_since_it_was_described_is_not_planned(tmp_path: Path) -> None:
    """Its columns may be others: what the run was compiled over would be read of it."""
    put(tmp_path, "a.csv", "b.csv")
    made = source(tmp_path, "{type: csv, path: '*.csv'}")
    made.describe()
    put(tmp_path, "c.csv")
    made.latest(PART)
    (tmp_path / "b.csv").write_text("n,m\n1,2\n")
    with pytest.raises(DataError) as caught:
        made.latest(PART)
    assert caught.value.code == "SRC-110"
    assert "b.csv" in str(caught.value)


def test_a_range_holds_the_files_that_came_after_the_last(tmp_path: Path) -> None:
    put(tmp_path, "a.csv")
    made = source(tmp_path, "{type: csv, path: '*.csv'}")
    first = made.latest(PART)
    put(tmp_path, "a.csv", "b.csv")
    (tmp_path / "a.csv").write_text("n\n1\n")
    os.utime(tmp_path / "a.csv", ns=(0, first["files"][0]["mtime_ns"]))
    scanned = made.scan(ScanRequest(PART, first, made.latest(PART)))
    assert isinstance(scanned, Files)
    assert [path.rsplit("/", 1)[1] for path in scanned.paths] == ["b.csv"]
    assert isinstance(made.scan(ScanRequest(PART, first, first)), Batches)


@pytest.mark.parametrize("position", [{"v": 2, "files": []}, {"v": 1}, {"v": 1, "files": ["x"]}, {}])
def test_a_position_of_another_version_is_refused(tmp_path: Path, position: dict) -> None:
    put(tmp_path, "a.csv")
    with pytest.raises(PenstockError) as caught:
        source(tmp_path, "{type: csv, path: a.csv}").scan(ScanRequest(PART, None, position))
    assert caught.value.code == "SRC-131"
