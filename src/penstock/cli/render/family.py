"""The account of a run over many tables (``tables:``): a line for each, those that failed first, and the total."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from penstock.service.documents import DocumentResult
    from penstock.service.running import RunResult

_DONE: Final = "done"
_NOT_RUN: Final = "not run"


def overview(result: DocumentResult) -> Iterator[RenderableType]:
    """Pipelines in the order in which they ran, behind those that did not end well."""
    yield _table(result)
    run = next((each.run_id for each in _ordered(result.results)), None)
    yield Text(f"one of them in full: penstock runs show {run}", style="dim")
    run = next((each.run_id for each in result.results if each.rejected or each.aborted), None)
    if run is not None:
        yield Text(f"rejected rows of one: penstock rejects show --run {run}", style="dim")


def _table(result: DocumentResult) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", footer_style="bold", show_footer=True)
    states = Counter(each.status.value for each in result.results) + Counter({_NOT_RUN: len(result.not_run)})
    ordered = sorted(states.items(), key=lambda item: item[0] == _DONE)
    table.add_column("pipeline", f"{states.total()} pipelines", overflow="fold")
    table.add_column("state", ", ".join(f"{number} {state}" for state, number in ordered), overflow="fold")
    for title in ("read", "rejected", "written"):
        total = sum(getattr(each, title) for each in result.results)
        table.add_column(title, f"{total:,}", justify="right", no_wrap=True)
    table.add_column("run", no_wrap=True)
    lines = [_line(each) for each in _ordered(result.results)]
    failed = sum(each.status.value != _DONE for each in result.results)
    not_run = [(Text(name, style="bold"), Text(_NOT_RUN, style="yellow")) for name in result.not_run]
    for line in (*lines[:failed], *not_run, *lines[failed:]):
        table.add_row(*line)
    return table


def _ordered(results: Sequence[RunResult]) -> list[RunResult]:
    return sorted(results, key=lambda each: each.status.value == _DONE)


def _line(result: RunResult) -> tuple[RenderableType, ...]:
    codes = dict.fromkeys(problem.code for problem in result.problems)
    state = f"{result.status.value} ({', '.join(codes)})" if codes else result.status.value
    return (
        Text(result.pipeline or "", style="bold"),
        Text(state, style="" if result.status.value == _DONE else "red"),
        f"{result.read:,}",
        Text(f"{result.rejected:,}" if result.rejected else "", style="yellow"),
        f"{result.written:,}",
        Text(result.run_id or "", style="dim"),
    )
