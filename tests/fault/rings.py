"""One sink of every system, appending (one file: overwriting), for writers that are killed and frozen over it, and what a
reader with the system's own client finds there.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any

import duckdb
from pyarrow import parquet

from object_stores import content_of, keys_in, store_of
from penstock import registry
from penstock.clock import SystemClock
from penstock.connectors.api import Context

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penstock.connectors.api import Sink
    from penstock.testing.servers import MariadbServer, ObjectServer, PostgresServer

SINKS = ("files", "one_file", "sqlite", "duckdb", "postgres", "mariadb", "delta", "iceberg", "s3")
SERVED = ("postgres", "mariadb", "mysql", "s3")
_WAIT = {"lock_wait": "2 s"}
_LOCAL: dict[str, tuple[str, dict[str, Any]]] = {
    "files": ("parquet", {"path": "out"}),
    "one_file": ("parquet", {"path": "out.parquet", "mode": "overwrite"}),
    "sqlite": ("sqlite", {"path": "out.db", "table": "rows", **_WAIT}),
    "duckdb": ("duckdb", {"path": "out.duckdb", "table": "rows", **_WAIT}),
    "delta": ("delta", {"path": "out"}),
    "iceberg": ("iceberg", {"connection": {"path": "catalog.db", "warehouse": "lake"}, "table": "oil.rows"}),
}


@dataclass(frozen=True)
class Ring:
    """A sink that processes may make for themselves; travels to them. ``stated`` is what a document would say of it."""

    name: str
    folder: Path
    type: str
    stated: dict[str, Any]
    server: str = ""  # of a database: as the rows are asked for
    database: str = ""

    def __call__(self, reached: Callable[[str], None]) -> Sink:
        descriptor = registry.find("sinks", self.type)
        assert descriptor is not None
        params = descriptor.params.model_validate({"type": self.type, "from": "rows", **self.stated})
        scratch = self.folder / f"scratch-{os.getpid()}"
        scratch.mkdir(exist_ok=True)
        sink: Sink = descriptor.make(
            params, Context("out", self.folder.joinpath, scratch, SystemClock(), reached=reached)
        )
        return sink

    @property
    def overwrites(self) -> bool:
        return self.stated.get("mode") == "overwrite"


@dataclass(frozen=True)
class Reading:
    """Reads the ids in a ring; ``sql`` asks a server's own client."""

    ring: Ring
    sql: Callable[[str], str] = field(default=lambda _: "")

    def ids(self) -> Counter[int]:
        ring = self.ring
        match ring.name:
            case "files":
                return _of_parquet([str(path) for path in (ring.folder / "out").glob("*.parquet")])
            case "one_file":
                return _of_parquet([str(path) for path in ring.folder.glob("out.parquet")])
            case "sqlite":
                with closing(sqlite3.connect(ring.folder / "out.db")) as connection:
                    return Counter(row[0] for row in connection.execute("SELECT id FROM rows"))
            case "duckdb":
                with closing(duckdb.connect(ring.folder / "out.duckdb", read_only=True)) as database:
                    return Counter(row[0] for row in database.execute("SELECT id FROM rows").fetchall())
            case "delta":
                from deltalake import DeltaTable

                return Counter(DeltaTable(str(ring.folder / "out")).to_pyarrow_table()["id"].to_pylist())
            case "iceberg":
                from pyiceberg.catalog.sql import SqlCatalog

                with closing(SqlCatalog("default", uri=f"sqlite:///{ring.folder}/catalog.db")) as catalog:
                    return Counter(catalog.load_table("oil.rows").scan().to_arrow()["id"].to_pylist())
            case "s3":
                store = store_of(ring.stated["connection"])
                keys = [key for key in keys_in(store) if key.startswith("out/") and key.endswith(".parquet")]
                parts = (parquet.read_table(BytesIO(content_of(store, key)))["id"].to_pylist() for key in keys)
                return Counter(number for part in parts for number in part)
            case _:
                return Counter(int(line) for line in self.sql("SELECT id FROM rows_").split())


def _of_parquet(paths: list[str]) -> Counter[int]:
    found: Counter[int] = Counter()
    for path in paths:
        found.update(parquet.ParquetFile(path).read(columns=["id"])["id"].to_pylist())
    return found


def local(name: str, folder: Path) -> Reading:
    folder.mkdir(parents=True)
    kind, stated = _LOCAL[name]
    return Reading(Ring(name, folder, kind, stated))


def of_database(name: str, folder: Path, server: PostgresServer | MariadbServer, database: str) -> Reading:
    folder.mkdir(parents=True)
    stated = {"connection": server.url(database), "table": "rows_"}
    kind = "mariadb" if name == "mysql" else name
    return Reading(Ring(name, folder, kind, stated), lambda text: server.sql(text, database=database))


def of_store(folder: Path, server: ObjectServer, bucket: str) -> Reading:
    folder.mkdir(parents=True)
    connection = json.loads(json.dumps(server.connection(bucket)))
    return Reading(Ring("s3", folder, "parquet", {"connection": connection, "path": "out"}))
