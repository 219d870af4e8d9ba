"""The Delta and Iceberg sinks over an object store die at every boundary, lose answers, pause, and compete: every epoch is
there once, and no reader is told of files that are gone.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import crashes
import obstore
import pytest
from crashes import Death, Reaper, contest, die, rows_of, run_epochs
from deltalake import DeltaTable
from pyiceberg.exceptions import NoSuchTableError

from iceberg_tables import StoreLake
from object_stores import delta_options, keys_in, left_by_delta, store_of
from penstock.clock import SystemClock
from penstock.connectors.api import Context
from penstock.connectors.delta import mirror
from penstock.connectors.delta import sink as delta
from penstock.connectors.iceberg import sink as iceberg
from penstock.connectors.lake.claims import Claims
from penstock.connectors.objects.store import ObjectBucket
from penstock.errors import ConfigError, FatalError, PenstockError, TransientError
from penstock.testing.delivery import fill
from penstock.testing.sinks import deliver, epoch
from penstock.testing.sinks.deliveries import OTHER_INCARNATION, SINK_ID, stage
from penstock.types.arrow import from_arrow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.connectors.api import Sink
    from penstock.testing.servers import ObjectServer

pytestmark = pytest.mark.server

EPOCHS = 2
SINKS = {"delta": delta, "iceberg": iceberg}
MODES = ("append", "overwrite", "merge")


@dataclass(frozen=True)
class Make:
    """Travels to child processes. Every sink has a private folder of its own, as those of several machines have."""

    folder: Path
    connection: dict[str, Any]
    kind: str
    mode: str = "append"

    def __call__(self, reached: Callable[[str], None]) -> Sink:
        options: dict[str, Any] = {"type": self.kind, "from": "rows", "mode": self.mode}
        if self.mode == "merge":
            options["keys"] = ["id"]
        if self.kind == "delta":
            options |= {"path": "table", "connection": self.connection}
        else:
            catalog = {"path": "catalog.db", "warehouse": "lake", "store": self.connection}
            options |= {"table": "oil.prices", "connection": catalog}
        descriptor = SINKS[self.kind].SINK
        scratch = Path(mkdtemp(prefix="scratch-", dir=self.folder))
        context = Context("table", self.folder.joinpath, scratch, SystemClock(), reached=reached)
        return descriptor.make(descriptor.params.model_validate(options), context)

    @property
    def points(self) -> tuple[str, ...]:
        return tuple(point for point in SINKS[self.kind].CRASH_POINTS if point != "delta.evolved")

    def visible(self) -> Counter[tuple[int, int]]:
        """(id, epoch) of every row, with how often, as the formats' own libraries read them."""
        columns = ["id", "epoch"]
        if self.kind == "delta":
            at, options = f"s3://{self.connection['bucket']}/lake/table", delta_options(self.connection)
            if not DeltaTable.is_deltatable(at, storage_options=options):
                return Counter()
            found = DeltaTable(at, storage_options=options).to_pyarrow_table(columns=columns)
        else:
            try:
                found = StoreLake(self.folder, self.connection).table().scan(selected_fields=tuple(columns)).to_arrow()
            except NoSuchTableError:
                return Counter()
        return Counter(zip(found["id"].to_pylist(), found["epoch"].to_pylist(), strict=True))

    def left(self) -> list[str]:
        if self.kind == "delta":
            return left_by_delta(store_of(self.connection), "lake/table")
        return StoreLake(self.folder, self.connection).left()


@pytest.fixture(params=["delta", "iceberg"])
def make(request: pytest.FixtureRequest, tmp_path: Path, s3_server: ObjectServer, s3_bucket: str) -> Make:
    return Make(tmp_path, s3_server.connection(s3_bucket, prefix="lake"), request.param)


def expected(upto: int, mode: str = "append") -> Counter[tuple[int, int]]:
    rows = [row for number in range(1, upto + 1) for row in rows_of(number).to_pylist()]
    return Counter((row["id"], row["epoch"]) for row in rows if mode != "overwrite" or row["epoch"] == upto)


def never(point: str) -> None:
    """Nobody asks for faults."""


def crash() -> None:
    raise crashes.Crash


def at(point: str, do: Callable[[], object]) -> Callable[[str], None]:
    """Once, when that point is passed."""
    done: list[bool] = []

    def reached(passed: str) -> None:
        if passed.endswith(point) and not done:
            done.append(True)
            do()

    return reached


# ---------------------------------------------------------------- deaths


def test_a_crash_at_any_boundary_loses_and_doubles_nothing(make: Make) -> None:
    for number, point in enumerate(make.points):
        _survives(_alone(make, number), point, "raise")


@pytest.mark.long
@pytest.mark.parametrize("death", ["raise", "kill"])
@pytest.mark.parametrize("mode", MODES)
def test_a_crash_in_any_mode_loses_and_doubles_nothing(make: Make, mode: str, death: Death) -> None:
    for number, point in enumerate(make.points):
        _survives(_alone(Make(make.folder, make.connection, make.kind, mode), number), point, death)


def _alone(make: Make, number: int) -> Make:
    """The same with a project folder and a table of its own."""
    folder = make.folder / str(number)
    folder.mkdir()
    store = store_of(make.connection)
    obstore.delete(store, keys_in(store))
    return Make(folder, make.connection, make.kind, make.mode)


def _survives(make: Make, point: str, death: Death) -> None:
    committed = make.points.index(f"{make.kind}.committed")
    assert die(make, EPOCHS, Reaper(point, death)), f"the run never passed {point}"
    assert make.visible() == expected(2 if make.points.index(point) >= committed else 1, make.mode), point
    run_epochs(make, EPOCHS, fence=2, reaper=Reaper("", death))
    assert make.visible() == expected(EPOCHS, make.mode), point
    assert make.left() == [], point


# ---------------------------------------------------------------- answers that are lost


@pytest.mark.parametrize("after", [False, True])
def test_a_lost_answer_of_a_delta_commit_is_settled_by_the_log(
    tmp_path: Path, s3_server: ObjectServer, s3_bucket: str, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    make = Make(tmp_path, s3_server.connection(s3_bucket, prefix="lake"), "delta")
    real = ObjectBucket.create

    def lost(self: ObjectBucket, key: str, content: bytes) -> bool:
        if "_delta_log" not in key:
            return real(self, key, content)
        monkeypatch.undo()
        if after:
            real(self, key, content)
        raise TransientError("NET-156", "nobody answers")

    with closing(make(never)) as sink:
        deliver(sink, epoch(1), rows_of(1))
        late = stage(sink, epoch(2), rows_of(2))
        monkeypatch.setattr(ObjectBucket, "create", lost)
        with pytest.raises(TransientError):
            sink.commit(epoch(2), [late])
        assert make.visible() == expected(2 if after else 1)
        assert sink.commit(epoch(2), [late]).rows == rows_of(2).num_rows
        marker = sink.marker(SINK_ID)
    assert marker is not None
    assert marker.epoch == 2
    assert make.visible() == expected(2)
    assert make.left() == []


def test_a_delta_commit_that_comes_late_finds_its_files(
    tmp_path: Path, s3_server: ObjectServer, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store takes what it was sent once everybody has given up, and somebody has cleaned up."""
    make = Make(tmp_path, s3_server.connection(s3_bucket, prefix="lake"), "delta")
    real = ObjectBucket.create
    sent: list[Callable[[], bool]] = []

    def unanswered(self: ObjectBucket, key: str, content: bytes) -> bool:
        if "_delta_log" not in key:
            return real(self, key, content)
        monkeypatch.undo()
        sent.append(lambda: real(self, key, content))
        raise TransientError("NET-156", "nobody answers")

    with closing(make(never)) as sink:
        deliver(sink, epoch(1), rows_of(1))
        late = stage(sink, epoch(2), rows_of(2))
        monkeypatch.setattr(ObjectBucket, "create", unanswered)
        with pytest.raises(TransientError):
            sink.commit(epoch(2), [late])
    make(never).marker(SINK_ID)
    assert sent[0]()
    assert make.visible() == expected(2)
    make(never).marker(SINK_ID)
    assert make.visible() == expected(2)
    assert make.left() == []


# ---------------------------------------------------------------- two of the same name


def test_who_was_overtaken_writes_nothing(make: Make) -> None:
    deliver(make(never), epoch(1), rows_of(1))
    overtake = at(
        ".placed" if make.kind == "delta" else ".committing",
        lambda: deliver(make(never), epoch(2, attempt="other"), rows_of(2)),
    )
    deliver(make(overtake), epoch(2, attempt="slow"), rows_of(2))
    assert make.visible() == expected(2)
    assert make.left() == []


def test_what_was_thrown_away_is_not_committed(make: Make) -> None:
    old = make(never)
    deliver(old, epoch(1), rows_of(1))
    late = stage(old, epoch(2, attempt="late"), rows_of(2))
    make(never).marker(SINK_ID)
    assert make.left() == []
    with pytest.raises(FatalError) as refused:
        old.commit(epoch(2, attempt="late"), [late])
    assert refused.value.code == "SNK-258"
    assert make.visible() == expected(1)
    assert make.left() == []


def test_who_is_thrown_away_while_it_writes_leaves_nothing(make: Make) -> None:
    deliver(make(never), epoch(1), rows_of(1))
    old = make(never)
    old.prepare(from_arrow(rows_of(2).schema))
    writer = old.writer(epoch(2, attempt="late"), from_arrow(rows_of(2).schema))
    make(never).marker(SINK_ID)
    fill(writer, rows_of(2))
    with pytest.raises(FatalError) as refused:
        writer.stage()
    assert refused.value.code == "SNK-258"
    writer.abort()
    assert make.visible() == expected(1)
    assert make.left() == []


def test_what_a_commit_has_taken_is_left_to_it(make: Make) -> None:
    deliver(make(never), epoch(1), rows_of(1))
    looked = at(".claimed", lambda: make(never).marker(SINK_ID))
    deliver(make(looked), epoch(2), rows_of(2))
    assert make.visible() == expected(2)
    assert make.left() == []


def test_who_dies_at_the_last_of_tidying_up_loses_no_file(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    real = ObjectBucket.delete

    def dies(self: ObjectBucket, keys: Sequence[str]) -> None:
        if any(key.endswith("/claim") for key in keys):
            raise crashes.Crash
        real(self, keys)

    with monkeypatch.context() as patched:
        patched.setattr(ObjectBucket, "delete", dies)
        with pytest.raises(crashes.Crash):
            deliver(make(never), epoch(1), rows_of(1))
    make(never).marker(SINK_ID)
    assert make.visible() == expected(1)
    assert not [key for key in keys_in(store_of(make.connection)) if "_penstock" in key]


@pytest.mark.parametrize("refusal", [ConfigError, TransientError])
def test_a_store_that_lets_nothing_be_deleted_takes_every_epoch(
    make: Make, monkeypatch: pytest.MonkeyPatch, refusal: type[PenstockError]
) -> None:
    """Whoever commits, was overtaken or comes late; what is left then goes once the store allows it."""
    overtake = at(
        ".placed" if make.kind == "delta" else ".committing",
        lambda: deliver(make(never), epoch(2, attempt="other"), rows_of(2)),
    )
    with monkeypatch.context() as patched:
        patched.setattr(ObjectBucket, "delete", refusing(refusal))
        assert deliver(make(never), epoch(1), rows_of(1)).rows == rows_of(1).num_rows
        late = stage(twin := make(never), epoch(2, attempt="late"), rows_of(2))
        assert deliver(make(overtake), epoch(2, attempt="slow"), rows_of(2)).rows == rows_of(2).num_rows
        assert twin.commit(epoch(2, attempt="late"), [late]).rows == rows_of(2).num_rows
        abandoned = stage(next_run := make(never), epoch(3, attempt="dead"), rows_of(2))
        marker = make(never).marker(SINK_ID)
        assert marker is not None
        assert marker.epoch == 2
        with pytest.raises(FatalError) as refused:
            next_run.commit(epoch(3, attempt="dead"), [abandoned])
        assert refused.value.code == "SNK-258"
        assert make.visible() == expected(2)
    assert make.left() != []
    make(never).marker(SINK_ID)
    assert make.visible() == expected(2)
    assert make.left() == []


def refusing(refusal: type[PenstockError]) -> Callable[[ObjectBucket, Sequence[str]], None]:
    def delete(_: ObjectBucket, keys: Sequence[str]) -> None:
        if keys:
            raise refusal("NET-154", "the store does not give a right that is needed")

    return delete


def test_what_a_dead_commit_had_taken_goes_when_a_full_refresh_has_committed(make: Make) -> None:
    """Its epoch never comes under that incarnation; the newer runner's fence tells that it cannot."""
    deliver(make(never), epoch(1), rows_of(1))
    with pytest.raises(crashes.Crash):
        deliver(make(at(".claimed", crash)), epoch(2), rows_of(2))
    assert make.left() != []
    make(never).marker(SINK_ID)
    assert make.left() != []  # the commit may be under way
    deliver(make(never), epoch(1, fence=2, incarnation=OTHER_INCARNATION), rows_of(3))
    assert make.left() == []
    assert make.visible() == expected(1) + expected(3) - expected(2)


def test_who_looked_before_a_commit_ended_removes_nothing_of_it(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver(make(never), epoch(1), rows_of(1))
    (file,) = (key for key in keys_in(store_of(make.connection)) if key.endswith(".parquet"))
    name = file.split("/")[-3] if make.kind == "iceberg" else file.rpartition("/")[2].partition("-rows-")[0]
    with monkeypatch.context() as patched:
        patched.setattr(Claims, "names", lambda _: [name])
        make(never).marker(SINK_ID)
    assert make.visible() == expected(1)
    assert make.left() == []


def test_control_without_claims_a_commit_names_files_that_are_gone(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Claims, "void", lambda *_: True)
    deliver(make(never), epoch(1), rows_of(1))
    looked = at(".claimed", lambda: make(never).marker(SINK_ID))
    deliver(make(looked), epoch(2), rows_of(2))
    with pytest.raises((FileNotFoundError, OSError)):
        make.visible()


def test_control_an_entry_that_replaces_another_loses_an_epoch(
    tmp_path: Path, s3_server: ObjectServer, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(self: mirror.Mirror, version: int) -> bool:
        path = mirror.log_file(self.root, version)
        self.bucket.write(self._key_of(path), path.read_bytes())
        path.unlink()
        return True

    make = Make(tmp_path, s3_server.connection(s3_bucket, prefix="lake"), "delta")
    monkeypatch.setattr(mirror.Mirror, "publish", careless)
    deliver(make(never), epoch(1), rows_of(1))
    other = make(never)
    overtake = at(".placed", lambda: deliver(other, epoch(2, attempt="other"), rows_of(2).slice(0, 2)))
    deliver(make(overtake), epoch(2, attempt="slow"), rows_of(2).slice(2))
    first = expected(1) + Counter({(row["id"], 2): 1 for row in rows_of(2).slice(0, 2).to_pylist()})
    with suppress(FileNotFoundError):  # of whom the first one's cleaner took for dead
        assert make.visible() != first


# ---------------------------------------------------------------- the zombie contest


def compete(make: Make, name: str, *, fenced: bool) -> None:
    """A runner: goes on from the marker until it is refused, and begins again after a while."""
    assert fenced
    chance = random.Random(name)
    number = 0
    for attempt in range(10_000):
        made = make(never)
        try:
            marker = made.marker(SINK_ID)
            number = marker.epoch if marker else 0
            while True:
                number += 1
                deliver(made, epoch(number, attempt=f"{name}-{attempt}-{number}"), rows_of(number))
        except (PenstockError, OSError):
            time.sleep(chance.uniform(0, 0.6))


@pytest.mark.long
def test_three_competitors_commit_every_epoch_once(make: Make) -> None:
    """Who is killed while it uploads what another has thrown away leaves files that no table names."""
    last = 0
    for _ in range(4):  # on a busy machine few live long enough to commit
        contest(compete, make, fenced=True)  # type: ignore[arg-type]  # it is handed on to the competitors
        marker = make(never).marker(SINK_ID)
        last = (marker.epoch if marker else 0) + 1
        if last > 2:
            break
    assert last > 2, "nobody got anywhere"
    run_epochs(make, last, fence=2, reaper=Reaper("", "raise"))
    assert make.visible() == expected(last)
