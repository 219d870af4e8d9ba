"""The mariadb source and sink against the public suites, on a real server; PyMySQL alone fills and reads the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import mariadb_tables as tables
from penstock.connectors.mariadb.params import MariadbSinkParams, MariadbSourceParams
from penstock.connectors.mariadb.sink import SINK, MariadbSink
from penstock.connectors.mariadb.source import SOURCE, MariadbSource
from penstock.structs import replace
from penstock.testing import data
from penstock.testing.sinks.evolution import Evolution
from penstock.testing.sinks.markers import Markers
from penstock.testing.sinks.merging import Merge
from penstock.testing.sinks.modes import Append, Overwrite
from penstock.testing.sinks.reading import ReadBack
from penstock.testing.sinks.refreshing import Refresh
from penstock.testing.sinks.values import Values
from penstock.testing.sinks.visibility import Visibility
from penstock.testing.sources import SourceSuite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penstock.connectors.api import Source
    from penstock.testing.servers import MariadbServer
    from penstock.testing.sinks.deliveries import SinkOptions

pytestmark = pytest.mark.server

NESTED = ("list<string>", "list<int64>", "map<string,int64>", data.TYPES[-1])


@pytest.fixture(scope="session")
def server_url(mariadb_server: MariadbServer) -> str:
    return mariadb_server.url("conformance")


class OnServer:
    @pytest.fixture(autouse=True)
    def _database(self, mariadb_server: MariadbServer, server_url: str, tmp_path: Path) -> Iterator[None]:
        self.url = server_url
        self.folder = tmp_path
        mariadb_server.sql("DROP DATABASE IF EXISTS conformance; CREATE DATABASE conformance")
        self.connection = tables.connect(server_url)
        with self.connection:
            yield


class TestMariadbSource(OnServer, SourceSuite):
    descriptor = SOURCE
    lacks = ("interval", *NESTED)
    lacks_names = ("\U0001f6e2",)

    def load(self, table: pa.Table) -> None:
        tables.create(self.connection, "t", finite(table))

    def add(self, table: pa.Table) -> None:
        tables.insert(self.connection, "t", table)

    def make(self) -> Source:
        return self._make(table="t")

    def make_missing(self) -> Source:
        return self._make(table="missing")

    def as_read(self, table: pa.Table) -> pa.Table:
        return without_signs_of_zero(finite(table))

    def _make(self, **keys: object) -> Source:
        params = MariadbSourceParams.model_validate({"type": "mariadb", "connection": self.url, **keys})
        return MariadbSource(params, tables.context(self.folder))


class OnMysql:
    """MySQL 8.0.15, the one that can be had."""

    @pytest.fixture(autouse=True)
    def _database(self, mysql_server: MariadbServer, tmp_path: Path) -> Iterator[None]:
        self.url = mysql_server.url("conformance")
        self.folder = tmp_path
        mysql_server.sql("DROP DATABASE IF EXISTS conformance; CREATE DATABASE conformance")
        self.connection = tables.connect(self.url)
        with self.connection:
            yield


class TestMysqlSource(OnMysql, TestMariadbSource):
    # Decimals have at most 30 digits after the point there, and the numbers of json are floats.
    lacks = (*TestMariadbSource.lacks, "decimal(38,38)", "json")

    def as_read(self, table: pa.Table) -> pa.Table:
        """MySQL keeps the sign of zero."""
        return finite(table)


class TestMariadbParts(TestMariadbSource):
    """The same in parts by a key, read at the same time."""

    def make(self) -> Source:
        return self._make(table="t", split_by=data.ID, parallel=3)


class OfTable(OnServer):
    """What the suites ask of a sink."""

    descriptor = SINK
    refuses = ("interval", *NESTED)
    refused_names = (data.LONG_NAME, "\U0001f6e2")
    refuses_nonfinite = True

    def make(self, options: SinkOptions) -> MariadbSink:
        keys = {"mode": options.mode, "keys": list(options.keys), "order_by": options.order_by}
        policies = {"on_schema_change": options.on_schema_change, "allow_empty": options.allow_empty}
        params = MariadbSinkParams.model_validate(
            {"type": "mariadb", "from": "x", "connection": self.url, "table": "t", **keys, **policies}
        )
        return MariadbSink(params, replace(tables.context(self.folder), refreshes=options.refreshes))

    def read_back(self, schema: pa.Schema) -> pa.Table | None:  # noqa: ARG002 -- the catalogue tells the types
        return tables.read(self.connection, "t")

    def leftovers(self) -> list[str]:
        rows = tables.execute(self.connection, "SHOW TABLES LIKE '\\_penstock\\_stage%'")
        return [name for (name,) in rows]

    def as_stored(self, table: pa.Table) -> pa.Table:
        return without_signs_of_zero(table)


class TestMariadbSink(OfTable, Markers, Visibility, Values, Evolution, Append, Overwrite, Merge, Refresh, ReadBack):
    pass


class OfMysqlTable(OnMysql, OfTable):
    refuses = (*OfTable.refuses, "decimal(38,38)")

    def as_stored(self, table: pa.Table) -> pa.Table:
        """MySQL keeps the sign of zero, and of json the values: keys in another order, numbers as it takes them."""
        for at, field in enumerate(table.schema):
            if isinstance(field.type, pa.JsonType):
                table = table.set_column(at, field.name, pa.array(map(self._as_json, table.column(at).to_pylist())))
        return table

    def _as_json(self, text: str | None) -> str | None:
        found: str | None = tables.execute(self.connection, "SELECT CAST(CAST(%s AS JSON) AS CHAR)", (text,))[0][0]
        return found


class TestMysqlSink(OfMysqlTable, Markers, Values, Append, Overwrite, Merge, Refresh):
    pass


@pytest.mark.long
class TestMysqlSinkAtLength(OfMysqlTable, Visibility, Evolution, ReadBack):
    """The rest of what MariaDB goes through."""


def finite(table: pa.Table) -> pa.Table:
    """Without the rows that hold NaN or an infinity."""
    for field in table.schema:
        if pa.types.is_floating(field.type):
            table = table.filter(pc.fill_null(pc.is_finite(table.column(field.name)), True))
    return table


def without_signs_of_zero(table: pa.Table) -> pa.Table:
    for at, field in enumerate(table.schema):
        if pa.types.is_floating(field.type):
            values, zero = table.column(at), pa.scalar(0.0, field.type)
            table = table.set_column(at, field, pc.if_else(pc.equal(values, zero), zero, values))
    return table
