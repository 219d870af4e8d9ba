"""Modules of this folder are importable by the processes that tests start; the systems that epochs are run against."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from epochs import System
    from systems import Reader

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.insert(0, HERE)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [HERE, os.environ.get("PYTHONPATH", "")]))


@pytest.fixture(params=["files", "sqlite", "delta", pytest.param("postgres", marks=pytest.mark.server)])
def system(request: pytest.FixtureRequest) -> System:
    from systems import DELTA, FILES, SQLITE, postgres

    if request.param == "postgres":
        server = request.getfixturevalue("postgres_server")
        return postgres(server, request.getfixturevalue("postgres_database"))
    return {"files": FILES, "sqlite": SQLITE, "delta": DELTA}[request.param]


@pytest.fixture
def read(system: System, request: pytest.FixtureRequest) -> Reader:
    from systems import postgres_reader, read_delta, read_files, read_sqlite

    if system.name == "postgres":
        server = request.getfixturevalue("postgres_server")
        return postgres_reader(server, request.getfixturevalue("postgres_database"))
    return {"files": read_files, "sqlite": read_sqlite, "delta": read_delta}[system.name]
