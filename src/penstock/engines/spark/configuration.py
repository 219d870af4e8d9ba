"""What a session is told: settings on which the meaning of every pipeline depends, defaults, and what a user says."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from penstock.engines.spark.masters import is_connect
from penstock.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# DuckDB's meaning is the meaning: errors instead of wrapping, UTC, names as they are written, decimals of their own size, a
# time of day, and texts with backslashes or ${...} in them that stay as they are.
FIXED: Final = MappingProxyType(
    {
        "spark.sql.ansi.enabled": "true",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.caseSensitive": "true",
        "spark.sql.decimalOperations.allowPrecisionLoss": "false",
        "spark.sql.timestampType": "TIMESTAMP_LTZ",
        "spark.sql.timeType.enabled": "true",
        "spark.sql.variable.substitute": "false",
    }
)
# And what Spark has by default, and warns of where anybody says it.
LEFT: Final = MappingProxyType({"spark.sql.parser.escapedStringLiterals": "false"})
MEANING: Final = MappingProxyType({**FIXED, **LEFT})
JAVA_OPTIONS: Final = ("spark.driver.extraJavaOptions", "spark.executor.extraJavaOptions")
MASTER: Final = "spark.master"
REMOTE: Final = "spark.remote"
_ZONE: Final = "-Duser.timezone=UTC"
_OTHER_ZONE: Final = re.compile(r"-Duser\.timezone=(?!UTC(?:\s|$))\S*")

_FOR_EVERY_SESSION: Final = MappingProxyType(
    {
        "spark.sql.adaptive.enabled": "true",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
    }
)
_FOR_A_DRIVER: Final = MappingProxyType(
    {
        **_FOR_EVERY_SESSION,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
    }
)
_SNAPSHOTS: Final = "spark.databricks.delta.snapshotPartitions"  # 50 tasks for the log of any table, else
_EXTENSIONS: Final = "spark.sql.extensions"
JARS: Final = "spark.jars"
COORDINATES: Final = "spark.jars.packages"
_DELTA: Final = "io.delta.sql.DeltaSparkSessionExtension"
_DELTA_CATALOG: Final = ("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
_ICEBERG: Final = "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"


def check(settings: Mapping[str, str]) -> None:
    """Raises ConfigError ENG-406 for a setting that Penstock sets itself."""
    lower = {name.lower(): name for name in (*MEANING, MASTER, REMOTE)}
    for name, value in settings.items():
        fixed = lower.get(name.lower())
        if fixed in {MASTER, REMOTE}:
            raise ConfigError(
                "ENG-406", f'"{name}" is not among the settings of Spark', hint="say it as the master of the session"
            )
        if fixed is not None and (name != fixed or value != MEANING[fixed]):
            raise ConfigError(
                "ENG-406",
                f'"{name}" cannot be set',
                detail=f"Penstock runs Spark with {fixed}={MEANING[fixed]}, since the meaning of pipelines depends on it",
                hint="leave it out",
            )
        if name in JAVA_OPTIONS and _OTHER_ZONE.search(value):
            raise ConfigError(
                "ENG-406",
                f'"{name}" cannot set another time zone',
                detail="Penstock runs Spark in UTC, since the meaning of pipelines depends on it",
                hint="leave -Duser.timezone out",
            )


def configuration(
    master: str | None, settings: Mapping[str, str], jars: Sequence[str], *, started_here: bool
) -> dict[str, str]:
    """All that a new session is told, a user's settings over the defaults; ``jars`` are paths.

    ``started_here``: this process starts the driver, and so says where it logs.
    """
    if is_connect(master):
        return {**_FOR_EVERY_SESSION, **settings, **FIXED}
    told = dict(_FOR_A_DRIVER)
    if not started_here:
        del told["spark.log.level"]
    if master is not None:
        told[MASTER] = master
    if master is None or master.startswith("local"):
        told[_SNAPSHOTS] = "1"
    told |= settings
    every = [*filter(None, settings.get(JARS, "").split(",")), *jars]
    if every:
        told[JARS] = ",".join(every)
    for name in JAVA_OPTIONS:
        options = told.get(name, "")
        told[name] = options if _ZONE in options.split() else f"{options} {_ZONE}".strip()
    return told | FIXED


def formats(names: str) -> dict[str, str]:
    """What Delta and Iceberg need in a session, where ``names``, of jars or coordinates, have them; all of it defaults."""
    delta, iceberg = "delta-spark_" in names, "iceberg-spark-runtime-" in names
    extensions = [*([_DELTA] if delta else ()), *([_ICEBERG] if iceberg else ())]
    told = {_EXTENSIONS: ",".join(extensions)} if extensions else {}
    return told | ({_DELTA_CATALOG[0]: _DELTA_CATALOG[1]} if delta else {})
