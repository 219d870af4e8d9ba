"""Runs, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from penstock.cli.render.balance import nodes_table, partnerless, passed_all_the_same, sinks_table
from penstock.service.remembering import EpochStatus, RunStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from penstock.service.remembering import ListedRun, RunDetails, RunRecord, StopRequest

_FOLDED: Final = frozenset({"pipeline", "environment"})  # where names are long
_STYLES = {"done": "green", "failed": "red", "interrupted": "yellow", "stopped": "yellow", "running": "cyan"}


def _table(*titles: str, numbers: frozenset[str] = frozenset()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in titles:
        table.add_column(
            title,
            justify="right" if title in numbers else "left",
            no_wrap=title not in _FOLDED,
            overflow="fold",
        )
    return table


def runs_table(listed: Sequence[ListedRun]) -> Table:
    """The environment only where there is another than the default one; whether a run loads or sends rejected rows again only
    where one does that; who asks a run to stop only where one is asked.
    """
    environments = {each.run.key.environment for each in listed} != {"default"}
    replays = any(each.run.is_replay for each in listed)
    titles = (
        "run",
        "pipeline",
        *(["environment"] if environments else []),
        *(["kind"] if replays else []),
        "status",
        "started (UTC)",
        "took",
        "rejected",
    )
    table = _table(*titles, numbers=frozenset({"took", "rejected"}))
    for each in listed:
        run = each.run
        table.add_row(
            run.run_id,
            run.key.pipeline,
            *([run.key.environment] if environments else []),
            *(["replay" if run.is_replay else "load"] if replays else []),
            _status(run, each.stop),
            f"{run.started_at:%m-%d %H:%M}",
            _took(run),
            _rejected(run),
        )
    return table


def _status(run: RunRecord, stop: StopRequest | None) -> Text:
    if stop is not None:
        return Text(f"stopping, by {stop.by}", style="yellow")
    return Text(run.status.value + _by(run), style=_STYLES.get(run.status.value, ""))


def _by(run: RunRecord) -> str:
    """Who asked a run to stop that did."""
    stopped = run.summary.get("stopped")
    return f", by {stopped.get('by')}" if isinstance(stopped, dict) else ""


def _took(run: RunRecord) -> str:
    """Nothing where the clock was put back meanwhile: nobody knows."""
    if run.ended_at is None or run.ended_at < run.started_at:
        return ""
    return f"{(run.ended_at - run.started_at).total_seconds():,.1f} s"


def _rejected(run: RunRecord) -> str:
    """Of its sealed epochs; of one that failed, what it had rejected until then."""
    rejects = run.summary.get("rejects")
    if not isinstance(rejects, dict):
        return ""
    aborted = rejects.get("aborted")
    total = rejects.get("total") or (aborted.get("total") if isinstance(aborted, dict) else 0)
    return f"{total:,}" if isinstance(total, int) and total else ""


def _so_far(details: RunDetails) -> str:
    """``since 2026-01-01 00:00:00 UTC; 2 epochs sealed: 9 rows to out`` of a run that goes on, or was killed."""
    sealed = [epoch.number for epoch in details.epochs if epoch.sealed_at]
    rows: dict[str, int] = {}
    for number in sealed:
        for sink, receipt in details.receipts.get(number, {}).items():
            rows[sink] = rows.get(sink, 0) + receipt.rows
    to = ", ".join(f"{number:,} row{'' if number == 1 else 's'} to {sink}" for sink, number in rows.items())
    done = f"{len(sealed):,} epoch{'' if len(sealed) == 1 else 's'} sealed" if sealed else "nothing is sealed yet"
    return f"since {details.run.started_at:%Y-%m-%d %H:%M:%S} UTC; {done}{f': {to}' if to else ''}"


def details_page(details: RunDetails) -> Iterator[RenderableType]:
    run = details.run
    yield Text.assemble((run.key.pipeline, "bold"), f"  run {run.run_id}  ", _status(run, details.stop))
    if details.refused:
        newer = "a newer run failed" if details.refused == 1 else f"{details.refused:,} newer runs failed"
        yield Text(f"{newer} before an epoch was planned: `penstock runs list`", style="dim")
    if run.status is RunStatus.RUNNING:
        yield Text(_so_far(details), style="dim")
    for epoch in details.epochs:
        sealed = f"sealed {epoch.sealed_at:%Y-%m-%d %H:%M:%S}" if epoch.sealed_at else "not sealed"
        if epoch.status is EpochStatus.PLANNED and run.status is RunStatus.RUNNING:
            sealed = f"at work since {epoch.planned_at:%Y-%m-%d %H:%M:%S} UTC"
        yield Text(f"epoch {epoch.number}: {sealed}", style="dim")
        if entries := details.balance.get(epoch.number, ()):
            yield nodes_table(entries, every=True)
            yield from partnerless(entries)
            yield from passed_all_the_same(entries)
        if receipts := details.receipts.get(epoch.number):
            yield ""
            yield sinks_table(receipts)
    problems = run.summary.get("problems")
    for problem in problems if isinstance(problems, list) else ():
        if isinstance(problem, dict):
            yield Text(f"{problem.get('code')}: {problem.get('message')}", style="red")
