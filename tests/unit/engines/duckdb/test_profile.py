"""Counts by tags: exact whatever the predicate, and wrong as soon as one of the disabled optimizers is on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import duckdb
import pytest
from sqlglot import exp, parse_one

from penstock.engines.duckdb.profile import DISABLED_OPTIMIZERS, PRECAUTIONS, read_profile, tag_condition
from penstock.errors import InternalError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

BIG: Final = "from 'big.parquet'"
SMALL: Final = "from 'small.parquet'"
FAR: Final = "from 'far.parquet'"

# Each optimizer and a statement, node by node, whose counts it spoils: a body, or an input and the condition on it.
SPOILED: Final[Mapping[str, Mapping[str, str | tuple[str, str]]]] = {
    "filter_pushdown": {"a": BIG, "b": ("a", "n > 100"), "c": ("b", "n < 5000")},
    "filter_pullup": {"a": BIG, "d": SMALL, "j": "select a.*, d.v from a join d on a.i = d.i"},
    "join_filter_pushdown": {"a": BIG, "d": FAR, "j": "select a.* from a semi join d on a.i = d.i + 5"},
    "join_order": {"a": BIG, "d": SMALL, "j": "select a.*, d.v from a left join d on a.i = d.i", "f": ("j", "v > 10")},
    "top_n": {"a": BIG, "o": "select * from a order by i limit 10"},
    "join_elimination": {
        "d": SMALL,
        "m": "select i, max(v) as v from d group by i",
        "a": BIG,
        "j": "select a.* from a left join m on a.i = m.i",
    },
    "statistics_propagation": {"a": BIG, "d": SMALL, "j": "select a.*, d.v from a join d on a.i = d.i"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files whose statistics tempt the optimizers; row groups of 2048 rows."""
    place = tmp_path_factory.mktemp("profile")
    with duckdb.connect(config={"temp_directory": str(place)}) as con:
        rows = "select i, i % 7 as k, case when i % 3 = 0 then null else i end as n from range(10000) r(i)"
        con.execute(f"copy ({rows}) to '{place}/big.parquet' (row_group_size 2048)")
        con.execute(f"copy (select i * 2 as i, i as v from range(3000) r(i)) to '{place}/small.parquet'")
        con.execute(f"copy (select i + 1000000 as i, i as v from range(3000) r(i)) to '{place}/far.parquet'")
    return place


@pytest.fixture
def con(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[duckdb.DuckDBPyConnection]:
    monkeypatch.chdir(folder)
    with duckdb.connect(config={"threads": 2, "temp_directory": str(folder)}) as made:
        made.execute("set enable_profiling = 'no_output'")
        yield made


def disable(con: duckdb.DuckDBPyConnection, *, but: str | None = None) -> None:
    con.execute("set disabled_optimizers = ?", [",".join(name for name in DISABLED_OPTIMIZERS if name != but)])


def statement(nodes: Mapping[str, str | tuple[str, str]], *, tagged: bool) -> str:
    parts = []
    for name, node in nodes.items():
        source, condition = (
            (f"({node})", None)
            if isinstance(node, str)
            else (node[0], parse_one(node[1], into=exp.Expr, dialect="duckdb"))
        )
        rows = exp.select("*").from_(parse_one(f"select * from {source} as t", dialect="duckdb").args["from_"].this)
        where = tag_condition(condition, name) if tagged else condition
        parts.append(f"{name} as ({(rows.where(where) if where is not None else rows).sql(dialect='duckdb')})")
    return f"with {', '.join(parts)} select * from {list(nodes)[-1]}"


def truth(con: duckdb.DuckDBPyConnection, nodes: Mapping[str, str | tuple[str, str]]) -> dict[str, int]:
    con.execute("set disabled_optimizers = ''")
    found = {}
    for number, name in enumerate(nodes, start=1):
        text = statement(dict(list(nodes.items())[:number]), tagged=False)
        found[name] = len(con.execute(text).fetchall())
    return found


def counted(con: duckdb.DuckDBPyConnection, nodes: Mapping[str, str | tuple[str, str]]) -> dict[str, int]:
    con.execute(statement(nodes, tagged=True)).fetchall()
    return dict.fromkeys(nodes, 0) | dict(read_profile(con.get_profiling_information()).rows)


def test_every_optimizer_that_is_off_without_being_a_precaution_has_a_case() -> None:
    assert set(SPOILED) == set(DISABLED_OPTIMIZERS) - set(PRECAUTIONS)


@pytest.mark.parametrize("optimizer", SPOILED)
def test_counts_are_exact_and_each_disabled_optimizer_would_spoil_them(
    optimizer: str, con: duckdb.DuckDBPyConnection
) -> None:
    nodes = SPOILED[optimizer]
    expected = truth(con, nodes)
    disable(con)
    assert counted(con, nodes) == expected
    disable(con, but=optimizer)
    assert counted_or_refused(con, nodes) != expected


def counted_or_refused(
    con: duckdb.DuckDBPyConnection, nodes: Mapping[str, str | tuple[str, str]]
) -> dict[str, int] | None:
    try:
        return counted(con, nodes)
    except InternalError:
        return None


@pytest.mark.parametrize(
    "condition",
    [
        "true",
        "false",
        "null",
        "1 = 2",
        "n > null",
        "i >= 0",
        "i < 0",
        "i > 1000000",
        "i is not null",
        "i = i",
        "k in (9)",
    ],
)
def test_a_tag_is_never_folded_away(condition: str, con: duckdb.DuckDBPyConnection) -> None:
    nodes = {"a": BIG, "b": ("a", condition), "c": "select k, count(*) as c from b group by k"}
    expected = truth(con, nodes)
    disable(con)
    assert counted(con, nodes) == expected


def test_each_conjunct_spares_the_next_the_rows_it_refuses(con: duckdb.DuckDBPyConnection) -> None:
    disable(con)
    nodes = {"a": BIG, "b": ("a", "i < 0 and error('asked for nothing') is null")}
    assert counted(con, nodes) == {"a": 10_000, "b": 0}


def test_a_part_that_is_proved_empty_counts_no_rows(con: duckdb.DuckDBPyConnection) -> None:
    disable(con)
    assert counted(con, {"a": BIG, "u": "select * from a where 1 = 0"}) == {"a": 0, "u": 0}


@pytest.mark.parametrize("text", ["penstock:b", "vector_type('penstock:a')", "'penstock:a'"])
def test_a_text_that_looks_like_a_tag_is_none(text: str, con: duckdb.DuckDBPyConnection) -> None:
    disable(con)
    nodes = {
        "a": f"select *, k::text as t {BIG}",
        "b": ("a", exp.column("t").neq(exp.convert(text)).sql(dialect="duckdb")),
    }
    assert counted(con, nodes) == {"a": 10_000, "b": 10_000}


def profile(*filters: tuple[str, int]) -> str:
    found = [
        {"type": "FILTER", "extra_info": {"Expression": [f"vector_type('penstock:{tag}')"]}, "intermediate_rows": rows}
        for tag, rows in filters
    ]
    return json.dumps({"operator": [{"type": "PROJECTION", "extra_info": {}, "children": found}]})


def test_rows_are_those_out_of_the_filter_that_carries_the_tag() -> None:
    assert read_profile(profile(("n0", 7), ("n1", 0))).rows == {"n0": 7, "n1": 0}


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (profile(("n0", 7), ("n1", 3), ("n1", 3)), 'ran the node "n1" twice'),
        (profile(("n0') <> '' and vector_type('penstock:n1", 7)), "merged the nodes n0, n1"),
    ],
)
def test_a_count_that_could_be_wrong_is_an_error(found: str, words: str) -> None:
    with pytest.raises(InternalError, match=words) as caught:
        read_profile(found)
    assert caught.value.code == "INT-900"
