"""A small Spark session for the whole of a worker, and both engines over the same rows."""

from __future__ import annotations

import logging
import shutil
import sys

import pytest

from penstock.engines.api import Limits
from penstock.engines.duckdb.engine import DuckDBEngine
from penstock.engines.spark.lowering import Lowering
from penstock.engines.spark.settings import REQUIRED
from penstock.testing.parity.both import Both

_SMALL = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.memory": "1g",
    "spark.sql.shuffle.partitions": "1",
    "spark.driver.extraJavaOptions": "-Duser.timezone=UTC",
    "spark.sql.codegen.wholeStage": "false",  # each statement here runs once, over few rows
}


@pytest.fixture(scope="session")
def spark():
    if shutil.which("java") is None:
        pytest.skip("there is no Java")
    from pyspark.sql import SparkSession

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        builder = SparkSession.builder.master("local[1]")
        for name, value in {**REQUIRED, **_SMALL}.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("OFF")
        for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        yield session
        session.stop()


@pytest.fixture(scope="session")
def engine(tmp_path_factory):
    made = DuckDBEngine(Limits(2**30, 2), tmp_path_factory.mktemp("typing"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def both(spark, engine, tmp_path_factory):
    return Both(spark, engine, Lowering(engine.schema_of), tmp_path_factory.mktemp("hostile"))
