"""Every database that a connector opens for itself keeps within the run's limits and is closed to the outside."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest
import xlsxwriter
from sqlglot import parse_one

from penstock.connectors.api import Allowance, Context, Partition, ScanRequest
from penstock.connectors.database import open_database
from penstock.registry import find
from penstock.testing import native
from penstock.testing.clock import FakeClock
from penstock.testing.delivery import pull
from penstock.testing.sinks.deliveries import deliver, epoch
from penstock.types.arrow import from_arrow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

MIB = 2**20
ASKED = (
    "memory_limit",
    "threads",
    "temp_directory",
    "max_temp_directory_size",
    "TimeZone",
    "allowed_directories",
    "enable_external_access",
    "autoinstall_known_extensions",
    "autoload_known_extensions",
    "lock_configuration",
)

ROWS = pa.table({"id": pa.array([1, 2]), "part": ["a", "b"], "at": pa.array([1, None], pa.timestamp("us"))})


class Watched:
    """A connection that tells what it was set to when it is closed."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, told: list[dict[str, Any]]) -> None:
        self._connection = connection
        self._told = told

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def close(self) -> None:
        rows = self._connection.execute("SELECT name, value FROM duckdb_settings()").fetchall()
        self._told.append({name: value for name, value in rows if name in ASKED})
        self._connection.close()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The settings of each database that was closed since."""
    told: list[dict[str, Any]] = []
    connect = duckdb.connect
    monkeypatch.setattr(duckdb, "connect", lambda *given, **named: Watched(connect(*given, **named), told))
    return told


@pytest.fixture
def context(tmp_path: Path) -> Context:
    for name in ("scratch", "spill"):
        (tmp_path / name).mkdir()
    allowance = Allowance(512 * MIB, threads=2, spill=tmp_path / "spill", spill_bytes=64 * MIB)
    return Context("c", tmp_path.joinpath, tmp_path / "scratch", FakeClock(), allowance=allowance)


def made(group: str, context: Context, **given: Any) -> Any:
    descriptor = find(group, given["type"])
    assert descriptor is not None
    return descriptor.make(descriptor.params.model_validate(given), context)


def read(source: Any, predicate: str | None = None) -> pa.Table:
    tree = parse_one(predicate, dialect="duckdb") if predicate else None
    return pull(source.scan(ScanRequest(Partition(), None, source.latest(Partition()), predicate=tree)))[0]


def csv_inference(folder: Path, context: Context) -> None:
    (folder / "x.csv").write_text("id,day\n1,2024-01-31\n")
    assert made("sources", context, type="csv", path="x.csv").describe().names == ("id", "day")


def json_inference(folder: Path, context: Context) -> None:
    (folder / "x.ndjson").write_text('{"id": 1}\n')
    assert made("sources", context, type="json", path="x.ndjson").describe().names == ("id",)


def excel_source(folder: Path, context: Context) -> None:
    with xlsxwriter.Workbook(folder / "x.xlsx") as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["id"])
        sheet.write_row(1, 0, [1.5])
    assert read(made("sources", context, type="excel", path="x.xlsx")).to_pylist() == [{"id": 1.5}]


def excel_sink(_: Path, context: Context) -> None:
    deliver(made("sinks", context, **{"type": "excel", "from": "x", "path": "out"}), epoch(1), ROWS)


def uncounted_files(_: Path, context: Context) -> None:
    sink = made("sinks", context, **{"type": "csv", "from": "x", "path": "out"})
    sink.prepare(from_arrow(ROWS.schema))
    writer = sink.writer(epoch(1), from_arrow(ROWS.schema))
    target = writer.target()
    native.copy(ROWS, str(target.folder / f"a.{target.extension}"), target.format)
    assert writer.stage().rows == 2


def avro_table(_: Path, context: Context) -> None:
    sink = made("sinks", context, **{"type": "avro", "from": "x", "path": "out", "partition_by": ["part"]})
    deliver(sink, epoch(1), ROWS)
    assert read(sink.table()).num_rows == 2


def sqlite_sink(_: Path, context: Context) -> None:
    deliver(made("sinks", context, **{"type": "sqlite", "from": "x", "path": "x.db", "table": "t"}), epoch(1), ROWS)


def delta_merge(_: Path, context: Context) -> None:
    given = {"type": "delta", "from": "x", "path": "lake", "mode": "merge", "keys": ["id"]}
    for number in (1, 2):
        deliver(made("sinks", context, **given), epoch(number), ROWS)


def delta_pruning(_: Path, context: Context) -> None:
    deliver(
        made("sinks", context, **{"type": "delta", "from": "x", "path": "lake", "partition_by": ["part"]}),
        epoch(1),
        ROWS,
    )
    source = made("sources", context, type="delta", path="lake")
    assert source.takes(parse_one("part = 'a'"))
    assert read(source, "part = 'a'").to_pylist() == ROWS.slice(0, 1).to_pylist()


def iceberg_merge(_: Path, context: Context) -> None:
    place = {"connection": {"path": "catalog.db", "warehouse": "lake"}, "table": "a.b"}
    given = {"type": "iceberg", "from": "x", **place, "mode": "merge", "keys": ["id"]}
    for number in (1, 2):
        with closing(made("sinks", context, **given)) as sink:
            deliver(sink, epoch(number), ROWS)


def rest_sink(_: Path, context: Context) -> None:
    given = {"type": "rest", "from": "x", "connection": {"base_url": "https://example.com"}, "path": "/x"}
    with closing(made("sinks", context, **given)) as sink:
        writer = sink.writer(epoch(1), from_arrow(ROWS.schema))
        writer.write(ROWS.to_batches()[0])
        assert writer.stage().rows == 2


@pytest.mark.parametrize(
    "use",
    [
        csv_inference,
        json_inference,
        excel_source,
        excel_sink,
        uncounted_files,
        avro_table,
        sqlite_sink,
        delta_merge,
        delta_pruning,
        iceberg_merge,
        rest_sink,
    ],
)
def test_a_connectors_own_database_keeps_within_the_runs_limits(
    use: Callable[[Path, Context], None], tmp_path: Path, context: Context, opened: list[dict[str, Any]]
) -> None:
    use(tmp_path, context)

    ours = [told for told in opened if told["temp_directory"].startswith(str(tmp_path / "spill"))]
    assert ours
    for told in ours:
        assert told["memory_limit"] == "128.0 MiB"
        assert told["max_temp_directory_size"] == "64.0 MiB"
        assert int(told["threads"]) <= 2
        assert told["TimeZone"] == "UTC"
        assert (told["enable_external_access"], told["lock_configuration"]) == ("false", "true")
        assert (told["autoinstall_known_extensions"], told["autoload_known_extensions"]) == ("false", "false")
    assert list((tmp_path / "spill").iterdir()) == []


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "secret.csv"
    path.write_text("a\n1\n")
    return path


def test_what_lies_outside_its_folders_is_not_read(tmp_path: Path, outside: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "x.csv").write_text("a\n2\n")
    with closing(open_database(Allowance(), folders=[inside])) as database:
        assert database.execute("SELECT a FROM read_csv(?)", [str(inside / "x.csv")]).fetchall() == [(2,)]
        for path in (outside, inside / ".." / "secret.csv"):
            with pytest.raises(duckdb.PermissionException):
                database.execute("SELECT a FROM read_csv(?)", [str(path)])
        with pytest.raises(duckdb.InvalidInputException):
            database.execute("SET enable_external_access = true")


def test_what_memory_cannot_hold_is_spilled_within_its_bound(tmp_path: Path) -> None:
    query = "SELECT count(*) FROM (SELECT i, md5(i::VARCHAR) AS text FROM range(3_000_000) t(i) ORDER BY text)"
    sorted_rows = "CREATE TABLE kept AS SELECT md5(i::VARCHAR) AS text FROM range(3_000_000) t(i) ORDER BY text"
    with closing(open_database(Allowance(256 * MIB, threads=1, spill=tmp_path))) as database:
        database.execute(sorted_rows)
        assert list(tmp_path.rglob("*.tmp"))
        assert database.execute(query).fetchall() == [(3_000_000,)]
    assert list(tmp_path.iterdir()) == []
    with (
        closing(open_database(Allowance(256 * MIB, threads=1, spill=tmp_path, spill_bytes=MIB))) as database,
        pytest.raises(duckdb.OutOfMemoryException),
    ):
        database.execute(sorted_rows)


@pytest.mark.parametrize(
    "opened",
    [
        "from penstock.connectors.database import open_database; made = open_database(Allowance(2**28, 1))",
        "from penstock.engines.duckdb.careful import Workspace; made = Workspace(Path('.'), 1, 2**28).connect(1)",
    ],
)
def test_no_progress_bar_goes_to_stdout(opened: str, tmp_path: Path) -> None:
    """DuckDB takes ``python -c`` and notebooks for somebody at a terminal."""
    program = (
        "from pathlib import Path\n"
        "from penstock.connectors.api import Allowance\n"
        f"{opened}\n"
        "print(*made.execute(\"select current_setting('enable_progress_bar')\").fetchone())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "False\n"
