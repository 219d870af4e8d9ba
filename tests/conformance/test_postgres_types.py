"""Every type of PostgreSQL that people use, as the source delivers it, and as it goes from table to table."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
import pyarrow as pa
import pytest

import postgres_tables as tables
from penstock.connectors.api import Contract, ScanRequest
from penstock.connectors.postgres.family import PostgresFamily, make
from penstock.connectors.postgres.params import PostgresSinkParams, PostgresSourceParams
from penstock.connectors.postgres.sink import PostgresSink
from penstock.connectors.postgres.source import PostgresSource
from penstock.errors import ConfigError, DataError
from penstock.structs import replace
from penstock.testing import data
from penstock.testing.delivery import pull
from penstock.testing.sinks import deliver, epoch
from penstock.testing.sinks.deliveries import OTHER_INCARNATION
from penstock.types import Schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penstock.testing.servers import PostgresServer

pytestmark = pytest.mark.server

CASES: list[tuple[str, str, str, Any]] = [
    ("boolean", "true", "boolean", True),
    ("smallint", "-32768", "int16", -32768),
    ("integer", "2147483647", "int32", 2147483647),
    ("bigint", "-9223372036854775808", "int64", -(2**63)),
    ("oid", "4294967295", "uint32", 4294967295),
    ("real", "3.4028235e38", "float32", 3.4028234663852886e38),
    ("double precision", "-Infinity", "float64", float("-inf")),
    ("double precision", "5e-324", "float64", 5e-324),
    ("numeric(10,2)", "-12345678.90", "decimal(10,2)", Decimal("-12345678.90")),
    ("numeric(38,38)", "0.1", "decimal(38,38)", Decimal("0.1")),
    ("numeric(3,-2)", "12345", "decimal(5,0)", Decimal(12300)),
    ("numeric(2,4)", "0.0012", "decimal(4,4)", Decimal("0.0012")),
    ("numeric", "1.10", "string", "1.10"),
    ("numeric", "NaN", "string", "NaN"),
    ("numeric(50,10)", "1234567890123456789012345678901234567890.0123456789", "string", None),
    ("money", "-1234.56", "decimal(19,2)", Decimal("-1234.56")),
    ("text", "", "string", ""),
    ("text", "\\N", "string", "\\N"),
    ("text", "\\.", "string", "\\."),
    ("varchar(3)", "a,b", "string", "a,b"),
    ("character(5)", "ab", "string", "ab   "),
    ('"char"', "x", "string", "x"),
    ("name", "n", "string", "n"),
    ("date", "4713-01-01 BC", "date", "4713-01-01 (BC)"),
    ("date", "5874897-12-31", "date", "5874897-12-31"),
    ("date", "0001-01-01", "date", date(1, 1, 1)),
    ("timestamp", "0044-03-15 12:00:00.5 BC", "timestamp", "0044-03-15 (BC) 12:00:00.5"),
    ("timestamp", "294246-12-31 23:59:59.999999", "timestamp", "294246-12-31 23:59:59.999999"),
    ("timestamptz", "2024-03-31 03:30:00+02", "timestamptz", datetime(2024, 3, 31, 1, 30, tzinfo=UTC)),
    ("timestamptz", "0044-03-15 12:00:00+00 BC", "timestamptz", "0044-03-15 (BC) 12:00:00+00"),
    ("time", "23:59:59.999999", "time", time(23, 59, 59, 999_999)),
    ("time with time zone", "12:00:00+02", "string", "12:00:00+02"),
    ("interval", "-1 year +3 days -04:05:06.789", "interval", (-12, 3, -14_706_789_000_000)),
    ("interval", "178000000 years", "interval", (2_136_000_000, 0, 0)),
    ("uuid", "6F2D1C1E-8A4B-4C9D-9B57-0A1B2C3D4E5F", "uuid", "6f2d1c1e-8a4b-4c9d-9b57-0a1b2c3d4e5f"),
    ("bytea", "\\x0001ff5c", "binary", b"\x00\x01\xff\x5c"),
    ("bytea", "", "binary", b""),
    ("json", '{"b": 1, "a": [null]}', "json", '{"b": 1, "a": [null]}'),
    ("jsonb", '{"b": 1, "a": "x,\\"y"}', "json", '{"a": "x,\\"y", "b": 1}'),
    ("json[]", '{"{\\"a\\": 1}",NULL}', "json", '[{"a": 1},null]'),
    ("inet", "10.0.0.1/8", "string", "10.0.0.1/8"),
    ("macaddr", "08:00:2b:01:02:03", "string", "08:00:2b:01:02:03"),
    ("xml", "<a b='1'>,\"</a>", "string", "<a b='1'>,\"</a>"),
    ("bit(3)", "101", "string", "101"),
    ("bit varying", "10", "string", "10"),
    ("int4range", "[1,5]", "string", "[1,6)"),
    ("tstzrange", "[2024-01-01 00:00+00,)", "string", '["2024-01-01 00:00:00+00",)'),
    ("point", "(1,2)", "string", "(1,2)"),
    ("tsvector", "a b", "string", "'a' 'b'"),
    ("mood", "so so", "string", "so so"),
    ("pair", '(1,"a b")', "string", '(1,"a b")'),
    ("positive", "7", "int32", 7),
    ("amounts", "{1.5,2.25}", "list<decimal(6,2)?>", [Decimal("1.50"), Decimal("2.25")]),
    ("integer[]", "{1,NULL,-3}", "list<int32?>", [1, None, -3]),
    ("integer[]", "{}", "list<int32?>", []),
    ("integer[]", "[5:6]={1,2}", "list<int32?>", [1, 2]),
    ("integer[][]", "{{1,2},{3,NULL}}", "list<list<int32?>?>", [[1, 2], [3, None]]),
    ("text[]", '{"a","b, c","d\\"e","f\\\\g","NULL",NULL,"",null,"[x]","{y}"}', "list<string?>",
     ["a", "b, c", 'd"e', "f\\g", "NULL", None, "", None, "[x]", "{y}"]),
    ("text[][]", '{{"a","}{"},{"\n",NULL}}', "list<list<string?>?>", [["a", "}{"], ["\n", None]]),
    ("boolean[]", "{t,f}", "list<boolean?>", [True, False]),
    ("date[]", "{2024-01-01,NULL}", "list<date?>", [date(2024, 1, 1), None]),
    ("timestamptz[]", '{"2024-01-01 00:00+00"}', "list<timestamptz?>", [datetime(2024, 1, 1, tzinfo=UTC)]),
    ("bytea[]", '{"\\\\x0041"}', "list<binary?>", [b"\x00A"]),
    ("mood[]", '{happy,"so so"}', "list<string?>", ["happy", "so so"]),
    ("numeric(6,2)[]", "{1.5,NULL}", "list<decimal(6,2)?>", [Decimal("1.50"), None]),
    ("double precision[]", "{NaN,Infinity,1.5}", "list<float64?>", None),
]  # fmt: skip


@pytest.fixture(scope="session")
def database(postgres_server: PostgresServer) -> str:
    postgres_server.sql("CREATE DATABASE types")
    postgres_server.sql(
        """CREATE TYPE mood AS ENUM ('happy', 'so so'); CREATE TYPE pair AS (a int, b text);
        CREATE DOMAIN positive AS integer NOT NULL CHECK (VALUE > 0); CREATE DOMAIN amounts AS numeric(6,2)[]""",
        database="types",
    )
    return postgres_server.url("types")


@dataclass(frozen=True)
class Lab:
    """A database with a few types of its own, a connection to it that the connector does not use, and a folder."""

    url: str
    connection: psycopg.Connection
    folder: Path


@pytest.fixture
def lab(database: str, tmp_path: Path) -> Iterator[Lab]:
    with tables.connect(database) as connection:
        yield Lab(database, connection, tmp_path)
        connection.execute("DROP TABLE IF EXISTS t CASCADE; DROP TABLE IF EXISTS _penstock_commits")


def source_of(lab: Lab, contract: Contract | None = None, **keys: object) -> PostgresSource:
    keys = keys or {"table": "t"}
    params = PostgresSourceParams.model_validate({"type": "postgres", "connection": lab.url, **keys})
    made = make(params, tables.context(lab.folder, contract=contract))
    assert isinstance(made, PostgresSource)
    return made


def read(source: PostgresSource, **more: Any) -> pa.Table:
    (part,) = source.partitions()
    try:
        return pull(source.scan(ScanRequest(part, None, source.latest(part), **more)))[0]
    finally:
        source.close()


def load(connection: psycopg.Connection, kind: str, *texts: str | None) -> None:
    connection.execute(f"CREATE TABLE t (id int, value {kind})")
    for at, text in enumerate(texts):
        connection.execute(f"INSERT INTO t VALUES (%s, %s::{kind})", (at, text))


@pytest.mark.parametrize(("kind", "text", "logical", "wanted"), CASES, ids=[f"{c[0]}-{c[1][:12]}" for c in CASES])
def test_a_value_arrives_as_it_is(lab: Lab, kind: str, text: str, logical: str, wanted: Any) -> None:
    load(lab.connection, kind, text, *([] if kind == "positive" else [None]))
    source = source_of(lab)
    assert str(source.describe()["value"].type) == logical
    found = read(source)
    if kind != "positive":
        assert found.column("value")[1].as_py() is None
    if isinstance(wanted, str) and logical in ("date", "timestamp", "timestamptz"):
        with duckdb.connect() as engine:
            engine.execute("SET TimeZone = 'UTC'")
            shown = engine.sql("SELECT value::varchar FROM found WHERE id = 0").fetchall()
        assert shown == [(wanted,)]
    elif wanted is None:
        assert str(found.column("value")[0].as_py()) in (text, "[nan, inf, 1.5]")
    else:
        value = found.column("value")[0].as_py()
        assert (str(value) if logical == "uuid" else value) == wanted


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("date", "infinity"),
        ("date", "-infinity"),
        ("timestamp", "infinity"),
        ("timestamptz", "-infinity"),
        ("timestamp", "294276-12-31"),
        ("time", "24:00:00"),
        ("numeric(5,2)", "NaN"),
        ("integer[]", "{{1},{2}}"),
        ("text[]", "{{a},{b}}"),
        ("date[]", "{infinity}"),
    ],
)
def test_a_value_without_a_counterpart_is_bad_and_never_another_value(lab: Lab, kind: str, text: str) -> None:
    load(lab.connection, kind, text)
    with pytest.raises(duckdb.Error):
        read(source_of(lab))


@pytest.mark.parametrize("kind", ["date", "timestamp", "timestamptz"])
def test_a_bad_value_is_null_where_the_policy_says_so(lab: Lab, kind: str) -> None:
    load(lab.connection, kind, "infinity", "2024-01-01")
    found = read(source_of(lab, table="t", on_bad_value="null"))
    assert [value is None for value in found.column("value").to_pylist()] == [True, False]


@pytest.mark.parametrize(
    ("wanted", "good", "bad"),
    [
        ("decimal(6,2)", "9999.990", "0.005"),
        ("decimal(6,2)", "-1.5", "10000"),
        ("int64", "9223372036854775807.00", "9223372036854775808"),
        ("int16", "-32768", "1.5"),
        ("decimal(6,2)", "0", "NaN"),
    ],
)
def test_a_numeric_without_digits_is_what_the_contract_says_and_exact(
    lab: Lab, wanted: str, good: str, bad: str
) -> None:
    load(lab.connection, "numeric", good)
    contract = Contract(Schema.of({"id": "int32?", "value": wanted + "?"}))
    source = source_of(lab, contract)
    assert str(source.describe()["value"].type) == wanted
    assert read(source).column("value")[0].as_py() == Decimal(good)
    lab.connection.execute("UPDATE t SET value = %s", (bad,))
    with pytest.raises(duckdb.Error):
        read(source_of(lab, contract))


def test_a_query_is_one_select(lab: Lab) -> None:
    load(lab.connection, "text", "a")
    assert read(source_of(lab, query="select value from t")).to_pylist() == [{"value": "a"}]
    for hostile in (
        "select 1; drop table t",
        "select 1) as q; drop table t; --",
        "drop table t",
        "delete from t returning 1",
    ):
        with pytest.raises(ConfigError) as caught:
            source_of(lab, query=hostile).describe()
        assert caught.value.code == "SRC-204"
    assert lab.connection.execute("SELECT count(*) FROM t").fetchone() == (1,)


def test_a_table_is_read_in_parts_that_make_the_whole(lab: Lab) -> None:
    lab.connection.execute(
        "CREATE TABLE t AS SELECT i AS id, repeat('x', 400) AS value FROM generate_series(1, 60000) i"
    )
    source = source_of(lab, table="t", parallel=3)
    scanned = source.scan(ScanRequest(source.partitions()[0], None, {"v": 1}, ("id",)))
    table, _ = pull(scanned)
    assert sorted(table.column("id").to_pylist()) == list(range(1, 60001))
    ends = scanned.open()
    assert len(ends) == 3
    source.close()
    for end in ends:
        os.close(end)
    scanned.finish()


@pytest.mark.parametrize("kind", ["bigint", "smallint", "numeric", "date", "timestamptz"])
def test_a_key_splits_a_read_whatever_its_values(lab: Lab, kind: str) -> None:
    rows = {
        "bigint": ["-9223372036854775808", "9223372036854775807", "0", None],
        "smallint": ["1", "1", None],
        "numeric": ["0.5", "NaN", "-3", None],
        "date": ["infinity", "2024-01-01", "0001-01-01 BC", None],
        "timestamptz": ["2024-01-01", "2025-01-01", "1999-01-01", None],
    }[kind]
    load(lab.connection, kind, *rows)
    source = source_of(lab, query="select id, value from t", split_by="value", parallel=5)
    found = read(source, columns=("id",))
    assert sorted(found.column("id").to_pylist()) == list(range(len(rows)))


def test_a_column_that_cannot_split_is_named(lab: Lab) -> None:
    load(lab.connection, "text", "a")
    for column in ("value", "valu"):
        with pytest.raises(ConfigError) as caught:
            read(source_of(lab, table="t", split_by=column))
        assert caught.value.code == "SRC-209"
        assert f'"{column}"' in str(caught.value)


def test_a_family_lists_its_members_and_reads_each(lab: Lab) -> None:
    lab.connection.execute(
        """CREATE SCHEMA sales; CREATE TABLE sales.orders (id int, line int, PRIMARY KEY (line, id));
        CREATE TABLE sales."a.b" (x text); CREATE VIEW sales.big AS SELECT 1 AS one;
        CREATE TABLE sales._penstock_commits (x int); CREATE TABLE sales.parted (id int) PARTITION BY LIST (id);
        CREATE TABLE sales.part_1 PARTITION OF sales.parted FOR VALUES IN (1); INSERT INTO sales.parted VALUES (1)"""
    )
    try:
        entries = ["sales.*", {"name": 'sales."a.b"', "keys": ["x"]}]
        family = make_family(lab, entries)
        members = {member.name: member for member in family.members()}
        assert list(members) == ['sales."a.b"', "sales.big", "sales.orders", "sales.parted"]
        assert members["sales.orders"].keys == ("line", "id")
        assert members['sales."a.b"'].keys == ("x",)
        assert read(family.source(members["sales.parted"], tables.context(lab.folder))).to_pylist() == [{"id": 1}]
        assert family.source(members['sales."a.b"'], tables.context(lab.folder)).describe().names == ("x",)
        family.close()
        for entry, code, hint in (
            ("sales.none", "SRC-203", None),
            ("sales.oders", "SRC-203", 'did you mean "sales.orders"?'),
            ("orders", "SRC-203", 'did you mean "sales.orders"?'),
            ("nowhere.*", "SRC-208", None),
        ):
            empty = make_family(lab, [entry])
            with pytest.raises(ConfigError) as caught:
                empty.members()
            assert (caught.value.code, caught.value.problems[0].hint) == (code, hint)
            empty.close()
        with closing(source_of(lab, table="sales.oders")) as lone, pytest.raises(ConfigError) as caught:
            lone.describe()
        assert (caught.value.code, caught.value.problems[0].hint) == ("SRC-203", 'did you mean "sales.orders"?')
    finally:
        lab.connection.execute("DROP SCHEMA sales CASCADE")


def make_family(lab: Lab, entries: list[Any]) -> PostgresFamily:
    params = PostgresSourceParams.model_validate({"type": "postgres", "connection": lab.url, "tables": entries})
    made = make(params, tables.context(lab.folder))
    assert isinstance(made, PostgresFamily)
    return made


# ---------------------------------------------------------------- into tables that are there already


def sink_of(lab: Lab, *, refreshes: bool = False, **keys: object) -> PostgresSink:
    given = {"type": "postgres", "from": "x", "connection": lab.url, "table": "t", **keys}
    context = replace(tables.context(lab.folder), refreshes=refreshes)
    return PostgresSink(PostgresSinkParams.model_validate(given), context)


def test_text_enters_types_that_have_no_logical_one(lab: Lab) -> None:
    lab.connection.execute(
        "CREATE TABLE t (id bigint PRIMARY KEY, m mood, i inet, x xml, j json, n numeric, v varchar(3), c char(3))"
    )
    names = [data.ID, "m", "i", "x", "j", "n", "v", "c"]
    kinds = [pa.int64(), *[pa.string()] * 4, pa.decimal128(10, 3), pa.string(), pa.string()]
    schema = pa.schema(list(zip(names, kinds, strict=True)))
    first = pa.table(
        [[1], ["happy"], ["10.0.0.1"], ["<a/>"], ['{"a": 1}'], [Decimal("1.500")], ["abc"], ["x"]], schema=schema
    )
    sink = sink_of(lab, mode="merge", keys=[data.ID])
    assert deliver(sink, epoch(1), first).inserted == 1
    again = deliver(sink, epoch(2), first)
    assert (again.updated, again.unchanged) == (0, 1)
    row = lab.connection.execute("SELECT m::text, i::text, x::text, j::text, n::text, v, c FROM t").fetchone()
    assert row == ("happy", "10.0.0.1/32", "<a/>", '{"a": 1}', "1.500", "abc", "x  ")
    for name, bad in (("m", "sad"), ("i", "nowhere"), ("v", "abcd"), ("j", "{")):
        columns = [[bad] if field == name else first.column(field) for field in names]
        with pytest.raises(DataError) as caught:
            deliver(sink_of(lab, mode="merge", keys=[data.ID]), epoch(3), pa.table(columns, schema=schema))
        assert caught.value.code == "SNK-206"
    sink.close()


def test_a_target_keeps_its_grants_indexes_views_and_own_columns(lab: Lab) -> None:
    lab.connection.execute(
        """CREATE TABLE t (own bigint GENERATED ALWAYS AS IDENTITY, id bigint, name text DEFAULT 'none',
        twice bigint GENERATED ALWAYS AS (id * 2) STORED, at timestamptz DEFAULT now());
        CREATE INDEX t_name ON t (name); CREATE VIEW seen AS SELECT id, name FROM t; GRANT SELECT ON t TO PUBLIC"""
    )
    sink = sink_of(lab, mode="overwrite")
    deliver(sink, epoch(1), pa.table({"id": [1, 2]}))
    deliver(sink, epoch(2), pa.table({"id": [3]}))
    assert lab.connection.execute("SELECT own, id, name, twice, at IS NOT NULL FROM t").fetchall() == [
        (3, 3, "none", 6, True)
    ]
    assert lab.connection.execute("SELECT * FROM seen").fetchall() == [(3, "none")]
    kept = lab.connection.execute(
        "SELECT to_regclass('t_name') IS NOT NULL, relacl::text LIKE '%=r/%' FROM pg_class WHERE relname = 't'"
    ).fetchone()
    assert kept == (True, True)
    with pytest.raises(ConfigError) as caught:
        sink.preview(Schema.of({"id": "int64", "twice": "int64"}))
    assert caught.value.code == "SNK-110"
    sink.close()


def test_a_full_refresh_with_other_columns_keeps_what_does_not_need_the_old_ones(lab: Lab) -> None:
    lab.connection.execute(
        """CREATE TABLE t (own bigint GENERATED ALWAYS AS IDENTITY, id bigint, name text, size integer NOT NULL, gone text,
        twice bigint GENERATED ALWAYS AS (id * 2) STORED); INSERT INTO t (id, name, size) VALUES (1, 'a', 2);
        CREATE INDEX t_id ON t (id); CREATE INDEX t_gone ON t (gone);
        CREATE VIEW seen AS SELECT id, name FROM t; GRANT SELECT ON t TO PUBLIC"""
    )
    sink = sink_of(lab, refreshes=True, mode="overwrite", keys=["id"])
    assert sink.describe() == Schema.of({"own": "int64", "twice": "int64?"})
    rows = pa.table({"id": [7], "name": ["n"], "size": ["big"], "new": [True]})
    deliver(sink, epoch(1, incarnation=OTHER_INCARNATION), rows)
    sink.close()
    found = lab.connection.execute("SELECT id, name, size, twice, new FROM t").fetchall()
    assert found == [(7, "n", "big", 14, True)]
    assert lab.connection.execute("SELECT * FROM seen").fetchall() == [(7, "n")]
    kept = lab.connection.execute(
        """SELECT to_regclass('t_id') IS NOT NULL, to_regclass('t_gone') IS NULL, relacl::text LIKE '%=r/%',
        (SELECT count(*) FROM pg_attribute WHERE attrelid = c.oid AND attname = 'gone' AND NOT attisdropped)
        FROM pg_class c WHERE relname = 't'"""
    ).fetchone()
    assert kept == (True, True, True, 0)
    with pytest.raises(psycopg.errors.UniqueViolation):  # the keys of the sink became the primary key
        lab.connection.execute("INSERT INTO t (id, size) VALUES (7, 'x')")


@pytest.mark.parametrize("rows", [{"id": "int64"}, {"id": "int64", "name": "boolean"}])
def test_a_full_refresh_that_a_view_forbids_is_refused_before_a_row_is_read(lab: Lab, rows: dict[str, str]) -> None:
    lab.connection.execute("CREATE TABLE t (id bigint, name text); INSERT INTO t VALUES (1, 'a')")
    lab.connection.execute("CREATE VIEW seen AS SELECT name FROM t")
    sink = sink_of(lab, refreshes=True, mode="overwrite")
    for refused in (sink.preview, sink.prepare):
        with pytest.raises(ConfigError) as caught:
            refused(Schema.of(rows))
        assert caught.value.code == "SNK-215"
        assert "view seen" in str(caught.value)
    sink.close()
    assert lab.connection.execute("SELECT * FROM seen").fetchall() == [("a",)]


def test_a_table_that_foreign_keys_point_to_is_overwritten_and_merged(lab: Lab) -> None:
    lab.connection.execute(
        """CREATE TABLE t (id bigint PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'a'), (2, 'b');
        CREATE TABLE child (t bigint REFERENCES t ON DELETE CASCADE); INSERT INTO child VALUES (1)"""
    )
    try:
        merging = sink_of(lab, mode="merge", keys=["id"])
        receipt = deliver(merging, epoch(1), pa.table({"id": [1, 3], "name": ["A", "c"]}))
        assert (receipt.inserted, receipt.updated) == (1, 1)
        assert lab.connection.execute("SELECT count(*) FROM child").fetchone() == (1,)
        lab.connection.execute("TRUNCATE child")
        merging.close()
        overwriting = sink_of(lab, mode="overwrite")
        receipt = deliver(overwriting, epoch(2), pa.table({"id": [9], "name": ["z"]}))
        assert (receipt.inserted, receipt.deleted) == (1, 3)
        overwriting.close()
    finally:
        lab.connection.execute("DROP TABLE child")


def test_a_partitioned_table_is_merged(lab: Lab) -> None:
    lab.connection.execute(
        """CREATE TABLE t (id bigint, name text) PARTITION BY LIST (id); CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1);
        CREATE TABLE t2 PARTITION OF t DEFAULT; INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')"""
    )
    sink = sink_of(lab, mode="merge", keys=["id"])
    receipt = deliver(sink, epoch(1), pa.table({"id": [1, 2, 4], "name": ["A", "b", "d"]}))
    assert (receipt.inserted, receipt.updated, receipt.unchanged) == (1, 1, 1)
    rows = lab.connection.execute("SELECT id, name FROM t ORDER BY id").fetchall()
    assert rows == [(1, "A"), (2, "b"), (3, "c"), (4, "d")]
    sink.close()


@pytest.mark.parametrize(
    ("definition", "mode", "sent", "code"),
    [
        ("CREATE TABLE t (id bigint, name text)", "merge", [(1, "a"), (1, "b")], "SNK-210"),
        ("CREATE TABLE t (id bigint PRIMARY KEY, name text)", "merge", [(7, "a"), (7, "b")], "SNK-210"),
        ("CREATE TABLE t (id bigint, name text)", "merge", [(None, "a")], "SNK-210"),
        ("CREATE TABLE t (id bigint, name text); INSERT INTO t VALUES (1,'x'),(1,'y')", "merge", [(1, "a")], "SNK-211"),
        ("CREATE TABLE t (id bigint PRIMARY KEY, name text)", "append", [(1, "a"), (1, "b")], "SNK-206"),
        ("CREATE TABLE t (id bigint, name text CHECK (name <> 'bad'))", "append", [(1, "bad")], "SNK-206"),
        ("CREATE TABLE t (id bigint, name text); CREATE RULE no AS ON INSERT TO t DO INSTEAD NOTHING",
         "append", [(1, "a")], "SNK-213"),
    ],
)  # fmt: skip
def test_rows_that_the_table_cannot_take_are_refused_whole(
    lab: Lab,
    definition: str,
    mode: str,
    sent: list[tuple[Any, ...]],
    code: str,
) -> None:
    lab.connection.execute(definition)
    if "PRIMARY" in definition and mode == "merge":
        lab.connection.execute("INSERT INTO t VALUES (7, 'old')")
    before = lab.connection.execute("SELECT * FROM t ORDER BY 1, 2").fetchall()
    keys = {"keys": ["id"]} if mode == "merge" else {}
    sink = sink_of(lab, mode=mode, **keys)
    columns = list(zip(*sent, strict=True))
    with pytest.raises(DataError) as caught:
        deliver(
            sink, epoch(1), pa.table([pa.array(columns[0], pa.int64()), pa.array(columns[1])], names=["id", "name"])
        )
    assert caught.value.code == code
    assert lab.connection.execute("SELECT * FROM t ORDER BY 1, 2").fetchall() == before
    sink.close()


def test_a_needed_column_is_asked_for_before_a_row_is_read(lab: Lab) -> None:
    lab.connection.execute("CREATE TABLE t (id bigint, must text NOT NULL, may text NOT NULL DEFAULT '')")
    sink = sink_of(lab)
    with pytest.raises(ConfigError) as caught:
        sink.preview(Schema.of({"id": "int64"}))
    assert caught.value.code == "SNK-214"
    assert '"must"' in str(caught.value)
    sink.close()


def test_what_is_no_table_is_refused(lab: Lab) -> None:
    lab.connection.execute("CREATE VIEW v AS SELECT 1 AS id")
    try:
        for name in ("v", "_penstock_commits"):
            with pytest.raises(ConfigError) as caught:
                sink_of(lab, table=name).describe()
            assert caught.value.code == "SNK-203"
    finally:
        lab.connection.execute("DROP VIEW v")


@pytest.mark.parametrize("name", ['a"; DROP TABLE x;--', "MiXed", "select", "per%cent", "with.dot", "it's {brace}"])
def test_hostile_table_names_are_taken_as_they_are(lab: Lab, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    sink = sink_of(lab, table=quoted, mode="merge", keys=["id"])
    deliver(sink, epoch(1), pa.table({"id": [1], "x": ["a"]}))
    deliver(sink, epoch(2), pa.table({"id": [1, 2], "x": ["b", "c"]}))
    found = read(source_of(lab, table=quoted))
    assert sorted(found.to_pylist(), key=lambda row: row["id"]) == [{"id": 1, "x": "b"}, {"id": 2, "x": "c"}]
    sink.close()
    lab.connection.execute(f"DROP TABLE {quoted}")  # type: ignore[arg-type]


def test_a_column_whose_name_the_server_would_cut_is_refused_and_the_longest_is_taken(lab: Lab) -> None:
    """The server cuts names without a word: two columns could become one, and none would be found again."""
    sink = sink_of(lab, mode="merge", keys=["id"])
    for name in ("x" * 64, "é" * 32):
        with pytest.raises(ConfigError) as caught:
            sink.preview(Schema.of({"id": "int64", name: "string"}))
        (problem,) = caught.value.problems
        assert (problem.code, name in problem.message) == ("SNK-110", True)
        assert problem.message.endswith("names have at most 63 bytes; rename it in a step before")
    longest = "é" * 31 + "x"
    deliver(sink, epoch(1), pa.table({"id": [1], longest: ["a"]}))
    deliver(sink, epoch(2), pa.table({"id": [1, 2], longest: ["b", "c"]}))
    assert lab.connection.execute(f'SELECT "{longest}" FROM t ORDER BY id').fetchall() == [("b",), ("c",)]  # type: ignore[arg-type]
    sink.close()


@pytest.mark.parametrize(
    ("name", "text", "shown"), [("hstore", "a=>1,b=>NULL", '"a"=>"1", "b"=>NULL'), ("citext", "MiXed", "MiXed")]
)
def test_types_of_extensions_are_text_and_change_by_their_text(lab: Lab, name: str, text: str, shown: str) -> None:
    there = lab.connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = %s", (name,)).fetchone()
    if there is None:
        pytest.skip(f"the server has no {name}")
    lab.connection.execute(f"CREATE EXTENSION IF NOT EXISTS {name}")  # type: ignore[arg-type]
    load(lab.connection, name, text)
    source = source_of(lab)
    assert str(source.describe()["value"].type) == "string"
    assert read(source).column("value").to_pylist() == [shown]
    sink = sink_of(lab, mode="merge", keys=["id"])
    other = shown.swapcase()
    sent = pa.table({"id": pa.array([0], pa.int32()), "value": [other]})
    assert deliver(sink, epoch(1), sent).updated == 1
    assert lab.connection.execute("SELECT value::text FROM t").fetchone() == (other.replace("null", "NULL"),)
    sink.close()


def test_text_that_orders_rows_is_ordered_by_its_bytes(lab: Lab) -> None:
    lab.connection.execute('CREATE TABLE t (id int PRIMARY KEY, version text COLLATE "en-x-icu")')
    lab.connection.execute("INSERT INTO t VALUES (1, 'B')")
    sink = sink_of(lab, mode="merge", keys=["id"], order_by="version")
    sent = pa.table({"id": pa.array([1], pa.int32()), "version": ["a"]})
    assert deliver(sink, epoch(1), sent).updated == 1
    sink.close()


def test_a_failing_query_is_the_data_s_fault_and_no_end_of_rows(lab: Lab) -> None:
    query = "SELECT 1 / (i - 5000) AS x FROM generate_series(1, 9000) i"
    with pytest.raises(DataError) as caught:
        read(source_of(lab, query=query))
    assert caught.value.code == "SRC-206"
    assert "division by zero" in str(caught.value)


def test_a_position_of_another_form_is_refused(lab: Lab) -> None:
    sink = sink_of(lab)
    deliver(sink, epoch(1), pa.table({"id": [1]}))
    table = sink.table()
    with pytest.raises(ConfigError) as caught:
        table.scan(ScanRequest(table.partitions()[0], None, {"v": 2}))
    assert caught.value.code == "SRC-210"
    table.close()
    sink.close()


def test_more_columns_than_a_table_has_are_refused_before_one_is_made(lab: Lab) -> None:
    sink = sink_of(lab)
    with pytest.raises(ConfigError) as caught:
        sink.preview(Schema.of({f"c{number}": "boolean" for number in range(1_601)}))
    assert caught.value.code == "SNK-115"
    sink.prepare(Schema.of({f"c{number}": "boolean" for number in range(1_600)}))
    sink.close()


def test_a_missing_schema_is_a_refused_statement(lab: Lab) -> None:
    sink = sink_of(lab, table="nowhere.t")
    assert sink.describe() is None
    with pytest.raises(ConfigError) as caught:
        sink.prepare(Schema.of({"id": "int64"}))
    assert caught.value.code == "SNK-204"
    sink.close()


def test_a_source_reads_nothing_but_what_it_may(lab: Lab) -> None:
    """A query runs in a read-only transaction: a function in it cannot write either."""
    lab.connection.execute("CREATE TABLE t (id int)")
    lab.connection.execute(
        "CREATE OR REPLACE FUNCTION sneak() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (1) RETURNING id'"
    )
    with pytest.raises(ConfigError) as caught:
        read(source_of(lab, query="SELECT sneak() AS x"))
    assert caught.value.code == "SRC-204"
    assert lab.connection.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_one_null_alone_in_its_row_is_a_row(lab: Lab) -> None:
    load(lab.connection, "text", None, "", "\\N", None)
    found = read(source_of(lab, query="SELECT value FROM t ORDER BY id"))
    assert found.column("value").to_pylist() == [None, "", "\\N", None]
