"""What the answers of HDFS mean, and what is made of those that are lost or come from half a write."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import TypeAdapter

from penstock.clock import SystemClock
from penstock.connectors.files.places import FileConnectionParam, open_bucket
from penstock.connectors.hdfs.answers import RemoteError, classified
from penstock.connectors.hdfs.namenode import Namenode
from penstock.connectors.objects.bucket import ObjectGoneError
from penstock.errors import ConfigError, TransientError
from webhdfs import RefusalError, webhdfs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.connectors.objects.bucket import Bucket
    from webhdfs import Cluster

ADAPTER: TypeAdapter[Any] = TypeAdapter(FileConnectionParam)
NO_WAIT = {"attempts": 3, "first_wait": "1ms", "longest_wait": "1ms"}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with webhdfs() as running:
        yield running


def bucket(cluster: Cluster, **retries: Any) -> Bucket:
    told = cluster.connection("lake", retries={**NO_WAIT, **retries})
    return open_bucket(ADAPTER.validate_python(told), SystemClock())


@pytest.mark.parametrize(
    ("status", "name", "expected"),
    [
        (404, "", "NET-171"),
        (401, "", "NET-172"),
        (403, "SecurityException", "NET-172"),
        (403, "InvalidToken", "NET-172"),
        (403, "AccessControlException", "NET-173"),
        (403, "DSQuotaExceededException", "NET-174"),
        (400, "InvalidPathException", "NET-174"),
        (403, "StandbyException", "NET-175"),
        (403, "SafeModeException", "NET-175"),
        (403, "IOException", "NET-175"),
        (500, "RuntimeException", "NET-175"),
        (503, "", "NET-175"),
    ],
)
def test_an_answer_is_classified_by_its_name_and_status(status: int, name: str, expected: str) -> None:
    error = RemoteError(status, name, "So it is of swordfish.\n\tat org.apache.hadoop")
    problem = classified(error, place="webhdfs://nn", doing="reading", hidden=("swordfish",)).problems[0]
    assert problem.code == expected
    assert problem.detail == (f"it says: {name}: So it is of ***." if name else "it says: So it is of ***.")


def test_what_is_no_hdfs_is_told(cluster: Cluster) -> None:
    def another_server(operation: str, path: str) -> None:
        raise RefusalError(404, "")

    cluster.before = another_server
    with pytest.raises(ConfigError) as failure:
        bucket(cluster).list("")
    assert failure.value.code == "NET-171"


def test_who_does_not_answer_is_asked_again(cluster: Cluster) -> None:
    calls = count(1)

    def standby(operation: str, path: str) -> None:
        if next(calls) < 3:
            raise RefusalError(403, "StandbyException", "Operation category READ is not supported in state standby")

    cluster.before = standby
    assert bucket(cluster).list("") == []
    calls = count(-9)
    with pytest.raises(TransientError) as failure:
        bucket(cluster).list("")
    assert failure.value.code == "NET-175"
    assert "StandbyException" in (failure.value.problems[0].detail or "")


def test_whom_nobody_reaches_did_not_answer(cluster: Cluster) -> None:
    told = {**cluster.connection("lake"), "endpoint": "http://127.0.0.1:1", "retries": {"attempts": 1}}
    with pytest.raises(TransientError) as failure:
        open_bucket(ADAPTER.validate_python(told), SystemClock()).list("")
    assert failure.value.code == "NET-175"


def test_a_datanode_that_sends_on_is_not_followed(cluster: Cluster) -> None:
    cluster.put("/lake/a", b"x")
    cluster.datanode = cluster.address
    with pytest.raises(ConfigError) as failure:
        bucket(cluster).read("a")
    assert failure.value.code == "NET-176"


def test_a_gateway_whose_renames_replace_nothing_is_refused(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    answered = type(cluster).answer
    monkeypatch.setattr(
        type(cluster),
        "answer",
        lambda self, operation, path, query: answered(self, operation, path, query) or {"boolean": True},
    )
    with pytest.raises(ConfigError) as failure:
        bucket(cluster).write("a", b"x")
    assert failure.value.code == "NET-177"


# ---------------------------------------------------------------- answers that are lost, writes that are cut off


@pytest.mark.parametrize("operation", ["RENAME", "CREATE", "DELETE", "MKDIRS"])
def test_an_answer_that_is_lost_changes_nothing(cluster: Cluster, operation: str) -> None:
    """The first of each kind is done, and its answer lost."""
    lost: list[str] = []

    def after(asked: str, path: str) -> None:
        if asked == operation and not lost:
            lost.append(path)
            raise ConnectionAbortedError

    cluster.after = after
    opened = bucket(cluster)
    assert opened.create("log/1", b"mine")
    lost.clear()
    assert not opened.create("log/1", b"another")
    lost.clear()
    opened.write("staged/a", b"rows")
    lost.clear()
    with suppress(ObjectGoneError):  # moved by the try whose answer was lost
        opened.place("staged/a", 4, "out/a")
    opened.delete(["staged/a"])
    assert {path: file.content for path, file in cluster.files.items()} == {
        "/lake/log/1": b"mine",
        "/lake/out/a": b"rows",
    }
    assert "/lake/staged" not in cluster.folders


def test_what_a_dead_writer_has_left_is_removed_by_the_next_of_its_key(cluster: Cluster) -> None:
    class Death(BaseException):
        pass

    opened = bucket(cluster)
    with pytest.MonkeyPatch.context() as patched:

        def dies(*_: object, **__: object) -> None:
            raise Death

        patched.setattr(Namenode, "rename", dies)
        with pytest.raises(Death):
            opened.create("log/1", b"of the dead")
    (partial,) = opened.list("log")
    assert partial.key.startswith("log/.1.penstock-")
    assert opened.read("log/1") is None
    assert opened.create("log/1", b"mine")
    assert list(cluster.files) == ["/lake/log/1"]


def test_who_loses_its_half_written_content_to_a_winner_has_lost(cluster: Cluster) -> None:
    """A winner removes what others are about to rename."""

    def overtaken(operation: str, path: str) -> None:
        if operation == "RENAME" and "/lake/log/1" not in cluster.files:
            cluster.put("/lake/log/1", b"theirs")
            del cluster.files[path]

    cluster.before = overtaken
    assert not bucket(cluster).create("log/1", b"mine")
    assert cluster.files["/lake/log/1"].content == b"theirs"


def test_what_is_half_written_and_removed_is_written_again(cluster: Cluster) -> None:
    removed: list[str] = []

    def removes(operation: str, path: str) -> None:
        if operation == "RENAME" and not removed:
            removed.append(path)
            del cluster.files[path]

    cluster.before = removes
    assert bucket(cluster).create("log/1", b"mine")
    assert cluster.files["/lake/log/1"].content == b"mine"


def test_a_folder_that_others_remove_is_made_again(cluster: Cluster) -> None:
    cluster.put("/lake/staged/a", b"rows")
    removed: list[str] = []

    def removes(operation: str, path: str) -> None:
        if operation == "RENAME" and not removed:
            removed.append(path)
            cluster.folders.discard("/lake/out")

    cluster.before = removes
    bucket(cluster).place("staged/a", 4, "out/a")
    assert list(cluster.files) == ["/lake/out/a"]


def test_a_short_answer_is_no_content(cluster: Cluster) -> None:
    """Fewer bytes than asked for, of a file that is as it was: asked again, and then said to have failed."""
    cluster.put("/lake/a", b"0123456789")
    opened = bucket(cluster)
    found = opened.find("a")
    assert found is not None
    file = cluster.files["/lake/a"]

    class Short(bytes):
        def __getitem__(self, key: Any) -> bytes:
            return bytes(self)[:3]

    file.content = Short(file.content)
    with pytest.raises(TransientError) as failure:
        opened.read_range(found, 0, 10)
    assert failure.value.code == "NET-175"
