from __future__ import annotations

import pytest
from harness import compile_document, run_document

from penstock.compile.query import ParsedQuery, read_query
from penstock.errors import ConfigError, Location, Problem
from penstock.fields import Located

_NODES = ("orders", "customers")


def _text(sql: str) -> Located:
    return Located.of(sql, Location("p.yml", 1, 1, 2), lambda start, n: Location("p.yml", 1, start + 1, start + n + 1))


def _read(sql: str) -> ParsedQuery:
    return read_query(_text(sql), _NODES)


def _problem(sql: str) -> Problem:
    with pytest.raises(ConfigError) as caught:
        _read(sql)
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize(
    "sql",
    [
        "copy orders to 'x.csv'",
        "copy (select 1) to '/etc/passwd'",
        "attach 'x.db' as x",
        "pragma database_list",
        "set threads = 1",
        "install httpfs",
        "load httpfs",
        "insert into orders select 1",
        "update orders set a = 1",
        "delete from orders",
        "create table x as select 1",
        "truncate orders",
        "call pragma_version()",
        "export database 'x'",
        "explain select 1",
        "describe orders",
        "use memory",
        "select 1; select 2",
        "select 1; drop table orders",
        "select 1 into x from orders",
        "with x as (insert into orders select 1) select 1",
        "select * from (describe orders)",
        "select * from orders for update",
        "select * from (pivot orders on a using sum(b))",
        "with p as (pivot orders on a in (1), b using sum(c)) select * from p",
        "values (1)",
        "",
        "-- nothing but a comment",
    ],
)
def test_anything_but_one_select_is_refused(sql: str) -> None:
    assert _problem(sql).code == "CMP-224"


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_csv('x.csv')",
        "select * from read_csv_auto('x.csv')",
        "select * from read_parquet('x.parquet')",
        "select * from parquet_scan('x.parquet')",
        "select * from read_json('x.json')",
        "select * from read_text('/etc/passwd')",
        "select * from read_blob('/etc/passwd')",
        "select * from glob('/etc/*')",
        "select * from sniff_csv('x.csv')",
        "select * from duckdb_settings()",
        "select * from query('select 1')",
        "select * from query_table('orders')",
        "select * from pragma_table_info('orders')",
        "select * from 'x.csv'",
        'select * from "x.parquet"',
        "select * from '/etc/passwd'",
        "from 'x.csv' select *",
        "select * from main.orders",
        "select * from memory.main.orders",
        "select * from information_schema.tables",
        "select * from orders at (version => 1)",
        "select * from array[1]",
        "select * from orders where a in (select a from 'x.csv')",
        "select (select max(a) from read_csv('x.csv')) as m from orders",
        "select * from orders join (from read_csv('x.csv')) as x using (a)",
        "with x as (select * from read_csv('x.csv')) select * from x",
        "select * from orders union all select * from glob('*')",
        "select * from orders, lateral (select * from read_csv('x.csv')) as x",
    ],
)
def test_files_and_tables_outside_the_document_are_refused(sql: str) -> None:
    assert _problem(sql).code == "CMP-226"


@pytest.mark.parametrize("sql", ["select $1", "select ? from orders", "select * from $1"])
def test_placeholders_of_sql_are_refused(sql: str) -> None:
    assert _problem(sql).code == "CMP-208"


def test_an_unknown_node_gets_the_nearest_name_and_its_place() -> None:
    found = _problem("select * from ordrs o")
    assert (found.code, found.hint) == ("CMP-225", 'did you mean "orders"?')
    assert found.at == Location("p.yml", 1, 15, 20)


@pytest.mark.parametrize("name", ["orders", "ORDERS", '"Orders"'])
def test_a_with_name_may_not_hide_a_node(name: str) -> None:
    assert _problem(f"with {name} as (select 1 as a) select * from orders").code == "CMP-213"


def test_a_with_name_may_not_look_like_a_step_of_a_node() -> None:
    assert _problem('with "orders.filter" as (select 1 as a) select * from orders').code == "CMP-213"


@pytest.mark.parametrize(
    "sql",
    ["select 'a", "select (1", "select * from", "select a b c from orders", "select cast(1 as bigint from orders"],
)
def test_what_cannot_be_parsed_says_so_without_words_of_the_parser(sql: str) -> None:
    found = _problem(sql)
    assert found.code == "CMP-207"
    assert "<" not in (found.detail or "")


def test_a_query_nested_beyond_reason_is_refused() -> None:
    assert _problem("select " + "(" * 5000 + "1" + ")" * 5000).code == "CMP-207"


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("select * from orders", {"orders"}),
        ("from orders", {"orders"}),
        ("select 1;", set()),
        ("select * from ORDERS o join Customers c on o.a = c.a", {"orders", "customers"}),
        ("with X as (select * from orders) select * from x", {"orders"}),
        ("with recursive r as (select 1 n union all select n + 1 from r where n < 3) select * from R", set()),
        ("select * from orders, unnest([1, 2]) as u(x)", {"orders"}),
        ("select * from range(3)", set()),
        ("select * from (values (1)) as v(a)", set()),
        ("(select a from orders) union select a from customers", {"orders", "customers"}),
        ("select a from orders where a not in (select a from customers)", {"orders", "customers"}),
        ("select * from orders pivot (sum(a) for b in ('x'))", {"orders"}),
        ("select * from (pivot orders on a in ('x') using sum(b))", {"orders"}),
        ("select * from (unpivot orders on a, b)", {"orders"}),
        ("/* a comment */ select 'copy x to y' as a from orders -- and another", {"orders"}),
    ],
)
def test_the_nodes_that_a_query_reads_are_found(sql: str, tables: set[str]) -> None:
    assert set(_read(sql).tables) == tables


# ---------------------------------------------------------------- as a transform of a document

_DOCUMENT = """
pipeline: test
sources:
  orders: {type: memory, schema: {columns: {id: int64?, customer: int64?, amount: "decimal(8,2)?"}}}
  customers: {type: memory, schema: {columns: {id: int64?, name: string?}}}
transforms:
  result:
    sql: |
"""


def _document(sql: str) -> str:
    return _DOCUMENT + f"      {sql}\n"


def test_a_transform_of_one_select_reads_other_nodes() -> None:
    data = {
        "orders": [{"id": 1, "customer": 7, "amount": 2}, {"id": 2, "customer": 7, "amount": 3}],
        "customers": [{"id": 7, "name": "Ada"}, {"id": 8, "name": "Bob"}],
    }
    sql = "select c.name, sum(o.amount) as total from Orders o right join customers c on o.customer = c.id group by all"
    ran = run_document(_document(sql), data)
    assert sorted((row["name"], str(row["total"])) for row in ran.rows) == [("Ada", "5.00"), ("Bob", "None")]
    assert ran.types == {"name": "string?", "total": "decimal(38,2)?"}


def test_columns_qualified_by_the_name_of_the_node_are_found() -> None:
    ran = run_document(_document("select orders.id from orders"), {"orders": [{"id": 1}], "customers": []})
    assert ran.rows == [{"id": 1}]


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("select idd from orders", "CMP-203"),
        ("select id from orders, customers", "CMP-204"),
        ("select nosuch(id) from orders", "CMP-205"),
        ("select customer, count(*) as n from orders", "CMP-208"),
        ("select id, id from orders", "CMP-209"),
        ('select id, id as "ID" from orders', "CMP-209"),
        ("select id from reslt", "CMP-225"),
        ("select id from result", "CMP-202"),
    ],
)
def test_what_the_engine_refuses_is_a_problem_with_a_place(sql: str, code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_document(_document(sql))
    (found,) = caught.value.problems
    assert found.code == code
    assert found.at is not None
    assert found.at.line >= 8 or code == "CMP-202"


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("select id from orders where id = 'x'", "CMP-242"),
        ("select id from orders o where 'x' >= o.AMOUNT", "CMP-242"),
        ("select id as n from orders where n in ('1', 'x')", "CMP-242"),
        ("from orders where id between 'x' and 5", "CMP-242"),
        ("with some as (select id as n from orders) select n from some where n = 'x'", "CMP-242"),
        ("with some(n) as (select id from orders) select n from some where n = 'x'", "CMP-242"),
        ("select n from (select cast(name as date) as n from customers) where n > '2024-02-30'", "CMP-242"),
        ("select o.id from orders o join (select id as n from customers) c on c.n = o.id and c.n > 'x'", "CMP-242"),
        ("select name from customers c where exists (from orders o where o.id = c.id and c.id = 'x')", "CMP-242"),
        ("select id from orders union select id from customers where id = 'x'", "CMP-242"),
        ("select name from customers where name::date > date '2024-02-30'", "CMP-248"),
        ("select id from orders tablesample 10% where date '2024-02-30' is not null", "CMP-248"),
    ],
)
def test_a_text_that_is_no_value_of_the_compared_column_is_refused(sql: str, code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_document(_document(sql))
    assert [problem.code for problem in caught.value.problems] == [code]


@pytest.mark.parametrize(
    "sql",
    [
        "select id from orders where id = '1'",
        "select id, true = 1 as yes from orders where (id > 0) = 1",
        "select id as name from (select id, customer::text as name from orders) where name = 'x'",
        "select id as name from (select id, customer::text as name from orders) order by name = 'x'",
        "with some(id, n) as (select name, id from customers) select n from some where id = 'x'",
        "select id from customers c(name, id) where id = 'x'",
        "select list_filter([name], lambda id: id = 'x') as l from customers",
        "select [id for id in [name] if id = 'x'] as l from customers",
        "select try(id = 'x') as a, try_cast('2024-02-30' as date) as b, try(date '2024-02-30') as c from orders",
        "select id from (select 'x' as id union all select 'y') where id = 'x'",
        "select id from (values ('x')) v(id) where id = 'x'",
    ],
)
def test_a_text_is_compared_as_the_engine_does_it(sql: str) -> None:
    data = {"orders": [{"id": 1, "customer": 7, "amount": 2}], "customers": [{"id": 7, "name": "Ada"}]}
    assert len(run_document(_document(sql), data).rows) <= 1


_WRONG_AT_MANY_PLACES = """\
select o.idd, amont, nosuch(o.id) + o.customer as one
      from orders o join customers c on o.custmer = c.id
      where nme = 'Ada' and c.name + o.amount > 2 and o.id in (select c.ident from customers c)"""


def test_everything_that_the_engine_refuses_is_told_at_once_and_where_it_stands() -> None:
    with pytest.raises(ConfigError) as caught:
        compile_document(_document(_WRONG_AT_MANY_PLACES))
    found = []
    for problem in caught.value.problems:
        assert problem.at is not None
        assert problem.at.source is not None
        found.append((problem.code, problem.at.source[problem.at.column - 1 :].split()[0].strip(",)")))
    assert found == [
        ("CMP-203", "idd"),
        ("CMP-203", "amont"),
        ("CMP-205", "nosuch(o.id"),
        ("CMP-203", "custmer"),
        ("CMP-203", "nme"),
        ("CMP-206", "name"),
        ("CMP-203", "ident"),
    ]
    hints = {problem.message: problem.hint for problem in caught.value.problems}
    assert hints['column "amont" does not exist here'] == 'did you mean "amount"?'


def test_a_name_that_is_right_in_another_part_of_the_query_is_not_refused_there() -> None:
    with pytest.raises(ConfigError) as caught:
        compile_document(
            _document("select name from orders where customer in (select id from customers where name > '')")
        )
    (problem,) = caught.value.problems
    assert (problem.message, problem.at and problem.at.column) == ('column "name" does not exist here', 14)
    assert problem.detail is not None
    assert '"orders" has the columns id, customer, amount' in problem.detail


def test_what_cannot_be_typed_is_told_with_its_columns() -> None:
    with pytest.raises(ConfigError) as caught:
        compile_document(_document("select id, name + amount as x from orders, customers"))
    messages = [problem.message for problem in caught.value.problems]
    assert messages == ['column "id" is ambiguous', "name + amount cannot be typed"]


@pytest.mark.parametrize(
    ("sql", "hint"),
    [
        ("select customer, count(*) as n from orders", "group by the value, or aggregate it too"),
        ("select customer from orders where count(*) > 1", "use the step `aggregate`, or `window`"),
    ],
)
def test_the_way_out_of_a_misplaced_aggregate_is_one_that_the_query_has(sql: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_document(_document(sql))
    (problem,) = caught.value.problems
    assert (problem.code, problem.hint) == ("CMP-208", hint)
