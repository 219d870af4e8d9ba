"""The postgres sink and source when something fails: at every crash point, when the server ends a connection, when the
answer to COMMIT is lost, when two runners contend; and readers while others write.
"""

from __future__ import annotations

import csv
import io
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from lost_answers import Proxy

import postgres_tables as tables
from penstock.connectors.api import ScanRequest, pass_by
from penstock.connectors.postgres.params import PostgresSinkParams, PostgresSourceParams
from penstock.connectors.postgres.sink import PostgresSink
from penstock.connectors.postgres.source import PostgresSource
from penstock.errors import ConfigError, DataError, FatalError, PenstockError, TransientError
from penstock.testing.delivery import fill, pull
from penstock.testing.sinks import deliver, epoch
from penstock.testing.sinks.deliveries import SINK_ID
from penstock.types.arrow import from_arrow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import psycopg

    from penstock.connectors.api import Writer
    from penstock.testing.servers import PostgresServer

pytestmark = pytest.mark.server

POINTS = ("prepared", "staged", "locked", "written", "marked", "committed")
MODES = {"append": {}, "overwrite": {}, "merge": {"keys": ["id"]}}
FIRST = pa.table({"id": [1, 2, 3], "name": ["a", "b", None]})
SECOND = pa.table({"id": [2, 3, 4], "name": ["B", None, "d"]})
AFTER = {
    "append": [(1, "a"), (2, "B"), (2, "b"), (3, None), (3, None), (4, "d")],
    "overwrite": [(2, "B"), (3, None), (4, "d")],
    "merge": [(1, "a"), (2, "B"), (3, None), (4, "d")],
}
BEFORE = [(1, "a"), (2, "b"), (3, None)]

CHILD = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import postgres_tables as tables
from test_postgres_faults import SECOND, sink_at
from penstock.testing.sinks import deliver, epoch

def reached(point):
    if point == "postgres." + sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)

sink = sink_at(sys.argv[1], Path(sys.argv[4]), sys.argv[2], reached)
deliver(sink, epoch(2), SECOND)
"""


class CrashError(Exception):
    """What a crash point raises in these tests."""


@dataclass(frozen=True)
class Lab:
    url: str
    connection: psycopg.Connection
    folder: Path

    def rows(self) -> list[tuple[Any, ...]]:
        return self.connection.execute("SELECT id, name FROM t ORDER BY id, name").fetchall()

    def staging(self) -> list[str]:
        found = self.connection.execute("SELECT relname FROM pg_class WHERE starts_with(relname, '_penstock_stage')")
        return [name for (name,) in found.fetchall()]

    def sink(self, mode: str, reached: Callable[[str], None] = pass_by) -> PostgresSink:
        return sink_at(self.url, self.folder, mode, reached)

    def source(self, **keys: object) -> PostgresSource:
        params = PostgresSourceParams.model_validate({"type": "postgres", "connection": self.url, **keys})
        return PostgresSource(params, tables.context(self.folder))


def sink_at(url: str, folder: Path, mode: str, reached: Callable[[str], None] = pass_by) -> PostgresSink:
    given = {"type": "postgres", "from": "x", "connection": url, "table": "t", "mode": mode, **MODES[mode]}
    return PostgresSink(PostgresSinkParams.model_validate(given), tables.context(folder, reached))


@pytest.fixture(scope="session")
def database(postgres_server: PostgresServer) -> str:
    postgres_server.sql("CREATE DATABASE faults")
    return postgres_server.url("faults")


@pytest.fixture
def lab(database: str, tmp_path: Path) -> Iterator[Lab]:
    with tables.connect(database) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        yield Lab(database, connection, tmp_path)


# ---------------------------------------------------------------- crash points


def test_the_sink_passes_exactly_these_points(lab: Lab) -> None:
    passed: list[str] = []
    sink = lab.sink("append", passed.append)
    deliver(sink, epoch(1), FIRST)
    assert passed == [f"postgres.{point}" for point in POINTS]
    sink.close()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("point", POINTS)
def test_an_epoch_that_fails_at_a_point_is_redone_once(lab: Lab, point: str, mode: str) -> None:
    sink = lab.sink(mode)
    deliver(sink, epoch(1), FIRST)
    sink.close()

    def reached(name: str) -> None:
        if name == f"postgres.{point}":
            raise CrashError

    crashing = lab.sink(mode, reached)
    with pytest.raises(CrashError):
        deliver(crashing, epoch(2), SECOND)
    crashing.close()
    assert lab.rows() == (AFTER[mode] if point == "committed" else BEFORE)
    _redo(lab, mode, committed=point == "committed")


@pytest.mark.parametrize(("point", "mode"), [*((point, "merge") for point in POINTS), ("marked", "overwrite")])
def test_an_epoch_whose_process_is_killed_at_a_point_is_redone_once(lab: Lab, point: str, mode: str) -> None:
    sink = lab.sink(mode)
    deliver(sink, epoch(1), FIRST)
    sink.close()
    code = CHILD.format(tests=os.fspath(tables.__file__).rsplit("/", 1)[0])
    paths = os.pathsep.join(sys.path)
    child = subprocess.run(
        [sys.executable, "-c", code, lab.url, mode, point, os.fspath(lab.folder)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    _redo(lab, mode, committed=point == "committed")


def _redo(lab: Lab, mode: str, *, committed: bool) -> None:
    restarted = lab.sink(mode)
    marker = restarted.marker(SINK_ID)
    assert marker is not None
    assert marker.epoch == (2 if committed else 1)
    assert not lab.staging()
    receipt = deliver(restarted, epoch(2, fence=2, attempt="again"), SECOND)
    assert receipt.rows == 3
    assert lab.rows() == AFTER[mode]
    restarted.marker(SINK_ID)
    assert not lab.staging()
    restarted.close()


# ---------------------------------------------------------------- a server that ends connections


def test_a_commit_whose_answer_is_lost_is_settled_by_the_marker(lab: Lab) -> None:
    sink = lab.sink("merge")
    deliver(sink, epoch(1), FIRST)
    sink.close()

    def cut(point: str) -> None:
        if point == "postgres.marked":
            _terminate(lab)

    losing = lab.sink("merge", cut)
    with pytest.raises(TransientError) as caught:
        deliver(losing, epoch(2), SECOND)
    assert caught.value.code == "SNK-208"
    marker = losing.marker(SINK_ID)
    assert marker is not None
    assert marker.epoch == 1
    assert lab.rows() == BEFORE
    losing.close()
    _redo(lab, "merge", committed=False)


@pytest.mark.parametrize("mode", MODES)
def test_a_commit_that_worked_though_its_answer_was_lost_is_not_done_again(
    lab: Lab, postgres_server: PostgresServer, mode: str
) -> None:
    deliver(made := lab.sink(mode), epoch(1), FIRST)
    made.close()
    proxy = Proxy(postgres_server.port)
    through = sink_at(f"postgresql://postgres@127.0.0.1:{proxy.port}/faults?sslmode=disable", lab.folder, mode)
    schema = from_arrow(SECOND.schema)
    through.prepare(schema)
    writer = through.writer(epoch(2), schema)
    fill(writer, SECOND)
    staged = writer.stage()
    proxy.cuts = "answer"
    with pytest.raises(TransientError) as caught:
        through.commit(epoch(2), [staged])
    assert caught.value.code == "SNK-208"
    proxy.cuts = None
    marker = through.marker(SINK_ID)
    assert marker is not None
    assert marker.epoch == 2
    assert through.commit(epoch(2), [staged]) == marker.receipt
    through.close()
    proxy.close()
    _redo(lab, mode, committed=True)


def _terminate(lab: Lab) -> int:
    found = lab.connection.execute(
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE application_name ~ '^_?penstock'"
    ).fetchone()
    return found[0] if found else 0


def test_a_backend_killed_while_rows_are_sent_leaves_nothing(lab: Lab) -> None:
    sink = lab.sink("append")
    sink.prepare(from_arrow(FIRST.schema))
    writer = sink.writer(epoch(1), from_arrow(FIRST.schema))
    fill(writer, FIRST)
    assert _terminate(lab) >= 1
    with pytest.raises(TransientError) as caught:
        _write_and_stage(writer)
    assert caught.value.code == "SNK-201"
    writer.abort()
    assert not lab.staging()
    assert lab.rows() == []
    deliver(sink, epoch(1), FIRST)
    assert lab.rows() == BEFORE
    sink.close()


def _write_and_stage(writer: Writer) -> None:
    fill(writer, FIRST)
    writer.stage()


@pytest.fixture(params=["socket", "driver"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How COPY data is read: from the socket, or by way of libpq as on encrypted connections."""
    if request.param == "driver":
        monkeypatch.setattr("penstock.connectors.postgres.copying._is_plain", lambda _: False)
    return str(request.param)


@pytest.mark.usefixtures("way")
def test_hostile_rows_arrive_whole_either_way(lab: Lab) -> None:
    lab.connection.execute("CREATE TABLE t (id int, name text)")
    texts = ["", None, "\nd\0".replace("\0", "x"), "d\n" * 50_000, '"', "\\.", "x" * 3_000_000, "é" * 70_000, "last"]
    for at, text in enumerate(texts):
        lab.connection.execute("INSERT INTO t VALUES (%s, %s)", (at, text))
    for columns in (("id", "name"), ("name",)):
        source = lab.source(table="t")
        scanned = source.scan(ScanRequest(source.partitions()[0], None, {"v": 1}, columns))
        (end,) = scanned.open()
        got = b""
        while part := os.read(end, 1 << 20):
            got += part
        os.close(end)
        scanned.finish()
        source.close()
        limit = csv.field_size_limit(1 << 24)
        rows = list(csv.reader(io.StringIO(got.decode(), newline="")))
        csv.field_size_limit(limit)
        assert [row[-1] for row in rows] == ["\\N" if text is None else text for text in texts]


@pytest.mark.usefixtures("way")
def test_an_error_after_many_rows_is_the_error(lab: Lab) -> None:
    source = lab.source(query="SELECT 1 / (i - 40000) AS x FROM generate_series(1, 50000) i")
    scanned = source.scan(ScanRequest(source.partitions()[0], None, {"v": 1}))
    (end,) = scanned.open()
    while os.read(end, 1 << 20):
        pass
    os.close(end)
    with pytest.raises(DataError) as caught:
        scanned.finish()
    assert caught.value.code == "SRC-206"
    assert "division by zero" in str(caught.value)
    source.close()


@pytest.mark.usefixtures("way")
def test_a_backend_killed_while_rows_are_read_is_no_end_of_rows(lab: Lab) -> None:
    lab.connection.execute(
        "CREATE TABLE t AS SELECT i AS id, repeat('x', 1000) AS name FROM generate_series(1, 30000) i"
    )
    source = lab.source(table="t")
    scanned = source.scan(ScanRequest(source.partitions()[0], None, {"v": 1}))
    ends = scanned.open()
    assert os.read(ends[0], 1000)
    _terminate(lab)
    for end in ends:
        while os.read(end, 1 << 20):
            pass
        os.close(end)
    with pytest.raises(TransientError) as caught:
        scanned.finish()
    assert caught.value.code == "SRC-201"
    source.close()
    again = lab.source(table="t")
    table, _ = pull(again.scan(ScanRequest(again.partitions()[0], None, {"v": 1}, ("id",))))
    assert table.num_rows == 30000
    again.close()


@pytest.mark.timeout(60)  # of the minutes that the query would take
@pytest.mark.usefixtures("way")
def test_a_reader_that_stops_early_ends_the_read_at_once(lab: Lab) -> None:
    source = lab.source(
        query="SELECT i AS id, pg_sleep(CASE WHEN i > 5000 THEN 60 ELSE 0 END)::text FROM generate_series(1, 9000) i"
    )
    scanned = source.scan(ScanRequest(source.partitions()[0], None, {"v": 1}))
    ends = scanned.open()
    os.read(ends[0], 10)
    for end in ends:
        os.close(end)
    scanned.finish()
    source.close()
    assert _backends(lab, count=0) == []  # not one that still sleeps


@pytest.mark.parametrize("mode", MODES)
def test_a_server_crash_between_staging_and_commit_is_noticed(lab: Lab, mode: str) -> None:
    sink = lab.sink(mode)
    deliver(sink, epoch(1), FIRST)
    writer = sink.writer(epoch(2), from_arrow(SECOND.schema))
    fill(writer, SECOND)
    staged = writer.stage()
    for table in lab.staging():
        lab.connection.execute(f'TRUNCATE "{table}"')  # type: ignore[arg-type]  # what crash recovery does to unlogged tables
    if mode == "append":  # whose rows wait in an open transaction
        assert _terminate(lab) >= 1
    with pytest.raises(TransientError) as caught:
        sink.commit(epoch(2), [staged])
    assert caught.value.code == "SNK-212"
    assert lab.rows() == BEFORE
    sink.close()
    _redo(lab, mode, committed=False)


# ---------------------------------------------------------------- contention


def test_of_two_runners_at_the_same_time_one_commits(lab: Lab) -> None:
    first, second = lab.sink("append"), lab.sink("append")
    first.prepare(from_arrow(FIRST.schema))
    staged = []
    for sink in (first, second):
        writer = sink.writer(epoch(1), from_arrow(FIRST.schema))
        fill(writer, FIRST)
        staged.append(writer.stage())
    outcomes: list[object] = []

    def commit(sink: PostgresSink, at: int) -> None:
        try:
            outcomes.append(sink.commit(epoch(1, fence=at + 1), [staged[at]]))
        except PenstockError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=commit, args=(sink, at)) for at, sink in enumerate((first, second))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lab.rows() == BEFORE
    refused = [one for one in outcomes if isinstance(one, Exception)]
    assert all(isinstance(one, FatalError) and one.code == "SNK-120" for one in refused)
    first.close()
    second.close()


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_staged_rows_that_another_runner_removed_are_staged_again(lab: Lab, mode: str) -> None:
    slow, other = lab.sink(mode), lab.sink(mode)
    slow.prepare(from_arrow(FIRST.schema))
    writer = slow.writer(epoch(1), from_arrow(FIRST.schema))
    fill(writer, FIRST)
    staged = writer.stage()
    other.marker(SINK_ID)
    with pytest.raises(TransientError) as caught:
        slow.commit(epoch(1), [staged])
    assert caught.value.code == "SNK-212"
    deliver(slow, epoch(1), FIRST)
    assert lab.rows() == BEFORE
    slow.close()
    other.close()


CONTESTANT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
sys.path.insert(0, {here!r})
import psycopg, pyarrow as pa
from test_postgres_faults import rows_of_epoch, sink_at
from penstock.errors import FatalError, TransientError
from penstock.testing.sinks import deliver, epoch
from penstock.testing.sinks.deliveries import SINK_ID

url, folder, mode, last = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
with psycopg.connect(url, autocommit=True) as fences:
    print("ready", flush=True)
    done = False
    while not done:
        fence = fences.execute("SELECT nextval('fences')").fetchone()[0]
        sink = sink_at(url, folder, mode)
        try:
            marker = sink.marker(SINK_ID)
            number = marker.epoch if marker else 0
            while number < last:
                number += 1
                deliver(sink, epoch(number, fence=fence, attempt=str(fence)), rows_of_epoch(number))
            done = True
        except (FatalError, TransientError) as lost:
            assert lost.code in ("SNK-120", "SNK-212", "SNK-205", "SNK-201", "SNK-208"), lost
        finally:
            sink.close()
"""
ROWS_PER_EPOCH = 50


def rows_of_epoch(number: int) -> pa.Table:
    ids = [number * ROWS_PER_EPOCH + at for at in range(ROWS_PER_EPOCH)]
    return pa.table({"id": ids, "name": [f"epoch {number}"] * ROWS_PER_EPOCH})


@pytest.mark.long
@pytest.mark.parametrize("mode", ["append", "merge"])
def test_three_writers_that_are_killed_and_paused_write_every_epoch_once(lab: Lab, mode: str) -> None:
    """Each believes that it runs the pipeline; 70 % of the blows kill, 30 % pause one while others go on."""
    lab.connection.execute("CREATE SEQUENCE fences")
    chance, last = random.Random(20), 400
    running = [_contestant(lab, mode, last) for _ in range(3)]
    try:
        for _ in range(14):
            time.sleep(chance.uniform(0.05, 0.5))
            at = chance.randrange(3)
            if chance.random() < 0.7:
                running[at].kill()
                running[at].communicate()
                running[at] = _contestant(lab, mode, last)
            else:
                running[at].send_signal(signal.SIGSTOP)
                time.sleep(chance.uniform(0.1, 0.8))
                running[at].send_signal(signal.SIGCONT)
        for process in running:
            _, complaint = process.communicate(timeout=240)
            assert process.returncode == 0, complaint
    finally:
        for process in running:
            process.kill()
            process.communicate()
    counted = lab.connection.execute("SELECT count(*), count(DISTINCT id), min(id), max(id) FROM t").fetchone()
    assert counted == (last * ROWS_PER_EPOCH, last * ROWS_PER_EPOCH, ROWS_PER_EPOCH, (last + 1) * ROWS_PER_EPOCH - 1)
    marker = lab.sink(mode).marker(SINK_ID)
    assert marker is not None
    assert marker.epoch == last
    assert not lab.staging()


def _contestant(lab: Lab, mode: str, last: int) -> subprocess.Popen[str]:
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 -- text for a program
    code = CONTESTANT.format(tests=os.path.dirname(tables.__file__), here=here)  # noqa: PTH120
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", code, lab.url, os.fspath(lab.folder), mode, str(last)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_a_lock_of_another_is_waited_for_and_then_given_up(lab: Lab) -> None:
    deliver(made := lab.sink("overwrite"), epoch(1), FIRST)
    made.close()
    given = {"type": "postgres", "from": "x", "table": "t", "mode": "overwrite"}
    connection = {"url": lab.url, "lock_timeout": "200 ms"}
    params = PostgresSinkParams.model_validate({**given, "connection": connection})
    impatient = PostgresSink(params, tables.context(lab.folder))
    with lab.connection.transaction():
        lab.connection.execute("SELECT * FROM t")
        with pytest.raises(TransientError) as caught:
            deliver(impatient, epoch(2), SECOND)
        assert caught.value.code == "SNK-205"
    assert lab.rows() == BEFORE
    deliver(impatient, epoch(2), SECOND)
    assert lab.rows() == AFTER["overwrite"]
    impatient.close()


def test_a_read_in_parts_sees_one_moment_while_others_write(lab: Lab) -> None:
    """Every transaction of the writers moves one unit from a row to another: any one moment has the same total."""
    lab.connection.execute(
        """CREATE TABLE t AS SELECT i AS id, 100::bigint AS amount, repeat('x', 500) AS name
        FROM generate_series(1, 40000) i; CREATE UNIQUE INDEX ON t (id)"""
    )
    stop = threading.Event()

    def move() -> None:
        with tables.connect(lab.url) as connection:
            at = 0
            while not stop.is_set():
                at = at % 19_000 + 1
                connection.execute(
                    "UPDATE t SET amount = amount + CASE WHEN id = %(a)s THEN 1 ELSE -1 END WHERE id IN (%(a)s, 40000 - %(a)s)",
                    {"a": at},
                )

    writer = threading.Thread(target=move)
    writer.start()
    try:
        for keys in ({"table": "t", "parallel": 4}, {"query": "select * from t", "split_by": "id", "parallel": 4}):
            for _ in range(3):
                source = lab.source(**keys)
                scanned = source.scan(ScanRequest(source.partitions()[0], None, {"v": 1}, ("id", "amount")))
                table, _ = pull(scanned, changes=True)
                source.close()
                assert table.num_rows == 40_000
                assert sum(table.column("amount").to_pylist()) == 4_000_000
    finally:
        stop.set()
        writer.join()


# ---------------------------------------------------------------- connections


def test_connections_are_used_again_and_replaced_when_they_died(lab: Lab) -> None:
    lab.connection.execute("CREATE TABLE t AS SELECT 1 AS id")
    source = lab.source(table="t")
    pids = []
    for _ in range(3):
        source.describe()
        pids.append(_backends(lab))
    assert len(pids[0]) == 1
    assert pids[0] == pids[1] == pids[2]
    _terminate(lab)
    assert source.describe().names == ("id",)
    assert _backends(lab) != pids[0]
    source.close()
    assert not _backends(lab, count=0)


def _backends(lab: Lab, count: int = 1) -> list[int]:
    """Once there are so many, since a backend ends a moment after its connection."""
    deadline = time.monotonic() + 5
    while True:
        rows = lab.connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'penstock' AND datname = current_database()"
        ).fetchall()
        if len(rows) == count or time.monotonic() > deadline:
            return sorted(pid for (pid,) in rows)
        time.sleep(0.02)


def test_a_statement_that_takes_too_long_is_transient(lab: Lab) -> None:
    connection = {"url": lab.url, "statement_timeout": "100 ms"}
    given = {"type": "postgres", "connection": connection, "query": "SELECT pg_sleep(20)::text AS x"}
    source = PostgresSource(PostgresSourceParams.model_validate(given), tables.context(lab.folder))
    with pytest.raises(TransientError) as caught:
        pull(source.scan(ScanRequest(source.partitions()[0], None, {"v": 1})))
    assert caught.value.code == "SRC-205"
    source.close()


# ---------------------------------------------------------------- logins and secrets


@pytest.mark.parametrize("area", ["source", "sink"])
def test_no_message_shows_a_password(lab: Lab, postgres_server: PostgresServer, area: str) -> None:
    wrong = "hunter2 & <secret>"
    url = f"postgresql://{postgres_server.locked_user}:hunter2%20%26%20%3Csecret%3E@127.0.0.1:{postgres_server.port}/faults"
    with pytest.raises(ConfigError) as caught:
        _describe(lab, area, url)
    assert caught.value.code == {"source": "SRC-202", "sink": "SNK-202"}[area]
    assert wrong not in str(caught.value)
    assert "hunter2" not in repr(caught.value)


@pytest.mark.parametrize("area", ["source", "sink"])
def test_a_server_that_is_not_there_is_transient(lab: Lab, area: str) -> None:
    with pytest.raises(TransientError) as caught:
        _describe(lab, area, "postgresql://x:secret@127.0.0.1:9/nothing")
    assert caught.value.code == {"source": "SRC-201", "sink": "SNK-201"}[area]
    assert "secret" not in str(caught.value)


def test_a_password_logs_in(lab: Lab, postgres_server: PostgresServer) -> None:
    lab.connection.execute(
        "CREATE TABLE t AS SELECT 1 AS id; GRANT SELECT ON t TO PUBLIC; GRANT USAGE ON SCHEMA public TO PUBLIC"
    )
    connection = {
        "host": "127.0.0.1",
        "port": postgres_server.port,
        "database": "faults",
        "user": postgres_server.locked_user,
        "password": postgres_server.locked_password,
    }
    params = PostgresSourceParams.model_validate({"type": "postgres", "connection": connection, "table": "t"})
    source = PostgresSource(params, tables.context(lab.folder))
    assert source.describe().names == ("id",)
    source.close()


def _describe(lab: Lab, area: str, url: str) -> None:
    if area == "sink":
        sink_at(url, lab.folder, "append").describe()
    else:
        params = PostgresSourceParams.model_validate({"type": "postgres", "connection": url, "table": "t"})
        PostgresSource(params, tables.context(lab.folder)).describe()
