"""The rest source against the suite of sources: rows are put into a service on loopback as JSON."""

import json
import math
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from penstock.connectors.api import Context, Contract
from penstock.connectors.rest.params import RestSourceParams
from penstock.connectors.rest.source import SOURCE, RestSource
from penstock.testing.clock import FakeClock
from penstock.testing.sources import SourceConformance, SourceSuite
from penstock.testing.spooling import SpoolingSuite
from penstock.testing.web import Reply, WebServer
from penstock.types.arrow import from_arrow

PAGE = 3


def as_json(table):
    """Records as JSON text, as a careful service writes them: exact numbers, times in ISO 8601, NaN as text."""
    columns = [[as_value(item, field.type) for item in table.column(field.name)] for field in table.schema]
    names = [json.dumps(name) for name in table.column_names]
    rows = zip(*columns, strict=True)
    return ["{" + ",".join(f"{name}:{value}" for name, value in zip(names, row, strict=True)) + "}" for row in rows]


def as_value(scalar, kind):
    value = scalar.as_py()
    if value is None:
        return "null"
    if isinstance(kind, pa.JsonType):
        return value
    if pa.types.is_map(kind):
        members = [f"{json.dumps(str(k))}:{as_value(pa.scalar(v, kind.item_type), kind.item_type)}" for k, v in value]
        return "{" + ",".join(members) + "}"
    if pa.types.is_list(kind):
        return "[" + ",".join(as_value(item, kind.value_type) for item in scalar.values) + "]"
    if pa.types.is_struct(kind):
        return "{" + ",".join(f"{json.dumps(f.name)}:{as_value(scalar[f.name], f.type)}" for f in kind) + "}"
    if pa.types.is_floating(kind):
        return json.dumps(value) if math.isfinite(value) else json.dumps(str(value))
    if pa.types.is_decimal(kind):
        return format(value, "f")
    if isinstance(value, (bool, int)):
        return json.dumps(value)
    return json.dumps(value if isinstance(value, str) else as_text(scalar))


def as_text(scalar):
    """As DuckDB spells what has no form in JSON: intervals, times, dates far away."""
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        database.register("given", pa.table({"a": pa.array([scalar.as_py()], scalar.type)}))
        return database.execute("select a::varchar from given").fetchone()[0]


class RestService(SourceConformance):
    descriptor = SOURCE
    case_sensitive_names = True
    lacks = ("binary",)  # JSON has no bytes: text becomes its UTF-8

    def as_read(self, table):
        """JSON's null is no value."""
        columns = [
            pa.array([None if item == "null" else item for item in column.cast(pa.string()).to_pylist()], column.type)
            if isinstance(column.type, pa.JsonType)
            else column
            for column in table.columns
        ]
        return pa.table(columns, names=table.column_names)

    @pytest.fixture(autouse=True)
    def _service(self, tmp_path):
        self.folder = tmp_path
        self.records = []
        self.schema = None
        self.serves = True
        with WebServer(self.answer) as self.server:
            yield

    def answer(self, got):
        if got.path != "/v1/items" or not self.serves:
            return Reply(b'{"error": "no such listing"}', status=404)
        start, size = int(got.parameter("offset", "0")), int(got.parameter("limit", "1000"))
        page = ",".join(self.records[start : start + size])
        body = f'{{"response": {{"total": "{len(self.records)}", "data": [{page}]}}}}'
        return Reply(body.encode(), headers={"Content-Type": "application/json"})

    def load(self, table):
        self.schema = from_arrow(table.schema)
        self.records = as_json(table)

    def add(self, table):
        self.records += as_json(table)

    def make(self):
        return self.source_at("/items")

    def make_missing(self):
        self.schema = from_arrow(pa.schema([("id", pa.int64())]))
        return self.source_at("/nothing")

    def source_at(self, path):
        params = RestSourceParams.model_validate(
            {
                "type": "rest",
                "connection": {"base_url": f"{self.server.url}/v1", "allow_private": ["127.0.0.1"]},
                "path": path,
                "records": "response.data",
                "paginate": {"type": "offset", "size": PAGE, "total": "response.total"},
            }
        )
        context = Context("items", Path, self.folder, FakeClock(), contract=Contract(self.schema))
        return RestSource(params, context)


class TestRest(RestService, SourceSuite):
    pass


class TestRestSpools(RestService, SpoolingSuite):
    def cut_off(self):
        self.serves = False

    def touched(self):
        return len(self.server.received)
