"""What people are shown of a run over many tables: a line for each, not a sheet for each."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from penstock.cli.running import _tell
from penstock.connectors.api import Receipt
from penstock.errors import ConfigError, Problem
from penstock.ledger.api import Account, EpochRecord, NodeBalance, PipelineKey, RunStatus
from penstock.service.documents import DocumentResult
from penstock.service.running import RunResult, SealedEpoch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NOW = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
KEY = PipelineKey("small", "default", "shop/crm.a")
NO_KEYS = Problem("CMP-222", 'merge by "copy" needs keys', detail="the table has none.")
OLD = Problem("CMP-330", "an old warning", severity="warning")


def _epoch(number: int, *, rows: int, rejected: int) -> SealedEpoch:
    balance = (
        NodeBalance("crm", "read", {"crm": rows}, rows - rejected, rejected=rejected),
        NodeBalance("copy", "write", {"crm": rows - rejected}, rows - rejected),
        NodeBalance("lake", "write", {"crm": rows - rejected}, rows - rejected),
    )
    receipts = {name: Receipt(rows - rejected, rows - rejected) for name in ("copy", "lake")}
    return SealedEpoch(EpochRecord(KEY, "one", number, "first", 1, "run", "plan", (), NOW), receipts, Account(balance))


def _run(name: str, epochs: Sequence[SealedEpoch], *problems: Problem, warnings: Sequence[Problem] = ()) -> RunResult:
    error = ConfigError.of(problems) if problems else None
    status = RunStatus.FAILED if problems else RunStatus.DONE
    return RunResult(
        f"shop/crm.{name}", f"run-{name}", status, "duckdb", None, NOW, 5, epochs, warnings, problems, error=error
    )


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Callable[[DocumentResult], tuple[list[str], str]]:
    """The lines on stdout, and what stands on stderr."""

    def show(result: DocumentResult) -> tuple[list[str], str]:
        _tell(result, quiet=False)
        said = capsys.readouterr()
        return said.out.splitlines(), said.err

    return show


def test_each_table_has_a_line_and_those_that_failed_stand_first(
    shown: Callable[[DocumentResult], tuple[list[str], str]],
) -> None:
    good = [_run(f"t{number:02}", (_epoch(1, rows=1000, rejected=0),)) for number in range(27)]
    bad_rows = _run("dirty", (_epoch(1, rows=10, rejected=3), _epoch(2, rows=1, rejected=0)))
    failed = [_run(name, (), NO_KEYS) for name in ("keyless", "other")]
    out, _ = shown(DocumentResult("shop", (*good, bad_rows, *failed), (), of_tables=True))
    assert [line.split() for line in (*out[:4], *out[29:31])] == [
        ["pipeline", "state", "read", "rejected", "written", "run"],
        ["shop/crm.keyless", "failed", "(CMP-222)", "0", "0", "run-keyless"],
        ["shop/crm.other", "failed", "(CMP-222)", "0", "0", "run-other"],
        ["shop/crm.t00", "done", "1,000", "2,000", "run-t00"],
        ["shop/crm.t26", "done", "1,000", "2,000", "run-t26"],
        ["shop/crm.dirty", "done", "11", "3", "16", "run-dirty"],
    ]
    assert out[31:] == [
        "30 pipelines      2 failed, 28 done  27,011         3   54,016",
        "one of them in full: penstock runs show run-keyless",
        "rejected rows of one: penstock rejects show --run run-dirty",
    ]


def test_what_was_not_run_stands_before_what_was_done(
    shown: Callable[[DocumentResult], tuple[list[str], str]],
) -> None:
    results = (_run("a", (_epoch(1, rows=2, rejected=0),)), _run("b", (), NO_KEYS))
    out, err = shown(DocumentResult("shop", results, ("shop/crm.c", "shop/crm.d"), of_tables=True))
    assert [line.split()[:3] for line in out[1:6]] == [
        ["shop/crm.b", "failed", "(CMP-222)"],
        ["shop/crm.c", "not", "run"],
        ["shop/crm.d", "not", "run"],
        ["shop/crm.a", "done", "2"],
        ["4", "pipelines", "1"],
    ]
    assert "1 failed, 2 not run, 1 done" in out[5]
    assert out[6:] == ["one of them in full: penstock runs show run-b"]
    assert err.endswith('warning[CLI-105]: "shop/crm.d" was not run\n\n')


def test_a_problem_of_many_tables_is_told_once_with_their_names(
    shown: Callable[[DocumentResult], tuple[list[str], str]],
) -> None:
    failed = [_run(name, (), NO_KEYS) for name in "abcde"]
    warned = [_run(name, (_epoch(1, rows=1, rejected=0),), warnings=(OLD, OLD)) for name in "xy"]
    _, err = shown(DocumentResult("shop", (*failed, *warned), (), of_tables=True))
    assert err == (
        'error[CMP-222]: merge by "copy" needs keys\n'
        "detail: the table has none. seen in shop/crm.a, shop/crm.b, shop/crm.c and 2 more.\n\n"
        "warning[CMP-330]: an old warning\n"
        "detail: seen in shop/crm.x, shop/crm.y.\n\n"
    )


def test_a_document_without_tables_has_its_full_sheet(
    shown: Callable[[DocumentResult], tuple[list[str], str]],
) -> None:
    run = _run("a", (_epoch(1, rows=2, rejected=0),), warnings=(OLD,))
    out, err = shown(DocumentResult("shop", (run,)))
    assert out[0].startswith("shop/crm.a  epoch 1 sealed")
    assert [line.split()[0] for line in out[1:5]] == ["node", "crm", "copy", "lake"]
    assert err == "warning[CMP-330]: an old warning\n\n"


def test_the_json_of_many_tables_has_them_as_members_in_their_order() -> None:
    results = (_run("a", ()), _run("b", (), NO_KEYS))
    found = DocumentResult("shop", results, ("shop/crm.c",), of_tables=True).to_json()
    assert list(found) == ["pipeline", "status", "members", "not_run"]
    assert found["members"] == [each.to_json() for each in results]
