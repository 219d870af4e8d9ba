"""A row that is lost between any two places is found, and the node and the figures are named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlglot
from sqlglot import exp

from penstock.connectors.api import Receipt, Staged
from penstock.engines.api import NodeCounts
from penstock.errors import FatalError
from penstock.graph import Graph
from penstock.graph.nodes import (
    Aggregate,
    Cause,
    Check,
    Column,
    Explode,
    Filter,
    Join,
    Limit,
    Project,
    Query,
    Read,
    Sample,
    Union,
    Write,
)
from penstock.ledger.api import RejectFile
from penstock.run.balance import account, check, check_receipt
from penstock.structs import replace
from penstock.trees import column
from penstock.types import INT64, Field, Schema

if TYPE_CHECKING:
    from penstock.graph import Node
    from penstock.graph.nodes import JoinKind

SCHEMA = Schema((Field("k", INT64),))
COLUMNS = (Column("k", column("k")),)
GRAPH = Graph(
    (
        Read("a", source="a", schema=SCHEMA),
        Read("b", source="b", schema=SCHEMA),
        Check("a.check", input="a", causes=(Cause("c", exp.false(), exp.Literal.string("")),), schema=SCHEMA),
        Filter("x.filter", input="a.check", condition=exp.true(), schema=SCHEMA),
        Filter("x.first", input="x.filter", condition=exp.true(), why="deduplicate", schema=SCHEMA),
        Project("x.select", input="x.first", columns=COLUMNS, schema=SCHEMA),
        Explode("x.explode", input="x.select", value=column("k"), as_="e", columns=COLUMNS, schema=SCHEMA),
        Join("x.join", left="x.explode", right="b", how="inner", on=None, columns=COLUMNS, schema=SCHEMA),
        Union("u", members=("x.join", "b"), schema=SCHEMA),
        Write("sink", input="u", sink="sink", schema=SCHEMA),
    )
)
COUNTS = {
    "a": NodeCounts({"a": 100}, 98, rejected=2),
    "b": NodeCounts({"b": 10}, 10),
    "a.check": NodeCounts({"a": 98}, 95),
    "x.filter": NodeCounts({"a.check": 95}, 60),
    "x.first": NodeCounts({"x.filter": 60}, 50),
    "x.select": NodeCounts({"x.first": 50}, 50),
    "x.explode": NodeCounts({"x.select": 50}, 70, empty=5),
    "x.join": NodeCounts({"x.explode": 70, "b": 10}, 40, unmatched={"x.explode": 30, "b": 1}),
    "u": NodeCounts({"x.join": 40, "b": 10}, 50),
    "sink": NodeCounts({"u": 50}, 50),
}
REJECTS = (RejectFile("a", "", 2, "", {}), RejectFile("a.check", "", 3, "", {}))
STAGED = {"sink": (Staged(30, 0), Staged(20, 0))}


def test_figures_that_close_are_taken() -> None:
    entries = {entry.node: entry for entry in account(GRAPH, COUNTS)}
    check(GRAPH, tuple(entries.values()), REJECTS, STAGED)
    assert entries["a"].rejected == 2
    assert entries["a.check"].rejected == 3
    assert entries["x.filter"].filtered == 35
    assert entries["x.first"].deduplicated == 10


def _refused(counts: dict[str, NodeCounts], rejects: tuple[RejectFile, ...] = REJECTS, staged: object = None) -> str:
    with pytest.raises(FatalError) as caught:
        check(GRAPH, account(GRAPH, counts), rejects, STAGED if staged is None else staged)  # type: ignore[arg-type]
    assert caught.value.code == "RUN-120"
    return str(caught.value)


@pytest.mark.parametrize("node", [name for name in COUNTS if name not in {"a", "b"}])
def test_a_row_that_is_lost_on_its_way_to_a_node_is_found(node: str) -> None:
    """The graph has no node that may stop early but the join, which stands for itself."""
    (source, rows), *_ = COUNTS[node].into.items()
    one_less = replace(COUNTS[node], into={**COUNTS[node].into, source: rows - 1})
    one_more = replace(COUNTS[node], into={**COUNTS[node].into, source: rows + 1})
    assert f'"{node}"' in _refused({**COUNTS, node: one_more})
    plain = Graph(tuple(item for item in GRAPH.nodes if item.kind != "join"))
    if node in plain.by_id and all(name in plain.by_id for name in plain[node].inputs):
        kept: list[Node] = [plain[node], *(plain[name] for name in plain[node].inputs)]
        with pytest.raises(FatalError):
            check(Graph(tuple(kept)), account(Graph(tuple(kept)), {**COUNTS, node: one_less}), REJECTS, {})


@pytest.mark.parametrize("node", ["a", "a.check", "x.select", "u", "sink"])
@pytest.mark.parametrize("change", [-1, 1])
def test_a_row_too_many_or_too_few_out_of_a_node_is_found(node: str, change: int) -> None:
    wrong = replace(COUNTS[node], out=COUNTS[node].out + change)
    assert "does not close" in _refused({**COUNTS, node: wrong})


def test_rows_that_grow_in_a_filter_are_found() -> None:
    assert '"x.filter"' in _refused({**COUNTS, "x.filter": NodeCounts({"a.check": 95}, 96)})
    assert '"x.first"' in _refused({**COUNTS, "x.first": NodeCounts({"x.filter": 60}, 61)})


def test_more_unmatched_rows_than_there_are_is_found() -> None:
    wrong = replace(COUNTS["x.join"], unmatched={"x.explode": 71})
    assert '"x.join"' in _refused({**COUNTS, "x.join": wrong})


@pytest.mark.parametrize("rejects", [(), REJECTS[:1], (REJECTS[0], RejectFile("a.check", "", 2, "", {}))])
def test_a_rejected_row_that_is_not_in_the_store_is_found(rejects: tuple[RejectFile, ...]) -> None:
    assert "the reject store has" in _refused(COUNTS, rejects)


@pytest.mark.parametrize("rows", [49, 51, 0])
def test_a_row_that_a_sink_did_not_stage_is_found(rows: int) -> None:
    assert f"the sink staged {rows}" in _refused(COUNTS, staged={"sink": (Staged(rows, 0),)})


@pytest.mark.parametrize(
    "receipt",
    [
        Receipt(rows=49, inserted=49),
        Receipt(rows=50, inserted=49),
        Receipt(rows=50, inserted=20, updated=20, unchanged=5, ignored_older=4),
        Receipt(rows=50, inserted=51),
    ],
)
def test_a_receipt_that_does_not_account_for_every_row_is_refused(receipt: Receipt) -> None:
    with pytest.raises(FatalError) as caught:
        check_receipt("sink", sent=50, receipt=receipt)
    assert caught.value.code == "RUN-121"


def test_a_receipt_that_does_is_taken() -> None:
    check_receipt("sink", sent=50, receipt=Receipt(rows=50, inserted=20, updated=20, unchanged=5, ignored_older=5))


# ---------------------------------------------------------------- the equations of each kind of node


def _closes(
    node: Node, *, out: int, into: dict[str, int], unmatched: dict[str, int] | None = None, empty: int = 0
) -> bool:
    reads = tuple(Read(name, source=name, schema=SCHEMA) for name in into)
    counts = {name: NodeCounts({name: rows}, rows) for name, rows in into.items()}
    counts[node.id] = NodeCounts(into, out, unmatched=unmatched or {}, empty=empty)
    graph = Graph((*reads, node))
    try:
        check(graph, account(graph, counts), (), {})
    except FatalError:
        return False
    return True


@pytest.mark.parametrize("wrong", [-1, 1])
@pytest.mark.parametrize(
    ("how", "unmatched", "out"),
    [
        ("cross", {}, 60),
        ("semi", {"l": 4}, 6),
        ("anti", {"l": 4}, 4),
        ("asof", {"l": 4}, 6),
        ("asof_left", {"l": 4}, 10),
    ],
)
def test_a_join_of_known_size_has_exactly_that_many_rows(
    how: JoinKind, unmatched: dict[str, int], out: int, wrong: int
) -> None:
    node = Join("j", left="l", right="r", how=how, on=None, columns=COLUMNS)
    assert _closes(node, out=out, into={"l": 10, "r": 6}, unmatched=unmatched)
    assert not _closes(node, out=out + wrong, into={"l": 10, "r": 6}, unmatched=unmatched)


@pytest.mark.parametrize(
    ("how", "least", "most"), [("inner", 6, 18), ("left", 10, 22), ("right", 9, 21), ("full", 13, 25)]
)
def test_a_join_has_a_row_for_each_that_found_a_partner_and_for_each_that_it_keeps(
    how: JoinKind, least: int, most: int
) -> None:
    """6 of 10 rows on the left and 3 of 6 on the right found one."""
    node = Join("j", left="l", right="r", how=how, on=None, columns=COLUMNS)
    sizes = [out for out in range(30) if _closes(node, out=out, into={"l": 10, "r": 6}, unmatched={"l": 4, "r": 3})]
    assert sizes == list(range(least, most + 1))


@pytest.mark.parametrize(
    ("node", "empty", "sizes"),
    [
        (Limit("x", input="a", rows=5, schema=SCHEMA), 0, [5]),
        (Limit("x", input="a", rows=12, schema=SCHEMA), 0, [10]),
        (Sample("x", input="a", seed=1, rows=5, schema=SCHEMA), 0, [5]),
        (Sample("x", input="a", seed=1, percent=5.0, schema=SCHEMA), 0, list(range(11))),
        (Aggregate("x", input="a", by=(), measures=COLUMNS, schema=SCHEMA), 0, [1]),
        (Aggregate("x", input="a", by=COLUMNS, measures=(), schema=SCHEMA), 0, list(range(1, 11))),
        (Explode("x", input="a", value=column("k"), as_="e", columns=COLUMNS), 4, list(range(6, 15))),
        (Explode("x", input="a", value=column("k"), as_="e", columns=COLUMNS, keep_empty=True), 4, list(range(10, 15))),
    ],
)
def test_how_many_rows_a_node_may_give_for_ten(node: Node, empty: int, sizes: list[int]) -> None:
    assert [out for out in range(15) if _closes(node, out=out, into={"a": 10}, empty=empty)] == sizes


@pytest.mark.parametrize(
    ("out", "rejected", "right"), [(98, 2, True), (97, 2, False), (99, 2, False), (98, 1, False), (0, 0, False)]
)
def test_what_a_source_handed_over_came_out_or_was_rejected(out: int, rejected: int, *, right: bool) -> None:
    graph = Graph((Read("a", source="a", schema=SCHEMA),))
    entries = account(graph, {"a": NodeCounts({"a": 100}, out, rejected=rejected)})
    store = (RejectFile("a", "", rejected, "", {}),)
    if right:
        check(graph, entries, store, {})
    else:
        with pytest.raises(FatalError):
            check(graph, entries, store, {})


# ---------------------------------------------------------------- who had enough before the end


@pytest.mark.parametrize(
    ("sql", "may_stop"),
    [
        ("select k from a where k > 1", False),
        ("select k, count(*) from (select * from a) group by k order by k", False),
        ("with x as (select k from a) select k from x union all select k from a", False),
        ("select k from a limit 5", True),
        ("select k from (select k from a fetch first 5 rows only)", True),
        ("select a.k from a join a as b using (k)", True),
        ("select k from a where exists (select 1 from a)", True),
        ("select k from a where k in (select k from a)", True),
        ("select k, (select max(k) from a) from a", True),
        ("select k from a using sample 5 rows", True),
        ("select k from a except select k from a", True),
    ],
)
def test_only_a_query_that_may_stop_early_excuses_rows_that_did_not_arrive(sql: str, *, may_stop: bool) -> None:
    query = sqlglot.parse_one(sql, dialect="duckdb")
    assert isinstance(query, exp.Query)
    node = Query("q", tables={"a": "p"}, query=query, schema=SCHEMA)
    graph = Graph((Read("a", source="a", schema=SCHEMA), Project("p", input="a", columns=COLUMNS, schema=SCHEMA), node))
    counts = {
        "a": NodeCounts({"a": 100}, 100),
        "p": NodeCounts({"a": 100}, 100),
        "q": NodeCounts({"p": 99}, 5),
    }
    if may_stop:
        check(graph, account(graph, counts), (), {})
        return
    with pytest.raises(FatalError, match='"p" gave 100 rows, 99 arrived'):
        check(graph, account(graph, counts), (), {})


_LIMITED = Graph(
    (
        Read("a", source="a", schema=SCHEMA),
        Project("p", input="a", columns=COLUMNS, schema=SCHEMA),
        Limit("l", input="p", rows=5, schema=SCHEMA),
        Write("sink", input="l", sink="sink", schema=SCHEMA),
    )
)


def _limited(*, read: int, arrived: int, out: int) -> None:
    counts = {
        "a": NodeCounts({"a": read}, read),
        "p": NodeCounts({"a": arrived}, arrived),
        "l": NodeCounts({"p": arrived}, out),
        "sink": NodeCounts({"l": out}, out),
    }
    check(_LIMITED, account(_LIMITED, counts), (), {"sink": (Staged(out, 0),)})


def test_a_limit_that_is_full_need_not_read_on() -> None:
    _limited(read=100, arrived=20, out=5)


def test_a_limit_that_is_not_full_has_read_everything() -> None:
    _limited(read=4, arrived=4, out=4)
    with pytest.raises(FatalError) as caught:
        _limited(read=5, arrived=4, out=4)
    assert caught.value.code == "RUN-120"


def test_a_join_with_an_empty_side_need_not_read_the_other() -> None:
    nothing = {
        **COUNTS,
        "b": NodeCounts({"b": 0}, 0),
        "x.explode": NodeCounts({"x.select": 7}, 7),
        "x.join": NodeCounts({"x.explode": 7, "b": 0}, 0, unmatched={"x.explode": 7, "b": 0}),
        "u": NodeCounts({"x.join": 0, "b": 0}, 0),
        "sink": NodeCounts({"u": 0}, 0),
    }
    check(GRAPH, account(GRAPH, nothing), REJECTS, {"sink": (Staged(0, 0),)})


def test_a_row_that_is_lost_before_a_join_that_read_everything_is_found() -> None:
    assert '"x.first" gave 50 rows, 49 arrived' in _refused(
        {
            **COUNTS,
            "x.select": NodeCounts({"x.first": 49}, 49),
            "x.explode": NodeCounts({"x.select": 49}, 70, empty=5),
        }
    )


# ---------------------------------------------------------------- rows that two nodes share out


_EQUAL = exp.EQ(this=exp.column("k", "this"), expression=exp.column("k", "that"))
_HALVES = Graph(
    (
        Read("l", source="l", schema=SCHEMA),
        Read("r", source="r", schema=SCHEMA),
        Join("once", left="l", right="r", how="anti", on=_EQUAL, columns=COLUMNS, schema=SCHEMA),
        Join("several", left="l", right="r", how="semi", on=_EQUAL.copy(), columns=COLUMNS, schema=SCHEMA),
        Union("rows", members=("once", "several"), schema=SCHEMA),
    )
)


def _halves(*, arrived: int = 10, partners: int, once: int, several: int) -> None:
    counts = {
        "l": NodeCounts({"l": 10}, 10),
        "r": NodeCounts({"r": partners}, partners),
        "once": NodeCounts({"l": arrived, "r": partners}, once, unmatched={"l": once}),
        "several": NodeCounts({"l": 10, "r": partners}, several, unmatched={"l": 10 - several}),
        "rows": NodeCounts({"once": once, "several": several}, once + several),
    }
    check(_HALVES, account(_HALVES, counts), (), {})


@pytest.mark.parametrize("several", [3, 5])
def test_a_semi_and_an_anti_join_have_each_row_of_their_left_side_once(several: int) -> None:
    _halves(partners=6, once=6, several=4)
    with pytest.raises(FatalError, match=f'of 10 rows of "l" there are 6 in "once" and {several} in "several"'):
        _halves(partners=6, once=6, several=several)


def test_a_row_that_is_lost_before_an_anti_join_is_found_though_its_other_side_is_empty() -> None:
    _halves(partners=0, once=10, several=0)
    with pytest.raises(FatalError, match='"l" gave 10 rows, 9 arrived'):
        _halves(arrived=9, partners=0, once=9, several=0)
