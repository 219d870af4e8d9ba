"""The sqlalchemy source over SQLite's dialect: queries, types, bad values, what is refused and what is hidden."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal as Number
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from pydantic import ValidationError
from sqlglot import parse_one

from penstock.clock import SystemClock
from penstock.connectors.api import Batches, Context, Contract, Partition, ScanRequest
from penstock.connectors.sqlalchemy import driver, source
from penstock.connectors.sqlalchemy.columns import Column, column_of
from penstock.connectors.sqlalchemy.descriptors import SOURCE
from penstock.connectors.sqlalchemy.dialects import dialect_named
from penstock.connectors.sqlalchemy.driver import Database
from penstock.connectors.sqlalchemy.names import parse_name
from penstock.connectors.sqlalchemy.params import SqlalchemyConnection
from penstock.connectors.sqlalchemy.predicates import Predicates
from penstock.connectors.sqlalchemy.querying import as_table
from penstock.connectors.sqlalchemy.samples import columns_of
from penstock.connectors.sqlalchemy.values import to_array
from penstock.errors import ConfigError, DataError, FatalError, PenstockError, TransientError
from penstock.secret import Secret
from penstock.structs import replace
from penstock.types import Schema, parse_type
from penstock.types.arrow import to_arrow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penstock.connectors.api import Source
    from penstock.types import LogicalType

PART = Partition()


def kind_of(text: str) -> LogicalType:
    return parse_type(text)[0]


def naive(*parts: int) -> datetime:
    """A moment without a zone."""
    return datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context("shop", tmp_path.joinpath, tmp_path, SystemClock())


@pytest.fixture
def fill(tmp_path: Path) -> Callable[..., None]:
    def execute(*statements: str) -> None:
        with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    return execute


def make(context: Context, **keys: Any) -> Source:
    given = {"type": "sqlalchemy", "connection": "sqlite:///shop.db", **keys}
    return SOURCE.make(SOURCE.params.model_validate(given), context)


def read(made: Source, **keys: Any) -> tuple[pa.Table, list[dict[str, Any]]]:
    """The rows, and the rejects."""
    scanned = made.scan(ScanRequest(PART, None, made.latest(PART), **keys))
    assert isinstance(scanned, Batches)
    chunks = list(scanned.open())
    made.close()
    rejects = [row for chunk in chunks if chunk.rejects is not None for row in chunk.rejects.to_pylist()]
    return pa.Table.from_batches([chunk.batch for chunk in chunks], to_arrow(scanned.schema)), rejects


def refused(made: Callable[[], object]) -> PenstockError:
    with pytest.raises(PenstockError) as caught:
        made()
    return caught.value


# ---------------------------------------------------------------- queries


@pytest.mark.parametrize(
    "query",
    [
        "SELECT a, b FROM t WHERE b <> ':x' -- and no more",
        "WITH few AS (SELECT * FROM t) SELECT a, b FROM few ORDER BY a;",
        "SELECT 1 AS a, ':x' || '%' AS b UNION ALL SELECT 2, 'two'",
    ],
)
def test_a_query_is_one_select(query: str, context: Context, fill: Callable[..., None]) -> None:
    fill("CREATE TABLE t (a INTEGER, b TEXT)", "INSERT INTO t VALUES (1, ':x%'), (2, 'two')")
    found, _ = read(make(context, query=query))
    assert sorted(found.to_pylist(), key=lambda row: row["a"]) == [{"a": 1, "b": ":x%"}, {"a": 2, "b": "two"}]


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM t",
        "SELECT 1; DROP TABLE t",
        "ATTACH 'other.db' AS other",
        "SELECT * FROM t) AS q; DROP TABLE t; --",
        "WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone",
        "PRAGMA journal_mode",
        "SELEC",
    ],
)
def test_what_is_no_select_is_refused_before_it_is_sent(
    query: str, context: Context, fill: Callable[..., None]
) -> None:
    fill("CREATE TABLE t (a INTEGER)")
    assert refused(make(context, query=query).describe).problems[0].code == "SRC-385"


def test_words_behind_colons_are_the_queries_own() -> None:
    text = r"SELECT a::int, ':b', '\:c', E'\\', d FROM t WHERE e = ':f:g::h'"
    rows = as_table(text, "postgresql", dialect_named("postgresql"))
    statement = (
        sa.select(sa.text("*"))
        .select_from(rows)
        .compile(dialect=sa.create_mock_engine("postgresql+psycopg://", print).dialect)
    )
    assert text in str(statement)
    assert not statement.params


def test_a_table_and_a_query_exclude_each_other() -> None:
    for keys in ({}, {"table": "t", "query": "SELECT 1"}):
        with pytest.raises(ValidationError, match="one of the two"):
            SOURCE.params.model_validate({"type": "sqlalchemy", "connection": "sqlite:///x.db", **keys})


# ---------------------------------------------------------------- types


def test_the_types_of_a_query_are_those_of_its_first_rows() -> None:
    rows: list[tuple[Any, ...]] = [
        (1, 1.5, Number("1.25"), "x", b"y", True, date(2024, 1, 31), None, 1, 2**63, datetime(2024, 1, 1, tzinfo=UTC)),
        (2, 2, 7, "z", None, False, None, None, "x", 1, None),
    ]
    found = columns_of(list("abcdefghijk"), rows, Schema.of([("h", "date")]))
    assert [str(item.logical) for item in found] == [
        *("int64", "float64", "decimal(38,2)", "string", "binary", "boolean", "date", "date", "string", "string"),
        "timestamptz",
    ]
    assert [item.name for item in found if item.as_text] == ["i", "j"]


def test_a_query_without_rows_has_its_columns(context: Context, fill: Callable[..., None]) -> None:
    fill("CREATE TABLE t (a INTEGER, b TEXT)")
    found, _ = read(make(context, query="SELECT * FROM t"))
    assert found.schema.names == ["a", "b"]
    assert found.num_rows == 0


@pytest.mark.parametrize(
    ("kind", "backend", "logical"),
    [
        (sa.SmallInteger(), "postgresql", "int16"),
        (sa.Integer(), "postgresql", "int32"),
        (sa.Integer(), "oracle", "int64"),
        (sa.SmallInteger(), "sqlite", "int64"),
        (sa.BigInteger(), "mysql", "int64"),
        (sa.REAL(), "postgresql", "float32"),
        (sa.REAL(), "mysql", "float64"),
        (sa.Float(), "snowflake", "float64"),
        (sa.Numeric(12, 3), "oracle", "decimal(12,3)"),
        (sa.Numeric(), "oracle", "string"),
        (sa.Numeric(65, 3), "mysql", "string"),
        (sa.DateTime(timezone=True), "oracle", "timestamptz"),
        (sa.Time(timezone=True), "postgresql", "string"),
        (sa.Enum("a", "b"), "postgresql", "string"),
        (sa.Uuid(), "postgresql", "uuid"),
        (sa.JSON(), "postgresql", "json"),
        (sa.LargeBinary(), "oracle", "binary"),
        (sa.Interval(), "postgresql", "string"),
        (sa.types.NullType(), "oracle", "string"),
    ],
)
def test_types_of_dialects(kind: Any, backend: str, logical: str) -> None:
    found = column_of("x", kind, nullable=True, dialect=dialect_named(backend), wanted=None, unknown_is_text=True)
    assert str(found.logical) == logical


def test_a_contract_says_what_a_number_without_digits_is() -> None:
    for text in ("decimal(20,4)", "int64"):
        wanted = kind_of(text)
        found = column_of(
            "x", sa.Numeric(), nullable=True, dialect=dialect_named("oracle"), wanted=wanted, unknown_is_text=True
        )
        assert found.logical == wanted


def test_a_type_without_a_counterpart_is_text_or_refused(context: Context, fill: Callable[..., None]) -> None:
    fill("CREATE TABLE t (a INTEGER, b)", "INSERT INTO t VALUES (1, 'x')")
    found, _ = read(make(context, table="t"))
    assert found.column("b").to_pylist() == ["x"]
    error = refused(make(context, table="t", on_unknown_type="fail").describe)
    assert error.code == "SRC-389"
    assert '"b"' in str(error)


# ---------------------------------------------------------------- values

GOOD = [
    ("int16", [1, Number(2), None], [1, 2, None]),
    ("int64", [2**63 - 1, Number(-1)], [2**63 - 1, -1]),
    ("uint64", [2**64 - 1, 0], [2**64 - 1, 0]),
    ("float64", [1, 2.5, Number("0.5"), None], [1.0, 2.5, 0.5, None]),
    (
        "decimal(5,2)",
        [Number("1.25"), 1, 0.5, "2.5", None],
        [Number("1.25"), Number(1), Number("0.5"), Number("2.5"), None],
    ),
    ("boolean", [True, 0, 1, None], [True, False, True, None]),
    ("string", ["x", 1, Number("1E+2"), date(2024, 1, 31), None], ["x", "1", "100", "2024-01-31", None]),
    ("binary", [b"x", memoryview(b"y"), None], [b"x", b"y", None]),
    (
        "date",
        [date(2024, 1, 31), "2024-02-29", naive(2024, 1, 1), None],
        [date(2024, 1, 31), date(2024, 2, 29), date(2024, 1, 1), None],
    ),
    ("time", [time(1, 2, 3), timedelta(hours=23), "04:05:06.5"], [time(1, 2, 3), time(23), time(4, 5, 6, 500_000)]),
    (
        "timestamp",
        [naive(2024, 1, 1, 5), "2024-01-01T05:00:00.25"],
        [naive(2024, 1, 1, 5), naive(2024, 1, 1, 5, 0, 0, 250_000)],
    ),
    ("timestamptz", ["2024-01-01 05:00:00+02:00"], [datetime(2024, 1, 1, 3, tzinfo=UTC)]),
    ("json", ['{"a": 1}', None], ['{"a": 1}', None]),
]
BAD = [
    *(("int16", value) for value in (70_000, 1.5, "1", True, Number("1.5"), Number("NaN"))),
    *(("int64", value) for value in (2**63, float("nan"), b"1")),
    *(("decimal(5,2)", value) for value in (Number("1.255"), Number(1000), Number("NaN"), True, "x", b"1")),
    *(("float64", value) for value in ("1.5", True, b"1")),
    *(("boolean", value) for value in (2, "true", 1.0)),
    *(("string", value) for value in (b"x", "\ud800", {"a": 1})),
    *(("binary", value) for value in ("x", 1)),
    *(("date", value) for value in ("0000-00-00", "2024-02-30", naive(2024, 1, 1, 5), 20240131)),
    *(("time", value) for value in (timedelta(hours=24), timedelta(-1), "25:00:00", time(1, tzinfo=UTC))),
    *(("timestamp", value) for value in (datetime(2024, 1, 1, tzinfo=UTC), "x", "0000-00-00 00:00:00")),
    *(("timestamptz", value) for value in (naive(2024, 1, 1), "2024-01-01 00:00:00", "x")),
    *(("json", value) for value in ("{", "NaN", b"{}")),
    *(("uuid", value) for value in ("x", 1.5)),
]


@pytest.mark.parametrize(("logical", "given", "expected"), GOOD, ids=[item[0] for item in GOOD])
def test_values_of_drivers(logical: str, given: list[Any], expected: list[Any]) -> None:
    assert to_array(given, kind_of(logical)).to_pylist() == expected


@pytest.mark.parametrize(("logical", "value"), BAD, ids=ascii)
def test_a_value_that_is_none_of_its_type_is_never_changed_to_one(logical: str, value: Any) -> None:
    with pytest.raises((pa.ArrowException, PenstockError, ValueError, TypeError, OverflowError)):
        to_array([value], kind_of(logical))


def test_bad_values_are_rejects_null_or_fail(context: Context, fill: Callable[..., None]) -> None:
    fill("CREATE TABLE t (a INTEGER, d DATE)", "INSERT INTO t VALUES (1, '2024-01-31'), ('x', '2024-02-30'), (3, NULL)")
    found, rejects = read(make(context, table="t"))
    assert found.column("a").to_pylist() == [1, 3]
    (reject,) = rejects
    assert json.loads(reject["row"]) == {"a": "x", "d": "2024-02-30"}
    assert [(cause["code"], cause["column"]) for cause in reject["causes"]] == [("SRC-387", "a"), ("SRC-387", "d")]
    schema = Schema.of([("a", "int64"), ("d", "date")])
    for policy, told in (("null", [1, None, 3]), ("fail", None)):
        held = replace(context, contract=Contract(schema, on_bad_value=policy))
        if told is None:
            with pytest.raises(DataError) as caught:
                read(make(held, table="t"))
            assert caught.value.code == "SRC-387"
            assert "2024-02-30" not in str(caught.value)
        else:
            assert read(make(held, table="t"))[0].column("a").to_pylist() == told


# ---------------------------------------------------------------- reading


def test_wide_rows_come_in_few_and_narrow_ones_in_many(context: Context, fill: Callable[..., None]) -> None:
    fill(
        "CREATE TABLE wide (a INTEGER, b BLOB)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150) INSERT INTO wide SELECT i, zeroblob(400000) FROM n",
        "CREATE TABLE narrow (a INTEGER)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000) INSERT INTO narrow SELECT i FROM n",
    )
    sizes = {}
    for name in ("wide", "narrow"):
        made = make(context, table=name)
        scanned = made.scan(ScanRequest(PART, None, made.latest(PART)))
        assert isinstance(scanned, Batches)
        sizes[name] = [chunk.batch.num_rows for chunk in scanned.open()]
        made.close()
    assert sum(sizes["wide"]) == 150
    assert max(sizes["wide"][1:]) <= 42  # 16 MiB
    assert sizes["narrow"][:3] == [100, 1_000, 10_000]


def test_who_wants_no_more_rows_waits_for_none(context: Context, fill: Callable[..., None]) -> None:
    fill("CREATE TABLE t (a INTEGER)", "INSERT INTO t VALUES (1), (2)")
    made = make(context, table="t")
    scanned = made.scan(ScanRequest(PART, None, made.latest(PART)))
    assert isinstance(scanned, Batches)
    chunks = scanned.open()
    next(iter(chunks))
    chunks.close()  # type: ignore[attr-defined]
    fill("DROP TABLE t")  # nothing holds it


def test_rows_that_end_before_their_end_are_noticed(
    context: Context, fill: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill("CREATE TABLE t (a INTEGER)", "INSERT INTO t VALUES (1), (2)")
    pieces = source._pieces
    monkeypatch.setattr(source, "_pieces", lambda *given: (rows[:1] for rows in pieces(*given)))
    with pytest.raises(TransientError) as caught:
        read(make(context, table="t"))
    assert caught.value.code == "SRC-388"


def test_a_position_of_another_version_is_refused(context: Context, fill: Callable[..., None]) -> None:
    fill("CREATE TABLE t (a INTEGER)")
    assert refused(lambda: make(context, table="t").scan(ScanRequest(PART, None, {"v": 2}))).code == "SRC-392"


# ---------------------------------------------------------------- conditions

COLUMNS = [
    Column("id", kind_of("int64"), kind=sa.BigInteger()),
    Column("price", kind_of("decimal(10,2)"), kind=sa.Numeric(10, 2)),
    Column("day", kind_of("date"), kind=sa.Date()),
    Column("at", kind_of("timestamp"), kind=sa.DateTime()),
    Column("seen", kind_of("timestamptz"), kind=sa.DateTime(timezone=True)),
    Column("name", kind_of("string"), kind=sa.String()),
    Column("size", kind_of("float64"), kind=sa.Double()),
]


@pytest.mark.parametrize(
    ("condition", "taken"),
    [
        ("id > 2 AND NOT (price <= -1.5 OR id = 7)", "id > 2 AND NOT (price <= -1.5 OR id = 7)"),
        ("id IN (1, 2)", "id = 1 OR id = 2"),
        ("id BETWEEN 1 AND 5", "id BETWEEN 1 AND 5"),
        ("5 < id", "id > 5"),
        ("name IS NULL", "name IS NULL"),
        ("day >= CAST('2024-01-31' AS DATE)", "day >= '2024-01-31'"),
        ("at < CAST('2024-01-31 05:06:07.5' AS TIMESTAMP)", "at < '2024-01-31 05:06:07.500000'"),
        ("seen < CAST('2024-01-31 05:06:07+00' AS TIMESTAMPTZ)", "seen < '2024-01-31 05:06:07+00:00'"),
    ],
)
def test_conditions_that_the_database_applies(condition: str, taken: str) -> None:
    known = Predicates(COLUMNS, dialect_named("postgresql"))
    tree = parse_one(condition, dialect="duckdb")
    assert known.takes(tree)
    made = known.expression(tree)
    assert made is not None
    text = str(
        made.compile(
            dialect=sa.create_mock_engine("postgresql+psycopg://", print).dialect,
            compile_kwargs={"literal_binds": True},
        )
    )
    assert text.replace("at ", "at ").replace('"', "") == taken


@pytest.mark.parametrize(
    "condition",
    [
        "name = 'x'",
        "size > 1.5",
        "day >= CAST('2024-02-30' AS DATE)",
        "id > 1 + 1",
        "id > price",
        "other = 1",
        "abs(id) = 1",
    ],
)
def test_conditions_that_it_does_not(condition: str) -> None:
    known = Predicates(COLUMNS, dialect_named("postgresql"))
    assert not known.takes(parse_one(condition, dialect="duckdb"))


def test_sqlite_compares_by_rules_of_its_own() -> None:
    assert not Predicates(COLUMNS, dialect_named("sqlite")).takes(parse_one("id > 2"))


def test_moments_with_a_zone_are_compared_where_that_is_known() -> None:
    tree = parse_one("seen < CAST('2024-01-31 05:06:07+00' AS TIMESTAMPTZ)", dialect="duckdb")
    assert not Predicates(COLUMNS, dialect_named("oracle")).takes(tree)


# ---------------------------------------------------------------- connections and errors


@pytest.mark.parametrize(
    ("text", "schema", "name"),
    [("t", None, "t"), ("s.t", "s", "t"), ("d.s.t", "d.s", "t"), ('"a.b"."c ""d"""', "a.b", 'c "d"')],
)
def test_names_of_tables(text: str, schema: str | None, name: str) -> None:
    found = parse_name(text)
    assert (found.schema, found.name) == (schema, name)


@pytest.mark.parametrize("text", ["", "a..b", ".", 'a"b', "a.", "\0"])
def test_what_is_no_name(text: str) -> None:
    assert refused(lambda: parse_name(text)).code == "SRC-383"


def test_a_missing_table_names_the_nearest(context: Context, fill: Callable[..., None]) -> None:
    fill("CREATE TABLE orders (a INTEGER)")
    error = refused(make(context, table="order").describe)
    assert error.code == "SRC-383"
    assert '"orders"' in str(error)


def database(tmp_path: Path, url: str | Secret, **more: Any) -> Database:
    return Database(SqlalchemyConnection.model_validate({"url": url, **more}), tmp_path.joinpath)


@pytest.mark.parametrize("url", ["nosuch+driver://h/d", "oracle+oracledb://h/d", "duckdb:///x.duckdb"])
def test_a_dialect_or_driver_that_is_not_there(url: str, tmp_path: Path) -> None:
    assert refused(lambda: database(tmp_path, url)).code == "SRC-380"


def test_sqlalchemy_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "find_spec", lambda _: None)
    error = refused(lambda: database(tmp_path, "sqlite:///x.db"))
    assert error.code == "SRC-380"
    assert "penstock[sqlalchemy]" in str(error)


@pytest.mark.parametrize(
    "url", ["sqlite:///file:x.db?uri=true", "sqlite:///x.db?mode=rwc", "postgresql+psycopg://h:port/d"]
)
def test_a_url_that_cannot_be_used(url: str, tmp_path: Path) -> None:
    with pytest.raises((ConfigError, ValidationError)) as caught:
        database(tmp_path, url)
    assert not isinstance(caught.value, ConfigError) or caught.value.code == "SRC-381"


def test_a_database_in_a_file_lies_within_the_project(context: Context) -> None:
    def resolve(text: str) -> Path:
        raise ConfigError("DOC-220", f'"{text}" is outside')

    assert (
        refused(make(replace(context, resolve=resolve), connection="sqlite:////etc/x.db", table="t").describe).code
        == "DOC-220"
    )


def test_nothing_is_written(context: Context, fill: Callable[..., None], tmp_path: Path) -> None:
    fill("CREATE TABLE t (a INTEGER)")
    with (
        pytest.raises(ConfigError) as caught,
        database(tmp_path, "sqlite:///shop.db").transaction("writing") as connection,
    ):
        connection.execute(sa.text("INSERT INTO t VALUES (1)"))
    assert caught.value.code == "SRC-384"


def test_a_locked_file_is_tried_again(context: Context, fill: Callable[..., None], tmp_path: Path) -> None:
    fill("CREATE TABLE t (a INTEGER)")
    with closing(sqlite3.connect(tmp_path / "shop.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        error = refused(
            make(context, connection={"url": "sqlite:///shop.db", "options": {"timeout": 0}}, table="t").describe
        )
        other.execute("ROLLBACK")
    assert isinstance(error, TransientError)
    assert error.code == "SRC-382"


def test_a_file_that_is_no_database(context: Context, tmp_path: Path) -> None:
    (tmp_path / "shop.db").write_bytes(b"no database at all" * 100)
    error = refused(make(context, table="t").describe)
    assert isinstance(error, FatalError)
    assert error.code == "SRC-390"


def test_text_that_is_none_is_a_named_error(context: Context, fill: Callable[..., None]) -> None:
    fill("CREATE TABLE t (a TEXT)", "INSERT INTO t VALUES (CAST(x'ff41' AS TEXT))")
    with pytest.raises(DataError) as caught:
        read(make(context, table="t"))
    assert caught.value.code == "SRC-386"


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://u:hun%74er2@127.0.0.1:1/d", Secret("postgresql+psycopg://u:hun%74er2@127.0.0.1:1/d")]
)
def test_a_password_in_a_url_is_shown_nowhere(url: str | Secret, tmp_path: Path) -> None:
    settings = SqlalchemyConnection.model_validate(url)
    made = Database(settings, tmp_path.joinpath)
    with pytest.raises(PenstockError) as caught, made.transaction("trying"):
        pass
    assert caught.value.code == "SRC-382"
    shown = (
        f"{settings!r} {settings.model_dump()} {made.name} {caught.value} {made._redacted('a hunter2 and hun%74er2')}"
    )
    assert "hunter2" not in shown
    assert "hun%74er2" not in shown


def test_a_login_that_is_refused_is_not_tried_again() -> None:
    error = sa.exc.OperationalError("x", {}, Exception("FATAL:  password authentication failed for user"))
    assert driver._fault_of(error).value[0] == "SRC-391"
