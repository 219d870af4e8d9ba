"""The session of Spark that tests share, and whether there can be one on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.engines.spark.session import SparkSettings
from penstock.testing.java_servers import find_spark
from penstock.testing.servers import Unavailable

if TYPE_CHECKING:
    from pathlib import Path


def find_jars() -> Path | Unavailable:
    """Their folder, where Java and pyspark are there as well."""
    found = find_spark()
    return found if isinstance(found, Unavailable) else found.folder


def settings_for(jars: Path, folder: Path) -> SparkSettings:
    """Small, with all that it writes by itself below ``folder``."""
    told = {
        "spark.driver.memory": "1g",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.local.dir": str(folder / "scratch"),
    }
    return SparkSettings(master="local[2]", jars=jars, settings=told)
