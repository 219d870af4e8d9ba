"""The list of runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from penstock.cli.render.history import details_page, runs_table
from penstock.connectors.api import Receipt
from penstock.ledger.api import EpochRecord, EpochStatus, PipelineKey, RunRecord, RunStatus
from penstock.service.remembering import ListedRun, RunDetails

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("seconds", "told"), [(2, "2.0 s"), (0, "0.0 s"), (-3600, ""), (None, "")])
def test_a_run_took_what_the_clock_says_unless_it_was_put_back(seconds: int | None, told: str) -> None:
    ended = None if seconds is None else BEGUN + timedelta(seconds=seconds)
    run = RunRecord("r", PipelineKey("p", "default", "x"), RunStatus.DONE, BEGUN, ended)
    console = Console(width=200)
    with console.capture() as shown:
        console.print(runs_table([ListedRun(run)]))
    assert shown.get().splitlines()[1].partition("00:00")[2].strip() == told


def test_of_a_run_that_goes_on_is_told_what_is_done_and_what_is_at_work() -> None:
    key = PipelineKey("p", "default", "x")
    run = RunRecord("r", key, RunStatus.RUNNING, BEGUN)
    first = EpochRecord(key, "i", 1, "a", 1, "r", "h", (), BEGUN, {}, EpochStatus.SEALED, BEGUN + timedelta(seconds=5))
    second = EpochRecord(key, "i", 2, "a", 1, "r", "h", (), BEGUN + timedelta(seconds=6))

    def page(details: RunDetails) -> list[str]:
        console = Console(width=200)
        with console.capture() as shown:
            console.print(*details_page(details), sep="\n")
        return [line.rstrip() for line in shown.get().splitlines()]

    assert page(RunDetails(run, [], {}, {}, refused=2))[1:] == [
        "2 newer runs failed before an epoch was planned: `penstock runs list`",
        "since 2026-01-01 00:00:00 UTC; nothing is sealed yet",
    ]
    told = page(RunDetails(run, [first, second], {1: {"out": Receipt(4, 4)}}, {}))
    assert told[1] == "since 2026-01-01 00:00:00 UTC; 1 epoch sealed: 4 rows to out"
    assert told[-1] == "epoch 2: at work since 2026-01-01 00:00:06 UTC"
