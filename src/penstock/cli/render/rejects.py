"""Rejected records, and what became of them, for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from rich.console import RenderableType

    from penstock.service.causes import CauseRows
    from penstock.service.rejected import Rejected, RejectedRecord
    from penstock.service.replaying import ReplayResult, Tried

_SHOWN: Final = 500  # characters of a record
_EPOCHS: Final = 3  # that are named one by one


def list_json(found: Rejected) -> dict[str, Any]:
    return {
        "run_id": found.run_id,
        "pipeline": found.run.key.pipeline if found.run is not None else None,
        "total": found.total,
        "reasons": found.reasons,
        "by_cause": [one.to_json() for one in found.groups()],
        "outcomes": [
            {
                "group": outcome.group,
                "outcome": outcome.outcome,
                "rows": outcome.rows,
                "epoch": outcome.epoch,
                "by": outcome.by,
                "at": outcome.at.isoformat(),
                "reason": outcome.reason,
            }
            for outcome in found.settled()
        ],
    }


def list_page(found: Rejected) -> Iterator[RenderableType]:
    yield title(found)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("group", "rows", "epochs", "the first"):
        table.add_column(name, justify="right" if name == "rows" else "left", overflow="fold")
    for item in found.groups():
        table.add_row(item.name, f"{item.rows:,}", _epochs(item.epochs), _beginning(item.example or ""))
    yield table
    for outcome in found.settled() if found.every else ():
        done = f"{outcome.outcome} by {outcome.by} at {outcome.at:%Y-%m-%d %H:%M:%S}"
        where = f" in epoch {outcome.epoch}" if outcome.epoch is not None else ""
        why = f": {outcome.reason}" if outcome.reason is not None else ""
        yield Text(f"{outcome.group}: {_rows(outcome.rows)} {done}{where}{why}", style="dim")


def _epochs(numbers: Sequence[int]) -> str:
    if len(numbers) <= _EPOCHS:
        return ", ".join(map(str, numbers))
    return f"{numbers[0]} … {numbers[-1]} ({len(numbers)})"


def title(found: Rejected) -> str:
    """A row with several reasons stands under each of them, and is one row."""
    rows = f"{_rows(found.total)} rejected"
    reasons = f" for {found.reasons:,} reasons" if found.reasons != found.total and found.group is None else ""
    pipeline = f"{found.run.key.pipeline}, " if found.run is not None else ""
    runs = {entry.run_id for entry in found.entries}
    where = f"run {found.run_id}" if len(runs) == 1 else f"epochs {_epochs(found.epochs)}"
    return f"{pipeline}{where}: {rows}{reasons}"


def records_page(found: Iterable[RejectedRecord], root: Path) -> Iterator[RenderableType]:
    """Each record in three lines; files are shown as they stand in the project, long records only begin."""
    for record in found:
        causes = "; ".join(f"{cause['code']}: {cause['message']}" for cause in record.causes)
        aborted = "  (its epoch was not sealed)" if record.status == "aborted" else ""
        yield Text.assemble((record.node, "bold"), "  ", (causes, "yellow"), (aborted, "dim"))
        if record.position is not None:
            yield Text(f"  at {_place(record.position, root)}", style="dim")
        shown = record.raw if record.raw is not None else json.dumps(record.row, ensure_ascii=False)
        yield Text(f"  {_beginning(shown)}")


def record_page(record: RejectedRecord, root: Path) -> Iterator[RenderableType]:
    """One record from where it came from to where it was rejected, column by column."""
    if record.position is not None:
        yield Text(f"from {_place(record.position, root)}")
    if record.raw is not None:
        yield Text(f"  {record.raw.rstrip()}")
    if isinstance(record.source_row, dict):
        yield from _columns("the source's row", record.source_row)
    if isinstance(record.row, dict):
        yield from _columns("as it came to the node" if record.raw is None else "its texts by column", record.row)
    where = f"  {record.places['']}" if "" in record.places else ""
    yield Text.assemble("rejected by ", (record.node, "bold"), where, f"  in epoch {record.epoch} ({record.status})")
    for cause in record.causes:
        place = record.places.get(cause["code"] or "", "")
        yield Text.assemble("  ", (f"{cause['code']}: {cause['message']}", "yellow"), f"  {place}" if place else "")


def _columns(title: str, row: dict[str, Any]) -> Iterator[RenderableType]:
    yield Text(title)
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 2))
    for name, value in row.items():
        table.add_row(name, _beginning(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))
    yield table


def tried_page(tried: Tried) -> Iterator[RenderableType]:
    if not tried.rows:
        yield f"nothing of {tried.group} is open"
        return
    yield Text(f"{tried.group}: {tried.saved:,} of {_rows(tried.rows)} would be saved")
    if tried.place == "node":
        yield Text("  as they came to the node: what was computed before it is not computed again", style="dim")
    for sink, rows in tried.sinks.items():
        yield f"  {_rows(rows)} to {sink}"
    if tried.filtered:
        yield f"  {_rows(tried.filtered)} filtered out"
    yield from _again(tried.rejected, tried.causes, "would be rejected again")
    yield from records_page(tried.examples, tried.root)


def replay_page(done: ReplayResult) -> Iterator[RenderableType]:
    if not done.rows:
        yield f"nothing of {done.group} is open: nothing was sent"
        return
    what = "sent again" if done.given is None else f"replaced by {done.given:,} of the file"
    yield Text(f"{done.group}: {_rows(done.rows)} {what}, {done.rejected:,} rejected again")
    for epoch in done.run.epochs:
        for sink, receipt in epoch.receipts.items():
            older = f", {receipt.ignored_older:,} older than what is there" if receipt.ignored_older else ""
            yield f"  epoch {epoch.record.number}: {_rows(receipt.rows)} to {sink}{older}"
    yield from _again(done.rejected, done.run.by_cause() if done.rejected else (), "rejected again")
    for source in done.read_whole:
        yield Text(
            f"  {source} is read as a whole: the next run reads these records as they stand there, and rejects them again "
            "unless they are mended in the source too",
            style="dim",
        )


def _again(rows: int, causes: Sequence[CauseRows], words: str) -> Iterator[RenderableType]:
    if rows:
        yield Text(f"  {_rows(rows)} {words}:", style="yellow")
    for one in causes:
        yield Text(f"    {one.rows:,}  {one.name}")


def _rows(number: int) -> str:
    return f"{number:,} row{'' if number == 1 else 's'}"


def _place(position: Any, root: Path) -> str:
    """``data/spot.csv, record 41, byte 1701``."""
    if not isinstance(position, dict):
        return json.dumps(position, ensure_ascii=False)
    said = []
    for name, value in position.items():
        if name == "file":
            said.append(str(value).removeprefix(f"{root}/"))
        elif value is not None:
            said.append(f"{name} {value if isinstance(value, int | str) else json.dumps(value, ensure_ascii=False)}")
    return ", ".join(said)


def _beginning(record: str) -> str:
    text = record.rstrip("\r\n").replace("\n", "\\n")
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text):,} characters)"
