"""The postgres source and sink against the public suites, on a real server; psycopg alone fills and reads the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

import postgres_tables as tables
from penstock.connectors.postgres.family import SOURCE, make
from penstock.connectors.postgres.params import PostgresSinkParams, PostgresSourceParams
from penstock.connectors.postgres.sink import SINK, PostgresSink
from penstock.structs import replace
from penstock.testing import data
from penstock.testing.sinks import SinkOptions, SinkSuite
from penstock.testing.sources import SourceSuite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import psycopg

    from penstock.connectors.api import Source
    from penstock.testing.servers import PostgresServer

pytestmark = pytest.mark.server


@pytest.fixture(scope="session")
def database(postgres_server: PostgresServer) -> str:
    """One database for the whole file; each test begins with an empty schema."""
    postgres_server.sql("CREATE DATABASE conformance")
    return postgres_server.url("conformance")


class OnServer:
    @pytest.fixture(autouse=True)
    def _schema(self, database: str, tmp_path: Path) -> Iterator[None]:
        self.url = database
        self.folder = tmp_path
        self.connection: psycopg.Connection = tables.connect(database)
        with self.connection:
            self.connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
            yield


class TestPostgresSource(OnServer, SourceSuite):
    descriptor = SOURCE
    lacks = ("int8", "uint8", "uint16", "uint32", "uint64", "map<string,int64>", data.TYPES[-1])
    case_sensitive_names = True
    lacks_nul = True

    def load(self, table: pa.Table) -> None:
        tables.create(self.connection, "t", table)

    def add(self, table: pa.Table) -> None:
        tables.insert(self.connection, "t", table)

    def make(self) -> Source:
        return self._make(table="t")

    def make_missing(self) -> Source:
        return self._make(table="missing")

    def _make(self, **keys: object) -> Source:
        params = PostgresSourceParams.model_validate({"type": "postgres", "connection": self.url, **keys})
        made = make(params, tables.context(self.folder))
        assert not hasattr(made, "members")
        return made


class TestPostgresQuery(TestPostgresSource):
    """The same through a query, in parts by a key."""

    def make(self) -> Source:
        return self._make(query="select * from t -- the whole of it", split_by=data.ID, parallel=3)

    def make_missing(self) -> Source:
        return self._make(query="select * from missing")


_STORED = {
    pa.int8(): pa.int16(),
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20, 0),
}


class TestPostgresSink(OnServer, SinkSuite):
    descriptor = SINK
    refuses = ("map<string,int64>", data.TYPES[-1])
    refused_names = (data.LONG_NAME,)
    refuses_nul = True

    def make(self, options: SinkOptions) -> PostgresSink:
        keys = {"mode": options.mode, "keys": list(options.keys), "order_by": options.order_by}
        policies = {"on_schema_change": options.on_schema_change, "allow_empty": options.allow_empty}
        params = PostgresSinkParams.model_validate(
            {"type": "postgres", "from": "x", "connection": self.url, "table": "t", **keys, **policies}
        )
        return PostgresSink(params, replace(tables.context(self.folder), refreshes=options.refreshes))

    def read_back(self, schema: pa.Schema) -> pa.Table | None:  # noqa: ARG002 -- the catalogue tells the types
        return tables.read(self.connection, "t")

    def leftovers(self) -> list[str]:
        rows = self.connection.execute("SELECT relname FROM pg_class WHERE relname LIKE '\\_penstock\\_stage%'")
        return [name for (name,) in rows.fetchall()]

    def as_stored(self, table: pa.Table) -> pa.Table:
        fields = [f.with_type(_STORED.get(f.type, f.type)) for f in table.schema]
        return table.cast(pa.schema(fields))
