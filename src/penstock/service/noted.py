"""What rules say that let rows pass: warnings of the run."""

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
    """For each rule with ``on_fail: warn``, in the order of the graph: RUN-116 where rows of these epochs violate it, RUN-117
    where all rows of one do together, as the last of these found it.
    """
    rows: Counter[tuple[str, str]] = Counter()
    broken: dict[tuple[str, str], str] = {}
    for entry in entries:
        for rule, number in entry.noted.items():
            rows[entry.node, rule] += number
        broken |= {(entry.node, found.rule): found.broken for found in entry.rules if found.broken is not None}
    for node in graph.nodes:
        if not isinstance(node, Check):
            continue
        for table_rule in node.table_rules:
            if table_rule.on_fail == "warn" and (node.id, table_rule.code) in broken:
                message = f'the rows of "{node.id}" together violate the rule "{table_rule.code}"'
                detail = f"{broken[node.id, table_rule.code]}."
                yield Problem("RUN-117", message, at=table_rule.at, detail=detail, severity="warning")
        for note in node.notes:
            number = rows[node.id, note.code]
            if number and note.on_fail == "warn":
                many = "1 row violates" if number == 1 else f"{number:,} rows violate"
                message = f'{many} the rule "{note.code}" of "{node.id}"'
                yield Problem("RUN-116", message, at=note.at, severity="warning")
