"""The ledger on PostgreSQL when something fails: answers that are lost, locks, a server that goes, what it refuses."""

from __future__ import annotations

import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from lost_answers import Proxy

from penstock.connectors.postgres import driver
from penstock.connectors.postgres.params import PostgresConnection
from penstock.errors import ConfigError, DataError, FatalError, PenstockError, TransientError
from penstock.ledger import postgres
from penstock.ledger.api import EpochRecord, RunRecord, RunStatus
from penstock.ledger.postgres import PostgresLedger
from penstock.testing.clock import FakeClock
from penstock.testing.ledger import KEY, MINUTE, NOW, REJECTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.ledger.api import Lease
    from penstock.testing.servers import PostgresServer

pytestmark = pytest.mark.server
RUN = RunRecord("r", KEY, RunStatus.RUNNING, NOW)


@dataclass
class Lab:
    server: PostgresServer
    database: str
    clock: FakeClock = field(default_factory=FakeClock)

    def ledger(self, **settings: Any) -> PostgresLedger:
        """Whose waits between attempts are over at once."""
        given = {"url": self.server.url(self.database), **settings}
        return PostgresLedger.open(PostgresConnection.model_validate(given), "penstock", self.clock)

    def sql(self, statement: str) -> str:
        return self.server.sql(statement, database=self.database)

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(self.server.url(self.database)) as connection:
            yield connection

    def await_waiting(self) -> None:
        """Until somebody waits for another's lock."""
        while self.sql("select count(*) from pg_locks where not granted") == "0":
            time.sleep(0.01)


@pytest.fixture
def lab(postgres_server: PostgresServer, postgres_database: str) -> Lab:
    return Lab(postgres_server, postgres_database)


@pytest.fixture
def ledger(lab: Lab) -> Iterator[PostgresLedger]:
    with closing(lab.ledger()) as ledger:
        yield ledger


def planned(ledger: PostgresLedger, lease: Lease) -> EpochRecord:
    epoch = EpochRecord(KEY, lease.incarnation, 1, "a1", lease.fence, "r1", "hash", (), NOW)
    ledger.plan_epoch(epoch)
    return epoch


# ---------------------------------------------------------------- locks


def test_who_waited_for_the_pipelines_row_sees_who_got_it(lab: Lab, ledger: PostgresLedger) -> None:
    ledger.release(ledger.take(KEY, "one", duration=MINUTE))
    caught: list[PenstockError] = []

    def contend() -> None:
        try:
            ledger.take(KEY, "two", duration=MINUTE)
        except FatalError as error:
            caught.append(error)

    with lab.transaction() as other:
        other.execute(
            "update penstock.pipelines set holder = 'host/7', fence = 9, expires_at = now() + interval '1 hour'"
        )
        thread = threading.Thread(target=contend)
        thread.start()
        lab.await_waiting()
    thread.join()
    assert [error.code for error in caught] == ["LED-110"]
    assert "host/7" in str(caught[0])
    assert lab.sql("select fence, holder from penstock.pipelines") == "9|host/7"


def test_a_seal_that_waited_for_a_taker_is_fenced(lab: Lab, ledger: PostgresLedger) -> None:
    lease = ledger.take(KEY, "one", duration=MINUTE)
    epoch = planned(ledger, lease)
    caught: list[PenstockError] = []

    def write() -> None:
        try:
            ledger.retry_epoch(epoch)
        except FatalError as error:
            caught.append(error)

    with lab.transaction() as other:
        other.execute("update penstock.pipelines set fence = fence + 1")
        thread = threading.Thread(target=write)
        thread.start()
        lab.await_waiting()
    thread.join()
    assert [error.code for error in caught] == ["LED-111"]


def test_who_is_paused_inside_of_a_transaction_lets_go(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    session = {**postgres._SESSION, "idle_in_transaction_session_timeout": "100"}
    monkeypatch.setattr(postgres, "_SESSION", session)
    with closing(lab.ledger()) as paused, closing(lab.ledger()) as other:
        lease = paused.take(KEY, "one", duration=MINUTE)
        held = threading.Event()
        gone_on = threading.Event()

        def pause() -> None:
            paused._held(lease.key, lease.fence)
            held.set()
            gone_on.wait()

        def hold() -> None:
            with pytest.raises(FatalError, match=f"{lease.fence}, the newest is "):
                paused._transact(pause)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        assert other.take(KEY, "one", duration=MINUTE).fence > lease.fence
        gone_on.set()
        thread.join()


def test_a_row_that_stays_locked_is_waited_for_and_then_given_up(lab: Lab) -> None:
    with closing(lab.ledger(lock_timeout="10 ms")) as ledger, lab.transaction() as other:
        ledger.take(KEY, "one", duration=MINUTE)
        other.execute("select from penstock.pipelines for update")
        with pytest.raises(TransientError) as caught:
            ledger.take(KEY, "one", duration=MINUTE)
        assert caught.value.code == "LED-205"
        assert len(lab.clock.sleeps) == postgres.RETRY.attempts - 1


# ---------------------------------------------------------------- a connection that breaks


@pytest.mark.parametrize("cuts", ["question", "answer"])
def test_what_a_lost_commit_wrote_is_written_once(lab: Lab, ledger: PostgresLedger, cuts: Any) -> None:
    epoch = planned(ledger, ledger.take(KEY, "one", duration=MINUTE))
    proxy = Proxy(lab.server.port)
    with closing(proxy), closing(lab.ledger(url=f"{proxied(lab, proxy)}?sslmode=disable")) as through:
        proxy.cuts = cuts
        through.abort(epoch, REJECTS, NOW)
        proxy.cuts = None
        assert len(ledger.rejects(KEY)) == 1


def proxied(lab: Lab, proxy: Proxy) -> str:
    return lab.server.url(lab.database).replace(str(lab.server.port), str(proxy.port))


def test_a_lease_that_was_taken_while_the_answer_was_lost_is_the_one_that_is_held(lab: Lab) -> None:
    proxy = Proxy(lab.server.port)
    with closing(proxy), closing(lab.ledger(url=f"{proxied(lab, proxy)}?sslmode=disable")) as through:
        proxy.cuts = "answer"
        lease = through.take(KEY, "one", duration=MINUTE)
        proxy.cuts = None
        assert lab.sql("select fence, incarnation from penstock.pipelines") == f"{lease.fence}|{lease.incarnation}"
        through.renew(lease, duration=MINUTE)


def test_a_server_that_crashes_and_comes_back_is_spoken_to_again(lab: Lab, ledger: PostgresLedger) -> None:
    lease = ledger.take(KEY, "one", duration=MINUTE)
    lab.server.crash()
    lab.server.start()
    assert ledger.renew(lease, duration=MINUTE).fence == lease.fence
    assert lab.clock.sleeps  # the first attempt found the old connection cut


def test_a_server_that_is_away_is_waited_for_and_then_told(lab: Lab) -> None:
    with pytest.raises(TransientError) as caught:
        lab.ledger(url="postgresql://x:secret@127.0.0.1:9/nothing")
    assert caught.value.code == "LED-201"
    assert "tried 5 times" in str(caught.value)
    assert "secret" not in str(caught.value)


# ---------------------------------------------------------------- what the server refuses


def test_a_login_that_is_refused_shows_no_password(lab: Lab) -> None:
    wrong = {"host": lab.server.host, "port": lab.server.port, "user": lab.server.locked_user, "password": "hunter2"}
    with pytest.raises(ConfigError) as caught:
        PostgresLedger.open(PostgresConnection.model_validate(wrong), "penstock", lab.clock)
    assert caught.value.code == "LED-202"
    assert "hunter2" not in str(caught.value)


def test_a_schema_that_holds_other_tables_is_left_as_it_was(lab: Lab) -> None:
    lab.sql("create schema penstock; create table penstock.runs (mine int)")
    with pytest.raises(ConfigError, match="already exists") as caught:
        lab.ledger()
    assert caught.value.code == "LED-204"
    assert lab.sql("select count(*) from pg_tables where schemaname = 'penstock'") == "1"


def test_a_number_that_is_no_number_of_the_server_is_refused(ledger: PostgresLedger) -> None:
    with pytest.raises(DataError) as caught:
        ledger.runs(limit=2**70)
    assert caught.value.code == "LED-206"
    assert ledger.runs() == []


def test_a_server_that_is_damaged_is_told(lab: Lab, ledger: PostgresLedger) -> None:
    lab.sql(
        "create function damage() returns trigger language plpgsql as "
        "$$begin raise 'page is gone' using errcode = 'XX001'; end$$;"
        "create trigger damage before insert on penstock.runs execute function damage()"
    )
    with pytest.raises(FatalError, match="page is gone") as caught:
        ledger.begin_run(RUN)
    assert caught.value.code == "LED-207"


def test_without_the_driver_the_hint_says_what_to_install(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"penstock\[postgres\]") as caught:
        lab.ledger()
    assert caught.value.code == "LED-200"


# ---------------------------------------------------------------- finding


def test_asking_for_a_ledger_makes_none(lab: Lab) -> None:
    settings = PostgresConnection.model_validate(lab.server.url(lab.database))
    assert PostgresLedger.find(settings, "penstock") is None
    assert lab.sql("select count(*) from pg_namespace where nspname = 'penstock'") == "0"
    lab.ledger().close()
    found = PostgresLedger.find(settings, "penstock")
    assert found is not None
    found.close()


def test_what_is_written_is_durable_though_the_database_is_set_otherwise(lab: Lab) -> None:
    lab.sql(f"alter database {lab.database} set synchronous_commit = off")
    with closing(lab.ledger()) as ledger:
        assert ledger._rows("show synchronous_commit") == [{"synchronous_commit": "on"}]
