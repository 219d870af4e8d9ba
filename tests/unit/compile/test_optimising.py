"""The passes that make a graph cheaper leave every sink's rows as they are, and leave out what they can."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import clever
import harness
import pytest
from sqlglot import exp

from penstock.graph.nodes import Read
from penstock.trees import column, relation
from penstock.types import Schema

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.graph import Graph, Node

_FOUND = {
    "a": Schema.of({"id": "int64?", "k": "string?", "n": "int64?", "day": "date?", "note": "string?"}),
    "c": Schema.of({"id": "int64?", "k": "string?", "n": "int64?", "day": "date?", "note": "string?"}),
    "b": Schema.of({"k": "string?", "size": "int64?", "day": "date?"}),
}
_HEAD = (
    "pipeline: test\nsources:\n  a: {type: clever}\n  b: {type: clever}\n"
    "  c: {type: clever, schema: {columns: {id: int64, k: string?, n: int64, note: string}}}\n"
)
_ROWS: dict[str, list[dict[str, Any]]] = {
    "a": [{"id": i % 5, "k": "xyz"[i % 3], "n": i % 4 or None, "note": str(i)} for i in range(23)],
    "c": [{"id": i % 5, "k": "xyz"[i % 3], "n": i % 4 or None, "note": str(i) if i % 7 else None} for i in range(23)],
    "b": [{"k": k, "size": size} for k, size in (("x", 1), ("y", 2), ("y", 3), (None, 4))],
}


class _Run(harness._Run):
    """A source that gives the columns that are asked for, of the rows that are."""

    def node(self, node: Node) -> pa.Table:
        if not isinstance(node, Read):
            return super().node(node)
        self.leaf(node.id, harness.table_of(self.data[node.source], _FOUND[node.source]))
        names = node.columns or _FOUND[node.source].names
        select = exp.select(*[column(name) for name in names]).from_(relation(f"leaf:{node.id}"))
        self.selects[node.id] = select.where(node.predicate.copy()) if node.predicate is not None else select
        table = self.verify(node)
        self.counts[node.id] = table.num_rows
        return table


def _rows(graph: Graph, sink: str, engine: harness.TypingEngine) -> tuple[Counter[str], Counter[str]]:
    """What comes to the sink, and what is rejected on the way."""
    ran = _Run(graph, engine.connection, _ROWS).outcome(sink, ())
    used = graph.upstream(sink)
    rejected = [str((item.node, item.code, item.message, item.row)) for item in ran.rejected if item.node in used]
    return Counter(map(str, ran.rows)), Counter(rejected)


def _compile(rest: str, engine: harness.TypingEngine, *, optimise: bool) -> Graph:
    return clever.compiled(_HEAD + rest, _FOUND, engine, optimise=optimise).graph


def _one(steps: str) -> str:
    listed = "\n".join(f"      - {step}" for step in steps.split("; "))
    return f"transforms:\n  t:\n    from: a\n    steps:\n{listed}\nsinks:\n  out: {{from: t, type: drain}}\n"


# The names are those of two columns: `"; DROP TABLE x;--` and a space.
_HOSTILE = """
transforms:
  t:
    from: a
    steps:
      - rename: {'"; DROP TABLE x;--': n, ' ': k}
      - filter: '\"\"\"; DROP TABLE x;--\" > 1'
      - select: ['"; DROP TABLE x;--', ' ']
sinks:
  out: {from: t, type: drain}
"""
_DOCUMENTS = {
    "filter": _one("filter: n > 1 and k = 'x'; select: [id]"),
    "filter_of_what_is_dropped": _one("filter: note is not null; drop: [note, day]"),
    "deduplicate": _one("filter: n > 1; deduplicate: {keys: [k], order_by: id}; select: [k]"),
    "deduplicate_first": _one("deduplicate: {keys: [k], order_by: id}; filter: n > 1; select: [k]"),
    "window": _one("window: {partition_by: k, order_by: id, columns: {r: row_number()}}; filter: r = 1; select: [id]"),
    "join": _one("join: {to: b, kind: left, on: [k], add: [size]}; filter: size is null; select: [id, k]"),
    "join_right": _one("filter: n > 2; join: {to: b, kind: right, on: [k], add: [size]}; select: [size]"),
    "join_itself": _one("filter: n > 2; join: {to: a, as: o, on: this.id = o.n, add: {m: n}}; select: [m]"),
    "anti": _one("join: {to: b, kind: anti, on: [k]}; aggregate: {measures: {n: count(*)}}"),
    "pivot": _one("pivot: {on: k, by: [id], values: [x, y], measures: {n: count(*)}}; select: [x]"),
    "unpivot": _one("select: [id, n]; unpivot: {columns: [n]}; filter: value > 1"),
    "aggregate": _one("aggregate: {by: [k], measures: {last: last(id order by n)}}; filter: k <> 'y'"),
    "sql": _one("filter: n > 1; sql: select k from this where id > 1"),
    "contract": _one("filter: n > 1").replace(
        "    from: a\n", "    from: a\n    schema: {columns: {n: int64, id: int64?}}\n"
    ),
    "merge": _one("select: [id, k]").replace("type: drain", "type: table, mode: merge, keys: [id], order_by: k"),
    "union": "transforms:\n  t: {from: [a, b], steps: [{filter: k = 'x'}, {select: [k, size]}]}\n"
    "  f: {from: a, steps: [{filter: n > 1}]}\nsinks:\n  out: {from: [t, f], type: drain}\n",
    "contract_and_more": _one("rename: {m: n}; filter: m > 1; sort: [id]; filter: k = 'x'; select: [id]").replace(
        "    from: a\n", "    from: c\n"
    )
    + "",
    "cast": _one("cast: {note: int64, k: string}; filter: k = 'x' and note > 3; select: [id]"),
    "limit": _one("sort: [id, note]; limit: 7; filter: n > 1; select: [id]"),
    "sample": _one("sample: {rows: 9, seed: 1}; filter: n > 1; select: [id]"),
    "explode": _one("derive: {l: '[n, id]'}; explode: l; filter: l > 1; select: [l, k]"),
    "or": _one("filter: n > 1 or k = 'x'; select: [id]"),
    "nested_and": _one("filter: (n > 1 and k = 'x') and (day is null and abs(id) > 1); select: [id]"),
    "computed": _one("derive: {n: n + 1}; filter: n > 2; select: [n]"),
    "unused_values": _one(
        "derive: {x: n * 2, y: k || 'a'}; aggregate: {by: [k], measures: {s: sum(x), t: max(y)}}; select: [t]"
    ),
    "unused_key": _one("aggregate: {by: [k, id], measures: {s: sum(n)}}; select: [s]"),
    "nothing_used": _one("aggregate: {by: [k], measures: {rows: count(*)}}; aggregate: {measures: {groups: count(*)}}"),
    "struct": _one("derive: {s: '{''x'': n, ''y'': k}'}; filter: s.x > 1; select: [{z: s.y}]"),
    "list": _one("derive: {l: 'list_transform([id, n], lambda note: note + n)'}; select: [l]"),
    "hostile": _HOSTILE,
    "shared": "transforms:\n  t: {from: a, steps: [{filter: n > 1}]}\n  s: {from: a, steps: [{select: [id]}]}\n"
    "sinks:\n  out: {from: [t, s], type: drain}\n",
}

_EMPTY = {_DOCUMENTS["join_itself"]}


@pytest.mark.parametrize("rest", _DOCUMENTS.values(), ids=_DOCUMENTS)
def test_the_rows_of_a_sink_stay_as_they_are(rest: str) -> None:
    engine = harness.TypingEngine()
    plain, cheap = (_rows(_compile(rest, engine, optimise=flag), "out", engine) for flag in (False, True))
    assert plain == cheap
    assert plain[0] or rest in _EMPTY


def test_a_read_is_asked_for_no_more_than_is_needed() -> None:
    engine = harness.TypingEngine()
    read = _compile(_one("filter: n > 1 and k = 'x'; select: [id]"), engine, optimise=True)["a"]
    assert isinstance(read, Read)
    assert read.columns == ("id",)
    assert read.predicate is not None
    assert read.predicate.sql(dialect="duckdb") == '"n" > 1 AND "k" = \'x\''
    unused = _compile(_DOCUMENTS["filter"] + "", engine, optimise=True)
    assert [node.id for node in unused.nodes] == ["a", "t.select", "out"]


def test_a_condition_stays_where_another_node_reads_the_same_source() -> None:
    read = _compile(_DOCUMENTS["shared"], harness.TypingEngine(), optimise=True)["a"]
    assert isinstance(read, Read)
    assert read.predicate is None


def _read_of(rest: str) -> tuple[Read, Graph]:
    graph = _compile(rest, harness.TypingEngine(), optimise=True)
    (read,) = graph.reads
    return read, graph


def _pushed(rest: str) -> str | None:
    read, _ = _read_of(rest)
    return read.predicate.sql(dialect="duckdb") if read.predicate is not None else None


@pytest.mark.parametrize(
    ("name", "predicate"),
    [
        ("or", '"n" > 1 OR "k" = \'x\''),
        ("nested_and", '"n" > 1 AND "k" = \'x\' AND "day" IS NULL'),
        ("limit", None),
        ("sample", None),
        ("deduplicate_first", None),
        ("window", None),
        ("computed", None),
        ("aggregate", None),
        ("cast", None),  # what is rejected here is not for the source to say
        ("hostile", '"n" > 1'),
        (
            "contract_and_more",
            (
                '("n" > 1 OR "id" IS NULL OR "n" IS NULL OR "note" IS NULL) '
                'AND ("k" = \'x\' OR "id" IS NULL OR "n" IS NULL OR "note" IS NULL)'
            ),
        ),
    ],
)
def test_what_a_source_is_asked_to_leave_out(name: str, predicate: str | None) -> None:
    assert _pushed(_DOCUMENTS[name]) == predicate


def test_the_part_of_a_condition_that_a_source_does_not_take_stays() -> None:
    _, graph = _read_of(_DOCUMENTS["nested_and"])
    assert graph["t.filter"].condition.sql(dialect="duckdb") == 'ABS("id") > 1'  # type: ignore[union-attr]


def test_a_condition_that_was_pushed_is_gone_and_its_consumers_read_on() -> None:
    _, graph = _read_of(_DOCUMENTS["contract_and_more"])
    assert [node.id for node in graph.nodes if node.kind == "filter"] == []
    assert graph["t.sort"].inputs == ("t.rename",)


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("unused_values", ("k",)),
        ("unused_key", ("id", "k", "n")),
        ("nothing_used", ("k",)),
        ("list", ("id", "n")),
        ("struct", ("k", "n")),
        ("limit", ("id", "n", "note")),
        ("window", None),  # of equal rows, the whole row says which is first
        ("sample", None),
        ("sql", None),
    ],
)
def test_the_columns_that_a_source_is_asked_for(name: str, columns: tuple[str, ...] | None) -> None:
    assert _read_of(_DOCUMENTS[name])[0].columns == columns


def test_a_reject_shows_every_column_whatever_is_used_of_them() -> None:
    read, _ = _read_of(_DOCUMENTS["contract_and_more"])
    assert read.columns is None or set(read.columns) == {"id", "k", "n", "note"}


def test_a_table_that_is_read_back_is_asked_for_what_is_used() -> None:
    rest = (
        "transforms:\n  t: {from: a, steps: [{select: [id, k, n]}]}\n  u: {from: lake, steps: [{select: [k]}]}\n"
        "sinks:\n  lake: {from: t, type: table}\n  out: {from: u, type: drain}\n"
    )
    graph = _compile(rest, harness.TypingEngine(), optimise=True)
    assert graph.tables[0].columns == ("k",)
    assert graph["lake"].schema == _compile(rest, harness.TypingEngine(), optimise=False)["lake"].schema
