"""Rows of every kind of node, as the engine counts them, against the same relations in plain SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest
from passes import Ran, run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

HEAD = """
pipeline: test
sources:
  a: {type: memory, schema: {columns: {k: int64?, v: string?, n: int64?, q: "list<int64?>?"}}}
  b: {type: memory, schema: {columns: {k: int64?, w: float64?}}}
"""
A = [
    {
        "k": None if i % 7 == 0 else i % 5,
        "v": None if i % 11 == 0 else f"v{i % 3}",
        "n": i,
        "q": [[], None, [1], [1, None, 3]][i % 4],
    }
    for i in range(40)
]
B = [{"k": k, "w": k / 2 if k is not None else None} for k in (0, 1, 1, 2, 9, None, 8)]


def document(body: str, sinks: str = "  one: {from: x, type: memory}\n") -> str:
    return f"{HEAD}transforms:\n{body}\nsinks:\n{sinks}"


def ran(body: str, folder: Path, a: Any = None, b: Any = None, sinks: str | None = None) -> Ran:
    text = document(body) if sinks is None else document(body, sinks)
    return run(text, {"a": A if a is None else a, "b": B if b is None else b}, folder)


def plain(query: str, a: Any = None, b: Any = None) -> int:
    con = duckdb.connect()
    form = {
        "a": pa.schema([("k", pa.int64()), ("v", pa.string()), ("n", pa.int64()), ("q", pa.list_(pa.int64()))]),
        "b": pa.schema([("k", pa.int64()), ("w", pa.float64())]),
    }
    con.register("a", pa.Table.from_pylist(A if a is None else a, schema=form["a"]))
    con.register("b", pa.Table.from_pylist(B if b is None else b, schema=form["b"]))
    row = con.execute(query).fetchone()
    assert row is not None
    return int(row[0])


STEPS = {
    "filter": ("- filter: n > 10 and v is not null", "select count(*) from a where n > 10 and v is not null"),
    "filter that keeps all": ("- filter: n >= 0", "select count(*) from a where n >= 0"),
    "filter that keeps none": ("- filter: n < 0", "select count(*) from a where n < 0"),
    "filter on a constant": ("- filter: 1 = 2", "select 0"),
    "filter on null": ("- filter: 'null::boolean'", "select 0"),
    "two filters": ("- filter: n > 10\n- filter: n < 20", "select count(*) from a where n > 10 and n < 20"),
    "derive": ("- derive: {m: n + 1}", "select count(*) from a"),
    "aggregate": (
        "- aggregate: {by: [k], measures: {c: count(*)}}",
        "select count(*) from (select k from a group by k)",
    ),
    "aggregate to one": ("- aggregate: {measures: {c: count(*)}}", "select 1"),
    "deduplicate": (
        "- deduplicate: {keys: [k], order_by: [n]}",
        "select count(*) from (select distinct k from a)",
    ),
    "window": ("- window: {partition_by: [k], order_by: [n], columns: {r: row_number()}}", "select count(*) from a"),
    "sort": ("- sort: [n desc]", "select count(*) from a"),
    "sort and limit": ("- sort: [n desc]\n- limit: 7", "select 7"),
    "limit": ("- limit: 7", "select 7"),
    "limit above all": ("- limit: 700", "select count(*) from a"),
    "unpivot": (
        "- drop: [q, v]\n- unpivot: {columns: [k, n], names_to: what, values_to: value}",
        "select 2 * count(*) from a",
    ),
    "sample": ("- sample: {rows: 5}", "select 5"),
    "sql": ("- sql: select k from this where n > 3", "select count(*) from a where n > 3"),
}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("rows", ["some", "none"])
def test_rows_out_of_a_step_are_those_of_plain_sql(name: str, rows: str, tmp_path: Path) -> None:
    steps, query = STEPS[name]
    data = A if rows == "some" else []
    body = "  x:\n    from: a\n    steps:\n" + "\n".join(f"      {line}" for line in steps.splitlines())
    found = ran(body, tmp_path, a=data)
    stops_early = name in {"limit", "filter on a constant"}  # `in` is what was delivered
    assert found["a"].out == len(data) or (stops_early and found["a"].out <= len(data))
    expected = plain(query, a=data) if data or "aggregate to one" in name else 0
    assert found["one"].out == expected == len(found.rows["one"])
    last = found.graph["one"].inputs[0]
    assert found[last].out == expected


@pytest.mark.parametrize("kind", ["inner", "left", "right", "full"])
@pytest.mark.parametrize(("a", "b"), [(A, B), (A, []), ([], B), ([], []), (A[:1], B)])
def test_a_join_counts_rows_without_a_partner_on_each_side(kind: str, a: Any, b: Any, tmp_path: Path) -> None:
    body = f"  x:\n    from: a\n    steps:\n      - join: {{to: b, kind: {kind}, 'on': [k], add: [w]}}"
    found = ran(body, tmp_path, a=a, b=b)["x.join"]
    assert found.into == {"a": len(a), "b": len(b)}
    assert found.out == plain(f"select count(*) from a {kind} join b on a.k = b.k", a=a, b=b)
    assert found.unmatched == {
        "a": plain("select count(*) from a anti join b on a.k = b.k", a=a, b=b),
        "b": plain("select count(*) from b anti join a on a.k = b.k", a=a, b=b),
    }


@pytest.mark.parametrize("kind", ["inner", "left", "full"])
def test_a_join_on_an_inequality_counts_its_unmatched_rows(kind: str, tmp_path: Path) -> None:
    body = f"  x:\n    from: a\n    steps:\n      - join: {{to: b, kind: {kind}, 'on': this.n < b.k, add: [w]}}"
    found = ran(body, tmp_path)["x.join"]
    assert found.out == plain(f"select count(*) from a {kind} join b on a.n < b.k")
    assert found.unmatched == {
        "a": plain("select count(*) from a where not exists (select 1 from b where a.n < b.k)"),
        "b": plain("select count(*) from b where not exists (select 1 from a where a.n < b.k)"),
    }


@pytest.mark.parametrize(("kind", "query"), [("semi", "exists"), ("anti", "not exists")])
def test_a_semi_or_anti_join_counts_the_left_rows_without_a_partner(kind: str, query: str, tmp_path: Path) -> None:
    body = f"  x:\n    from: a\n    steps:\n      - join: {{to: b, kind: {kind}, 'on': [k]}}"
    found = ran(body, tmp_path)["x.join"]
    assert found.out == plain(f"select count(*) from a where {query} (select 1 from b where a.k = b.k)")
    assert found.unmatched == {"a": plain("select count(*) from a where not exists (select 1 from b where a.k = b.k)")}


def test_an_asof_join_counts_left_rows_that_come_too_early(tmp_path: Path) -> None:
    body = "  x:\n    from: a\n    steps:\n      - join: {to: b, kind: asof, 'on': this.n >= b.w, add: [w]}"
    early = [{"k": 1, "v": "x", "n": -5, "q": []}, *A]
    found = ran(body, tmp_path, a=early)["x.join"]
    inner = plain("select count(*) from a where n >= (select min(w) from b)", a=early)
    assert (found.out, found.unmatched) in [(inner, {"a": len(early) - inner}), (len(early), {"a": len(early) - inner})]
    assert len(early) - inner == 1


@pytest.mark.parametrize("keep", ["true", "false"])
def test_explode_counts_rows_whose_list_is_empty_or_null(keep: str, tmp_path: Path) -> None:
    body = f"  x:\n    from: a\n    steps:\n      - explode: {{column: q, as: e, keep_empty: {keep}}}"
    found = ran(body, tmp_path)["x.explode"]
    empty = plain("select count(*) from a where coalesce(len(q), 0) = 0")
    assert found.into == {"a": len(A)}
    assert found.empty == empty
    assert found.out == plain("select sum(coalesce(len(q), 0)) from a") + (empty if keep == "true" else 0)


def test_a_node_that_several_sinks_need_is_counted_once(tmp_path: Path) -> None:
    body = (
        "  x:\n    from: a\n    steps:\n      - filter: n > 10\n  y:\n    from: x\n    steps:\n      - filter: n > 20"
    )
    sinks = "  one: {from: x, type: memory}\n  two: {from: y, type: memory}\n"
    found = ran(body, tmp_path, sinks=sinks)
    assert (found["a"].out, found["x.filter"].out, found["one"].out, found["two"].out) == (40, 29, 29, 19)


def test_a_node_used_twice_within_a_statement_runs_once(tmp_path: Path) -> None:
    body = "  f:\n    from: a\n    steps:\n      - filter: n > 10\n  x:\n    sql: select l.n from f l join f r on l.n = r.n"
    found = ran(body, tmp_path)
    assert found["f.filter"].out == 29
    assert found["x.sql"].out == 29


def test_rows_that_violate_a_contract_are_kept_with_their_cause(tmp_path: Path) -> None:
    text = document("  x:\n    from: a\n    steps:\n      - cast: {v: int64}").replace("v: string?", "v: string?")
    rows = [{"k": 1, "v": v, "n": i, "q": []} for i, v in enumerate(["1", "two", None, "3", ""])]
    found = run(text, {"a": rows, "b": B}, tmp_path)
    assert {row["v"] for row in found.rows["one"]} == {1, None, 3}  # nobody asked for an order
    ((node, records),) = found.rejects.items()
    assert found[node].out == 3
    assert sorted(record["row"] for record in records) == sorted(
        ['{"k":1,"v":"two","n":1,"q":[]}', '{"k":1,"v":"","n":4,"q":[]}']
    )
    assert {cause["column"] for record in records for cause in record["causes"]} == {"v"}


def test_a_failing_cast_stops_the_pass_and_leaves_nothing(tmp_path: Path) -> None:
    from passes import MemoryWriter

    from penstock.errors import DataError

    text = document("  x:\n    from: a\n    steps:\n      - cast: {columns: {v: int64}, on_error: fail}")
    writer = MemoryWriter()
    rows = [{"k": 1, "v": "two", "n": 0, "q": []}]
    with pytest.raises(DataError) as caught:
        run(text, {"a": rows, "b": B}, tmp_path, writers={"one": writer})
    assert caught.value.code == "ENG-313"
    assert "1 row breaks what" in str(caught.value)
    assert not writer.staged
    assert writer.rows == []
