"""The list of runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from penstock.cli.render.history import runs_table
from penstock.ledger.api import PipelineKey, RunRecord, RunStatus
from penstock.service.remembering import ListedRun

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("seconds", "told"), [(2, "2.0 s"), (0, "0.0 s"), (-3600, ""), (None, "")])
def test_a_run_took_what_the_clock_says_unless_it_was_put_back(seconds: int | None, told: str) -> None:
    ended = None if seconds is None else BEGUN + timedelta(seconds=seconds)
    run = RunRecord("r", PipelineKey("p", "default", "x"), RunStatus.DONE, BEGUN, ended)
    console = Console(width=200)
    with console.capture() as shown:
        console.print(runs_table([ListedRun(run)]))
    assert shown.get().splitlines()[1].partition("00:00")[2].strip() == told
