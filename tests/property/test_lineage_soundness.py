"""Lineage never says too little: whatever happens to a column that it does not name, the output stays as it is.

Each document runs over random rows twice: as they are, and with every value of one input column replaced. The columns of
the output that lineage (values and predicates) keeps apart from that column must be the same rows in both.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import harness
import pytest

from penstock.compile.lineage import Origin, lineage_of

if TYPE_CHECKING:
    from penstock.graph import Graph

_COLUMNS = {
    "a": {"id": "int64?", "k": "string?", "n": "int64?", "Mixed Case": "int64?", "l": "list<int64?>?"},
    "b": {"k": "string?", "size": "int64?", "more": "int64?"},
}
_HEAD = (
    "pipeline: test\nsources:\n"
    "  a: {type: memory, schema: {columns: "
    '{id: int64?, k: string?, n: int64?, "Mixed Case": int64?, l: "list<int64?>?"}}}\n'
    "  b: {type: memory, schema: {columns: {k: string?, size: int64?, more: int64?}}}\n"
)


def _steps(*steps: str) -> str:
    return "transforms:\n  result:\n    from: a\n    steps:\n" + "".join(f"      - {step}\n" for step in steps)


def _sql(query: str) -> str:
    return f"transforms:\n  result:\n    sql: |\n      {query}\n"


_DOCUMENTS = {
    "filter": _steps("filter: n > 1", "select: [id, k]"),
    "constant_after_filter": _steps("filter: n > 1", "select: {one: '1'}"),
    "count_after_filter": _steps("filter: n > 1", "aggregate: {measures: {rows: count(*)}}"),
    "limit_over_sort": _steps("sort: [n, id]", "limit: 2", "select: [k]"),
    "aggregate": _steps("aggregate: {by: [k], measures: {total: sum(n), rows: count(*)}}"),
    "aggregate_by_expression": _steps("aggregate: {by: [{odd: n % 2}], measures: {rows: count(*)}}"),
    "aggregate_filtered": _steps("aggregate: {measures: {total: 'sum(id) filter (where n > 1)', rows: count(*)}}"),
    "aggregate_ordered": _steps("aggregate: {by: [k], measures: {last: last(id order by id)}}"),
    "arg_max": _steps("aggregate: {by: [k], measures: {best: 'arg_max(n, id)'}}"),
    "window": _steps(
        "window: {partition_by: k, order_by: id, columns: {place: row_number(), before: lag(n)}}",
        "select: [id, place, before]",
    ),
    "deduplicate": _steps("deduplicate: {keys: [k], order_by: id}", "select: [n, k]"),
    "join": _steps("join: {to: b, kind: inner, on: [k], add: [size]}", "select: [id, size]"),
    "join_left": _steps("join: {to: b, kind: left, on: 'this.n = b.size', add: [more]}", "select: [id, more]"),
    "join_full": _steps("join: {to: b, kind: full, on: 'this.n = b.size', add: [more]}", "select: [id, more]"),
    "anti": _steps("join: {to: b, kind: anti, on: [k]}", "select: [id]"),
    "explode": _steps("explode: {column: l, as: item, position: place}", "select: [id, item, place]"),
    "explode_only_others": _steps("explode: {column: l, as: item}", "select: [k]"),
    "lambda": _steps("derive: {more: 'list_transform(l, lambda x: x + n)'}", "select: [id, more]"),
    "contract": _steps("select: [id, k, n]").rstrip() + "\n    schema: {columns: {id: int64, k: string?, n: int64}}\n",
    "union": "transforms:\n  left_part: {from: a, steps: [{filter: n > 1}, {select: [k]}]}\n"
    "  right_part: {from: b, steps: [{select: [k]}]}\n  result: {from: [left_part, right_part]}\n",
    "pivot": _steps("pivot: {on: k, by: [id], values: [x, y], measures: {total: sum(n)}}"),
    "unpivot": _steps("select: [id, n, Mixed Case]", "unpivot: {columns: [n, Mixed Case]}"),
    "sql_star": _sql("select * from a where n > 1"),
    "sql_case": _sql('select id, "mixed case" as m, "MIXED CASE" + 1 as o from A where "mixed CASE" is not null'),
    "sql_cte": _sql("with c as (select k, count(*) as rows from a where n > 1 group by k) select rows from c"),
    "sql_cte_constant": _sql("with c as (select 1 as one from a where n > 1) select one from c"),
    "sql_cte_columns": _sql("with c(x, y) as (select id, k from a where n > 1) select y from c"),
    "sql_subquery": _sql("select d.id from (select id, k from a order by n, id limit 2) as d"),
    "sql_in": _sql("select id from a where k in (select k from b where size > 1)"),
    "sql_exists": _sql("select id from a where exists (select 1 from b where b.k = a.k and b.more > 0)"),
    "sql_same_alias": _sql("select t.id from a as t where t.id in (select t.size from b as t where t.more > 1)"),
    "sql_scalar": _sql("select id, (select max(size) from b where b.k = a.k) as largest from a"),
    "sql_scalar_in_case": _sql("select case when n > (select min(more) from b) then 1 else 0 end as big from a"),
    "sql_lateral": _sql("select a.id, s.size from a, lateral (select size from b where b.k = a.k) as s"),
    "sql_union": _sql("select k from a where n > 1 union all select k from b"),
    "sql_union_distinct": _sql("select k, 1 as one from a union select k, 2 as one from b"),
    "sql_union_by_name": _sql("select id, n as size from a union all by name select size, more as id from b"),
    "sql_union_limit": _sql(
        "select one from (select id, 1 as one from a union all select more, 2 from b order by id limit 2)"
    ),
    "sql_except": _sql("select k from a except select k from b"),
    "sql_intersect": _sql("select n from a intersect select size from b"),
    "sql_group_all": _sql("select k, sum(n) as total from a group by all"),
    "sql_group_place": _sql("select count(*) as rows, n % 2 as odd from a group by 2"),
    "sql_having": _sql("select count(*) as rows from a group by k having max(n) > 1"),
    "sql_order_all": _sql("select n, 1 as one from a order by all limit 2"),
    "sql_distinct": _sql("select distinct k, n > 1 as big from a"),
    "sql_distinct_on": _sql("select distinct on (k) k, id from a order by k, id"),
    "sql_unnest": _sql("select id, unnest(l) as item from a"),
    "sql_unnest_only_others": _sql("select id from (select id, unnest(l) as item from a)"),
    "sql_unnest_from": _sql("select a.id, u.item from a, unnest(a.l) as u(item)"),
    "sql_window": _sql("select id, sum(n) over (partition by k order by id) as running from a"),
    "sql_named_window": _sql("select id, row_number() over w as place from a window w as (order by n, id)"),
    "sql_qualify": _sql("select id from a qualify row_number() over (partition by k order by n, id) = 1"),
    "sql_join_using": _sql("select a.id from a join b using (k) where b.size > 0"),
    "sql_natural": _sql("select a.id, b.more from a natural join b"),
    "sql_semi": _sql("select a.id from a semi join b on a.n = b.size"),
    "sql_asof": _sql("select a.id, b.size from a asof join b on a.n >= b.size"),
    "sql_alias_used": _sql("select n + 1 as more, more * 2 as twice from a"),
    "sql_alias_in_where": _sql("select id, n + 1 as later from a where later > 2"),
    "sql_columns": _sql("select columns(c -> c in ('id', 'n')) from a"),
    "sql_row": _sql("select cast(a as text) as everything from a"),
    "sql_recursive": _sql(
        "with recursive r as (select n as v from a union all select v - 1 from r where v > 0) select v from r"
    ),
    "sql_pivoted": _sql("select * from (pivot (select k, n from a) on k in ('x', 'y') using sum(n))"),
    "sql_values": _sql("select v.x, a.n from a join (values (1), (2)) as v(x) on v.x = a.id"),
}


def _rows(chance: random.Random) -> dict[str, list[dict[str, Any]]]:
    def value() -> int | None:
        return chance.choice([None, 0, 1, 2, 3])

    return {
        "a": [
            {
                "id": number,
                "k": chance.choice([None, "x", "y", "z"]),
                "n": value(),
                "Mixed Case": value(),
                "l": chance.choice([None, [], [1], [2, 3]]),
            }
            for number in range(6)
        ],
        "b": [{"k": key, "size": size, "more": value()} for key, size in zip("xyw", (0, 1, 3), strict=True)],
    }


def _changed(
    rows: dict[str, list[dict[str, Any]]], at: Origin, chance: random.Random
) -> dict[str, list[dict[str, Any]]]:
    """Every value of the column another one; an id stays unique."""
    choices: dict[str, list[Any]] = {"k": [None, "x", "y", "w"], "l": [None, [], [1], [4, 5, 6]]}
    new = [{**row, at.column: chance.choice(choices.get(at.column, [None, 0, 1, 2, 7]))} for row in rows[at.node]]
    if at.column == "id":
        new = [{**row, "id": number} for row, number in zip(new, chance.sample(range(20), len(new)), strict=True)]
    return {**rows, at.node: new}


def _kept(graph: Graph, data: dict[str, Any], engine: harness.TypingEngine, names: list[str]) -> Counter[str]:
    ran = harness._Run(graph, engine.connection, data).outcome(graph.outputs["result"], ())
    return Counter(str([row[name] for name in names]) for row in ran.rows)


@pytest.mark.parametrize("text", _DOCUMENTS.values(), ids=_DOCUMENTS)
def test_a_column_that_lineage_does_not_name_changes_nothing(text: str) -> None:
    engine = harness.TypingEngine()
    graph, _ = harness.compile_document(_HEAD + text, engine)
    found = lineage_of(graph)[graph.outputs["result"]]
    chance = random.Random(text)
    rows = _rows(chance)
    for origin in (Origin(source, column) for source, columns in _COLUMNS.items() for column in columns):
        apart = [name for name, own in found.items() if origin not in own.values | own.predicates]
        if not apart:
            continue
        same = _kept(graph, rows, engine, apart)
        for changed in (_changed(rows, origin, chance), _changed(rows, origin, chance)):
            assert _kept(graph, changed, engine, apart) == same, f"{origin} reaches {apart}"


_PRECISE = {
    "filter": {"id": ({"a.id"}, {"a.n"}), "k": ({"a.k"}, {"a.n"})},
    "count_after_filter": {"rows": (set(), {"a.n"})},
    "aggregate": {"k": ({"a.k"}, {"a.k"}), "total": ({"a.n"}, {"a.k"}), "rows": (set(), {"a.k"})},
    "join": {"id": ({"a.id"}, {"a.k", "b.k"}), "size": ({"b.size"}, {"a.k", "b.k"})},
    "sql_case": {
        "id": ({"a.id"}, {"a.Mixed Case"}),
        "m": ({"a.Mixed Case"}, {"a.Mixed Case"}),
        "o": ({"a.Mixed Case"}, {"a.Mixed Case"}),
    },
    "sql_cte": {"rows": (set(), {"a.k", "a.n"})},
    "sql_in": {"id": ({"a.id"}, {"a.k", "b.k", "b.size"})},
    "sql_exists": {"id": ({"a.id"}, {"a.k", "b.k", "b.more"})},
    "sql_union": {"k": ({"a.k", "b.k"}, {"a.n"})},
    "sql_union_by_name": {"id": ({"a.id", "b.more"}, set()), "size": ({"a.n", "b.size"}, set())},
    "sql_group_all": {"k": ({"a.k"}, {"a.k", "a.n"}), "total": ({"a.n"}, {"a.k", "a.n"})},
    "sql_unnest": {"id": ({"a.id"}, {"a.l"}), "item": ({"a.l"}, {"a.l"})},
    "sql_join_using": {"id": ({"a.id"}, {"a.k", "b.k", "b.size"})},
    "sql_alias_used": {"more": ({"a.n"}, set()), "twice": ({"a.n"}, set())},
}


@pytest.mark.parametrize("name", _PRECISE)
def test_lineage_says_no_more_than_there_is(name: str) -> None:
    graph, _ = harness.compile_document(_HEAD + _DOCUMENTS[name])
    found = lineage_of(graph)[graph.outputs["result"]]
    assert {
        column: ({f"{o.node}.{o.column}" for o in own.values}, {f"{o.node}.{o.column}" for o in own.predicates})
        for column, own in found.items()
    } == _PRECISE[name]
