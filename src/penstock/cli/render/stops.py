"""How runs that were asked to stop ended, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.service.documents import DocumentResult
    from penstock.service.stopping import StoppedRun, StopResult

_CONSISTENT = "the state is consistent"


def ended_line(result: DocumentResult) -> str | None:
    """What is told of a command that a signal or `penstock runs stop` ended."""
    match result.status.value:
        case "interrupted":
            return f"interrupted; {_CONSISTENT}"
        case "stopped":
            stopped = next((each.stopped for each in result.results if each.stopped is not None), None)
            by = f" by {stopped.by}" if stopped is not None else ""
            return f"stopped{by}; {_CONSISTENT}"
        case _:
            return None


def stopped_page(result: StopResult) -> Iterator[str]:
    if not result.runs:
        yield f"{result.pipeline}: nothing is running"
    for run in result.runs:
        yield f"{run.pipeline}: {_end(run)}"


def _end(run: StoppedRun) -> str:
    match run.status:
        case "dead":
            return f"nothing is running; run {run.run_id} by {run.holder.rpartition('/')[0]} was killed, the next run goes on"
        case "done":
            return f"run {run.run_id} had come to its end: done"
        case "running":
            return f"run {run.run_id} has given the pipeline back"
        case status:
            return f"run {run.run_id} {status}; {_CONSISTENT}"
