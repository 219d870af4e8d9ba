"""Fixtures that several rooms of tests share: real servers, one of each per worker process."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.testing.servers import MariadbServer, PostgresServer

# Parallel workers are told a width of 80 columns; what is printed here goes to no terminal.
os.environ.pop("COLUMNS", None)

# How long an example takes says how busy the machine is, and nothing about the code.
settings.register_profile("penstock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("penstock")

_DATABASE_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real PostgreSQL for the whole session of this worker; the test skips, visibly, where there is none."""
    from penstock.testing.servers import Unavailable, find_postgres, postgres

    installation = find_postgres()
    if isinstance(installation, Unavailable):
        pytest.skip(installation.reason)
    with postgres(installation) as server:
        yield server


@pytest.fixture
def postgres_database(postgres_server: PostgresServer) -> str:
    """The name of a fresh, empty database of that server."""
    name = f"test_{next(_DATABASE_NUMBERS)}"
    postgres_server.sql(f"CREATE DATABASE {name}")
    return name


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariadbServer]:
    """A real MariaDB for the whole session of this worker; the test skips, visibly, where there is none."""
    from penstock.testing.servers import Unavailable, find_mariadb, mariadb

    installation = find_mariadb()
    if isinstance(installation, Unavailable):
        pytest.skip(installation.reason)
    with mariadb(installation) as server:
        yield server


@pytest.fixture
def mariadb_database(mariadb_server: MariadbServer) -> str:
    """The name of a fresh, empty database of that server."""
    name = f"test_{next(_DATABASE_NUMBERS)}"
    mariadb_server.sql(f"CREATE DATABASE {name}")
    return name
