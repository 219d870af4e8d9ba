"""The sqlalchemy source against the suite of sources, over real dialects; their own drivers fill the tables."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import mariadb_tables
import postgres_tables
from penstock.connectors.api import Batches, ScanRequest
from penstock.connectors.sqlalchemy.descriptors import SOURCE
from penstock.errors import ConfigError
from penstock.testing import data
from penstock.testing.compare import assert_same
from penstock.testing.sources import SourceSuite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penstock.connectors.api import Source
    from penstock.testing.servers import MariadbServer, PostgresServer

DECIMALS = tuple(name for name in data.TYPES if name.startswith("decimal"))
NESTED = ("list<string>", "list<int64>", "map<string,int64>", data.TYPES[-1])
# MySQL's dialect of SQLAlchemy reads what SHOW CREATE TABLE prints, and does not understand these names there.
UNKNOWN_NAMES = ("back`tick", "new\nline")
SQLITE_TYPES = {
    "string": "TEXT",
    "bool": "BOOLEAN",
    "double": "DOUBLE",
    "float": "FLOAT",
    "date32[day]": "DATE",
    "time64[us]": "TIME",
    "timestamp[us]": "DATETIME",
    "binary": "BLOB",
}


def make(folder: Path, url: str, **keys: object) -> Source:
    params = SOURCE.params.model_validate({"type": "sqlalchemy", "connection": url, **keys})
    return SOURCE.make(params, postgres_tables.context(folder))


class TestOverSqlite(SourceSuite):
    """SQLite keeps whole numbers in 64 bits, and decimals as floats: these are no longer what they were."""

    descriptor = SOURCE
    lacks = ("interval", "uuid", "timestamptz", "uint64", "json", *DECIMALS, *NESTED)

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def load(self, table: pa.Table) -> None:
        columns = ", ".join(f"{quoted(f.name)} {SQLITE_TYPES.get(str(f.type), 'INTEGER')}" for f in table.schema)
        with closing(sqlite3.connect(self.folder / "shop.db")) as connection:
            connection.execute("DROP TABLE IF EXISTS orders")
            connection.execute(f"CREATE TABLE orders ({columns})")
        self.add(table)

    def add(self, table: pa.Table) -> None:
        values = [[as_sqlite(v) for v in column.to_pylist()] for column in table.columns]
        with closing(sqlite3.connect(self.folder / "shop.db")) as connection:
            marks = ", ".join("?" * len(values))
            connection.executemany(f"INSERT INTO orders VALUES ({marks})", zip(*values, strict=True))
            connection.commit()

    def make(self) -> Source:
        return make(self.folder, "sqlite:///shop.db", table="orders")

    def make_missing(self) -> Source:
        return make(self.folder, "sqlite:///none.db", table="orders")

    def as_read(self, table: pa.Table) -> pa.Table:
        for at, field in enumerate(table.schema):
            if pa.types.is_integer(field.type):
                table = table.set_column(at, field.name, table.column(at).cast(pa.int64()))
            if pa.types.is_floating(field.type):
                table = table.set_column(at, field.name, without_nan(table.column(at).cast(pa.float64())))
        return table


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def as_sqlite(value: Any) -> Any:
    return value if value is None or isinstance(value, (bool, int, float, str, bytes)) else str(value)


def without_nan(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """SQLite keeps NaN as null, and -0.0 as 0."""
    values = pc.if_else(pc.is_nan(values), pa.scalar(None, pa.float64()), values)
    return pc.if_else(pc.equal(values, 0.0), 0.0, values)


@pytest.mark.server
class TestOverPostgres(SourceSuite):
    descriptor = SOURCE
    lacks = ("int8", "uint8", "uint16", "uint32", "uint64", "interval", *NESTED)
    case_sensitive_names = True
    lacks_nul = True

    @pytest.fixture(autouse=True)
    def _database(self, postgres_server: PostgresServer, tmp_path: Path) -> Iterator[None]:
        self.folder = tmp_path
        self.url = postgres_server.url().replace("postgresql:", "postgresql+psycopg:")
        with postgres_tables.connect(postgres_server.url()) as self.connection:
            self.connection.execute("DROP SCHEMA IF EXISTS alchemy CASCADE; CREATE SCHEMA alchemy")
            self.connection.execute("SET search_path TO alchemy")
            yield

    def load(self, table: pa.Table) -> None:
        postgres_tables.create(self.connection, "t", table)

    def add(self, table: pa.Table) -> None:
        postgres_tables.insert(self.connection, "t", table)

    def make(self) -> Source:
        return make(self.folder, self.url, table="alchemy.t")

    def make_missing(self) -> Source:
        return make(self.folder, self.url, table="alchemy.missing")


@pytest.mark.server
class TestOverMariadb(SourceSuite):
    descriptor = SOURCE
    lacks = ("interval", *NESTED)
    lacks_names = ("\U0001f6e2", *UNKNOWN_NAMES)
    signs_of_zero = False

    @pytest.fixture(autouse=True)
    def _database(self, mariadb_server: MariadbServer, tmp_path: Path) -> Iterator[None]:
        self.folder = tmp_path
        mariadb_server.sql("DROP DATABASE IF EXISTS alchemy; CREATE DATABASE alchemy")
        self.url = mariadb_server.url("alchemy").replace("mariadb:", "mysql+pymysql:")
        with closing(mariadb_tables.connect(mariadb_server.url("alchemy"))) as self.connection:
            yield

    def load(self, table: pa.Table) -> None:
        mariadb_tables.create(self.connection, "t", finite(table))

    def add(self, table: pa.Table) -> None:
        mariadb_tables.insert(self.connection, "t", table)

    def make(self) -> Source:
        return make(self.folder, self.url, table="t")

    def make_missing(self) -> Source:
        return make(self.folder, self.url, table="missing")

    def test_who_wants_no_more_rows_waits_for_none(self) -> None:
        """PyMySQL's cursors read to their end when they are closed: here the connection is ended instead."""
        many = pa.table({data.ID: pa.array(range(1_000)), "name": pa.array(["x" * 1_000] * 1_000)})
        self.load(many)
        source = self.source()
        (part,) = source.partitions()
        scanned = source.scan(ScanRequest(part, None, source.latest(part)))
        assert isinstance(scanned, Batches)
        chunks = scanned.open()
        assert next(iter(chunks)).batch.num_rows < 1_000
        chunks.close()  # type: ignore[attr-defined]
        assert_same(self.read(self.source()), self.as_read(many))

    @pytest.mark.parametrize("name", UNKNOWN_NAMES)
    def test_a_column_that_the_dialect_does_not_understand_is_never_left_out(self, name: str) -> None:
        self.load(data.named_table([name]))
        with pytest.raises(ConfigError) as caught:
            self.source().describe()
        assert caught.value.code == "SRC-393"

    def as_read(self, table: pa.Table) -> pa.Table:
        """Without what the penstock sink says of a column in its comment."""
        table = finite(table)
        for at, field in enumerate(table.schema):
            values = table.column(at)
            if pa.types.is_floating(field.type) and not self.signs_of_zero:
                zero = pa.scalar(0.0, field.type)
                table = table.set_column(at, field.name, pc.if_else(pc.equal(values, zero), zero, values))
            elif field.type == pa.timestamp("us", tz="UTC"):
                table = table.set_column(at, field.name, values.cast(pa.timestamp("us")))
        return table


class TestOverMysql(TestOverMariadb):
    """MySQL 8.0.15, the one that can be had; its uuids are texts that a comment tells, which no dialect reads."""

    signs_of_zero = True
    lacks = (*TestOverMariadb.lacks, "uuid", "decimal(38,38)", "json")

    @pytest.fixture(autouse=True)
    def _database(self, mysql_server: MariadbServer, tmp_path: Path) -> Iterator[None]:
        self.folder = tmp_path
        mysql_server.sql("DROP DATABASE IF EXISTS alchemy; CREATE DATABASE alchemy")
        self.url = mysql_server.url("alchemy").replace("mariadb:", "mysql+pymysql:")
        with closing(mariadb_tables.connect(mysql_server.url("alchemy"))) as self.connection:
            yield


def finite(table: pa.Table) -> pa.Table:
    """Without the rows that hold NaN or an infinity."""
    for field in table.schema:
        if pa.types.is_floating(field.type):
            table = table.filter(pc.fill_null(pc.is_finite(table.column(field.name)), True))
    return table
