"""The session of Spark that tests share, and whether there can be one on this machine."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from penstock.engines.spark.jars import default_folder, is_complete
from penstock.engines.spark.java import check_java
from penstock.engines.spark.session import SparkSettings
from penstock.errors import ConfigError
from penstock.testing.servers import Unavailable

if TYPE_CHECKING:
    from pathlib import Path


def find_jars() -> Path | Unavailable:
    """Their folder, where Java and pyspark are there as well."""
    try:
        check_java()
    except ConfigError as missing:
        return Unavailable(missing.problems[0].message)
    if find_spec("pyspark") is None:
        return Unavailable("pyspark is not installed")
    if not is_complete(default_folder()):
        return Unavailable("the jars of Spark are not there (`penstock spark jars`, which `make test` runs)")
    return default_folder()


def settings_for(jars: Path, folder: Path) -> SparkSettings:
    """Small, with all that it writes by itself below ``folder``."""
    told = {
        "spark.driver.memory": "1g",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.local.dir": str(folder / "scratch"),
    }
    return SparkSettings(master="local[2]", jars=jars, settings=told)
