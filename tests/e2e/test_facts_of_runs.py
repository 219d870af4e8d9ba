"""Facts of whole runs: each class is emitted by something, in order, and says what happened."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from penstock import events
from penstock.document.assembly import Settings
from penstock.events import AttemptFailed, EpochSealed, Event, Events, PassMoved, RunStarted
from penstock.faults.points import Faults
from penstock.ledger.api import RunStatus
from penstock.service.request import Request
from penstock.service.running import RunResult, run
from penstock.testing.clock import FakeClock
from penstock.testing.web import Reply, WebServer

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = {
    one for one in vars(events).values() if isinstance(one, type) and issubclass(one, Event) and one is not Event
}
DOCUMENT = """\
pipeline: facts
sources:
  raw: {source}
sinks:
  first: {{from: raw, type: sqlite, path: out.db, table: first, mode: append}}
  second: {{from: raw, type: sqlite, path: other.db, table: second, mode: append}}
run: {{memory: 256 MiB, threads: 1}}
"""
CSV = "{type: csv, path: raw.csv, schema: {columns: {a: int64}}}"


class Heard:
    """What a listener hears over several runs of one document."""

    def __init__(self, folder: Path, source: str = CSV) -> None:
        (folder / "raw.csv").write_text("a\n1\n2\nthree\n", encoding="utf-8")
        self.file = folder / "facts.yml"
        self.file.write_text(DOCUMENT.format(source=source), encoding="utf-8")
        self.clock = FakeClock()
        self.events: list[Event] = []

    def run(self, **faults: str) -> RunResult:
        """``point="act"``, a point's dot written as two underscores."""
        telling = Events(level="error", listeners=[self.events.append])
        chosen = Faults({(point.replace("__", "."), 1): act for point, act in faults.items()})
        return run(Request(self.file, Settings({}), self.clock, chosen.reached), telling, chosen)

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


def test_a_run_tells_what_it_does_in_order(tmp_path: Path) -> None:
    heard = Heard(tmp_path)
    result = heard.run()
    assert result.status is RunStatus.DONE
    assert [type(event).__name__ for event in heard.events if not isinstance(event, PassMoved)] == [
        "RunStarted", "EpochPlanned", "PassStarted", "PassDone", "SinkCommitted", "SinkCommitted", "EpochSealed",
        "RunEnded",
    ]  # fmt: skip
    [sealed] = heard.of(EpochSealed)
    assert sealed == EpochSealed("facts", 1, rows_in=3, rows_out=4, rejected=1)
    [started] = heard.of(RunStarted)
    assert started.run_id == result.run_id


def test_what_goes_wrong_on_the_way_is_told_too(tmp_path: Path) -> None:
    heard = Heard(tmp_path)
    assert heard.run(run__staged="lost").status is RunStatus.DONE
    [failed] = heard.of(AttemptFailed)
    assert failed.code.startswith("FLT-")
    assert heard.clock.sleeps
    assert heard.run(run__committed="lost").status is RunStatus.DONE
    assert len(heard.of(events.CommitUnclear)) == 1
    assert heard.run(run__committed="raise").status is RunStatus.FAILED
    assert heard.run().status is RunStatus.DONE
    [redone] = heard.of(events.EpochRedone)
    assert (redone.epoch, redone.committed) == (3, ("first",))


def test_a_run_that_fails_after_it_finished_an_earlier_epoch_tells_of_that_one(tmp_path: Path) -> None:
    heard = Heard(tmp_path, CSV.replace("raw.csv", "raw*.csv"))
    assert heard.run(run__committed="raise").status is RunStatus.FAILED
    (tmp_path / "raw2.csv").write_text("a\n4\n", encoding="utf-8")
    result = heard.run(run__planned="raise")
    assert result.status is RunStatus.FAILED
    [epoch] = result.epochs
    assert (epoch.record.number, epoch.redone, result.rejected) == (1, True, 1)
    assert result.to_json()["epochs"][0]["sinks"]["second"]["rows"] == 2
    assert heard.run().status is RunStatus.DONE


def test_rows_that_stream_are_counted_while_they_come(tmp_path: Path) -> None:
    heard = Heard(tmp_path, "{type: sqlite, path: many.db, query: select a from many}")
    lines = heard.file.read_text(encoding="utf-8").splitlines()
    heard.file.write_text("\n".join(line for line in lines if "second" not in line), encoding="utf-8")
    with contextlib.closing(sqlite3.connect(tmp_path / "many.db")) as many:
        many.execute(
            "CREATE TABLE many AS WITH n(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n LIMIT 300000) SELECT a FROM n"
        )
        many.commit()
    assert heard.run().status is RunStatus.DONE
    counts = [event.rows for event in heard.of(PassMoved) if isinstance(event, PassMoved)]
    assert counts
    assert 0 < max(count or 0 for count in counts) <= 300_000


def test_every_class_is_emitted_by_something(tmp_path: Path) -> None:
    """A source that cannot be read twice is spooled; a statement that takes its time says how far it is."""
    with WebServer(lambda _: Reply(b'[{"a": 1}]', headers={"Content-Type": "application/json"})) as server:
        connection = f"connection: {{base_url: '{server.url}', allow_private: [127.0.0.1]}}"
        spooled = Heard(tmp_path, f"{{type: rest, {connection}, path: /a, schema: {{columns: {{a: int64}}}}}}")
        assert spooled.run().status is RunStatus.DONE
    [fact] = spooled.of(events.SourceSpooled)
    assert fact.source == "raw"
    assert fact.bytes > 0
    heard = Heard(tmp_path)
    slow = "transforms: {busy: {sql: 'select sum(hash(x.i, y.i) % 7)::double as a from range(9000) x(i), range(9000) y(i)'}}"
    text = (
        heard.file.read_text(encoding="utf-8")
        .replace("sinks:", f"{slow}\nsinks:")
        .replace("pipeline: facts", "pipeline: busy")
    )
    heard.file.write_text(
        text.replace("from: raw", "from: busy").replace("out.db", "busy.db").replace("other.db", "two.db"),
        encoding="utf-8",
    )
    heard.run()
    assert heard.of(PassMoved)
    other = Heard(tmp_path)
    other.run(run__staged="lost")
    other.run(run__committed="lost")
    other.run(run__committed="raise")
    other.run()
    emitted = {type(event) for event in (*spooled.events, *heard.events, *other.events)}
    assert emitted == CLASSES - {events.StopAsked}  # which test_stopping_runs sees
