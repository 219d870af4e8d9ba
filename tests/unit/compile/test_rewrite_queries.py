"""Products that a user wrote become joins, the rows stay what they were, and what is not understood stays as written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from sqlglot import exp, parse_one

from penstock.compile.rewrite_queries import rewritten
from penstock.engines.duckdb.profile import DISABLED_OPTIMIZERS
from penstock.graph import Graph
from penstock.graph.nodes import Query, Read
from penstock.types import Schema

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLES = {
    "a": Schema.of({"k": "int64?", "v": "string?", "n": "int64?", "l": "list<int64?>?", "f": "float64?"}),
    "b": Schema.of({"k": "int64?", "w": "string?", "j": "int64?"}),
    "c": Schema.of({"j": "int64?", "u": "string?"}),
    'd"; DROP TABLE a;--': Schema.of({"K k": "int64?", "w": "string?"}),
}
D = '"d""; DROP TABLE a;--"'

# Queries, and the parts of WHERE that are left where they were.
MOVED = {
    "select a.n, b.w from a, b where a.k = b.k": None,
    "select * from a, b where a.k = b.k": None,
    "from a, b select a.n where a.k = b.k": None,
    "from a, b where a.k = b.k": None,
    "select a.n, b.w from a cross join b where a.k = b.k": None,
    "select a.n, b.w from a join b on a.n > b.j where a.k = b.k": None,
    "select n, w from a, b where v = w": None,
    "select A.n, w from a, B where a.K = b.k and N = J": None,
    "select x.n, y.n as m from a x, a y where x.k = y.k and x.n < y.n": None,
    "select a.n, b.w from a, b where (a.k = b.k and (a.n = b.j or b.w is null))": None,
    "select a.n, b.w from a, b where a.k = b.k and b.w = 'x' and a.n in (1, 2, 3)": None,
    "select a.n, b.w from a, b where a.k is not distinct from b.k": None,
    "select a.n, u from a, b, c where a.k = b.k and b.j = c.j": None,
    "select a.n, u from a, c, b where a.k = b.k and b.j = c.j": None,
    "select a.*, c.* from a, c, b where a.k = b.k and b.j = c.j": None,
    "select count(*) as c from a, b where a.k = b.k having count(*) > 1": None,
    f'select n, t.w from a, {D} t where t."K k" = a.k': None,
    "select n, s.w from a, (select b.k as z, b.w from b) s where s.z = k": None,
    "select n, s.p from a, (select a.k + 1 as p) s where s.p = a.k + 1 and a.n = 4": None,
    "with s as (select k, w from b) select n, s.w from a, s where a.k = s.k": None,
    "with s(z, y) as (select k, w from b) select n, y from a, s where k = z": None,
    "select n from a, b where a.k = b.k union all select n from a, b where a.n = b.j": None,
    "select n from a where exists (select 1 from b, c where b.j = c.j and b.k = a.k)": "b.k = a.k",
    "select n, u from a left join b on a.k = b.k, c where a.k = c.j": None,
    "select n, u from a left join b on a.k = b.k, c where b.j = c.j": None,
    "select n, u from a, b left join c on b.j = c.j where a.k = b.k": None,
    "select n, u from a, b left join c on b.j = c.j where a.k = b.k and c.u is null": "c.u IS NULL",
    "select n, w from a, b semi join c on b.j = c.j where a.k = b.k": None,
    "select n, w from a, b anti join c on b.j = c.j where a.k = b.k": None,
    "select n, w from a, b where a.k = b.k and 1 = 1": "1 = 1",
    "select n, w from a, b where a.k = b.k and a.n = (select min(j) from b)": "a.n = (SELECT MIN(j) FROM b)",
    "select n, w, a.k as z from a, b where z = b.k and a.n = b.j": "z = b.k",
    "select n from a, b where a.k = b.k order by n limit 5": None,
    "select a.k, row_number() over (order by a.n, b.w) r from a, b where a.k = b.k qualify r < 9": None,
}
KEPT = [
    "select n, w from a, b where a.k = 1 or random() < 2",
    "select n, w from a, b where random() >= 0 and uuid() is not null",
    "select n, w from a, b where n = any(select j from b)",
    "select a.n, b.w from a full join b on a.k = b.k where a.n = b.j",
    "select a.n, b.w from a right join b on a.k = b.k where a.n = b.j",
    "select a.n, c.u from a, b right join c on b.j = c.j where a.k = b.k",
    "select a.n, b.w from a left join b on a.k = b.k where a.n = b.j",
    "select n, x from a, unnest(a.l) u(x) where u.x = a.k",
    "select n, i from a, range(5) r(i) where r.i = a.k",
    "select k, n, w from a join b using (k), c where b.j = c.j",
    "select n, w from a natural join b, c where n = c.j",
    "select n, w from a positional join b where a.k = b.k",
    "select n, w from a asof join b on a.n >= b.j where a.k = b.k",
    "select n from a, (b join c on b.j = c.j) where a.k = b.k",
    "select n from a where n > 3",
    "select n, w from a, (select * from b) s where v = w",
]


@pytest.fixture(scope="module")
def con(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """Rows with nulls, NaN, doubled keys and keys without a partner; optimizers off as in a run."""
    with duckdb.connect(config={"threads": 2, "temp_directory": str(tmp_path_factory.mktemp("spill"))}) as made:
        made.execute(
            "create table a as select case when i % 7 > 0 then i % 5 end as k, "
            "case when i % 11 > 0 then 'v' || (i % 4) end as v, i as n, [i, null, i % 5] as l, "
            "case i % 3 when 0 then 'nan'::double when 1 then i end as f from range(40) r(i)"
        )
        made.execute("create table b(k bigint, w varchar, j bigint)")
        made.execute(
            "insert into b values (0,'x',1),(1,'v1',2),(1,null,3),(2,'v2',null),(9,'x',4),(null,'v3',5),(1,'x',39)"
        )
        made.execute("create table c as select i as j, 'u' || i as u from range(6) r(i) union all select null, 'none'")
        made.execute(f'create table {D} as select k as "K k", w from b')
        made.execute("set disabled_optimizers = ?", [",".join(DISABLED_OPTIMIZERS)])
        yield made


def node(text: str) -> Query:
    return Query("q", tables={name: name for name in TABLES}, query=parse_one(text, dialect="duckdb"))


def graph() -> Graph:
    return Graph(tuple(Read(name, name, schema=schema) for name, schema in TABLES.items()))


def changed(text: str) -> str:
    return rewritten(node(text), graph()).sql(dialect="duckdb")


def rows(con: duckdb.DuckDBPyConnection, text: str) -> list[Any]:
    return sorted(str(row) for row in con.execute(text).fetchall())


@pytest.mark.parametrize("text", MOVED)
def test_a_product_becomes_a_join_with_the_same_rows(text: str, con: duckdb.DuckDBPyConnection) -> None:
    made = changed(text)
    assert rows(con, made) == rows(con, text)
    found = [where.this for where in parse_one(made, dialect="duckdb").find_all(exp.Where)]
    left = [part.sql(dialect="duckdb") for part in found if part.find(exp.Where) is None]
    assert left == ([MOVED[text]] if MOVED[text] else [])
    assert con.execute(made).description == con.execute(text).description


@pytest.mark.parametrize("text", KEPT)
def test_what_is_not_understood_stays_as_it_is(text: str, con: duckdb.DuckDBPyConnection) -> None:
    assert changed(text) == parse_one(text, dialect="duckdb").sql(dialect="duckdb")
    assert con.execute(changed(text)).fetchall() is not None


def test_relations_are_taken_in_an_order_in_which_each_has_a_link() -> None:
    assert changed("select u from a, c, b where a.k = b.k and b.j = c.j") == (
        "SELECT u FROM a INNER JOIN b ON a.k = b.k INNER JOIN c ON b.j = c.j"
    )


def test_a_bare_star_keeps_the_order_of_the_relations() -> None:
    assert changed("select * from a, c, b where a.k = b.k and b.j = c.j") == (
        "SELECT * FROM a, c INNER JOIN b ON a.k = b.k AND b.j = c.j"
    )


def test_the_node_itself_is_left_as_it_was() -> None:
    given = node("select n from a, b where a.k = b.k")
    before = given.query.sql(dialect="duckdb")
    rewritten(given, graph())
    assert given.query.sql(dialect="duckdb") == before
