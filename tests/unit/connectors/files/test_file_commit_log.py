"""The log of a folder: durability before the commit, damage, snapshots, fences, several sinks in one folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from file_sinks import file_sink, ids

from penstock.errors import FatalError
from penstock.structs import replace
from penstock.testing.sinks import deliver, epoch, rows
from penstock.testing.sinks.deliveries import OTHER_INCARNATION, SINK_ID, stage
from penstock.types.arrow import from_arrow

if TYPE_CHECKING:
    from penstock.connectors.files.commit.records import Manifest
    from penstock.types import Schema

pytestmark = pytest.mark.slow


def other_pipeline(number: int, *, fence: int = 1):
    made = epoch(number, fence=fence)
    return replace(made, sink_id=replace(made.sink_id, pipeline="another"))


class Disk:
    """What was made durable, and what was renamed, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[tuple[str, str]] = []
        fsync, rename = os.fsync, os.rename

        def recorded_fsync(descriptor: int) -> None:
            self.events.append(("fsync", str(Path(f"/proc/self/fd/{descriptor}").readlink())))
            fsync(descriptor)

        def recorded_rename(source: str | Path, target: str | Path, **options: int) -> None:
            self.events.append(("rename", str(target)))
            rename(source, target, **options)

        monkeypatch.setattr(os, "fsync", recorded_fsync)
        monkeypatch.setattr(os, "rename", recorded_rename)

    def synced_before(self, event: tuple[str, str]) -> set[str]:
        place = self.events.index(event)
        return {path for kind, path in self.events[:place] if kind == "fsync"}

    def synced_after(self, event: tuple[str, str]) -> set[str]:
        place = self.events.index(event)
        return {path for kind, path in self.events[place:] if kind == "fsync"}


def test_all_of_an_epoch_is_durable_before_the_commit_and_the_commit_before_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = file_sink(tmp_path, mode="overwrite_partitions", partition_by=["name"])
    table = rows((1, "a"), (2, "b"))
    sink.prepare(from_arrow(table.schema))
    disk = Disk(monkeypatch)
    staged = stage(sink, epoch(1), table)
    home = tmp_path / "out" / "_penstock"
    (attempt,) = (home / "staging").glob("*/*")
    parts = {str(path) for path in attempt.rglob("*")}
    sink.commit(epoch(1), [staged])
    commit = ("rename", str(home / "log" / "000000000001"))
    before = disk.synced_before(commit)
    assert parts <= before
    assert str(attempt) in before
    assert str(attempt / "manifest.new") in before
    after = disk.synced_after(commit)
    assert str(home / "log") in after
    assert {str(tmp_path / "out" / "name=a"), str(tmp_path / "out" / "name=b")} <= after


def test_a_glob_of_any_extension_finds_nothing_of_the_sinks_own(tmp_path: Path) -> None:
    sink = file_sink(tmp_path, every=1)
    deliver(sink, epoch(1), rows((1, "a")))
    stage(sink, epoch(2), rows((2, "b")))
    own = [path for path in (tmp_path / "out" / "_penstock").rglob("*") if path.is_file()]
    assert own
    assert not [path for path in own if path.suffix in (".csv", ".json", ".ndjson", ".parquet", ".gz", ".zst")]


@pytest.mark.parametrize("damage", ["cut", "altered", "empty", "another version"])
@pytest.mark.parametrize("which", ["log/000000000002/manifest", "snapshots/000000000002"])
def test_a_damaged_record_is_named_and_nothing_is_written(tmp_path: Path, which: str, damage: str) -> None:
    every = 2 if which.startswith("snapshots") else 64
    for number in (1, 2):
        deliver(file_sink(tmp_path, every=every), epoch(number), rows((number, "a")))
    path = tmp_path / "out" / "_penstock" / which
    content = path.read_bytes()
    changed = {
        "cut": content[:-20],
        "altered": content.replace(b'"rows":1', b'"rows":7', 1),
        "empty": b"",
        "another version": _resealed(content.replace(b'"v":1', b'"v":2', 1)),
    }[damage]
    path.write_bytes(changed)
    for act in (lambda s: s.marker(SINK_ID), lambda s: deliver(s, epoch(3), rows((3, "a")))):
        with pytest.raises(FatalError) as caught:
            act(file_sink(tmp_path, every=every))
        assert caught.value.code == "SNK-131"
    assert ids(tmp_path) == {1: 1, 2: 1}


def _resealed(content: bytes) -> bytes:
    import xxhash

    body = content.partition(b',"content":')[2][:-1]
    return b'{"checksum":"%s","content":%s}' % (xxhash.xxh3_128_hexdigest(body).encode(), body)


def test_snapshots_keep_all_and_the_log_short(tmp_path: Path) -> None:
    late = file_sink(tmp_path, every=3)
    deliver(late, epoch(1), rows((1, "a")))
    for number in range(2, 9):
        deliver(file_sink(tmp_path, every=3), epoch(number), rows((number, "a")))
    home = tmp_path / "out" / "_penstock"
    assert [path.name for path in (home / "snapshots").iterdir()] == ["000000000006"]
    assert sorted(path.name for path in (home / "log").iterdir()) == ["000000000007", "000000000008"]
    for sink in (late, file_sink(tmp_path, every=3)):
        marker = sink.marker(SINK_ID)
        assert marker is not None
        assert marker.epoch == 8
    assert ids(tmp_path) == dict.fromkeys(range(1, 9), 1)


def test_a_runner_that_slept_through_a_snapshot_commits_nothing(tmp_path: Path) -> None:
    sleeper = file_sink(tmp_path, every=2)
    deliver(sleeper, epoch(1, fence=1), rows((1, "a")))
    sleeper_stage = stage(sleeper, epoch(2, fence=1), rows((66, "late")))
    attempt = next((tmp_path / "out" / "_penstock" / "staging").glob("*/*"))
    for number in range(1, 6):
        deliver(file_sink(tmp_path, every=2), other_pipeline(number), rows((10 + number, "a")))
    log = sleeper._target.log
    (attempt / "manifest").write_bytes(b"")
    assert log.append(attempt, 2) is False
    assert attempt.is_dir()
    sleeper.commit(epoch(2, fence=1), [sleeper_stage])
    assert ids(tmp_path) == {1: 1, 66: 1, 11: 1, 12: 1, 13: 1, 14: 1, 15: 1}


def test_an_older_runner_is_thrown_out_as_soon_as_a_newer_one_writes(tmp_path: Path) -> None:
    old, new = file_sink(tmp_path), file_sink(tmp_path)
    late = stage(old, epoch(1, fence=1), rows((1, "old")))
    new.writer(epoch(1, fence=2), _schema()).abort()
    for act in (
        lambda: old.commit(epoch(1, fence=1), [late]),
        lambda: old.commit(epoch(1, fence=1), []),
        lambda: old.writer(epoch(1, fence=1), _schema()),
    ):
        with pytest.raises(FatalError) as caught:
            act()
        assert caught.value.code == "SNK-120"
    assert not ids(tmp_path)


def test_an_attempt_that_lost_its_files_is_refused(tmp_path: Path) -> None:
    sink = file_sink(tmp_path)
    staged = stage(sink, epoch(1), rows((1, "a")))
    for path in (tmp_path / "out" / "_penstock" / "staging").rglob("*.staged"):
        path.unlink()
    with pytest.raises(FatalError) as caught:
        sink.commit(epoch(1), [staged])
    assert caught.value.code == "SNK-120"


def test_an_attempt_that_somebody_throws_away_while_it_is_committed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A runner that starts removes what others have staged: also between the last look at it and its manifest."""
    sink = file_sink(tmp_path)
    staged = stage(sink, epoch(1), rows((1, "a")))
    ready = sink._target.ready

    def late(attempt: Path, manifest: Manifest) -> None:
        file_sink(tmp_path).marker(SINK_ID)
        ready(attempt, manifest)

    monkeypatch.setattr(sink._target, "ready", late)
    with pytest.raises(FatalError) as caught:
        sink.commit(epoch(1), [staged])
    assert caught.value.code == "SNK-120"
    assert file_sink(tmp_path).marker(SINK_ID) is None
    assert not list((tmp_path / "out" / "_penstock" / "staging").glob("*/*"))
    deliver(file_sink(tmp_path), epoch(1), rows((1, "a")))
    assert ids(tmp_path) == {1: 1}


def _schema() -> Schema:
    return from_arrow(rows((1, "a")).schema)


def test_two_pipelines_append_to_one_folder(tmp_path: Path) -> None:
    one, two = file_sink(tmp_path), file_sink(tmp_path)
    staged = stage(one, epoch(1), rows((1, "a")))
    deliver(two, other_pipeline(1), rows((2, "b")))
    assert one.commit(epoch(1), [staged]).version == "2"
    deliver(two, other_pipeline(2), rows((3, "c")))
    assert ids(tmp_path) == {1: 1, 2: 1, 3: 1}
    for sink, at in ((one, epoch(1)), (two, other_pipeline(2))):
        marker = sink.marker(at.sink_id)
        assert marker is not None
        assert marker.epoch == at.number


def test_a_version_taken_between_look_and_commit_is_tried_again(tmp_path: Path) -> None:
    """The other pipeline commits at the last moment before this one's claim."""
    table = rows((1, "a"))

    def interfere(point: str) -> None:
        if point == "files.manifest_written" and not (tmp_path / "done").exists():
            (tmp_path / "done").touch()
            deliver(file_sink(tmp_path), other_pipeline(1), rows((2, "b")))

    receipt = deliver(file_sink(tmp_path, reached=interfere), epoch(1), table)
    assert receipt.version == "2"
    assert ids(tmp_path) == {1: 1, 2: 1}


def test_a_new_incarnation_overwrites_what_the_old_one_left(tmp_path: Path) -> None:
    deliver(file_sink(tmp_path), epoch(1), rows((1, "a")))
    deliver(file_sink(tmp_path, mode="overwrite"), epoch(1, incarnation=OTHER_INCARNATION), rows((2, "b")))
    assert ids(tmp_path) == {2: 1}


def test_a_marker_asked_in_the_middle_of_a_run_leaves_that_runs_attempt(tmp_path: Path) -> None:
    sink = file_sink(tmp_path)
    staged = stage(sink, epoch(1), rows((1, "a")))
    assert sink.marker(SINK_ID) is None
    assert sink.commit(epoch(1), [staged]).rows == 1
    assert ids(tmp_path) == {1: 1}


def test_an_attempt_that_is_committed_takes_no_file_of_another_one_with_it(tmp_path: Path) -> None:
    sink = file_sink(tmp_path)
    first = stage(sink, epoch(1, attempt="first"), rows((1, "a")))
    before = set((tmp_path / "out" / "_penstock" / "staging").rglob("*.*"))
    stage(sink, epoch(1, attempt="second"), rows((2, "b")))
    second = set((tmp_path / "out" / "_penstock" / "staging").rglob("*.*")) - before
    assert second
    sink.commit(epoch(1, attempt="first"), [first])
    assert all(path.exists() for path in second)
    assert ids(tmp_path) == {1: 1}


def test_a_look_at_a_folder_that_is_not_there_makes_nothing(tmp_path: Path) -> None:
    sink = file_sink(tmp_path)
    assert sink.marker(SINK_ID) is None
    assert sink.describe() is None
    assert not (tmp_path / "out").exists()
