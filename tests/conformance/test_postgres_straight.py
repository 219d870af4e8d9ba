"""Rows that go straight into the target, in a transaction that waits for its commit: when they do, and what then holds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psycopg
import pytest

import postgres_tables as tables
from penstock.connectors.postgres.params import PostgresSinkParams
from penstock.connectors.postgres.sink import PostgresSink
from penstock.errors import DataError, FatalError, TransientError
from penstock.testing.sinks.deliveries import SINK_ID, deliver, epoch, rows, stage
from penstock.types.arrow import from_arrow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penstock.testing.servers import PostgresServer

pytestmark = pytest.mark.server

TWO = rows((1, "a"), (2, None))


@pytest.fixture(scope="session")
def straight_database(postgres_server: PostgresServer) -> str:
    postgres_server.sql("CREATE DATABASE straight")
    return postgres_server.url("straight")


class _Target:
    """The table ``t`` of an empty schema, and sinks that append to it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.connection = tables.connect(url)
        self.connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        self._sinks: list[PostgresSink] = []

    def sink(self, **keys: object) -> PostgresSink:
        params = {"type": "postgres", "from": "x", "connection": self.url, "table": "t", **keys}
        self._sinks.append(PostgresSink(PostgresSinkParams.model_validate(params), tables.context(self.folder)))
        return self._sinks[-1]

    def prepared(self, **keys: object) -> PostgresSink:
        sink = self.sink(**keys)
        sink.prepare(from_arrow(TWO.schema))
        return sink

    def execute(self, statement: str) -> None:
        self.connection.execute(statement)

    def ids(self) -> list[int]:
        return [row[0] for row in self.connection.execute("SELECT id FROM t ORDER BY 1").fetchall()]

    def stages(self) -> int:
        found = "SELECT count(*) FROM pg_class WHERE relname LIKE '\\_penstock\\_stage%'"
        row = self.connection.execute(found).fetchone()
        return row[0] if row else 0

    def close(self) -> None:
        for sink in self._sinks:
            sink.close()
        self.connection.close()


@pytest.fixture
def target(straight_database: str, tmp_path: Path) -> Iterator[_Target]:
    made = _Target(straight_database, tmp_path)
    yield made
    made.close()


def test_rows_lie_in_the_target_unseen_until_the_commit(target: _Target) -> None:
    sink = target.prepared()
    staged = stage(sink, epoch(1), TWO)
    assert (target.ids(), target.stages()) == ([], 0)
    assert sink.commit(epoch(1), [staged]).inserted == 2
    assert target.ids() == [1, 2]


_TRIGGER = """
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER watch BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()
"""
_LOOKING_AROUND = {
    "any digits": "CREATE TABLE t (id numeric, name text)",
    "shorter": "CREATE TABLE t (id bigint, name varchar(9))",
    "trigger": f"CREATE TABLE t (id bigint, name text); {_TRIGGER}",
    "foreign key": """
        CREATE TABLE other (id bigint PRIMARY KEY); INSERT INTO other VALUES (1), (2);
        CREATE TABLE t (id bigint REFERENCES other, name text)
    """,
    "rule": """
        CREATE TABLE t (id bigint, name text); CREATE TABLE seen (id bigint);
        CREATE RULE seen AS ON INSERT TO t DO ALSO INSERT INTO seen VALUES (NEW.id)
    """,
}


@pytest.mark.parametrize("table", _LOOKING_AROUND.values(), ids=_LOOKING_AROUND)
def test_a_target_that_casts_or_looks_around_gets_its_rows_at_the_commit(target: _Target, table: str) -> None:
    target.execute(table)
    sink = target.prepared()
    staged = stage(sink, epoch(1), TWO)
    assert target.stages() == 1
    sink.commit(epoch(1), [staged])
    assert target.ids() == [1, 2]


@pytest.mark.parametrize("keys", [{"mode": "overwrite"}, {"mode": "merge", "keys": ["id"]}])
def test_only_appended_rows_go_straight(target: _Target, keys: dict[str, object]) -> None:
    sink = target.prepared(**keys)
    stage(sink, epoch(1), TWO)
    assert target.stages() == 1


def test_a_second_writer_has_a_table_of_its_own_and_both_are_committed_at_once(target: _Target) -> None:
    sink = target.prepared()
    first, second = stage(sink, epoch(1), TWO), stage(sink, epoch(1), rows((3, "c")))
    assert target.stages() == 1
    assert sink.commit(epoch(1), [first, second]).inserted == 3
    assert (target.ids(), target.stages()) == ([1, 2, 3], 0)


def test_who_only_writes_for_another_process_leaves_a_table(target: _Target) -> None:
    driver = target.prepared()
    staged = stage(target.sink(), epoch(1), TWO)
    assert target.stages() == 1
    assert driver.commit(epoch(1), [staged]).inserted == 2


def test_rows_that_wait_longer_than_the_server_lets_a_transaction_idle_are_kept(target: _Target) -> None:
    target.execute("ALTER DATABASE straight SET idle_in_transaction_session_timeout = '50ms'")
    try:
        sink = target.prepared()
        staged = stage(sink, epoch(1), TWO)
        time.sleep(0.2)
        sink.commit(epoch(1), [staged])
    finally:
        target.execute("ALTER DATABASE straight RESET idle_in_transaction_session_timeout")
    assert target.ids() == [1, 2]


def test_an_epoch_that_another_committed_is_not_written_again(target: _Target) -> None:
    slow, quick = target.prepared(), target.prepared()
    staged = stage(slow, epoch(1), TWO)
    receipt = deliver(quick, epoch(1), TWO)
    assert slow.commit(epoch(1), [staged]) == receipt
    assert target.ids() == [1, 2]


def test_who_takes_the_sink_over_does_not_wait_for_one_that_hangs(target: _Target) -> None:
    target.execute("CREATE TABLE t (id bigint PRIMARY KEY, name text)")
    hanging = target.prepared()
    staged = stage(hanging, epoch(1), TWO)
    target.execute("ALTER DATABASE straight SET lock_timeout = '5s'")  # if it waited, it would fail
    try:
        heir = target.prepared()
        assert heir.marker(SINK_ID) is None
        deliver(heir, epoch(1, fence=2), TWO)
    finally:
        target.execute("ALTER DATABASE straight RESET lock_timeout")
    with pytest.raises(FatalError) as caught:
        hanging.commit(epoch(1), [staged])
    assert caught.value.code == "SNK-120"
    assert target.ids() == [1, 2]


def test_staged_rows_whose_process_is_gone_are_staged_anew(target: _Target) -> None:
    gone = target.prepared()
    staged = stage(gone, epoch(1), TWO)
    gone.close()
    sink = target.prepared()
    with pytest.raises(TransientError) as caught:
        sink.commit(epoch(1), [staged])
    assert caught.value.code == "SNK-212"
    assert target.ids() == []
    deliver(sink, epoch(1), TWO)
    assert target.ids() == [1, 2]


@pytest.mark.parametrize("end", ["abort", "close"])
def test_what_is_given_up_leaves_no_row(target: _Target, end: str) -> None:
    sink = target.prepared()
    writer = sink.writer(epoch(1), from_arrow(TWO.schema))
    for batch in TWO.to_batches():
        writer.write(batch)
    writer.stage()
    (writer.abort if end == "abort" else sink.close)()
    active = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '\\_penstock%'"
    deadline = time.monotonic() + 10
    while target.connection.execute(active).fetchone() != (0,) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert target.ids() == []
    target.execute("DROP TABLE t")  # nobody holds it


def test_a_row_that_the_target_refuses_is_told_as_it_would_be_at_the_commit(target: _Target) -> None:
    target.execute("CREATE TABLE t (id bigint CHECK (id < 2), name text)")
    sink = target.prepared()
    with pytest.raises(DataError) as straight:
        deliver(sink, epoch(1), TWO)
    target.execute(_TRIGGER)
    with pytest.raises(DataError) as beside:
        deliver(target.prepared(), epoch(1), TWO)
    assert straight.value.code == beside.value.code
    assert target.ids() == []


def test_the_targets_state_changes_with_each_commit_in_whatever_order_they_began(target: _Target) -> None:
    early, late = target.prepared(), target.prepared()
    staged = stage(early, epoch(1), TWO)
    at = epoch(1, incarnation="another")
    deliver(late, at, rows((3, "c")))
    source = late.table()
    before = source.latest(source.partitions()[0])
    early.commit(epoch(1), [staged])
    assert source.latest(source.partitions()[0]) != before
    source.close()


def test_the_error_of_a_lost_connection_is_one_that_is_tried_again(target: _Target) -> None:
    sink = target.prepared()
    staged = stage(sink, epoch(1), TWO)
    target.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '\\_penstock%'")
    with pytest.raises(TransientError) as caught:
        sink.commit(epoch(1), [staged])
    assert not isinstance(caught.value.__cause__, psycopg.Error)
    deliver(sink, epoch(1), TWO)
    assert target.ids() == [1, 2]
