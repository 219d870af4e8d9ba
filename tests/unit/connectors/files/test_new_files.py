"""Which files are new, the same, or only touched: by all of their bytes, and by times that nobody can set."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from file_sources import PART, source

from penstock.connectors.api import Files, ScanRequest
from penstock.connectors.files import states
from penstock.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.connectors.api import Position, Source

LARGE = 9 * 2**20
MIDST = 100 * 2**10  # of a file of that size, between the first two samples


def files(folder: Path, new: str = "{}") -> Source:
    return source(folder, f"{{type: csv, path: '*.csv', incremental: {{files: {new}}}}}", {"n": "int64"})


def large(path: Path, digit: bytes = b"1") -> Path:
    text = bytearray(b"n\n" + b"1234567\n" * (LARGE // 8))
    text[MIDST + 2 : MIDST + 3] = digit
    path.write_bytes(text)
    return path


def stored(position: Position) -> Position:
    return json.loads(json.dumps(position))


def names(made: Source, after: Position | None, upto: Position) -> list[str]:
    found = made.scan(ScanRequest(PART, after, upto))
    return [path.rsplit("/", 1)[1] for path in found.paths] if isinstance(found, Files) else []


def read_next(folder: Path, after: Position | None, new: str = "{}") -> tuple[list[str], Position]:
    """What a run reads of the folder, and the position that it leaves."""
    made = files(folder, new)
    upto = stored(made.beyond(PART, after))
    return names(made, after, upto), upto


def overwritten(path: Path, old: bytes, new: bytes) -> None:
    """As ``cp -p`` and ``rsync -t`` leave a file: its size and its time of modification are what they were."""
    before = path.stat()
    text = path.read_bytes()
    path.write_bytes(text.replace(old, new, 1))
    assert path.stat().st_size == before.st_size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def entry(position: Position, name: str) -> dict[str, Any]:
    (found,) = (item for item in position["files"] if item["path"] == name)
    return found


def test_a_file_that_comes_while_a_range_is_read_is_none_of_its_business(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n\n1\n")
    made = files(tmp_path)
    made.describe()
    upto = stored(made.beyond(PART, None))
    (tmp_path / "b.csv").write_text("other\n2\n")
    assert names(made, None, upto) == ["a.csv"]
    (tmp_path / "a.csv").write_text("n\n10\n")
    with pytest.raises(DataError) as caught:
        names(made, None, upto)
    assert (caught.value.code, "a.csv" in str(caught.value)) == ("SRC-110", True)
    (tmp_path / "a.csv").unlink()
    (tmp_path / "b.csv").unlink()
    with pytest.raises(DataError) as caught:
        names(made, None, upto)
    assert (caught.value.code, "gone" in str(caught.value)) == ("SRC-110", True)


# ---------------------------------------------------------------- all of the bytes


@pytest.mark.slow
def test_another_content_of_the_same_size_is_no_twin(tmp_path: Path) -> None:
    large(tmp_path / "a.csv")
    _, after = read_next(tmp_path, None, "{same_content: skip}")
    large(tmp_path / "b.csv", b"9")
    large(tmp_path / "c.csv")
    found, upto = read_next(tmp_path, after, "{same_content: skip}")
    assert found == ["b.csv"]
    assert entry(upto, "c.csv")["same_as"] == "a.csv"


@pytest.mark.slow
@pytest.mark.parametrize("keeps_time", [False, True])
def test_a_large_file_that_changed_in_one_byte_has_changed(tmp_path: Path, keeps_time: bool) -> None:  # noqa: FBT001 -- a case
    path = large(tmp_path / "a.csv")
    before = path.stat()
    _, after = read_next(tmp_path, None)
    large(path, b"9")
    if keeps_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert files(tmp_path, "{on_change: ignore}").beyond(PART, after) == after
    with pytest.raises(DataError) as caught:
        files(tmp_path, "{on_change: fail}").beyond(PART, after)
    assert caught.value.code == "SRC-113"
    assert read_next(tmp_path, after)[0] == ["a.csv"]


@pytest.mark.slow
def test_a_large_file_that_was_only_touched_is_the_same(tmp_path: Path) -> None:
    path = large(tmp_path / "a.csv")
    _, after = read_next(tmp_path, None)
    os.utime(path, (1, 1))
    assert read_next(tmp_path, after) == ([], after)


@pytest.mark.slow
@pytest.mark.parametrize("plan", ["latest", "beyond"])
def test_a_change_after_planning_is_seen_wherever_it_is(tmp_path: Path, plan: str) -> None:
    path = large(tmp_path / "a.csv")
    made = files(tmp_path)
    upto = stored(made.latest(PART) if plan == "latest" else made.beyond(PART, None))
    request = ScanRequest(PART, None, upto)
    made.scan(request)
    made.recheck(request)
    before = path.stat()
    large(path, b"9")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    for look in (made.scan, made.recheck):
        with pytest.raises(DataError) as caught:
            look(request)
        assert caught.value.code == "SRC-110"
    large(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    if plan == "beyond":  # all of its bytes are known, and are what they were
        made.scan(request)
        made.recheck(request)
    else:
        with pytest.raises(DataError, match="may have changed since the epoch was planned") as caught:
            made.scan(request)
        assert "samples of its content" in str(caught.value.problems[0].detail)


@pytest.mark.slow
def test_a_file_is_read_through_once_for_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen = large(tmp_path / "a.csv"), []
    look = states.state_of

    def counted(file: Any, *, whole: bool) -> Any:
        seen.append((file.name, whole))
        return look(file, whole=whole)

    monkeypatch.setattr(states, "state_of", counted)
    monkeypatch.setattr("penstock.connectors.files.new_files.state_of", counted)
    made = files(tmp_path)
    upto = stored(made.beyond(PART, None))
    made.scan(ScanRequest(PART, None, upto))
    made.recheck(ScanRequest(PART, None, upto))
    assert made.beyond(PART, upto) == upto
    assert seen == [("a.csv", True)]
    path.chmod(0o600)
    assert (made.beyond(PART, upto), made.beyond(PART, upto)) == (upto, upto)
    assert seen == [("a.csv", True)] * 2


# ---------------------------------------------------------------- times


def test_a_change_that_keeps_size_and_time_of_modification_is_one(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("n\n1\n")
    _, after = read_next(tmp_path, None)
    overwritten(path, b"1", b"2")
    found, after = read_next(tmp_path, after)
    assert found == ["a.csv"]
    (tmp_path / "new").write_text("n\n3\n")
    shutil.copystat(path, tmp_path / "new")
    (tmp_path / "new").rename(path)
    assert read_next(tmp_path, after)[0] == ["a.csv"]


def test_a_file_that_was_moved_away_and_back_or_has_other_rights_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("n\n1\n")
    _, after = read_next(tmp_path, None)
    path.rename(tmp_path / "away")
    (tmp_path / "away").rename(path)
    path.chmod(0o600)
    assert path.stat().st_ctime_ns != entry(after, "a.csv")["ctime_ns"]
    assert read_next(tmp_path, after) == ([], after)
    (tmp_path / "b.csv").write_text("n\n2\n")
    found, upto = read_next(tmp_path, after)
    assert found == ["b.csv"]  # and the new time of the other is known from now on
    assert entry(upto, "a.csv")["ctime_ns"] == path.stat().st_ctime_ns


def test_a_file_with_other_rights_is_still_the_one_that_was_planned(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("n\n1\n")
    made = files(tmp_path)
    request = ScanRequest(PART, None, stored(made.latest(PART)))
    path.chmod(0o600)
    assert isinstance(made.scan(request), Files)
    path.chmod(0o644)
    made.recheck(request)
    overwritten(path, b"1", b"2")
    with pytest.raises(DataError) as caught:
        made.recheck(request)
    assert caught.value.code == "SRC-110"


# ---------------------------------------------------------------- positions of earlier versions


def of_earlier_version(position: Position) -> Position:
    kept = ("path", "size", "mtime_ns", "checksum", "same_as", "read")
    return {"v": 1, "files": [{name: item[name] for name in kept if name in item} for item in position["files"]]}


def test_a_position_of_an_earlier_version_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("n\n1\n")
    after = of_earlier_version(read_next(tmp_path, None)[1])
    assert read_next(tmp_path, after) == ([], after)
    (tmp_path / "b.csv").write_text("n\n2\n")
    found, upto = read_next(tmp_path, after)
    assert found == ["b.csv"]
    overwritten(path, b"1", b"3")
    assert read_next(tmp_path, upto)[0] == ["a.csv"]


@pytest.mark.slow
def test_samples_of_an_earlier_version_are_compared_with_samples(tmp_path: Path) -> None:
    path = large(tmp_path / "a.csv")
    after = of_earlier_version(stored(files(tmp_path).latest(PART)))
    os.utime(path, (1, 1))
    assert read_next(tmp_path, after) == ([], after)
    large(tmp_path / "b.csv")  # whether it is a twin nobody can say
    found, upto = read_next(tmp_path, after, "{same_content: skip}")
    assert found == ["b.csv"]
    with path.open("r+b") as stream:
        stream.seek(2)
        stream.write(b"7")
    assert read_next(tmp_path, upto)[0] == ["a.csv"]


# ---------------------------------------------------------------- contents that were read before


def test_content_that_a_file_had_before_it_was_rewritten_is_passed_over(tmp_path: Path) -> None:
    latest, after = tmp_path / "latest.csv", None
    for text in ("n\n1\n", "n\n22\n", "n\n333\n"):
        latest.write_text(text)
        found, after = read_next(tmp_path, after, "{same_content: skip}")
        assert found == ["latest.csv"]
    (tmp_path / "archive-1.csv").write_text("n\n1\n")
    (tmp_path / "archive-2.csv").write_text("n\n22\n")
    found, upto = read_next(tmp_path, after, "{same_content: skip}")
    assert found == []
    assert [entry(upto, f"archive-{at}.csv")["same_as"] for at in (1, 2)] == ["latest.csv"] * 2
    assert len(entry(upto, "latest.csv")["earlier"]) == 2
    assert read_next(tmp_path, upto, "{same_content: skip}") == ([], upto)


def test_contents_are_remembered_only_where_they_are_passed_over(tmp_path: Path) -> None:
    path, after = tmp_path / "a.csv", None
    for text in ("n\n1\n", "n\n22\n"):
        path.write_text(text)
        _, after = read_next(tmp_path, after)
    assert "earlier" not in entry(after or {}, "a.csv")


# ---------------------------------------------------------------- read again


def test_files_that_are_read_again_are_counted(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("n\n1\n")
    made = files(tmp_path)
    first = made.beyond(PART, None)
    assert made.read_again(None, first) == 0
    (tmp_path / "a.csv").write_text("n\n1\n2\n")
    (tmp_path / "c.csv").write_text("n\n3\n")
    (tmp_path / "b.csv").chmod(0o600)
    assert made.read_again(first, made.beyond(PART, first)) == 1
    assert source(tmp_path, "{type: csv, path: '*.csv'}", {"n": "int64"}).read_again(first, made.latest(PART)) == 0
