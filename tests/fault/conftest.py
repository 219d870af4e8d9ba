"""Modules of this folder are importable by the processes that tests start; the systems that epochs are run against."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from epochs import System
    from systems import Reader

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.insert(0, HERE)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [HERE, os.environ.get("PYTHONPATH", "")]))


SERVERS = [
    *(pytest.param(name, marks=pytest.mark.server) for name in ("postgres", "mariadb", "s3")),
    pytest.param("mysql", marks=[pytest.mark.server, pytest.mark.long]),
]


@pytest.fixture(params=["files", "sqlite", "duckdb", "delta", "iceberg", *SERVERS])
def system(request: pytest.FixtureRequest) -> System:
    from systems import DELTA, DUCKDB, FILES, ICEBERG, SQLITE, mariadb, mysql, postgres, s3

    served = {"postgres": postgres, "mariadb": mariadb, "mysql": mysql, "s3": s3}
    if request.param in served:
        return served[request.param](*_server(request, request.param))
    return {"files": FILES, "sqlite": SQLITE, "duckdb": DUCKDB, "delta": DELTA, "iceberg": ICEBERG}[request.param]


def _server(request: pytest.FixtureRequest, name: str) -> tuple[Any, str]:
    """The server of that name, and a fresh database (or bucket) of it."""
    fresh = "bucket" if name == "s3" else "database"
    return request.getfixturevalue(f"{name}_server"), request.getfixturevalue(f"{name}_{fresh}")


@pytest.fixture
def read(system: System, request: pytest.FixtureRequest) -> Reader:
    from systems import (
        mariadb_reader,
        postgres_reader,
        read_delta,
        read_duckdb,
        read_files,
        read_iceberg,
        read_sqlite,
        s3_reader,
    )

    served = {"postgres": postgres_reader, "mariadb": mariadb_reader, "mysql": mariadb_reader, "s3": s3_reader}
    if system.name in served:
        return served[system.name](*_server(request, system.name))
    local = {"files": read_files, "sqlite": read_sqlite, "duckdb": read_duckdb}
    return {**local, "delta": read_delta, "iceberg": read_iceberg}[system.name]
