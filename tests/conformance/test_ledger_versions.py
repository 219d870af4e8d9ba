"""Ledgers of every version so far become ones of this version, in one transaction, whoever else does it at the same time.

``fixtures/ledgers`` has a dump of a ledger per store and version, as the Penstock of that version wrote it, all with the
same contents: a sealed epoch, and one that is planned and has rejects.
"""

from __future__ import annotations

import sqlite3
import threading
from abc import ABC, abstractmethod
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from penstock.connectors.postgres.params import PostgresConnection
from penstock.errors import FatalError, PenstockError
from penstock.ledger import tables
from penstock.ledger.api import Account, EpochStatus, KeptRows, RunStatus
from penstock.ledger.postgres import PostgresLedger
from penstock.ledger.sqlite import SqliteLedger
from penstock.testing.ledger import BALANCE, KEY, MINUTE, NOW, RECEIPT, REJECTS
from penstock.types import INT64, STRING, Field, Schema

if TYPE_CHECKING:
    from penstock.ledger.api import Ledger
    from penstock.testing.servers import PostgresServer

# What version 1 knew of a balance.
KNOWN = tuple(entry for entry in BALANCE if not entry.noted and not entry.columns)
DUMPS = Path(__file__).parents[1] / "fixtures" / "ledgers"
VERSIONS = pytest.mark.parametrize("version", range(1, tables.VERSION + 1))


class Store(ABC):
    name: str

    @abstractmethod
    def open(self) -> Ledger: ...

    @abstractmethod
    def load(self, dump: str) -> None: ...

    @abstractmethod
    def version(self) -> int: ...

    @abstractmethod
    def set_version(self, version: int) -> None: ...

    @abstractmethod
    def has_table(self, name: str) -> bool: ...


class SqliteStore(Store):
    name = "sqlite"

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self) -> Ledger:
        return SqliteLedger(self.path)

    def load(self, dump: str) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            connection.executescript(dump)

    def _value(self, query: str) -> int:
        with closing(sqlite3.connect(self.path)) as connection:
            return int(connection.execute(query).fetchone()[0])

    def version(self) -> int:
        return self._value("pragma user_version")

    def set_version(self, version: int) -> None:
        self.load(f"pragma user_version = {version}")

    def has_table(self, name: str) -> bool:
        return bool(self._value(f"select count(*) from sqlite_master where name = '{name}'"))


class PostgresStore(Store):
    name = "postgres"

    def __init__(self, server: PostgresServer, database: str) -> None:
        self.server, self.database = server, database

    def open(self) -> Ledger:
        return PostgresLedger.open(PostgresConnection.model_validate(self.server.url(self.database)), "penstock")

    def load(self, dump: str) -> None:
        self.server.sql(dump, database=self.database)

    def version(self) -> int:
        return int(self.server.sql("select version from penstock.ledger", database=self.database))

    def set_version(self, version: int) -> None:
        self.load(f"update penstock.ledger set version = {version}")

    def has_table(self, name: str) -> bool:
        return bool(self.server.sql(f"select to_regclass('penstock.{name}')", database=self.database))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.server)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "sqlite":
        return SqliteStore(tmp_path / "ledger.db")
    return PostgresStore(request.getfixturevalue("postgres_server"), request.getfixturevalue("postgres_database"))


def old(store: Store, version: int) -> None:
    store.load((DUMPS / f"{store.name}_{version}.sql").read_text(encoding="utf-8"))
    assert store.version() == version


@VERSIONS
def test_what_an_older_ledger_knew_is_known(store: Store, version: int) -> None:
    old(store, version)
    with closing(store.open()) as ledger:
        assert store.version() == tables.VERSION
        killed, done = ledger.runs()
        assert (killed.run_id, killed.status, done.run_id, done.status) == (
            "r2",
            RunStatus.RUNNING,
            "r1",
            RunStatus.DONE,
        )
        assert (done.started_at, done.ended_at) == (NOW, NOW + MINUTE)
        assert done.summary == {"text": "ä 'quoted'", "n": [1, 2.5, None]}
        (sealed,) = ledger.epochs("r1")
        assert (sealed.number, sealed.status, sealed.planned_at) == (1, EpochStatus.SEALED, NOW)
        assert (ledger.receipts("r1"), tuple(ledger.balance("r1")[1])) == ({1: {"sink": RECEIPT}}, KNOWN)
        assert ledger.committed(KEY, sealed.incarnation) == {"sink": 1}
        assert ledger.positions(KEY, sealed.incarnation) == {
            (item.source, item.partition): item.upto for item in sealed.ranges
        }
        assert ledger.schemas(KEY) == {"a": Schema((Field("k", INT64, nullable=False), Field("näme", STRING)))}
        assert [(entry.status, entry.file) for entry in ledger.rejects(KEY)] == [
            ("aborted", REJECTS[0]),
            ("kept", REJECTS[0]),
        ]


@VERSIONS
def test_an_older_ledger_goes_on(store: Store, version: int) -> None:
    old(store, version)
    with closing(store.open()) as ledger:
        lease = ledger.take(KEY, "another", duration=MINUTE)
        assert lease.fence > 1
        planned = ledger.last_epoch(KEY, lease.incarnation)
        assert planned is not None
        assert ledger.prepared(planned) == Account(KNOWN, REJECTS, {"some.limit": KeptRows("1-a1/0.arrow", "c0ffee")})
        ledger.close_runs(lease, "r3", at=NOW + MINUTE)
        ledger.abort(planned, REJECTS, NOW + 2 * MINUTE)
        assert [entry.run_id for entry in ledger.rejects()] == ["r2", "r2", "r1"]
        assert {run.status for run in ledger.runs()} == {RunStatus.INTERRUPTED, RunStatus.DONE}


def test_a_ledger_of_a_newer_version_is_left_alone(store: Store) -> None:
    store.open().close()
    store.set_version(99)
    with pytest.raises(FatalError, match="99") as caught:
        store.open()
    assert caught.value.code == "LED-102"
    assert store.version() == 99


def test_a_step_that_fails_leaves_the_ledger_as_it_was(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.open().close()
    broken = "create table news (id {identity} primary key);\ncreate table runs (id {integer})"
    monkeypatch.setattr(tables, "STEPS", (*tables.STEPS, broken))
    monkeypatch.setattr(tables, "VERSION", tables.VERSION + 1)
    with pytest.raises(PenstockError):
        store.open()
    assert store.version() == tables.VERSION - 1
    assert not store.has_table("news")
    monkeypatch.setattr(tables, "STEPS", (*tables.STEPS[:-1], broken.split(";", maxsplit=1)[0]))
    store.open().close()
    assert store.version() == tables.VERSION
    assert store.has_table("news")


def test_of_many_that_open_a_new_ledger_all_but_one_wait(store: Store) -> None:
    """A step that two do makes a table twice, which fails."""
    opened: list[Ledger] = []
    ready = threading.Barrier(6)

    def contend() -> None:
        ready.wait()
        opened.append(store.open())

    threads = [threading.Thread(target=contend) for _ in range(ready.parties)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for ledger in opened:
        ledger.close()
    assert len(opened) == ready.parties
