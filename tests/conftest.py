"""Fixtures that several rooms of tests share: real servers, one of each per worker process."""

from __future__ import annotations

import gc
import itertools
import os
import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

    from penstock.testing.java_servers import HdfsServer, NessieServer
    from penstock.testing.servers import MariadbServer, ObjectServer, PostgresServer

# Parallel workers are told a width of 80 columns; what is printed here goes to no terminal.
os.environ.pop("COLUMNS", None)

# How long an example takes says how busy the machine is, and nothing about the code.
settings.register_profile("penstock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("penstock")

# What was collected from Spark came through a socket that pyspark leaves to the garbage collector, by design.
_SOCKETS_OF_PYSPARK = pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning:socket")
_DATABASE_NUMBERS = itertools.count(1)


def pytest_configure() -> None:
    """A suite that was started with nohup or in the background ignores these signals, and so would all that it starts:
    what tests interrupt must hear them. What has a handler here ends children as by default, and never this process.
    """
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, lambda *_: None)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What works on a session of Spark comes first, in the order it had: parallel workers are given equal parts of what was
    collected, in that order, and take from each other's ends only. So one of them starts Spark, and the others need none.
    """
    items.sort(key=lambda item: not _works_on_spark(item))
    for item in items:
        if _works_on_spark(item):
            item.add_marker(_SOCKETS_OF_PYSPARK)


def _works_on_spark(item: pytest.Item) -> bool:
    return "spark" in getattr(item, "fixturenames", ())


def pytest_collection_finish() -> None:
    """Fifteen thousand tests stay to the end: looking through them again and again took a tenth of the time."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Drivers say of what is never collected that it leaks."""
    gc.unfreeze()


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


@pytest.fixture(scope="session")
def mysql_server() -> Iterator[MariadbServer]:
    """A real MySQL 8 for the whole session of this worker; the test skips, visibly, where there is none."""
    from penstock.testing.servers import Unavailable, find_mysql, mariadb

    installation = find_mysql()
    if isinstance(installation, Unavailable):
        pytest.skip(installation.reason)
    # As where a server has others that follow it.
    with mariadb(installation, settings={"gtid-mode": "ON", "enforce-gtid-consistency": "ON"}) as server:
        yield server


@pytest.fixture
def mysql_database(mysql_server: MariadbServer) -> str:
    """The name of a fresh, empty database of that server."""
    name = f"test_{next(_DATABASE_NUMBERS)}"
    mysql_server.sql(f"CREATE DATABASE {name}")
    return name


@pytest.fixture
def mariadb_database(mariadb_server: MariadbServer) -> str:
    """The name of a fresh, empty database of that server."""
    name = f"test_{next(_DATABASE_NUMBERS)}"
    mariadb_server.sql(f"CREATE DATABASE {name}")
    return name


@pytest.fixture(scope="session")
def s3_server() -> Iterator[ObjectServer]:
    """A real S3 server for the whole session of this worker; the test skips, visibly, where there is none."""
    from penstock.testing.servers import Unavailable, find_s3, objects

    installation = find_s3()
    if isinstance(installation, Unavailable):
        pytest.skip(installation.reason)
    with objects(installation, "s3") as server:
        yield server


@pytest.fixture(scope="session")
def azure_server() -> Iterator[ObjectServer]:
    """Azurite for the whole session of this worker; the test skips, visibly, where there is none."""
    from penstock.testing.servers import Unavailable, find_azure, objects

    installation = find_azure()
    if isinstance(installation, Unavailable):
        pytest.skip(installation.reason)
    with objects(installation, "azure") as server:
        yield server


@pytest.fixture(scope="session")
def hdfs_server() -> Iterator[HdfsServer]:
    """A small cluster of HDFS for the whole session of this worker; the test skips, visibly, where there is none."""
    from penstock.testing.java_servers import find_hdfs, hdfs
    from penstock.testing.servers import Unavailable

    installation = find_hdfs()
    if isinstance(installation, Unavailable):
        pytest.skip(installation.reason)
    with hdfs(installation) as server:
        yield server


@pytest.fixture(scope="session")
def nessie_server(s3_server: ObjectServer) -> Iterator[NessieServer]:
    """Nessie over a bucket of the S3 server, for the whole session of this worker; the test skips, visibly, where there
    is none.
    """
    from penstock.testing.java_servers import find_nessie, nessie
    from penstock.testing.servers import Unavailable

    installation = find_nessie()
    if isinstance(installation, Unavailable):
        pytest.skip(installation.reason)
    s3_server.make_bucket("nessie")
    with nessie(installation, s3_server, "nessie") as server:
        yield server


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A session of Spark in this worker, with Delta, Iceberg and the databases' drivers; the test skips, visibly, where there
    is none. Tests share it: what one sets or registers, it takes back.
    """
    from penstock.engines.spark.session import close_session, open_session
    from penstock.testing.servers import Unavailable
    from spark_sessions import find_jars, settings_for

    jars = find_jars()
    if isinstance(jars, Unavailable):
        pytest.skip(jars.reason)
    session = open_session(settings_for(jars, tmp_path_factory.mktemp("spark")))
    yield session
    close_session(session)


@pytest.fixture
def hdfs_folder() -> str:
    """The name of a folder of that cluster that is not there yet."""
    return f"test-{next(_DATABASE_NUMBERS)}"


@pytest.fixture
def s3_bucket(s3_server: ObjectServer) -> str:
    """The name of a fresh, empty bucket of that server."""
    name = f"test-{next(_DATABASE_NUMBERS)}"
    s3_server.make_bucket(name)
    return name


@pytest.fixture
def azure_container(azure_server: ObjectServer) -> str:
    """The name of a fresh, empty container of that server."""
    name = f"test-{next(_DATABASE_NUMBERS)}"
    azure_server.make_bucket(name)
    return name
