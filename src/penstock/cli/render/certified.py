"""What two engines made of one pipeline, for people: whether they agree, and at which nodes they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from penstock.service.certifying import Certificate, NodeVerdict

_STYLES = {"same": "green", "last digits": "yellow", "different": "red"}
_WORDS = {"last digits": "but for the last digits of floats"}


def page(found: Sequence[Certificate]) -> Iterator[RenderableType]:
    for place, one in enumerate(found):
        if place:
            yield ""
        yield Text.assemble((one.pipeline, "bold"), "  ", (verdict(one), "green" if one.agrees else "red"))
        yield Text("  ".join(f"{name} {rows:,}" for name, rows in one.rows.items()), style="dim")
        told = [node for node in one.nodes if node.verdict != "same"]
        if told:
            yield ""
            yield _table(told)
        for node in told:
            yield from _examples(node)


def verdict(one: Certificate) -> str:
    different = sum(1 for node in one.nodes if node.verdict == "different")
    over = "all rows" if one.most is None else f"at most {one.most:,} rows of each source"
    if different:
        return f"DuckDB and Spark differ at {different} of {len(one.nodes)} nodes, over {over}"
    return f"DuckDB and Spark agree at {len(one.nodes)} nodes, over {over}"


def _table(nodes: Sequence[NodeVerdict]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("node", overflow="fold")
    table.add_column("DuckDB", justify="right", no_wrap=True)
    table.add_column("Spark", justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for node in nodes:
        rows = (f"{count:,}" for count in node.rows.values())
        table.add_row(Text(node.node), *rows, Text("; ".join(_notes(node)), style=_STYLES[node.verdict]))
    return table


def _notes(node: NodeVerdict) -> Iterator[str]:
    if node.verdict in _WORDS:
        yield f"alike {_WORDS[node.verdict]}"
    if node.columns:
        yield f"differ in {', '.join(node.columns)}"
    for name, (one, other) in node.figures.items():
        yield f"{name} {one} and {other}"
    if node.below is not None:
        yield f"perhaps since {node.below} does"


def _examples(node: NodeVerdict) -> Iterator[RenderableType]:
    names = {"duckdb": "DuckDB", "spark": "Spark"}
    for engine, rows in node.only.items():
        for row in rows:
            values = ", ".join(f"{name} {'null' if value is None else value}" for name, value in row.items())
            yield Text(f"{node.node}, {names[engine]} alone: {values}", style="dim")
