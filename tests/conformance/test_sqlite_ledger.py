"""The SQLite ledger keeps the promises of every ledger, and says clearly what is wrong with its file."""

from __future__ import annotations

import shutil
import sqlite3
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from penstock.errors import FatalError, TransientError
from penstock.ledger.api import Health, PipelineKey
from penstock.ledger.sqlite import SqliteLedger
from penstock.testing.clock import FakeClock
from penstock.testing.ledger import LedgerConformance

if TYPE_CHECKING:
    from pathlib import Path


class TestSqliteLedger(LedgerConformance):
    @pytest.fixture(autouse=True)
    def _path(self, tmp_path: Path) -> None:
        self.path = tmp_path / "state" / "ledger.db"
        self.clock = FakeClock()

    def open(self) -> SqliteLedger:
        return SqliteLedger(self.path, self.clock)

    def pass_time(self, time: timedelta) -> None:
        self.clock.advance(time.total_seconds())

    def test_the_file_is_for_its_owner_only(self) -> None:
        self.open().close()
        assert self.path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", [b"this is no database, not at all " * 200, b"\0" * 5000])
def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(content)
    with pytest.raises(FatalError) as caught:
        SqliteLedger(path)
    assert caught.value.code == "LED-101"
    assert path.read_bytes() == content


def test_a_cut_ledger_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    SqliteLedger(path).close()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 3])
    with pytest.raises(FatalError) as caught:
        SqliteLedger(path).runs()
    assert caught.value.code == "LED-101"


def test_a_ledger_that_another_process_holds_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.ledger.sqlite._BUSY_S", 0.05)
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    with pytest.raises(TransientError) as caught:
        ledger.runs()
    other.execute("rollback")
    assert caught.value.code == "LED-150"
    assert ledger.runs() == []
    other.close()
    ledger.close()


def test_a_file_in_the_place_of_the_state_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / ".penstock").write_text("mine", encoding="utf-8")
    with pytest.raises(FatalError) as caught:
        SqliteLedger(tmp_path / ".penstock" / "ledger.db")
    assert caught.value.code == "LED-103"
    assert f"({tmp_path / '.penstock'})" in str(caught.value)
    assert (tmp_path / ".penstock").read_text(encoding="utf-8") == "mine"


def test_a_state_folder_that_goes_while_a_run_begins_is_named(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / ".penstock" / "ledger.db")
    shutil.rmtree(tmp_path / ".penstock")
    with pytest.raises(FatalError) as caught:
        ledger.take(PipelineKey("p", "dev", "x"), "one", duration=timedelta(minutes=1))
    assert caught.value.code == "LED-103"
    assert str(tmp_path / ".penstock") in str(caught.value)
    ledger.close()


def test_a_ledger_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").mkdir()
    with pytest.raises(FatalError) as caught:
        SqliteLedger(tmp_path / "ledger.db")
    assert caught.value.code == "LED-103"


def test_a_holder_whose_process_is_gone_is_dead_and_looking_takes_nothing(tmp_path: Path) -> None:
    path, key = tmp_path / "ledger.db", PipelineKey("p", "default", "x")
    killed = SqliteLedger(path)
    fence = killed.take(key, "killed", duration=timedelta(minutes=1)).fence
    looking = SqliteLedger(path)
    assert [held.health for held in looking.holdings()] == [Health.ALIVE]
    killed.close()  # as the kernel does with a process
    assert [(held.lease.holder, held.health) for held in looking.holdings()] == [("killed", Health.DEAD)]
    third = SqliteLedger(path)
    assert third.take(key, "third", duration=timedelta(minutes=1)).fence > fence
    assert [(held.lease.holder, held.health) for held in looking.holdings()] == [("third", Health.ALIVE)]
    for ledger in (looking, third):
        ledger.close()
