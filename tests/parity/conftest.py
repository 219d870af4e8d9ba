"""Both engines over the same hostile rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

from penstock.engines.api import Limits
from penstock.engines.duckdb.engine import DuckDBEngine
from penstock.engines.spark.lowering import Lowering
from penstock.testing.parity.row_by_row import Both
from penstock.testing.parity.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBEngine]:
    made = DuckDBEngine(Limits(2**30, 2), tmp_path_factory.mktemp("typing"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def suite(spark: SparkSession, engine: DuckDBEngine) -> Iterator[Suite]:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    yield Suite(Both(connection, spark), engine, Lowering(engine.schema_of))
    connection.close()
