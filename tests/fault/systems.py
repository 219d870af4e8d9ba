"""The pipeline of epochs.py over each system, and each system read by its own client."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
from epochs import BAD, ROWS, System
from pyarrow import parquet

from object_stores import content_of, keys_in, store_of
from penstock.connectors.delta import sink as delta
from penstock.connectors.duckdb import sink as duckdb_sink
from penstock.connectors.files import sink as files
from penstock.connectors.iceberg import sink as iceberg
from penstock.connectors.mariadb import sink as mariadb_sink
from penstock.connectors.postgres import sink as postgres_sink
from penstock.connectors.sqlite import sink as sqlite
from penstock.structs import replace

if TYPE_CHECKING:
    from penstock.testing.servers import MariadbServer, ObjectServer, PostgresServer

Table = list[tuple[Any, ...]]
Reader = Callable[[Path, str], Table]
GOOD = [number for number in range(ROWS - BAD) if number % 3]


def check(folder: Path, read: Reader, *, epochs: int) -> None:
    """The sinks hold what so many loads of the file make."""
    rows = [(number, "abc"[number % 3], Decimal(number) + Decimal("0.25")) for number in GOOD]
    assert read(folder, "appended") == sorted(rows * epochs)
    assert read(folder, "merged") == sorted(rows)
    parts = sorted({part for _, part, _ in rows})
    totals = [
        (
            part,
            epochs * len([row for row in rows if row[1] == part]),
            epochs * sum(row[2] for row in rows if row[1] == part),
        )
        for part in parts
    ]
    assert read(folder, "summed") == totals


def sealed(folder: Path) -> int:
    """How many epochs the ledger has sealed."""
    if not (folder / ".penstock" / "ledger.db").exists():
        return 0
    with sqlite3.connect(folder / ".penstock" / "ledger.db") as connection:
        tables = connection.execute("select count(*) from sqlite_master where name = 'epochs'").fetchone()
        if not tables[0]:
            return 0
        (count,) = connection.execute("select count(distinct number) from epochs where status = 'sealed'").fetchone()
    connection.close()
    return int(count)


# ---------------------------------------------------------------- systems


def plain(rows: list[tuple[Any, ...]]) -> Table:
    return sorted(tuple(Decimal(str(value)) if place > 1 else value for place, value in enumerate(row)) for row in rows)


def read_files(folder: Path, name: str) -> Table:
    path = folder / "out" / name
    files = [str(path.with_suffix(".parquet"))] if not path.is_dir() else [str(part) for part in path.glob("*.parquet")]
    return plain(duckdb.connect().execute("select * from read_parquet(?)", [files]).fetchall())


def read_sqlite(folder: Path, name: str) -> Table:
    connection = sqlite3.connect(folder / "out.db")
    try:
        return plain(connection.execute(f'select * from "{name}"').fetchall())
    finally:
        connection.close()


def read_duckdb(folder: Path, name: str) -> Table:
    with duckdb.connect(folder / "out.duckdb", read_only=True) as connection:
        return plain(connection.execute(f'select * from "{name}"').fetchall())


def read_delta(folder: Path, name: str) -> Table:
    from deltalake import DeltaTable

    table = DeltaTable(str(folder / "out" / name)).to_pyarrow_table()
    return plain([tuple(row.values()) for row in table.to_pylist()])


def read_iceberg(folder: Path, name: str) -> Table:
    from pyiceberg.catalog.sql import SqlCatalog

    with closing(SqlCatalog("default", uri=f"sqlite:///{folder}/out/catalog.db")) as catalog:
        table = catalog.load_table(f"oil.{name}").scan().to_arrow()
    return plain([tuple(row.values()) for row in table.to_pylist()])


FILES = System(
    "files",
    "{from: even, type: parquet, path: out/appended, mode: append}",
    "{from: even, type: parquet, path: out/merged, mode: overwrite}",
    "{from: summary, type: parquet, path: out/summed.parquet, mode: overwrite}",
    frozenset(files.CRASH_POINTS) - {"files.snapshot_written"},  # after 64 commits: test_file_commit_crashes.py
)
SQLITE = System(
    "sqlite",
    "{from: even, type: sqlite, path: out.db, table: appended, mode: append}",
    "{from: even, type: sqlite, path: out.db, table: merged, mode: merge, keys: [k]}",
    "{from: summary, type: sqlite, path: out.db, table: summed, mode: overwrite}",
    frozenset(sqlite.CRASH_POINTS),
)
DUCKDB = System(
    "duckdb",
    "{from: even, type: duckdb, path: out.duckdb, table: appended, mode: append}",
    "{from: even, type: duckdb, path: out.duckdb, table: merged, mode: merge, keys: [k]}",
    "{from: summary, type: duckdb, path: out.duckdb, table: summed, mode: overwrite}",
    frozenset(duckdb_sink.CRASH_POINTS),
)
DELTA = System(
    "delta",
    "{from: even, type: delta, path: out/appended, mode: append}",
    "{from: even, type: delta, path: out/merged, mode: merge, keys: [k]}",
    "{from: summary, type: delta, path: out/summed, mode: overwrite}",
    frozenset(delta.CRASH_POINTS) - {"delta.evolved"},  # where the columns change: test_delta_faults.py
)


ICEBERG = System(
    "iceberg",
    "{from: even, type: iceberg, connection: {path: out/catalog.db, warehouse: out}, table: oil.appended}",
    "{from: even, type: iceberg, connection: {path: out/catalog.db, warehouse: out}, table: oil.merged, mode: merge, keys: [k]}",
    "{from: summary, type: iceberg, connection: {path: out/catalog.db, warehouse: out}, table: oil.summed, mode: overwrite}",
    frozenset(iceberg.CRASH_POINTS),
)


def postgres(server: PostgresServer, database: str) -> System:
    sink = f'type: postgres, connection: "{server.url(database)}"'
    return System(
        "postgres",
        f"{{from: even, {sink}, table: appended_$PLACE, mode: append}}",
        f"{{from: even, {sink}, table: merged_$PLACE, mode: merge, keys: [k]}}",
        f"{{from: summary, {sink}, table: summed_$PLACE, mode: overwrite}}",
        frozenset(postgres_sink.CRASH_POINTS),
    )


def postgres_reader(server: PostgresServer, database: str) -> Reader:
    def read(folder: Path, name: str) -> Table:
        lines = server.sql(f"select * from {name}_{folder.name}", database=database).splitlines()
        return _typed([line.split("|") for line in lines if line], name)

    return read


def mariadb(server: MariadbServer, database: str) -> System:
    sink = f'type: mariadb, connection: "{server.url(database)}"'
    return System(
        "mariadb",
        f"{{from: even, {sink}, table: appended_$PLACE, mode: append}}",
        f"{{from: even, {sink}, table: merged_$PLACE, mode: merge, keys: [k]}}",
        f"{{from: summary, {sink}, table: summed_$PLACE, mode: overwrite}}",
        frozenset(mariadb_sink.CRASH_POINTS),
    )


def mysql(server: MariadbServer, database: str) -> System:
    return replace(mariadb(server, database), name="mysql")


def mariadb_reader(server: MariadbServer, database: str) -> Reader:
    def read(folder: Path, name: str) -> Table:
        lines = server.sql(f"select * from `{name}_{folder.name}`", database=database).splitlines()
        return _typed([line.split("\t") for line in lines if line], name)

    return read


def s3(server: ObjectServer, bucket: str) -> System:
    sink = f"type: parquet, connection: {json.dumps(server.connection(bucket))}"
    return System(
        "s3",
        f"{{from: even, {sink}, path: $PLACE/appended, mode: append}}",
        f"{{from: even, {sink}, path: $PLACE/merged, mode: overwrite}}",
        f"{{from: summary, {sink}, path: $PLACE/summed.parquet, mode: overwrite}}",
        FILES.points,
    )


def s3_reader(server: ObjectServer, bucket: str) -> Reader:
    """As somebody reads who lists the folder: what the sinks keep for themselves has other names."""
    store = store_of(server.connection(bucket))

    def read(folder: Path, name: str) -> Table:
        keys = [key for key in keys_in(store) if key.startswith(f"{folder.name}/{name}") and key.endswith(".parquet")]
        parts = [parquet.read_table(BytesIO(content_of(store, key))).to_pylist() for key in keys]
        return plain([tuple(row.values()) for part in parts for row in part])

    return read


def _typed(rows: list[list[str]], name: str) -> Table:
    kinds = (str, int, Decimal) if name == "summed" else (int, str, Decimal, Decimal)
    return plain([tuple(kind(value) for kind, value in zip(kinds, row, strict=False)) for row in rows])
