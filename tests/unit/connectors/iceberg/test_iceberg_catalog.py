"""Opening catalogs: what a connection says, and what goes wrong."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from iceberg_tables import NAME
from penstock.connectors.iceberg import catalog as catalogs
from penstock.connectors.iceberg.params import IcebergConnection, IcebergSourceParams
from penstock.errors import ConfigError, DataError, PenstockError, TransientError
from penstock.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from iceberg_tables import Lake

ROWS = pa.table({"id": pa.array([1, 2], pa.int64())})


def refused(act: Callable[[], object], code: str, error: type[PenstockError] = ConfigError) -> PenstockError:
    with pytest.raises(error) as caught:
        act()
    assert caught.value.code == code
    return caught.value


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, "one of path, database and uri"),
        ({"path": "a", "uri": "http://x"}, "one of path, database and uri"),
        ({"path": "a", "token": "t"}, "token is for a REST catalog"),
        ({"uri": "http://x", "token": "t", "credential": "c"}, "not both"),
        ({"uri": "http://x", "credential": "c"}, "needs oauth2_uri"),
        ({"uri": "ftp://x"}, "uri"),
    ],
)
def test_a_connection_says_one_catalog(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        IcebergConnection.model_validate(given)


@pytest.mark.parametrize("name", ["prices", "oil.", ".prices", "oil..prices", "oil.a/b", "a.b%2f"])
def test_a_table_has_a_namespace_and_a_name(name: str) -> None:
    with pytest.raises(ValidationError, match="namespace"):
        IcebergSourceParams.model_validate({"type": "iceberg", "connection": {"path": "x"}, "table": name})


def test_no_file_no_table_no_namespace_are_one_error_that_names_the_catalog(lake: Lake) -> None:
    error = refused(lake.source().describe, "SRC-259")
    assert "catalog.db" in str(error)
    assert not (lake.folder / "catalog.db").exists()
    sqlite3.connect(lake.folder / "catalog.db").close()
    refused(lake.source().describe, "SRC-259")
    lake.create(ROWS.schema)
    refused(lake.source(table="oil.nothing").describe, "SRC-259")
    refused(lake.source(table="nothing.prices").describe, "SRC-259")


def test_a_sink_without_a_warehouse_has_no_place_for_a_new_table(lake: Lake) -> None:
    from penstock.testing.sinks import deliver, epoch

    sink = lake.sink(connection={"path": "catalog.db"})
    refused(lambda: deliver(sink, epoch(1), ROWS), "SRC-262")


def test_a_locked_catalog_is_a_passing_fault(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy.exc import OperationalError

    lake.create(ROWS.schema)

    def locked(*_: object) -> object:
        raise OperationalError("SELECT", {}, sqlite3.OperationalError("database is locked"))

    from pyiceberg.catalog.sql import SqlCatalog

    monkeypatch.setattr(SqlCatalog, "load_table", locked)
    refused(lake.source().describe, "SRC-263", TransientError)


def test_a_rest_catalog_that_nobody_runs_is_a_passing_fault(lake: Lake) -> None:
    source = lake.source(connection={"uri": "http://127.0.0.1:9/catalog"})
    refused(source.describe, "SRC-263", TransientError)


def test_metadata_that_is_gone_or_damaged_is_named(lake: Lake) -> None:
    lake.create(ROWS.schema)
    path = Path(lake.table().metadata_location.removeprefix("file://"))
    whole = path.read_bytes()
    path.write_bytes(whole[:40])
    refused(lake.source().describe, "SRC-264")
    path.unlink()
    refused(lake.source().describe, "SRC-264")


def test_a_table_that_is_not_on_this_machine_is_refused(lake: Lake) -> None:
    lake.create(ROWS.schema)
    with closing(sqlite3.connect(lake.folder / "catalog.db")) as database:
        database.execute("update iceberg_tables set metadata_location = 's3://lake/metadata.json'")
        database.commit()
    refused(lake.source().describe, "SRC-265")


def test_a_file_outside_the_table_is_never_read(lake: Lake) -> None:
    lake.create(ROWS.schema)
    stolen = lake.folder / "elsewhere.parquet"
    pq.write_table(ROWS, stolen)
    with closing(lake.catalog()) as catalog:
        catalog.load_table(NAME).add_files([f"file://{stolen}"])
    refused(lambda: lake.read(lake.source()), "SRC-254", DataError)


def test_a_database_whose_driver_is_not_there_is_named(lake: Lake) -> None:
    source = lake.source(connection={"database": Secret("oracle+nothing://u:hunter2@h/x")})
    error = refused(source.describe, "SRC-258")
    assert "hunter2" not in str(error)


def test_a_password_within_a_databases_address_is_never_shown(lake: Lake) -> None:
    source = lake.source(connection={"database": "sqlite:////nowhere/hunter2:hunter2@x/y.db"})
    with pytest.raises(PenstockError):
        source.describe()
    assert catalogs.hidden_in(Secret("pg://u:hunter2@h/x")) == ("pg://u:hunter2@h/x", "hunter2")
    assert catalogs.hidden_in(None) == ()


def test_the_optional_dependencies_are_named_where_they_are_missing(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pyiceberg_core", None)
    assert "penstock[iceberg]" in str(refused(lake.source().describe, "SRC-258"))


def test_settings_of_the_machine_do_not_reach_a_catalog(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYICEBERG_CATALOG__DEFAULT__URI", "sqlite:////nowhere/at/all.db")
    lake.create(ROWS.schema)
    assert lake.source().describe().names == ("id",)
