"""The balance sheet of a run: what came in, where it went, and that nothing is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import RenderableType

    from penstock.service.causes import CauseRows
    from penstock.service.reconciling import Reconciled
    from penstock.service.remembering import Receipt
    from penstock.service.running import NodeBalance, RunResult, Summed

_NOTED = 5  # rules in one line
_LOUD = frozenset({"read", "table", "write", "join", "aggregate", "explode", "union", "query", "python"})


def balance_sheet(result: RunResult) -> Iterator[RenderableType]:
    """What was sealed, and what was rejected; of a run that failed what its last epoch had rejected until then."""
    if not result.epochs and result.status.value == "done":
        yield Text.assemble(
            (f"{result.pipeline}", "bold"),
            "  nothing new  ",
            (f"{result.duration_ms / 1000:.1f} s, run {result.run_id}", "dim"),
        )
    for item in result.news:
        yield Text(f"new: {item}", style="yellow")
    for load in result.loads:
        yield _title(result, load)
        yield nodes_table(load.balance)
        yield from partnerless(load.balance)
        yield from passed_all_the_same(load.balance)
        yield ""
        yield sinks_table(load.receipts)
        yield ""
    if result.rejected:
        yield _causes("rejected at", result.by_cause())
    yield from map(_reconciled, result.reconciled)
    if result.status.value != "done" and result.pipeline is not None and not result.reconciled:
        yield _unsealed(result)
    if result.aborted:
        yield _causes("rejected before that", result.aborted_by_cause())
    if result.rejected or result.aborted:
        yield Text(f"the rows: penstock rejects show --run {result.run_id}", style="dim")


def _reconciled(one: Reconciled) -> Text:
    found = [f"{number:,} {kind}" for kind, number in one.counts().items()]
    verdict = f"{', '.join(found)} of {one.source:,}" if found else f"all {one.source:,} rows alike"
    return Text.assemble((one.sink, "bold"), f"  against {one.against}  ", (verdict, "yellow" if found else "green"))


def _unsealed(result: RunResult) -> Text:
    """What a run that failed or was interrupted left open, and where to look."""
    left = "the epoch after it was not sealed" if result.epochs else "nothing was sealed"
    if result.stopped is not None and result.stopped.finished:
        left = "the next run goes on" if result.epochs else "before its first epoch"
    elif result.stopped is not None and result.stopped.grace:
        left = f"its grace of {result.stopped.grace.total_seconds():g} s ran out, {left}"
    return Text.assemble(
        (f"{result.pipeline}", "bold"),
        f"  {result.status.value}, {left}  ",
        (f"{result.duration_ms / 1000:.1f} s, run {result.run_id}", "dim"),
    )


def _title(result: RunResult, load: Summed) -> Text:
    guarantee = (result.guarantee or "").replace("_", " ")
    first, last = load.epochs[0], load.epochs[-1]
    again = ", finished after an earlier run" if first.redone else ""
    named = f"epoch {last.record.number}" if first is last else f"epochs {first.record.number} to {last.record.number}"
    return Text.assemble(
        (f"{result.pipeline}", "bold"),
        f"  {named} sealed{again}  ",
        (f"{guarantee}, {result.duration_ms / 1000:.1f} s, run {result.run_id}", "dim"),
    )


def nodes_table(entries: Sequence[NodeBalance], *, every: bool = False) -> Table:
    """Nodes that change nothing are left out, since each hands on what it got; unless ``every`` one is asked for."""
    loud = frozenset(entry.node for entry in entries if entry.kind in _LOUD and not _is_a_sinks_own(entry, entries))
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("node", overflow="fold")
    for title in ("in", "out", "filtered", "deduplicated", "rejected"):
        table.add_column(title, justify="right", no_wrap=True)
    for entry in entries:
        if not every and entry.node not in loud and not (entry.filtered or entry.deduplicated or entry.rejected):
            continue
        table.add_row(
            Text(entry.node, style="bold" if entry.kind in {"read", "write"} else ""),
            f"{sum(entry.into.values()):,}",
            f"{entry.out:,}",
            _shown(entry.filtered),
            _shown(entry.deduplicated),
            Text(_shown(entry.rejected), style="yellow"),
        )
    return table


def partnerless(entries: Sequence[NodeBalance]) -> Iterator[RenderableType]:
    """Rows of joins that found no partner: beside the table, since few joins have any."""
    found = [
        f"{rows:,} of {_owner(side)} in {entry.node}"
        for entry in entries
        for side, rows in entry.unmatched.items()
        if rows and not _is_a_rules_own(side, entry) and not _is_a_sinks_own(entry, entries)
    ]
    if found:
        yield Text(f"without a partner: {', '.join(found)}", style="dim")


def passed_all_the_same(entries: Sequence[NodeBalance]) -> Iterator[RenderableType]:
    """Rows that violate a rule which lets them pass: by the rules that most rows violate, where there are many."""
    found = [(rows, rule, entry.node) for entry in entries for rule, rows in entry.noted.items() if rows]
    if len(found) > _NOTED:
        found.sort(key=lambda one: -one[0])
    told = [f"{rows:,} by {rule} of {node}" for rows, rule, node in found[:_NOTED]]
    if found[_NOTED:]:
        told.append(f"and {len(found) - _NOTED:,} more rules (penstock quality has all)")
    if told:
        yield Text(f"noted: {', '.join(told)}", style="dim")


def sinks_table(receipts: Mapping[str, Receipt]) -> Table:
    """What each sink says of its commit."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("sink")
    for title in ("rows", "inserted", "updated", "unchanged", "ignored as older", "version"):
        table.add_column(title, justify="right")
    for name, receipt in receipts.items():
        table.add_row(
            Text(name, style="bold"),
            f"{receipt.rows:,}",
            _shown(receipt.inserted),
            _shown(receipt.updated),
            _shown(receipt.unchanged),
            _shown(receipt.ignored_older),
            receipt.version,
        )
    return table


def _causes(title: str, causes: Sequence[CauseRows]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(title, overflow="fold")
    table.add_column("cause", overflow="fold")
    table.add_column("column", overflow="fold")
    table.add_column("rows", justify="right", no_wrap=True)
    for item in causes:
        table.add_row(item.node, item.cause, item.column or "", Text(f"{item.rows:,}", style="yellow"))
    return table


def _is_a_rules_own(side: str, entry: NodeBalance) -> bool:
    """Whether the join made that side itself: the keys that `referential` looks up, which need no partner."""
    return side.startswith(f"{entry.node}.")


def _is_a_sinks_own(entry: NodeBalance, entries: Sequence[NodeBalance]) -> bool:
    """Whether nobody wrote this node: it keeps what the sink promises, such as one row per key."""
    return entry.kind not in {"write", "table"} and any(
        _owner(entry.node) == one.node for one in entries if one.kind == "write"
    )


def _owner(node: str) -> str:
    """The source or transform that a node belongs to."""
    return node.partition(".")[0]


def _shown(number: int) -> str:
    return f"{number:,}" if number else ""
