"""Files committed to an object store: what a snapshot keeps, what is void, what is published by whoever comes next."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import TYPE_CHECKING, Any

import obstore
import pytest
from pyarrow import parquet
from pydantic import TypeAdapter

from object_stores import content_of, keys_in, left_in, store_of
from penstock.clock import SystemClock
from penstock.connectors.api import Context, pass_by
from penstock.connectors.files.commit.names import attempt_folder
from penstock.connectors.files.commit.records import Claim, Logged
from penstock.connectors.files.parquet_sink import SINK
from penstock.connectors.objects.config import ObjectConnectionParam
from penstock.connectors.objects.store import ObjectBucket as Store
from penstock.document.assembly import Settings
from penstock.errors import ConfigError, FatalError, PenstockError, TransientError
from penstock.events import Events
from penstock.faults.points import Faults
from penstock.ledger.api import RunStatus
from penstock.service.request import Request
from penstock.service.running import RunResult, run
from penstock.testing.delivery import fill
from penstock.testing.sinks import deliver, epoch
from penstock.testing.sinks.deliveries import SINK_ID, rows, stage
from penstock.types.arrow import from_arrow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from obstore.store import ObjectStore

    from penstock.connectors.files.sink import FileSink
    from penstock.testing.servers import ObjectServer

pytestmark = pytest.mark.server


class Crash(BaseException):
    """Nothing in the code under test may catch it."""


class Bucket:
    """Sinks into ``out`` of one bucket, each with a folder of its own as those of several machines have."""

    def __init__(self, connection: dict[str, Any], folder: Path) -> None:
        self.connection = connection
        self.folder = folder
        self.store: ObjectStore = store_of(connection)
        self.made = 0

    def sink(self, *, reached: Callable[[str], None] = pass_by, every: int = 32, **given: object) -> FileSink:
        self.made += 1
        scratch = self.folder / str(self.made)
        scratch.mkdir()
        stated = {"type": "parquet", "from": "rows", "path": "out", "connection": self.connection, **given}
        context = Context("out", self.folder.joinpath, scratch, SystemClock(), reached=reached)
        sink: FileSink = SINK.make(SINK.params.model_validate(stated), context)
        sink._target.log._every = every
        return sink

    def ids(self) -> Counter[int]:
        keys = [key for key in keys_in(self.store) if key.endswith(".parquet")]
        found = [parquet.read_table(BytesIO(content_of(self.store, key)))["id"].to_pylist() for key in keys]
        return Counter(number for some in found for number in some)


@pytest.fixture
def bucket(s3_server: ObjectServer, s3_bucket: str, tmp_path: Path) -> Bucket:
    return Bucket(s3_server.connection(s3_bucket, prefix="lake"), tmp_path)


def dies_at(point: str) -> Callable[[str], None]:
    def reached(passed: str) -> None:
        if passed == point:
            raise Crash

    return reached


def refused(act: Callable[[], object]) -> None:
    with pytest.raises(FatalError) as failure:
        act()
    assert failure.value.code == "SNK-120"


def test_a_snapshot_stands_for_the_versions_that_it_holds(bucket: Bucket) -> None:
    sink, late = bucket.sink(every=3), bucket.sink(every=3)
    late.marker(SINK_ID)
    for number in range(1, 9):
        deliver(sink, epoch(number), rows((number, "a")))
    names = [key.rpartition("/")[2] for key in keys_in(bucket.store) if "/snapshots/" in key]
    assert names == ["000000000009"]  # the first version is the runner that took over
    assert not [key for key in keys_in(bucket.store) if "/log/" in key]
    for reader in (late, bucket.sink()):
        marker = reader.marker(SINK_ID)
        assert marker is not None
        assert marker.epoch == 8
    assert bucket.ids() == dict.fromkeys(range(1, 9), 1)


def test_a_runner_that_slept_through_a_snapshot_commits_nothing(bucket: Bucket) -> None:
    sleeper = bucket.sink(every=2)
    deliver(sleeper, epoch(1, fence=1), rows((1, "a")))
    late = stage(sleeper, epoch(2, fence=1), rows((66, "late")))
    before = sleeper._target.log._known
    for number in range(2, 6):
        deliver(bucket.sink(every=2), epoch(number, fence=number), rows((number, "a")))
    assert sleeper._target.log._create(before.state.version + 1, _some_entry(sleeper)) is False
    refused(lambda: sleeper.commit(epoch(2, fence=1), [late]))
    assert bucket.ids() == dict.fromkeys(range(1, 6), 1)


def _some_entry(sink: FileSink) -> Any:
    return Logged(claim=Claim(version=1, sink="other-0123", fence=1))


def test_an_older_runner_is_thrown_out_as_soon_as_a_newer_one_writes(bucket: Bucket) -> None:
    old, new = bucket.sink(), bucket.sink()
    late = stage(old, epoch(1, fence=1), rows((1, "old")))
    new.writer(epoch(1, fence=2), from_arrow(rows((1, "a")).schema)).abort()
    assert not left_in(bucket.store)
    refused(lambda: old.commit(epoch(1, fence=1), [late]))
    refused(lambda: old.writer(epoch(1, fence=1), from_arrow(rows((1, "a")).schema)))
    assert not bucket.ids()


def test_what_is_thrown_away_cannot_be_committed_any_more(bucket: Bucket) -> None:
    """The check of what is staged is no part of the commit: the log itself has to say it."""
    old = bucket.sink()
    late = stage(old, epoch(1), rows((1, "old")))
    known = old._target
    known.lacking = lambda *_: 0  # type: ignore[method-assign]  # as if it had looked just before
    bucket.sink().marker(SINK_ID)
    assert not left_in(bucket.store)
    refused(lambda: old.commit(epoch(1), [late]))
    assert not bucket.ids()
    deliver(bucket.sink(), epoch(1, attempt="another"), rows((2, "new")))
    assert bucket.ids() == {2: 1}


@pytest.mark.parametrize("refusal", [ConfigError, TransientError])
def test_what_cannot_be_removed_after_a_commit_is_no_error(
    refusal: type[PenstockError], bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither versions that a snapshot holds, nor attempts that nobody commits any more. What is staged for a commit is
    another matter: until it is gone the commit counts as unpublished.
    """
    real = Store.delete
    dead = [epoch(number, fence=number, attempt="thrown-away") for number in range(1, 5)]
    kept = ("/log/", *map(attempt_folder, dead))

    def delete(self: Store, keys: Sequence[str]) -> None:
        if any(part in key for part in kept for key in keys):
            raise refusal("NET-154", "the store does not give a right that is needed")
        real(self, keys)

    with monkeypatch.context() as patched:
        patched.setattr(Store, "delete", delete)
        for number in range(1, 5):
            stage(bucket.sink(), dead[number - 1], rows((66, "dead")))
            assert deliver(bucket.sink(every=2), epoch(number, fence=number + 1), rows((number, "a"))).rows == 1
            marker = bucket.sink().marker(SINK_ID)
            assert marker is not None
            assert marker.epoch == number
        assert left_in(bucket.store)
        assert len([key for key in keys_in(bucket.store) if "/log/" in key]) > 4
    bucket.sink().marker(SINK_ID)
    deliver(bucket.sink(every=2), epoch(5, fence=6), rows((5, "a")))
    deliver(bucket.sink(every=2), epoch(6, fence=6), rows((6, "a")))
    assert bucket.ids() == dict.fromkeys(range(1, 7), 1)
    assert not left_in(bucket.store)
    assert len([key for key in keys_in(bucket.store) if "/log/" in key]) < 4


@pytest.mark.parametrize("point", ["files.committed", "files.old_removed", "files.part_placed", "files.placed"])
def test_a_commit_whose_writer_is_aborted_stands(point: str, bucket: Bucket) -> None:
    """The answer to a commit may be lost, and its writer be aborted: what is staged is all there is of the rows."""
    sink = bucket.sink(reached=dies_at(point))
    sink.prepare(from_arrow(rows((1, "a")).schema))
    writer = sink.writer(epoch(1), from_arrow(rows((1, "a")).schema))
    fill(writer, rows((1, "a"), (2, "b")))
    staged = writer.stage()
    with pytest.raises(Crash):
        sink.commit(epoch(1), [staged])
    writer.abort()
    bucket.sink().writer(epoch(2, fence=2), from_arrow(rows((1, "a")).schema)).abort()
    marker = bucket.sink().marker(SINK_ID)
    assert marker is not None
    assert marker.epoch == 1
    assert bucket.ids() == {1: 1, 2: 1}
    assert not left_in(bucket.store)


def test_readers_find_nothing_before_the_commit(bucket: Bucket) -> None:
    sink = bucket.sink(reached=dies_at("files.manifest_written"))
    with pytest.raises(Crash):
        deliver(sink, epoch(1), rows((1, "a")))
    assert not [key for key in keys_in(bucket.store) if "_penstock" not in key]
    assert not [key for key in keys_in(bucket.store) if key.endswith(".parquet")]


def test_objects_of_others_are_not_overwritten(bucket: Bucket) -> None:
    obstore.put(bucket.store, "lake/out/theirs.parquet", b"PAR1")
    with pytest.raises(ConfigError) as failure:
        bucket.sink(mode="overwrite").prepare(from_arrow(rows((1, "a")).schema))
    assert failure.value.code == "SNK-135"


def test_a_folder_is_not_taken_for_one_file(bucket: Bucket) -> None:
    obstore.put(bucket.store, "lake/out.parquet/part", b"")
    with pytest.raises(ConfigError) as failure:
        bucket.sink(path="out.parquet", mode="overwrite").prepare(from_arrow(rows((1, "a")).schema))
    assert failure.value.code == "SNK-132"


def test_a_large_object_is_copied_through_this_machine(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.connectors.objects.store._COPY_LIMIT", 10)
    deliver(bucket.sink(), epoch(1), rows(*((number, "a" * 999) for number in range(100))))
    assert bucket.ids() == dict.fromkeys(range(100), 1)


@pytest.mark.parametrize(("server", "name"), [("s3_server", "s3_bucket"), ("azure_server", "azure_container")])
def test_of_many_that_create_an_object_one_has_made_it(server: str, name: str, request: pytest.FixtureRequest) -> None:
    stated = request.getfixturevalue(server).connection(request.getfixturevalue(name))
    made = Store(TypeAdapter(ObjectConnectionParam).validate_python(stated), SystemClock())
    for number in range(10):
        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(lambda writer, key=f"log/{number}": made.create(key, b"%d" % writer), range(8)))
        assert sum(won) == 1
        assert made.read(f"log/{number}") == b"%d" % won.index(True)
        assert made.create(f"log/{number}", b"%d" % won.index(True)), "a lost answer is no loss"


# ---------------------------------------------------------------- whole runs


def completed(file: Path, **given: Any) -> RunResult:
    request = Request(file, Settings({}), SystemClock(), Faults().reached, given.get("full_refresh", False))
    result = run(request, Events(level="error"), Faults())
    assert result.status is RunStatus.DONE, "\n".join(problem.render() for problem in result.problems)
    return result


def project(folder: Path, connection: dict[str, Any], sinks: str) -> Path:
    (folder / "rows.csv").write_text("id,part\n1,a\n2,b\n", encoding="utf-8")
    (folder / "penstock.yml").write_text(f"project: p\nconnections: {{lake: {json.dumps(connection)}}}\n", "utf-8")
    file = folder / "objects.yml"
    file.write_text(f"pipeline: objects\nsources: {{rows: {{type: csv, path: rows.csv}}}}\n{sinks}", encoding="utf-8")
    return file


@pytest.mark.parametrize("kind", ["csv", "json", "parquet", "avro"])
def test_what_is_written_to_a_bucket_is_read_back_from_it(kind: str, bucket: Bucket) -> None:
    """By a transform that names the sink, and by a source over the same objects in the next pipeline."""
    sinks = (
        "transforms: {doubled: {from: kept, steps: [derive: {id: id * 2}]}}\n"
        "sinks:\n"
        f"  kept: {{from: rows, type: {kind}, connection: lake, path: out/kept, partition_by: [part]}}\n"
        f"  twice: {{from: doubled, type: {kind}, connection: lake, path: out/twice, mode: overwrite}}\n"
    )
    file = project(bucket.folder, bucket.connection, sinks)
    for _ in range(2):
        completed(file)
    ending = "ndjson" if kind == "json" else kind
    reading = bucket.folder / "back.yml"
    reading.write_text(
        "pipeline: back\n"
        f"sources: {{twice: {{type: {kind}, connection: lake, path: 'out/twice/*.{ending}'}}}}\n"
        "sinks: {back: {from: twice, type: parquet, connection: lake, path: back.parquet, mode: overwrite}}\n",
        encoding="utf-8",
    )
    completed(reading)
    table = parquet.read_table(BytesIO(content_of(bucket.store, "lake/back.parquet")))
    assert sorted(table["id"].to_pylist()) == [2, 2, 4, 4]
    completed(file, full_refresh=True)
    assert len([key for key in keys_in(bucket.store) if "/kept/part=" in key]) == 2


def test_two_sinks_with_one_place_in_a_store_are_refused(bucket: Bucket) -> None:
    sinks = (
        "sinks:\n"
        "  one: {from: rows, type: csv, connection: lake, path: out/kept}\n"
        "  two: {from: rows, type: csv, connection: lake, path: out/kept/deeper}\n"
    )
    with pytest.raises(ConfigError) as failure:
        completed(project(bucket.folder, bucket.connection, sinks))
    assert failure.value.code == "CMP-340"


def test_a_sink_over_the_objects_of_a_source_is_refused(bucket: Bucket) -> None:
    file = project(
        bucket.folder, bucket.connection, "sinks: {out: {from: rows, type: csv, connection: lake, path: in}}\n"
    )
    text = file.read_text(encoding="utf-8").replace("path: rows.csv", "path: 'in/*.csv', connection: lake")
    obstore.put(bucket.store, "lake/in/rows.csv", b"id\n1\n")
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as failure:
        completed(file)
    assert failure.value.code == "CMP-341"


def test_a_folder_and_a_store_are_two_places(bucket: Bucket) -> None:
    sinks = (
        "sinks:\n"
        "  here: {from: rows, type: csv, path: out/kept}\n"
        "  there: {from: rows, type: csv, connection: lake, path: out/kept}\n"
    )
    completed(project(bucket.folder, bucket.connection, sinks))
    assert len(list(bucket.folder.glob("out/kept/*.csv"))) == 1
    assert len([key for key in keys_in(bucket.store) if key.endswith(".csv")]) == 1
