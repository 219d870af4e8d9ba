"""Any sequence of steps over any rows: the passes that make a graph cheaper change neither what comes to the sink nor what
is rejected on the way, whatever the source can do by itself.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

UNIT = Path(__file__).parents[1] / "unit"
sys.path[:0] = [str(UNIT / "steps"), str(UNIT / "compile")]
import clever  # noqa: E402 -- lies beside the unit tests
import harness  # noqa: E402
from sqlglot import exp  # noqa: E402

from penstock.graph.nodes import Node, Read  # noqa: E402
from penstock.trees import column, relation  # noqa: E402
from penstock.types import Schema  # noqa: E402

_FOUND = Schema.of({"id": "int64?", "n": "int64?", "t": "string?", "l": "list<int64?>?", "spare": "string?"})
_ROW = st.fixed_dictionaries(
    {
        "n": st.none() | st.integers(-3, 3),
        "t": st.none() | st.sampled_from(["", "x", "y", "12", "-1"]),
        "l": st.none() | st.lists(st.none() | st.integers(-3, 3), max_size=2),
        "spare": st.none() | st.sampled_from(["p", "q"]),
    }
)
# Each keeps the columns id, n, t and l, so that any may follow any.
_ALL = [
    "filter: n > 0",
    "filter: n is not null and t = 'x'",
    "filter: n > 0 or t is null",
    "filter: id <> 2 and (abs(n) < 3 and t in ('x', 'y', '12'))",
    "filter: {not: [{column: t, op: '=', value: x}]}",
    "derive: {n: n + 1}",
    "derive: {extra: n * 2, more: upper(t)}",
    "derive: {l: 'list_transform(l, lambda t: t + n)'}",
    "rename: {t: n, n: t}\n      - cast: {n: int64, t: string}",
    "rename: {other: t}\n      - filter: other <> 'y'\n      - rename: {t: other}",
    "cast: {t: int64}\n      - cast: {t: string}",
    "cast: {columns: {t: int8}, on_error: null}\n      - cast: {t: string}",
    "sort: [n, id]",
    "sort: [n, id]\n      - limit: 4",
    "deduplicate: {keys: [n], order_by: id}",
    "window: {order_by: id, columns: {place: row_number()}}\n      - derive: {n: place}\n      - drop: [place]",
    "sample: {rows: 3, seed: 7}",
    "join: {to: b, as: o, kind: left, on: this.n = o.n, add: {size: id}}\n      - drop: [size]",
    "join: {to: b, as: o, kind: semi, on: this.n = o.n}",
    "sql: select id, n, t, l from this where n < 3",
]
_STEPS = st.sampled_from(_ALL)
_FILTERS = [step for step in _ALL if step.startswith("filter")]
_ENDS = st.sampled_from(
    [
        "select: [id]",
        "select: [t, l]",
        "select: {one: '1'}",
        "aggregate: {by: [t], measures: {total: sum(n), rows: count(*)}}\n      - select: [rows]",
        "explode: l\n      - select: [l, n]",
        "unpivot: {columns: [n, id]}\n      - filter: value > 0",
    ]
)
_CONTRACT = st.sampled_from(
    [
        "{id: int64, n: int64?, t: string?, l: list<int64?>?}",
        "{id: int64, n: int64, t: string, l: list<int64?>?, spare: string}",
        "{id: int64?, n: int8?, t: string?, l: list<int64>?}",
    ]
)


class _Run(harness._Run):
    """A source that gives the columns that it is asked for, of the rows that it is asked for."""

    def node(self, node: Node) -> Any:
        if not isinstance(node, Read):
            return super().node(node)
        self.leaf(node.id, harness.table_of(self.data[node.source], _FOUND))
        select = exp.select(*map(column, node.columns or _FOUND.names)).from_(relation(f"leaf:{node.id}"))
        if node.predicate is not None:
            select = select.where(node.predicate.copy())
        self.selects[node.id] = select
        table = self.verify(node)
        self.counts[node.id] = table.num_rows
        return table


def _document(contract: str, steps: list[str]) -> str:
    lines = "".join(f"      - {step}\n" for step in steps)
    return (
        f"pipeline: test\nsources:\n  a: {{type: clever, on_type_change: widen, schema: {{columns: {contract}}}}}\n"
        f"  b: {{type: clever}}\ntransforms:\n  t:\n    from: a\n    steps:\n{lines}sinks:\n  out: {{from: t, type: drain}}\n"
    )


def _outcome(text: str, data: dict[str, Any], *, optimise: bool) -> tuple[Counter[str], Counter[str]]:
    engine = harness.TypingEngine()
    graph = clever.compiled(text, {"a": _FOUND, "b": _FOUND}, engine, optimise=optimise).graph
    ran = _Run(graph, engine.connection, data).outcome("out", ())
    used = graph.upstream("out")
    rejected = [str((item.node, item.code, item.message, item.row)) for item in ran.rejected if item.node in used]
    return Counter(map(str, ran.rows)), Counter(rejected)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(_ROW, max_size=7), st.lists(_STEPS, max_size=5), _ENDS, _CONTRACT)
def test_a_cheaper_graph_means_the_same(rows: list[dict[str, Any]], steps: list[str], end: str, contract: str) -> None:
    numbered = [{"id": number, **row} for number, row in enumerate(rows)]
    data = {"a": numbered, "b": numbered[::2]}
    text = _document(contract, [*steps, end])
    assert _outcome(text, data, optimise=True) == _outcome(text, data, optimise=False)


_FIXED = [
    {"id": number, "n": (number * 5) % 4 - 1 or None, "t": "xy1"[number % 3] if number % 5 else None, "l": [number]}
    for number in range(11)
]


@pytest.mark.parametrize("first", _ALL)
def test_a_condition_after_any_step_means_the_same(first: str) -> None:
    contract = "{id: int64, n: int64?, t: string?, l: list<int64?>?}"
    for condition in _FILTERS:
        text = _document(contract, [first, condition, "select: [id, n, t]"])
        data = {"a": _FIXED, "b": _FIXED[::2]}
        plain = _outcome(text, data, optimise=False)
        assert _outcome(text, data, optimise=True) == plain, condition
