"""Where the sinks of a tortured pipeline write on servers: beside the real target, and nothing of it is left."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from object_stores import keys_in, store_of
from penstock import registry
from penstock.clock import SystemClock
from penstock.connectors.api import Context
from penstock.document.assembly import Settings
from penstock.errors import ConfigError
from penstock.service.request import Request
from penstock.service.torturing import Bounds, torture
from penstock.testing.sinks import deliver, epoch, rows
from penstock.testing.sinks.deliveries import read_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penstock.connectors.api import Sink
    from penstock.testing.servers import MariadbServer, ObjectServer, PostgresServer

NAME = "penstock_torture_abc_1_2"
REAL, TRIED = rows((1, "real")), rows((2, "tried"), (3, None))


def made(kind: str, params: Any, folder: Path) -> Sink:
    (folder / "scratch").mkdir(exist_ok=True)
    sink: Sink = registry.find("sinks", kind).make(  # type: ignore[union-attr]  # it is there
        params, Context("out", folder.joinpath, folder / "scratch", SystemClock())
    )
    return sink


def names_while_it_is_tried(kind: str, stated: dict[str, Any], folder: Path, names: Any) -> Iterator[list[str]]:
    """What ``names`` gives of the system before, while and after a sink writes to its scratch place."""
    descriptor = registry.find("sinks", kind)
    assert descriptor is not None
    assert descriptor.scratch is not None
    params = descriptor.params.model_validate({"type": kind, "from": "x", **stated})
    real = made(kind, params, folder)
    deliver(real, epoch(1), REAL)
    yield names()
    moved = descriptor.scratch.moved(params, NAME, folder)
    assert moved == descriptor.scratch.moved(params, NAME, folder)
    with descriptor.scratch.there(moved, SystemClock()):
        tried = made(kind, moved, folder)
        deliver(tried, epoch(1), TRIED)
        assert read_table(tried).sort_by("id").to_pylist() == TRIED.to_pylist()
        tried.close()
        yield names()
    yield names()
    remove = descriptor.scratch.remove
    if remove is not None:
        remove(moved, SystemClock())  # there is nothing
        with descriptor.scratch.there(moved, SystemClock()):
            tried = made(kind, moved, folder)
            deliver(tried, epoch(1), TRIED)
            tried.close()
            remove(moved, SystemClock())
            yield names()
    assert read_table(real).to_pylist() == REAL.to_pylist()
    real.close()


@pytest.mark.server
@pytest.mark.parametrize("table", ["t", 'public."a.b"'])
def test_a_schema_in_postgres(
    table: str, tmp_path: Path, postgres_server: PostgresServer, postgres_database: str
) -> None:
    def schemas() -> list[str]:
        asked = "select distinct schemaname from pg_tables where schemaname not in ('pg_catalog', 'information_schema')"
        return sorted(postgres_server.sql(asked, database=postgres_database).split())

    stated = {"connection": postgres_server.url(postgres_database), "table": table}
    found = list(names_while_it_is_tried("postgres", stated, tmp_path, schemas))
    assert found == [["public"], [NAME, "public"], ["public"], ["public"]]


@pytest.mark.server
def test_a_role_that_may_make_no_schema_is_told_so(postgres_server: PostgresServer, postgres_database: str) -> None:
    postgres_server.sql("create role plain login", database=postgres_database)
    descriptor = registry.find("sinks", "postgres")
    assert descriptor is not None
    assert descriptor.scratch is not None
    connection = {"url": postgres_server.url(postgres_database)}
    given = descriptor.params.model_validate({"type": "postgres", "from": "x", "table": "t", "connection": connection})
    weak = given.model_copy(update={"connection": given.connection.model_copy(update={"user": "plain"})})  # type: ignore[attr-defined]
    with (
        pytest.raises(ConfigError) as caught,
        descriptor.scratch.there(descriptor.scratch.moved(weak, NAME, None), SystemClock()),  # type: ignore[arg-type]
    ):
        pass
    assert caught.value.code == "SNK-204"


@pytest.mark.server
def test_a_database_in_mariadb(tmp_path: Path, mariadb_server: MariadbServer, mariadb_database: str) -> None:
    def databases() -> set[str]:
        asked = "select distinct table_schema from information_schema.tables where table_name = 't'"
        return {*mariadb_server.sql(asked, database=mariadb_database).split()}

    before = databases()
    stated = {"connection": mariadb_server.url(mariadb_database), "table": "t"}
    found = list(names_while_it_is_tried("mariadb", stated, tmp_path, lambda: sorted(databases() - before)))
    assert found == [[mariadb_database], sorted([NAME, mariadb_database]), [mariadb_database], [mariadb_database]]


@pytest.mark.server
def test_a_prefix_in_a_bucket(tmp_path: Path, s3_server: ObjectServer, s3_bucket: str) -> None:
    connection = s3_server.connection(s3_bucket, prefix="mine")

    def prefixes() -> list[str]:
        found = {key.split("/")[1] for key in keys_in(store_of(s3_server.connection(s3_bucket)))}
        return sorted(found)

    found = list(names_while_it_is_tried("parquet", {"connection": connection, "path": "out"}, tmp_path, prefixes))
    assert found == [["out"], ["out", NAME], ["out"], ["out"]]


def test_a_catalog_in_a_file_for_iceberg(tmp_path: Path) -> None:
    stated = {"connection": {"path": "catalog.db", "warehouse": "lake"}, "table": "oil.t"}

    def files() -> list[str]:
        return sorted(path.name for path in tmp_path.iterdir() if path.name != "scratch")

    (tmp_path / "room").mkdir()
    before, tried, _ = names_while_it_is_tried("iceberg", stated, tmp_path, files)
    assert set(tried) - set(before) == {"iceberg.db", "warehouse"}


DOCUMENT = """
pipeline: shop
sources:
  orders: {type: csv, path: orders.csv, schema: {columns: {id: int64}}}
sinks:
  stored: {from: orders, type: postgres, connection: URL, table: orders}
run: {memory: 256 MiB, threads: 1}
"""
KILLED = """
import os, signal, sys
from pathlib import Path
from penstock.document.assembly import Settings
from penstock.service.request import Request
from penstock.service.torturing import Bounds, torture

def told(text):
    if text.startswith("a second run"):
        os.kill(os.getpid(), signal.SIGKILL)

torture(Request(Path(sys.argv[1]), Settings(dict(os.environ))), Bounds(60, 1), seed=1, told=told)
"""


class EnoughError(Exception):
    """The torture has begun."""


def begins(text: str) -> None:
    if text == "a run that nobody disturbs":
        raise EnoughError


@pytest.mark.server
def test_the_next_torture_removes_what_a_killed_one_left(
    tmp_path: Path, postgres_server: PostgresServer, postgres_database: str
) -> None:
    def schemas() -> list[str]:
        asked = "select nspname from pg_namespace where nspname like 'penstock\\_torture\\_%'"
        return postgres_server.sql(asked, database=postgres_database).split()

    def torture_begins() -> None:
        with pytest.raises(EnoughError):
            torture(Request(file, Settings(dict(os.environ))), Bounds(60, 1), seed=1, told=begins)

    file, notes = tmp_path / "shop.yml", tmp_path / ".penstock" / "tortures"
    file.write_text(DOCUMENT.replace("URL", postgres_server.url(postgres_database)), encoding="utf-8")
    (tmp_path / "orders.csv").write_text("id\n1\n", encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", KILLED, str(file)], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = schemas()
    (note,) = (path for path in notes.rglob("*") if path.is_file())
    assert note.name == f"{left.removesuffix('_1')}"
    with note.open() as held:
        fcntl.flock(held, fcntl.LOCK_SH)  # as a run of it does that goes on
        torture_begins()
        assert schemas() == [left]
    postgres_server.sql("create schema penstock_torture_of_others_1_1", database=postgres_database)
    torture_begins()
    assert schemas() == ["penstock_torture_of_others_1_1"]
    assert not (tmp_path / ".penstock").exists()
