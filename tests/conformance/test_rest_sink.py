"""The rest sink: values and names of all kinds arrive at a service exactly; epochs arrive at least once, with the same
keys each time. The suites of markers and evolution do not apply: a service holds no marker and has no table.
"""

import base64
import json
import os
import stat
import uuid
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from penstock.connectors.api import Context, Staged
from penstock.connectors.rest.params import RestSinkParams
from penstock.connectors.rest.sink import SINK, RestSink
from penstock.errors import ConfigError, DataError, FatalError, TransientError
from penstock.testing import data
from penstock.testing.clock import FakeClock
from penstock.testing.sinks import SinkConformance, deliver, epoch, rows
from penstock.testing.sinks.deliveries import OTHER_INCARNATION, SINK_ID, stage
from penstock.testing.sinks.values import Values
from penstock.testing.web import Reply, WebServer
from penstock.types.arrow import from_arrow


class Service:
    """Takes records; may be told to answer otherwise."""

    def __init__(self):
        self.batches = {}
        self.order = []
        self.answer = lambda _: None

    def __call__(self, got):
        special = self.answer(got)
        if special is not None:
            return special
        key = got.header("idempotency-key")
        self.order.append(key)
        self.batches.setdefault(key, got.body)
        return Reply(status=201)

    def records(self, name=None):
        found = []
        for body in self.batches.values():
            value = json.loads(body, parse_float=Decimal)
            value = value[name] if name else value
            found += value if isinstance(value, list) else [value]
        return found


@pytest.fixture
def service():
    made = Service()
    with WebServer(made) as made.server:
        yield made


@pytest.fixture
def sink_of(service, tmp_path):
    made = []

    def make(reached=lambda _: None, connection=None, **params):
        given = {"base_url": service.server.url, "allow_private": ["127.0.0.1"], "retries": {"attempts": 2}}
        checked = RestSinkParams.model_validate(
            {"type": "rest", "from": "x", "connection": {**given, **(connection or {})}, "path": "/items", **params}
        )
        sink = RestSink(checked, Context("out", Path, tmp_path, FakeClock(), reached=reached))
        made.append(sink)
        return sink

    yield make
    for sink in made:
        sink.close()
        sink.close()


class TestValues(Values, SinkConformance):
    descriptor = SINK
    refuses_nonfinite = True  # JSON has none

    @pytest.fixture(autouse=True)
    def _service(self, service, sink_of, tmp_path):
        self.service, self.sink_of, self.folder = service, sink_of, tmp_path

    def make(self, _options):
        return self.sink_of(batch_size=3)

    def read_back(self, schema):
        records = sorted(self.service.records(), key=lambda record: record.get(data.ID, 0))
        columns = [pa.array([value_of(r[f.name], f.type) for r in records], f.type) for f in schema]
        return pa.table(columns, schema=schema)

    def as_stored(self, table):
        """JSON's null and no value are one in a record."""
        columns = [
            pa.array([None if item == "null" else item for item in column.cast(pa.string()).to_pylist()], column.type)
            if isinstance(column.type, pa.JsonType)
            else column
            for column in table.columns
        ]
        return pa.table(columns, schema=table.schema)

    def leftovers(self):
        return list(self.folder.iterdir())

    @pytest.mark.parametrize("logical", data.TYPES)
    def test_every_value_of_a_type_survives_or_the_type_is_refused(self, logical):
        """JSON has neither NaN nor infinity: the finite values survive."""
        if not logical.startswith("float"):
            super().test_every_value_of_a_type_survives_or_the_type_is_refused(logical)
            return
        values = [value for value in data.column(logical).values.to_pylist() if value is None or abs(value) < 1e300]
        values = [value for value in values if value is None or value - value == 0]
        table = data.table_of(pa.array(values, data.column(logical).values.type))
        deliver(self.sink(), epoch(1), table)
        self.assert_holds(table)


def value_of(value, kind):
    """The Python value that Arrow takes, from what JSON said."""
    if value is None or isinstance(kind, pa.JsonType):
        return value if value is None else json.dumps(value, default=float)
    if isinstance(kind, pa.UuidType):
        return uuid.UUID(value).bytes
    if pa.types.is_binary(kind):
        return base64.b64decode(value)
    if pa.types.is_list(kind):
        return [value_of(item, kind.value_type) for item in value]
    if pa.types.is_struct(kind):
        return {field.name: value_of(value[field.name], field.type) for field in kind}
    if pa.types.is_map(kind):
        return [(value_of(key, kind.key_type), value_of(item, kind.item_type)) for key, item in value.items()]
    if pa.types.is_decimal(kind):
        return Decimal(value)
    if pa.types.is_floating(kind):
        return float(value)
    if pa.types.is_integer(kind):
        return int(value)
    if isinstance(value, str) and not pa.types.is_string(kind):
        return from_text(value, kind)
    return value


def from_text(text, kind):
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        name = {"date32[day]": "DATE", "time64[us]": "TIME", "timestamp[us]": "TIMESTAMP"}.get(str(kind))
        name = name or ("TIMESTAMPTZ" if pa.types.is_timestamp(kind) else "INTERVAL")
        database.register("given", pa.table({"t": [text]}))
        return database.sql(f"select t::{name} as v from given").to_arrow_table().column(0)[0].as_py()


# ---------------------------------------------------------------- requests

THREE = rows((1, "one"), (2, None), (3, ""))


def test_rows_arrive_in_batches_with_a_key_each(service, sink_of):
    receipt = deliver(sink_of(batch_size=2, records="items", headers={"X-A": "1"}, query={"q": "v"}), epoch(1), THREE)
    assert (receipt.rows, receipt.inserted) == (3, 3)
    assert sorted(map(len, (json.loads(body)["items"] for body in service.batches.values()))) == [1, 2]
    assert receipt.bytes == sum(map(len, service.batches.values()))
    got = service.server.received[0]
    assert (got.method, got.path, got.query, got.header("x-a")) == ("POST", "/items", (("q", "v"),), "1")
    assert got.header("content-type") == "application/json"
    assert len(got.header("idempotency-key")) == 64


def test_a_record_may_be_sent_as_it_is(service, sink_of):
    deliver(sink_of(body="object", method="PUT", keys=[data.ID]), epoch(1), THREE)
    assert {got.method for got in service.server.received} == {"PUT"}
    assert sorted(map(json.loads, service.batches.values()), key=lambda r: r["id"]) == THREE.to_pylist()


def test_records_may_be_sent_line_by_line(service, sink_of):
    values = pa.array(['{\n"a": [1,\r\n2]}', '"line\\nbreak"', None], pa.json_(pa.string()))
    table = pa.table([pa.array([1, 2, 3]), pa.array(["x\ny", "", None]), values], names=[data.ID, "name", "value"])
    deliver(sink_of(body="lines", batch_size=2, keys=[data.ID]), epoch(1), table)
    bodies = sorted(service.batches.values(), key=len, reverse=True)
    assert [body.count(b"\n") for body in bodies] == [2, 1]
    found = [json.loads(line) for body in bodies for line in body.decode().splitlines()]
    assert sorted(found, key=lambda row: row[data.ID]) == [
        {data.ID: 1, "name": "x\ny", "value": {"a": [1, 2]}},
        {data.ID: 2, "name": "", "value": "line\nbreak"},
        {data.ID: 3, "name": None, "value": None},
    ]
    assert {got.header("content-type") for got in service.server.received} == {"application/x-ndjson"}


def test_requests_are_bounded_in_bytes(service, sink_of):
    table = rows(*[(at, "x" * 1000) for at in range(50)])
    deliver(sink_of(max_request_bytes="5 kB"), epoch(1), table)
    assert len(service.batches) >= 10
    assert max(map(len, service.batches.values())) < 6200
    assert sorted(record["id"] for record in service.records()) == list(range(50))


def test_the_same_rows_in_another_order_carry_the_same_keys(service, sink_of):
    table = rows(*[(at, f"name {at % 7}") for at in range(40)])
    deliver(sink_of(batch_size=6), epoch(1), table)
    before = dict(service.batches)
    shuffled = table.take(pa.array(list(range(39, -1, -1))))
    deliver(sink_of(batch_size=6), epoch(1, fence=2, attempt="again"), shuffled)
    assert service.batches == before
    assert len(service.order) == 2 * len(before)


def test_another_epoch_or_incarnation_has_other_keys(service, sink_of):
    deliver(sink_of(), epoch(1), THREE)
    deliver(sink_of(), epoch(2), THREE)
    deliver(sink_of(), epoch(1, incarnation=OTHER_INCARNATION), THREE)
    assert len(service.batches) == 3


def test_equal_rows_are_all_sent(service, sink_of):
    deliver(sink_of(body="object"), epoch(1), rows((1, "a"), (1, "a"), (1, "a")))
    assert len(service.batches) == 3


def test_keys_alone_make_the_key(service, sink_of):
    deliver(sink_of(body="object", keys=[data.ID]), epoch(1), rows((1, "old")))
    deliver(sink_of(body="object", keys=[data.ID]), epoch(1), rows((1, "new")))
    assert len(service.batches) == 1


def test_several_writers_share_the_commit(service, sink_of):
    sink = sink_of(batch_size=100)
    parts = [rows((10 * n, f"part {n}"), (10 * n + 1, None)) for n in range(3)]
    receipt = sink.commit(epoch(1), [stage(sink, epoch(1), part) for part in parts])
    assert receipt.rows == 6
    assert len(service.batches) == 1


def test_no_rows_are_no_request(service, sink_of):
    assert deliver(sink_of(), epoch(1), THREE.slice(0, 0)).rows == 0
    assert sink_of().commit(epoch(2), []).rows == 0
    assert service.server.received == []


def test_nothing_is_sent_before_the_commit_and_nothing_is_left_after_it(service, sink_of, tmp_path):
    sink = sink_of()
    staged = stage(sink, epoch(1), THREE)
    assert service.server.received == []
    (path,) = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    sink.commit(epoch(1), [staged])
    assert list(tmp_path.iterdir()) == []
    writer = sink.writer(epoch(2), from_arrow(THREE.schema))
    writer.write(THREE.to_batches()[0])
    writer.abort()
    writer.abort()
    assert list(tmp_path.iterdir()) == []
    assert sink.marker(SINK_ID) is None
    assert not sink.remembers


# ---------------------------------------------------------------- failures


def test_after_an_error_only_what_was_not_taken_is_sent_again(service, sink_of):
    sink = sink_of(body="object", concurrency=1)
    service.answer = lambda got: Reply(status=503) if got.number > 2 else None
    staged = [stage(sink, epoch(1), THREE)]
    with pytest.raises(TransientError) as caught:
        sink.commit(epoch(1), staged)
    assert caught.value.code == "SNK-272"
    assert "2 requests were taken before" in str(caught.value)
    service.answer = lambda _: None
    assert sink.commit(epoch(1), staged).rows == 3
    assert len(service.order) == len(service.batches) == 3


def test_a_lost_answer_is_sent_again_with_the_same_key(service, sink_of):
    def answer(got):
        if got.number == 1:
            service.batches[got.header("idempotency-key")] = got.body
            return Reply(b"0123456789", cut=3)
        return None

    service.answer = answer
    assert deliver(sink_of(), epoch(1), THREE).rows == 3
    assert len(service.server.received) == 2
    assert len(service.batches) == 1


def test_a_crash_between_requests_sends_all_again_with_the_same_keys(service, sink_of):
    class Crash(BaseException):
        pass

    def crash(point):
        if point == "rest.sent":
            raise Crash

    with pytest.raises(Crash):
        deliver(sink_of(crash, body="object", concurrency=1), epoch(1), THREE)
    deliver(sink_of(body="object"), epoch(1, fence=2, attempt="redone"), THREE)
    assert sorted(record["id"] for record in service.records()) == [1, 2, 3]


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422])
def test_records_that_are_refused_stop_the_run_and_say_what_is_known(service, sink_of, status):
    service.answer = lambda got: Reply(b'{"error": "price is wrong"}', status=status) if got.number == 2 else None
    sink = sink_of(body="object", concurrency=1)
    with pytest.raises(FatalError, match="price is wrong") as caught:
        deliver(sink, epoch(1), THREE)
    assert caught.value.code == "SNK-271"
    assert "1 requests were taken" in str(caught.value)


def test_a_host_that_must_not_be_called_is_the_authors_error(sink_of, service):
    with pytest.raises(ConfigError) as caught:
        deliver(sink_of(connection={"allow_private": []}), epoch(1), THREE)
    assert caught.value.code == "NET-103"
    assert service.server.received == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("nest", [lambda v: v, lambda v: [v], lambda v: {"a": v}, lambda v: [{"a": [v]}]])
def test_numbers_that_json_does_not_know_are_refused(service, sink_of, value, nest):
    with pytest.raises(DataError, match='"value"') as caught:
        deliver(sink_of(), epoch(1), data.table_of(pa.array([nest(1.0), nest(value)])))
    assert caught.value.code == "SNK-270"
    assert service.server.received == []


def test_json_that_is_none_does_not_break_a_request(service, sink_of):
    bad = pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1}', '{"a": ']))
    with pytest.raises(DataError) as caught:
        deliver(sink_of(), epoch(1), data.table_of(bad))
    assert caught.value.code == "SNK-270"


@pytest.mark.parametrize("harm", ["gone", "cut"])
def test_staged_rows_that_are_gone_are_named(service, sink_of, harm):
    sink = sink_of()
    staged = stage(sink, epoch(1), THREE)
    path = Path(staged.payload["file"])
    path.unlink() if harm == "gone" else os.truncate(path, 100)
    with pytest.raises(FatalError) as caught:
        sink.commit(epoch(1), [staged])
    assert caught.value.code == "SNK-273"
    assert service.server.received == []


def test_a_scratch_folder_that_takes_no_file_is_named(sink_of, tmp_path):
    sink = sink_of()
    writer = sink.writer(epoch(1), from_arrow(THREE.schema))
    tmp_path.rename(tmp_path.with_name("moved"))
    with pytest.raises(TransientError) as caught:
        writer.write(THREE.to_batches()[0])
    assert caught.value.code == "SNK-274"
    writer.abort()


def test_keys_must_be_columns(sink_of):
    with pytest.raises(ConfigError) as caught:
        sink_of(keys=["nothing"]).preview(from_arrow(THREE.schema))
    assert caught.value.code == "SNK-112"


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "merge", "keys": ["id"]},
        {"body": "object", "records": "items"},
        {"keys": ["a", "a"]},
        {"batch_size": 0},
        {"headers": {"Host": "x"}},
        {"connection": {"base_url": "ftp://x"}},
    ],
)
def test_parameters_that_do_not_fit_together_are_refused(sink_of, wrong):
    with pytest.raises(ValueError):
        sink_of(**wrong)


def test_no_secret_is_in_what_is_staged(sink_of, tmp_path):
    sink = sink_of(connection={"auth": {"type": "bearer", "token": "the-token"}})
    staged = stage(sink, epoch(1), THREE)
    assert isinstance(staged, Staged)
    assert b"the-token" not in Path(staged.payload["file"]).read_bytes()
    assert "the-token" not in json.dumps(dict(staged.payload))
