"""Runs and rejected records, for people and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import RenderableType

    from penstock.ledger.api import RunRecord
    from penstock.service.remembering import Rejected, RunDetails

_STYLES = {"done": "green", "failed": "red", "interrupted": "yellow", "running": "cyan"}


def _table(*titles: str, numbers: frozenset[str] = frozenset()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in titles:
        table.add_column(title, justify="right" if title in numbers else "left", no_wrap=title in {"run", "node"})
    return table


def runs_table(runs: Sequence[RunRecord]) -> Table:
    table = _table(
        "run", "pipeline", "environment", "status", "started (UTC)", "rejected", numbers=frozenset({"rejected"})
    )
    for run in runs:
        rejects = run.summary.get("rejects")
        total = rejects.get("total", 0) if isinstance(rejects, dict) else 0
        table.add_row(
            run.run_id,
            run.key.pipeline,
            run.key.environment,
            Text(run.status.value, style=_STYLES.get(run.status.value, "")),
            f"{run.started_at:%Y-%m-%d %H:%M:%S}",
            f"{total:,}" if total else "",
        )
    return table


def run_json(run: RunRecord) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "project": run.key.project,
        "environment": run.key.environment,
        "pipeline": run.key.pipeline,
        "status": run.status.value,
        "started_at": run.started_at.isoformat(),
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
        "engine": run.engine,
        "guarantee": run.guarantee,
        "plan_hash": run.plan_hash,
    }


def details_json(details: RunDetails) -> dict[str, Any]:
    return run_json(details.run) | {"summary": dict(details.run.summary)}


def details_page(details: RunDetails) -> Iterator[RenderableType]:
    run = details.run
    yield Text.assemble(
        (run.key.pipeline, "bold"), f"  run {run.run_id}  ", (run.status.value, _STYLES.get(run.status.value, ""))
    )
    for epoch in details.epochs:
        sealed = f"sealed {epoch.sealed_at:%Y-%m-%d %H:%M:%S}" if epoch.sealed_at else epoch.status.value
        yield Text(f"epoch {epoch.number}: {sealed}", style="dim")
        yield _balance(details, epoch.number)
        for sink, receipt in details.receipts.get(epoch.number, {}).items():
            yield f"{sink}: {receipt.rows:,} rows, version {receipt.version or '-'}"
    problems = run.summary.get("problems")
    for problem in problems if isinstance(problems, list) else ():
        if isinstance(problem, dict):
            yield Text(f"{problem.get('code')}: {problem.get('message')}", style="red")


def _balance(details: RunDetails, epoch: int) -> Table:
    titles = ("node", "kind", "in", "out", "filtered", "deduplicated", "rejected")
    table = _table(*titles, numbers=frozenset(titles[2:]))
    for entry in details.balance.get(epoch, ()):
        figures = (sum(entry.into.values()), entry.out, entry.filtered, entry.deduplicated, entry.rejected)
        table.add_row(entry.node, entry.kind, *(f"{figure:,}" if figure else "" for figure in figures))
    return table


# ---------------------------------------------------------------- rejects


def causes_table(found: Rejected) -> Table:
    table = _table("rejected at", "cause", "column", "rows", numbers=frozenset({"rows"}))
    for item in found.by_cause():
        table.add_row(item["node"], item["cause"], item["column"] or "", f"{item['rows']:,}")
    return table


def records(found: Rejected, limit: int) -> Iterator[dict[str, Any]]:
    """The first records, their JSON texts read."""
    left = limit
    for entry, batch in found.batches():
        for row in batch.slice(0, left).to_pylist():
            yield {
                "node": entry.file.node,
                "epoch": entry.epoch,
                "status": entry.status,
                "position": _read(row["position"]),
                "row": _read(row["row"]),
                "raw": row["raw"],
                "source_row": _read(row["source_row"]),
                "causes": row["causes"],
            }
            left -= 1
        if left <= 0:
            return


def _read(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def records_page(found: Iterable[dict[str, Any]]) -> Iterator[RenderableType]:
    for record in found:
        causes = "; ".join(f"{cause['code']}: {cause['message']}" for cause in record["causes"])
        yield Text.assemble((record["node"], "bold"), "  ", (causes, "yellow"))
        if record["position"] is not None:
            yield Text(f"  at {json.dumps(record['position'], ensure_ascii=False)}", style="dim")
        shown = record["raw"] if record["raw"] is not None else json.dumps(record["row"], ensure_ascii=False)
        yield Text(f"  {shown}")
