"""Whole runs over files in an object store: what is new, what changed, what is too much, and what is wrong with a store."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import duckdb
import obstore
import pyarrow as pa
import pytest
from pyarrow import parquet

from object_stores import store_of
from penstock.clock import SystemClock
from penstock.connectors.api import Context, Files, Partition, ScanRequest
from penstock.connectors.files import csv_source, parquet_source
from penstock.document.assembly import Settings
from penstock.errors import ConfigError, DataError, FatalError, PenstockError, TransientError
from penstock.events import Events
from penstock.faults.points import Faults
from penstock.ledger.api import RunStatus
from penstock.service.request import Request
from penstock.service.running import RunResult, run

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.testing.servers import ObjectServer

pytestmark = pytest.mark.server
HASTY = {"retries": {"attempts": 2, "first_wait": "1 ms", "longest_wait": "1 ms"}}


@pytest.fixture
def connection(s3_server: ObjectServer, s3_bucket: str) -> dict[str, Any]:
    return s3_server.connection(s3_bucket, **HASTY)


def source(connection: dict[str, Any], path: str, folder: Path, kind: Any = csv_source) -> Any:
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    params = kind.SOURCE.params.model_validate({"type": kind.SOURCE.name, "path": path, "connection": connection})
    return kind.SOURCE.make(params, Context("rows", folder.joinpath, scratch, SystemClock()))


def scanned(made: Any) -> Files:
    made.describe()
    return made.scan(ScanRequest(Partition(), None, made.latest(Partition())))


def completed(file: Path) -> RunResult:
    result = run(Request(file, Settings({}), SystemClock(), Faults().reached, False), Events(level="error"), Faults())
    assert result.status is RunStatus.DONE, "\n".join(problem.render() for problem in result.problems)
    return result


def project(folder: Path, connection: dict[str, Any], source_text: str) -> Path:
    (folder / "penstock.yml").write_text(
        f"project: p\nconnections: {{lake: {json.dumps(connection)}}}\n", encoding="utf-8"
    )
    file = folder / "objects.yml"
    file.write_text(
        f"pipeline: objects\nsources: {{rows: {{connection: lake, {source_text}}}}}\n"
        "sinks: {kept: {from: rows, type: csv, path: out/kept, mode: append}}\n",
        encoding="utf-8",
    )
    return file


def held(folder: Path) -> list[Any]:
    return [row[0] for row in duckdb.sql(f"select k from '{folder}/out/kept/*.csv' order by k").fetchall()]


def test_each_object_is_read_once_and_again_when_its_content_is_another(
    connection: dict[str, Any], tmp_path: Path
) -> None:
    store = store_of(connection)
    file = project(tmp_path, connection, "type: csv, path: in/**/rows-*.csv, incremental: files")
    obstore.put(store, "in/rows-1.csv", b"k\n1\n2\n")
    obstore.put(store, "in/deep/rows-2.csv", gzip.compress(b"k\n3\n"))
    obstore.put(store, "in/other.csv", b"nothing to do with it")
    assert completed(file).rejected == 0
    assert held(tmp_path) == [1, 2, 3]
    obstore.put(store, "in/deep/er/rows-3.csv", b"k\n4\nx\n")
    assert completed(file).rejected == 1
    obstore.put(store, "in/rows-1.csv", b"k\n5\n6\n")
    completed(file)
    assert held(tmp_path) == [1, 2, 3, 4, 5, 6]


def test_an_object_that_changes_after_planning_fails_the_epoch(connection: dict[str, Any], tmp_path: Path) -> None:
    store = store_of(connection)
    obstore.put(store, "rows.csv", b"k\n1\n")
    made = source(connection, "rows.csv", tmp_path)
    made.describe()
    planned = made.latest(Partition())
    obstore.put(store, "rows.csv", b"k\n2\n")
    with pytest.raises(DataError) as failure:
        made.scan(ScanRequest(Partition(), None, planned))
    assert failure.value.code == "SRC-110"


@pytest.mark.parametrize("act", ["put", "delete"])
def test_an_object_that_changes_while_it_is_copied_fails_the_epoch(
    act: str, connection: dict[str, Any], tmp_path: Path
) -> None:
    store = store_of(connection)
    obstore.put(store, "rows.csv", b"k\n1\n")
    made = source(connection, "rows.csv", tmp_path)
    found = made._listing.files()
    obstore.put(store, "rows.csv", b"k\n2\n") if act == "put" else obstore.delete(store, ["rows.csv"])
    with pytest.raises(DataError) as failure:
        made._listing.fetch(found)
    assert failure.value.code == "SRC-110"
    assert "rows.csv" in failure.value.problems[0].message


def test_rejects_name_the_object(connection: dict[str, Any], tmp_path: Path) -> None:
    obstore.put(store_of(connection), "in/rows.csv", b"k\n1\n")
    rows = scanned(source(connection, "in/rows.csv", tmp_path))
    assert [rows.origin(path).name for path in rows.paths] == [f"s3://{connection['bucket']}/in/rows.csv"]


def test_of_large_objects_the_ends_alone_are_looked_at(connection: dict[str, Any], tmp_path: Path) -> None:
    """Their columns are known before they are copied; a footer may be longer than the end that is read at first."""
    store = store_of(connection)
    names = [f"{'long' * 250}{number}" for number in range(200)]
    noise = pa.table({name: pa.array([str(number) * 200 for number in range(20)]) for name in names})
    parquet.write_table(noise, tmp_path / "wide.parquet", compression="none", use_dictionary=False)
    obstore.put(store, "wide.parquet", tmp_path / "wide.parquet")
    made = source(connection, "*.parquet", tmp_path, parquet_source)
    assert list(made.describe().names) == names
    (copy,) = (tmp_path / "scratch" / "objects").rglob("*.parquet")
    assert copy.stat().st_blocks * 512 < copy.stat().st_size
    rows = scanned(made)
    assert duckdb.sql(f"select count(*) from '{rows.paths[0]}'").fetchall() == [(20,)]
    made.close()
    assert not list((tmp_path / "scratch").rglob("*.parquet"))


def test_an_object_in_many_pieces_comes_whole(connection: dict[str, Any], tmp_path: Path) -> None:
    content = b"k\n" + b"".join(b"%d\n" % number for number in range(3_000_000))
    obstore.put(store_of(connection), "rows.csv", content)
    rows = scanned(source(connection, "rows.csv", tmp_path))
    with open(rows.paths[0], "rb") as copy:  # noqa: PTH123 -- a path of the engine's
        assert copy.read() == content


def test_copies_take_no_more_room_than_the_connection_allows(connection: dict[str, Any], tmp_path: Path) -> None:
    store = store_of(connection)
    for number in range(3):
        obstore.put(store, f"rows-{number}.csv", b"k\n" + b"1\n" * 500)
    with pytest.raises(ConfigError) as failure:
        scanned(source({**connection, "cache": "2 KiB"}, "rows-*.csv", tmp_path))
    assert failure.value.code == "SRC-145"
    made = source({**connection, "cache": "2100 B"}, "rows-*.csv", tmp_path)
    made.describe()
    copies = made._listing.copies
    for file in made._listing.files() * 2:
        made._listing.fetch([file])
        assert file.path.read_bytes().count(b"\n") == 501
        assert sum(path.stat().st_size for path in (tmp_path / "scratch").rglob("*.csv")) <= 2100
    copies.remove()


def test_a_copy_that_cannot_be_written_is_named(connection: dict[str, Any], tmp_path: Path) -> None:
    obstore.put(store_of(connection), "rows.csv", b"k\n1\n")
    made = source(connection, "rows.csv", tmp_path)
    (tmp_path / "scratch" / "objects").touch()
    with pytest.raises(FatalError) as failure:
        made.describe()
    assert failure.value.code == "SRC-146"


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_load_larger_than_its_copies_may_be_is_cut_into_epochs(
    kind: str, connection: dict[str, Any], tmp_path: Path
) -> None:
    store = store_of(connection)
    for number in range(6):
        rows = f"select range as k from range({number * 500}, {number * 500 + 500})"
        duckdb.sql(f"copy ({rows}) to '{tmp_path}/rows.{kind}'")
        obstore.put(store, f"rows-{number}.{kind}", tmp_path / f"rows.{kind}")
    size = (tmp_path / f"rows.{kind}").stat().st_size
    small = {**connection, "cache": size * 3}
    file = project(tmp_path, small, f"type: {kind}, path: 'rows-*.{kind}'")
    file.write_text(file.read_text(encoding="utf-8") + "run: {epoch: {rows: 700}}\n", encoding="utf-8")
    assert len(completed(file).epochs) >= 3
    assert held(tmp_path) == list(range(3000))


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"bucket": "nobody-made-it"}, "NET-151"),
        ({"access_key_id": "unknown"}, "NET-152"),
        ({"secret_access_key": "another-key"}, "NET-152"),
        ({"endpoint": "http://127.0.0.1:1", "allow_private": ["127.0.0.1"]}, "NET-156"),
        ({"allow_private": []}, "NET-103"),
        ({"anonymous": True, "access_key_id": None, "secret_access_key": None}, "NET-154"),
    ],
)
def test_what_is_wrong_with_a_store_is_said(
    wrong: dict[str, Any], code: str, connection: dict[str, Any], tmp_path: Path
) -> None:
    for path in ("rows.csv", "rows-*.csv"):
        with pytest.raises(PenstockError) as failure:
            source({**connection, **wrong}, path, tmp_path).describe()
        problem = failure.value.problems[0]
        assert problem.code == code, problem.render()
        assert all(
            key not in problem.render() for key in (connection["secret_access_key"], "another-key", "Signature=")
        )


def test_nothing_of_the_environment_reaches_a_store(
    connection: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    obstore.put(store_of(connection), "rows.csv", b"k\n1\n")
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
        "AWS_SESSION_TOKEN": "of somebody else",
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_REGION": "elsewhere",
    }.items():
        monkeypatch.setenv(name, value)
    assert source(connection, "rows.csv", tmp_path).describe().names == ("k",)
    with pytest.raises(ConfigError) as failure:
        source({**connection, "session_token": "mine"}, "rows.csv", tmp_path).describe()
    assert failure.value.code in {"NET-152", "NET-154", "NET-155"}


def test_a_store_that_is_away_for_a_moment_is_asked_again(
    s3_server: ObjectServer, connection: dict[str, Any], tmp_path: Path
) -> None:
    obstore.put(store_of(connection), "rows.csv", b"k\n1\n")
    made = source(connection, "rows.csv", tmp_path)

    class Returning(SystemClock):
        def sleep(self, _seconds: float) -> None:
            if not s3_server.running:
                s3_server.start()

    made._listing.bucket._ward._clock = Returning()
    s3_server.stop()
    try:
        assert made.describe().names == ("k",)
        s3_server.stop()
        made._listing.bucket._ward._clock = SystemClock()
        with pytest.raises(TransientError) as failure:
            made.latest(Partition())
        assert "tried 2 times" in str(failure.value.problems[0].detail)
    finally:
        s3_server.start()


def test_paths_stay_below_the_prefix(connection: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as failure:
        source({**connection, "prefix": "mine"}, "../rows.csv", tmp_path).describe()
    assert failure.value.code == "DOC-231"


def test_a_connection_of_another_kind_is_refused(connection: dict[str, Any], tmp_path: Path) -> None:
    file = project(tmp_path, connection, "type: sqlite, path: in.db, table: t")
    with pytest.raises(ConfigError) as failure:
        completed(file)
    assert failure.value.code in {"DOC-201", "DOC-209"}
    file = project(tmp_path, {"type": "rest", "base_url": "http://a.example"}, "type: csv, path: rows.csv")
    with pytest.raises(ConfigError) as failure:
        completed(file)
    assert failure.value.code == "DOC-209"
    assert failure.value.problems[0].detail == "csv takes connections of the types s3, gcs, azure, hdfs."
