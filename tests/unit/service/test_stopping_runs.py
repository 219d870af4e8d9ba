"""``runs stop`` where nobody answers, or nothing of that name runs."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from penstock.document.assembly import Settings
from penstock.errors import PenstockError
from penstock.ledger.api import PipelineKey, RunRecord, RunStatus
from penstock.ledger.sqlite import SqliteLedger
from penstock.service.stopping import grace_of, stop
from penstock.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = PipelineKey("small", "default", "orders")
HOLDER = "elsewhere/7/r1"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "penstock.yml").write_text("project: small\n", encoding="utf-8")
    return Settings({}, project_root=tmp_path)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    with closing(SqliteLedger(tmp_path / ".penstock" / "ledger.db")) as found:
        yield found


def code_of(settings: Settings, named: str, clock: FakeClock | None = None) -> str:
    with pytest.raises(PenstockError) as caught:
        stop(settings, named, clock=clock)
    return caught.value.code


def test_a_holder_that_does_not_look_is_named_after_a_while(settings: Settings, ledger: SqliteLedger) -> None:
    ledger.take(KEY, HOLDER, duration=timedelta(hours=1))
    clock = FakeClock()
    before = clock.monotonic()
    with pytest.raises(PenstockError, match=HOLDER) as caught:
        stop(settings, "orders", clock=clock)
    assert caught.value.code == "LED-212"
    assert 30 < clock.monotonic() - before < 31


def test_of_a_holder_whose_lease_has_run_out_nobody_knows_whether_it_lives(
    settings: Settings, ledger: SqliteLedger
) -> None:
    ledger.take(KEY, HOLDER, duration=timedelta(0))
    assert code_of(settings, "orders", FakeClock()) == "LED-211"
    assert ledger.holdings()[0].stop is not None  # it finds that, should it wake up


def test_a_holder_that_ends_while_it_is_asked_has_ended(settings: Settings, ledger: SqliteLedger) -> None:
    lease = ledger.take(KEY, HOLDER, duration=timedelta(hours=1))
    clock = FakeClock()
    ledger.begin_run(RunRecord("r1", KEY, RunStatus.RUNNING, clock.now()))

    class Ending(FakeClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            ledger.release(lease)
            ledger.end_run(RunRecord("r1", KEY, RunStatus.DONE, self.now(), self.now()))

    (run,) = stop(settings, "orders", clock=Ending()).runs
    assert (run.run_id, run.holder, run.status) == ("r1", HOLDER, "done")


def test_all_tables_of_a_pipeline_are_its_runs(settings: Settings, ledger: SqliteLedger) -> None:
    members = [PipelineKey("small", "default", name) for name in ("orders/crm.a", "orders_old", "orders")]
    leases = {key.pipeline: ledger.take(key, f"h/1/{key.pipeline}", duration=timedelta(hours=1)) for key in members}
    elsewhere = ledger.take(PipelineKey("small", "prod", "orders"), "h/1/prod", duration=timedelta(hours=1))
    asked: list[str] = []

    class Releasing(FakeClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            for held in ledger.holdings():
                if held.stop is not None:
                    asked.append(held.lease.key.pipeline)
                    ledger.release(held.lease)

    found = stop(settings, "orders", clock=Releasing())
    assert asked == ["orders", "orders/crm.a"]
    assert [run.pipeline for run in found.runs] == asked
    assert {held.lease.holder for held in ledger.holdings()} == {leases["orders_old"].holder, elsewhere.holder}


def test_what_was_never_run_is_no_pipeline(settings: Settings, ledger: SqliteLedger, tmp_path: Path) -> None:
    ledger.begin_run(RunRecord("r1", KEY, RunStatus.DONE, FakeClock().now()))
    assert stop(settings, "orders").runs == ()
    assert code_of(settings, "order") == "LED-210"
    nameless = tmp_path / "x.yml"
    nameless.write_text("sources: {}\n", encoding="utf-8")
    assert code_of(settings, str(nameless)) == "LED-210"


def test_where_nothing_was_run_a_name_is_no_pipeline(settings: Settings) -> None:
    assert code_of(settings, "orders") == "LED-210"


def test_a_file_need_only_name_its_pipeline(settings: Settings, tmp_path: Path) -> None:
    half = tmp_path / "x.yml"
    half.write_text("pipeline: orders\nsources: {a: {type: '${param.what}'}}\n", encoding="utf-8")
    assert stop(settings, str(half)).pipeline == "orders"


def test_what_a_grace_is() -> None:
    assert grace_of(None, now=False) is None
    assert grace_of("2 min", now=False) == timedelta(minutes=2)
    assert grace_of(None, now=True) == timedelta(0)
    for text, now, code in (("soon", False, "CLI-160"), ("3 s", True, "CLI-161")):
        with pytest.raises(PenstockError) as caught:
            grace_of(text, now=now)
        assert caught.value.code == code
