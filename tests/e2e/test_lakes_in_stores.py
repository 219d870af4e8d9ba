"""Delta and Iceberg tables in object stores: what of a log is fetched, who else writes, what is refused, what is shown."""

from __future__ import annotations

import json
import os
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import obstore
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from iceberg_rest import rest_catalog
from iceberg_tables import StoreLake
from object_stores import content_of, delta_options, keys_in, left_by_delta, store_of
from penstock.cli.app import execute
from penstock.clock import SystemClock
from penstock.connectors.api import Context, Partition, ScanRequest
from penstock.connectors.delta import sink as delta
from penstock.connectors.delta import source as delta_source
from penstock.connectors.iceberg import sink as iceberg
from penstock.connectors.iceberg import source as iceberg_source
from penstock.errors import ConfigError, DataError, PenstockError
from penstock.testing.delivery import pull
from penstock.testing.sinks import deliver, epoch
from penstock.testing.sinks.deliveries import SINK_ID, rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.connectors.api import Sink, Source
    from penstock.registry import Descriptor
    from penstock.testing.servers import ObjectServer

pytestmark = pytest.mark.server


class Store:
    """A table in a bucket, reached by us and by the formats' own libraries."""

    def __init__(self, connection: dict[str, Any], folder: Path) -> None:
        self.connection = connection
        self.folder = folder
        self.driver = store_of(connection)
        bucket = connection.get("bucket") or connection["container"]
        self.at = f"{'az' if connection['type'] == 'azure' else 's3'}://{bucket}/lake/table"
        self.options = delta_options(connection)

    def context(self, reached: Callable[[str], None] = lambda _: None) -> Context:
        scratch = Path(mkdtemp(prefix="scratch-", dir=self.folder))
        return Context("table", self.folder.joinpath, scratch, SystemClock(), reached=reached)

    def make(self, descriptor: Descriptor, reached: Callable[[str], None] = lambda _: None, **given: Any) -> Any:
        if descriptor.name == "delta":
            stated = {"path": "table", "connection": self.connection}
        else:
            stated = {"table": "oil.prices", "connection": self.catalog}
        if descriptor.group == "sinks":
            stated["from"] = "rows"
        params = descriptor.params.model_validate({"type": descriptor.name, **stated, **given})
        return descriptor.make(params, self.context(reached))

    @property
    def catalog(self) -> dict[str, Any]:
        return {"path": "catalog.db", "warehouse": "lake", "store": self.connection}

    def sink(self, reached: Callable[[str], None] = lambda _: None, **given: Any) -> Sink:
        made: Sink = self.make(delta.SINK, reached, **given)
        return made

    def read(self, descriptor: Descriptor = delta_source.SOURCE, **given: Any) -> list[dict[str, Any]]:
        with closing(self.make(descriptor, **given)) as source:
            return rows_of(source)

    def native(self) -> DeltaTable:
        return DeltaTable(self.at, storage_options=self.options)

    def write(self, table: pa.Table, **more: Any) -> None:
        write_deltalake(self.at, table, storage_options=self.options, **more)


def rows_of(source: Source) -> list[dict[str, Any]]:
    part = Partition()
    found = pull(source.scan(ScanRequest(part, None, source.latest(part))))[0].to_pylist()
    return sorted(found, key=lambda row: row["id"])


def plain(*values: int) -> pa.Table:
    return pa.table({"id": pa.array(values, pa.int64()), "name": pa.array([str(value) for value in values])})


@pytest.fixture
def store(s3_server: ObjectServer, s3_bucket: str, tmp_path: Path) -> Store:
    return Store(
        s3_server.connection(s3_bucket, prefix="lake", retries={"attempts": 2, "first_wait": "10ms"}), tmp_path
    )


# ---------------------------------------------------------------- the log


def test_of_a_long_log_only_what_counts_is_fetched(store: Store) -> None:
    store.write(plain(100), configuration={"delta.checkpointInterval": "3"})
    with closing(store.sink()) as sink:
        for number in range(1, 9):
            deliver(sink, epoch(number), rows((number, "a")))
    log = sorted(key.rpartition("/")[2] for key in keys_in(store.driver) if "/_delta_log/" in key)
    assert f"{6:020}.checkpoint.parquet" in log
    assert json.loads(content_of(store.driver, "lake/table/_delta_log/_last_checkpoint"))["version"] == 6
    again = store.sink()
    marker = again.marker(SINK_ID)
    assert marker is not None
    assert (marker.epoch, marker.receipt and marker.receipt.rows) == (8, 1)
    here = sorted(path.name for path in (again._place.root / "_delta_log").iterdir())  # type: ignore[attr-defined]
    assert here == [f"{6:020}.checkpoint.parquet", *(f"{version:020}.json" for version in (6, 7, 8))]
    assert [row["id"] for row in store.read()] == [*range(1, 9), 100]
    assert store.native().version() == 8
    assert store.native().to_pyarrow_table().num_rows == 9


def test_older_versions_are_read_by_number_and_by_time(store: Store) -> None:
    store.write(plain(1), configuration={"delta.checkpointInterval": "2"})
    for number in (2, 3, 4):
        store.write(plain(number), mode="append")
    store.native().create_checkpoint()
    with closing(store.make(delta_source.SOURCE)) as source:
        newest = source.latest(Partition())
        assert pull(source.scan(ScanRequest(Partition(), None, newest)))[0].num_rows == 4
        before = {"v": 1, "version": 1}
        assert pull(source.scan(ScanRequest(Partition(), None, before)))[0].num_rows == 2
        assert sorted(pull(source.scan(ScanRequest(Partition(), before, newest)))[0]["id"].to_pylist()) == [3, 4]
    assert len(store.read(version=0)) == 1
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert len(store.read(timestamp=later)) == 4
    with pytest.raises(ConfigError) as failure:
        store.read(timestamp="2001-01-01")
    assert failure.value.code == "SRC-252"


def test_a_table_that_was_made_anew_is_seen(store: Store) -> None:
    store.write(plain(1))
    with closing(store.make(delta_source.SOURCE)) as source:
        for number in (2, 3):
            store.write(plain(number), mode="append")
        store.native().create_checkpoint()
        assert len(rows_of(source)) == 3
        obstore.delete(store.driver, keys_in(store.driver))
        store.write(plain(7))
        assert [row["id"] for row in rows_of(source)] == [7]


def test_what_another_writer_commits_meanwhile_stays(store: Store) -> None:
    done: list[bool] = []

    def meanwhile(point: str) -> None:
        if point == "delta.placed" and not done:
            done.append(True)
            store.write(plain(7), mode="append")

    store.write(plain(100))
    receipt = deliver(store.sink(meanwhile, mode="merge", keys=["id"]), epoch(1), rows((1, "one"), (100, "new")))
    assert (receipt.inserted, receipt.updated) == (1, 1)
    assert sorted(store.native().to_pyarrow_table()["id"].to_pylist()) == [1, 7, 100]
    assert left_by_delta(store.driver, "lake/table") == []


# ---------------------------------------------------------------- what is refused


def test_a_table_that_only_its_own_library_reads_is_refused(store: Store) -> None:
    table = plain(1).append_column("file_index", pa.array(["x"]))
    store.write(table, partition_by=["file_index"])
    with pytest.raises(ConfigError) as failure:
        store.read()
    assert failure.value.code == "SRC-361"


def test_a_file_that_is_gone_and_one_for_which_there_is_no_room_are_named(store: Store) -> None:
    store.write(plain(1))
    (path,) = (key for key in keys_in(store.driver) if key.endswith(".parquet"))
    with pytest.raises(ConfigError) as failure:
        Store({**store.connection, "cache": 10}, store.folder).read()
    assert failure.value.code == "SRC-145"
    obstore.delete(store.driver, path)
    with pytest.raises(DataError) as gone:
        store.read()
    assert gone.value.code == "SRC-110"
    with closing(store.sink()) as sink:
        assert sink.missing() == f'1 of 1 files of the Delta table "s3://{store.connection["bucket"]}/lake/table"'


def test_a_table_outside_of_its_store_is_refused(store: Store, s3_server: ObjectServer) -> None:
    StoreLake(store.folder, store.connection).create(plain(1).schema)
    s3_server.make_bucket("elsewhere")
    for wrong in ({"bucket": "elsewhere"}, {"prefix": "another"}):
        other = Store({**store.connection, **wrong}, store.folder)
        with pytest.raises(ConfigError) as failure:
            other.read(iceberg_source.SOURCE)
        assert failure.value.code == "SRC-360"
    with pytest.raises(ConfigError) as local:
        store.read(iceberg_source.SOURCE, connection={"path": "catalog.db"})
    assert local.value.code == "SRC-265"


@pytest.mark.parametrize("descriptor", [delta.SINK, iceberg.SINK])
@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"bucket": "nobody-made-it"}, "NET-151"),
        ({"secret_access_key": "another-key"}, "NET-152"),
        ({"session_token": "of-nobody"}, "NET-152"),
        ({"region": "eu-west-1"}, "NET-181"),
        ({"endpoint": "http://127.0.0.1:1", "allow_private": ["127.0.0.1"]}, "NET-156"),
    ],
)
def test_what_is_wrong_with_a_store_is_said_by_the_sink(
    store: Store, descriptor: Descriptor, wrong: dict[str, str], code: str
) -> None:
    other = Store({**store.connection, **wrong}, store.folder)
    with closing(other.make(descriptor)) as sink, pytest.raises(PenstockError) as failure:
        deliver(sink, epoch(1), rows((1, "a")))
    problem = failure.value.problems[0]
    assert problem.code == code, problem.render()
    assert not any(key in problem.render() for key in (store.connection["secret_access_key"], "another-key"))


# ---------------------------------------------------------------- catalogs, and other stores


def test_a_rest_catalog_with_its_tables_in_a_store(store: Store) -> None:
    lake = StoreLake(store.folder, store.connection)
    with rest_catalog(store.folder, **lake.options) as address:
        catalog = {"uri": address, "store": store.connection}
        with closing(store.make(iceberg.SINK, connection=catalog, mode="merge", keys=["id"])) as sink:
            deliver(sink, epoch(1), rows((1, "one"), (2, "two")))
            receipt = deliver(sink, epoch(2), rows((2, "zwei"), (3, None)))
        assert (receipt.inserted, receipt.updated) == (1, 1)
        found = store.read(iceberg_source.SOURCE, connection=catalog)
    assert [row["name"] for row in found] == ["one", "zwei", None]
    assert not [key for key in keys_in(store.driver) if "/_penstock/" in key]


def test_tables_in_azure(azure_server: ObjectServer, azure_container: str, tmp_path: Path) -> None:
    """Those of Iceberg read back by us: pyiceberg's own ways to Azure are not installed."""
    store = Store(azure_server.connection(azure_container, prefix="lake"), tmp_path)
    for sink in (delta.SINK, iceberg.SINK):
        with closing(store.make(sink, mode="merge", keys=["id"])) as made:
            deliver(made, epoch(1), rows((1, "one"), (2, "two")))
            assert deliver(made, epoch(2), rows((2, "zwei"), (3, None))).updated == 1
    expected = [{"id": 1, "name": "one"}, {"id": 2, "name": "zwei"}, {"id": 3, "name": None}]
    assert store.read() == store.read(iceberg_source.SOURCE) == expected
    assert sorted(store.native().to_pyarrow_table()["id"].to_pylist()) == [1, 2, 3]
    assert not [key for key in keys_in(store.driver) if "_penstock" in key]
    account = store.connection["account"]
    with closing(store.make(iceberg_source.SOURCE)) as source:
        source.describe()
        location = source._open.handle.metadata.location
    assert location == f"abfss://{azure_container}@{account}.dfs.core.windows.net/lake/lake/oil/prices"


# ---------------------------------------------------------------- as a user


def test_a_pipeline_between_stores_shows_no_secret(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PENSTOCK_SECRET_LAKE_KEY", store.connection["secret_access_key"])
    settings = {**store.connection, "secret_access_key": "${secret.LAKE_KEY}"}
    catalog = {"path": "catalog.db", "warehouse": "lake", "store": settings}
    (tmp_path / "penstock.yml").write_text(
        json.dumps({"project": "p", "connections": {"lake": settings, "catalog": {"type": "iceberg", **catalog}}})
    )
    (tmp_path / "rows.csv").write_text("id,name\n1,one\n2,two\n")
    (tmp_path / "load.yml").write_text(
        "pipeline: load\nsources: {rows: {type: csv, path: rows.csv}}\nsinks:\n"
        "  one: {from: rows, type: delta, connection: lake, path: table, mode: append}\n"
        "  two: {from: rows, type: iceberg, connection: catalog, table: oil.prices, mode: append}\n"
    )
    (tmp_path / "copy.yml").write_text(
        "pipeline: copy\nsources:\n  one: {type: delta, connection: lake, path: table}\n"
        "  two: {type: iceberg, connection: catalog, table: oil.prices}\n"
        "transforms: {both: {sql: select * from one union all select * from two}}\n"
        "sinks: {out: {from: both, type: csv, path: out.csv, mode: overwrite}}\n"
    )
    before = dict(os.environ)
    monkeypatch.chdir(tmp_path)
    shown = {}
    for command in ("validate load.yml", "plan load.yml", "run load.yml", "validate copy.yml", "run copy.yml"):
        code = execute(command.split())
        said = capsys.readouterr()
        shown[command] = said.out + said.err
        assert code == 0, (command, shown[command])
        assert store.connection["secret_access_key"] not in shown[command]
    assert f"s3://{store.connection['bucket']}/lake/table" in shown["plan load.yml"]
    assert dict(os.environ) == before
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 5
