"""What rules say of rows that they let pass: warnings of the run."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from penstock.errors import Problem
from penstock.graph.nodes import Check

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from penstock.graph import Graph
    from penstock.ledger.api import NodeBalance


def warnings_of_rules(graph: Graph, entries: Iterable[NodeBalance]) -> Iterator[Problem]:
    """RUN-116 for each rule with ``on_fail: warn`` that rows of these epochs violate, in the order of the graph."""
    rows: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        for rule, number in entry.noted.items():
            rows[entry.node, rule] += number
    for node in graph.nodes:
        for note in node.notes if isinstance(node, Check) else ():
            number = rows[node.id, note.code]
            if number and note.on_fail == "warn":
                many = "1 row violates" if number == 1 else f"{number} rows violate"
                message = f'{many} the rule "{note.code}" of "{node.id}"'
                yield Problem("RUN-116", message, at=note.at, severity="warning")
