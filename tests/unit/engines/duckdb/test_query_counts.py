"""Counts of a user's own SQL, of chains, of shared nodes and of nodes in tables, against the same relations in plain SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from passes import Ran, run
from test_counts import A, B, document, plain, ran

from penstock.connectors.api import Batches, Chunk
from penstock.types.arrow import to_arrow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penstock.types import Schema

pytestmark = pytest.mark.slow

QUERIES = [
    "select a.n, b.w from a, b where a.k = b.k",
    "select a.n, b.w from a, b where a.k = b.k and a.n > 10 and b.w >= 0",
    "select a.n, b.w from a left join b on a.k = b.k where b.k is null",
    "select n from a where k in (select k from b)",
    "select n from a where k not in (select k from b where k is not null)",
    "select n from a where exists (select 1 from b where b.k = a.k)",
    "select n, (select max(w) from b where b.k = a.k) as w from a",
    "select n from a where n > (select avg(k) from b)",
    "with f as (select k, count(*) as c from a group by k) select f.k, f.c, b.w from f join b on f.k = b.k",
    "with f as (select k from a), g as (select k from f union all select k from f) select g.k, b.w from g, b",
    "select k, n, row_number() over (partition by k order by n) as r from a, (select max(w) as w from b) m qualify r < 3",
    "select k from a union all select k from b",
    "select k from a union select k from b",
    "select k from a except select k from b",
    "select k from a intersect select k from b",
    "select distinct a.k from a, b",
    "select distinct on (a.k) a.k, b.w from a, b order by a.k, b.w",
    "select a.k, sum(b.w) as s from a full join b on a.k = b.k group by rollup (a.k)",
    "select a.n, b.k from a asof join b on a.n >= b.k",
    "select l.n, r.n as m from a l, a r, b where l.k = r.k and b.k = l.k",
    "select a.n, u.e from a, unnest(a.q) u(e), b",
    "select * from (select k from a) pivot (count(*) for k in (0, 1)), (select count(*) as c from b)",
    "select a.n from a, b order by a.n desc, b.w limit 9",
]


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_reads_all_and_gives_what_plain_sql_gives(query: str, tmp_path: Path) -> None:
    found = run(document(f'  x: {{sql: "{query}"}}'), {"a": A, "b": B}, tmp_path, optimise=True)
    expected = plain(f"select count(*) from ({query})")
    assert found["x.sql"].into == {"a": len(A), "b": len(B)}
    assert found["x.sql"].out == found["one"].out == len(found.rows["one"]) == expected


@pytest.mark.parametrize(
    "query", ["select n from a where 1 = 0", "select n from a limit 0", "select n from a where null"]
)
def test_a_query_that_is_empty_by_itself_gives_no_rows(query: str, tmp_path: Path) -> None:
    found = ran(f"  x: {{sql: {query}}}", tmp_path)
    assert (found["x.sql"].out, found["one"].out, found.rows["one"]) == (0, 0, [])


def test_a_limit_in_a_query_counts_the_rows_that_were_delivered(tmp_path: Path) -> None:
    found = ran("  x: {sql: select n from a limit 7}", tmp_path)
    assert 7 <= found["x.sql"].into["a"] <= len(A)
    assert found["x.sql"].out == 7


CHAIN = """  f:
    from: a
    steps:
      - filter: n > 2
      - derive: {m: n % 6}
      - filter: m <> 1
      - explode: {column: q, as: e, keep_empty: true}
      - deduplicate: {keys: [m, e], order_by: [n]}
  g:
    from: f
    steps:
      - join: {to: b, kind: left, 'on': [k], add: [w]}
      - filter: w is not null or m > 2
  h:
    from: g
    steps:
      - aggregate: {by: [m], measures: {c: count(*)}}
      - filter: c > 1
"""
SINKS = (
    "  one: {from: f, type: memory}\n  two: {from: g, type: memory}\n  three: {from: h, type: memory}\n"
    "  four: {from: [f, f2], type: memory}\n"
)
SPLIT = "  f2:\n    from: f\n    steps:\n      - filter: e is null\n"
STAGES = {
    "f.filter": "select * from a where n > 2",
    "f.filter_2": "select *, n % 6 as m from ({f.filter}) where m <> 1",
    "f.explode": "select k, n, m, unnest(case when len(q) > 0 then q else [null] end) as e from ({f.filter_2})",
    "f.deduplicate": "select distinct on (m, e) * from ({f.explode}) order by m, e, n",
    "g.join": "select f.*, w from ({f.deduplicate}) f left join b on f.k = b.k",
    "g.filter": "select * from ({g.join}) where w is not null or m > 2",
    "h.aggregate": "select m, count(*) as c from ({g.filter}) group by m",
    "h.filter": "select * from ({h.aggregate}) where c > 1",
    "f2.filter": "select * from ({f.deduplicate}) where e is null",
}


def stage(name: str) -> str:
    query = STAGES[name]
    for below in STAGES:
        if f"{{{below}}}" in query:
            query = query.replace(f"{{{below}}}", stage(below))
    return query


@pytest.mark.parametrize(
    ("tables", "optimise"),
    [
        ((), False),
        ((), True),
        (("a", "f.explode", "g.filter"), False),
        (("f.filter", "g.join", "h.aggregate", "f2.filter"), True),
    ],
)
def test_a_chain_with_several_sinks_counts_every_node_once(
    tables: tuple[str, ...],
    optimise: bool,  # noqa: FBT001 -- a case
    tmp_path: Path,
) -> None:
    shared = frozenset(tables)
    found = run(document(CHAIN + SPLIT, SINKS), {"a": A, "b": B}, tmp_path, materialize=shared, optimise=optimise)
    assert found["a"].out == len(A)
    for name in STAGES:
        assert (name, found[name].out) == (name, plain(f"select count(*) from ({stage(name)})"))
    for name, counted in found.counts.items():
        for source, rows in counted.into.items():
            assert (name, source, rows) == (name, source, found[source].out)
    assert found["g.join"].unmatched["f.deduplicate"] == plain(
        f"select count(*) from ({stage('f.deduplicate')}) f anti join b on f.k = b.k"
    )
    for sink, last in (("one", "f.deduplicate"), ("two", "g.filter"), ("three", "h.filter")):
        assert found[sink].out == len(found.rows[sink]) == found[last].out
    assert found["four"].out == found["f.deduplicate"].out + found["f2.filter"].out


def numbers(count: int, schema: Schema, *names: str) -> Batches:
    columns = {name: range(count) for name in names}
    relaxed = schema.relaxed()

    def chunks() -> Iterator[Chunk]:
        whole = to_arrow(relaxed)
        table = pa.table({f.name: pa.array(columns.get(f.name, [None] * count), f.type) for f in whole}, schema=whole)
        for number, batch in enumerate(table.to_batches(max_chunksize=10_000)):
            yield Chunk(batch, {"v": 1, "rows": number})

    return Batches(relaxed, chunks)


@pytest.mark.timeout(120)  # a product of the two takes far longer
def test_a_comma_join_of_many_rows_is_no_product(tmp_path: Path) -> None:
    from penstock.types import Schema

    count = 500_000
    data: dict[str, Any] = {
        "a": numbers(count, Schema.of({"k": "int64?", "v": "string?", "n": "int64?", "q": "list<int64?>?"}), "k", "n"),
        "b": numbers(count, Schema.of({"k": "int64?", "w": "float64?"}), "k"),
    }
    body = "  x: {sql: 'select count(*) as n, sum(a.n) as s from a, b where a.k = b.k and a.n > 10'}"
    found: Ran = run(document(body), data, tmp_path, optimise=True)
    assert found.rows["one"][0]["n"] == count - 11
    assert found["x.sql"].into == {"a": count, "b": count}


def test_a_semi_join_that_is_kept_in_a_table_keeps_its_figures(tmp_path: Path) -> None:
    text = document(
        '  f: {from: a, steps: [{join: {to: b, kind: semi, "on": [k]}}]}\n',
        "  one: {from: f, type: memory}\n  two: {from: f, type: memory}\n",
    )
    found = run(text, {"a": A, "b": B}, tmp_path, materialize=frozenset({"f.join"}))
    kept = plain("select count(*) from a semi join b using (k)")
    assert (found["f.join"].out, found["f.join"].unmatched) == (kept, {"a": len(A) - kept})
    assert len(found.rows["one"]) == len(found.rows["two"]) == kept
