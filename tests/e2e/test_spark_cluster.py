"""A pipeline on a cluster of Spark's own: it ends, where a worker dies, too; and what a killed driver began is ended once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from deltalake import DeltaTable

from penstock.testing.java_servers import SparkCluster, find_spark, spark_cluster
from penstock.testing.servers import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow, pytest.mark.server, pytest.mark.timeout(600)]

PENSTOCK = str(Path(sys.executable).with_name("penstock"))
ROWS = 200_000
DOCUMENT = """pipeline: prices
sources:
  raw: {{type: csv, path: prices.csv, schema: {{columns: {{id: int64, crude: string, price: "decimal(12,4)", day: date}}}}}}
transforms:
  good:
    from: raw
    rules: [{{range: {{column: price, min: 0}}}}]
    steps:
      - derive: {{code: "upper(trim(crude)) || '-' || year(day)::varchar"}}
  summary:
    from: good
    steps:
      - aggregate: {{by: [code, day], measures: {{rows: count(*), mean: avg(price), most: max(price)}}}}
sinks:
  lake: {{from: good, type: delta, path: lake, mode: append}}
  means: {{from: summary, type: parquet, path: means.parquet, mode: overwrite}}
run:
  engine: spark
  spark:
    master: "{master}"
    settings: {{spark.driver.memory: 700m, spark.executor.memory: 600m, spark.cores.max: "2", spark.sql.shuffle.partitions: "8"}}
"""


@pytest.fixture(scope="module")
def installation() -> Any:
    found = find_spark()
    if isinstance(found, Unavailable):
        pytest.skip(found.reason)
    return found


@pytest.fixture
def cluster(installation: Any) -> Iterator[SparkCluster]:
    with spark_cluster(installation) as made:
        yield made


@pytest.fixture
def project(tmp_path: Path, cluster: SparkCluster) -> Path:
    (tmp_path / "prices.yml").write_text(DOCUMENT.format(master=cluster.master), encoding="utf-8")
    lines = (f"{n}, crude {n % 11},{n % 977 - 1}.25,20{n % 20 + 10}-0{n % 9 + 1}-1{n % 10}" for n in range(ROWS))
    (tmp_path / "prices.csv").write_text("\n".join(["id,crude,price,day", *lines, ""]), encoding="utf-8")
    return tmp_path


def started(project: Path) -> subprocess.Popen[bytes]:
    scratch = project / "scratch"
    scratch.mkdir(exist_ok=True)
    return subprocess.Popen(
        [PENSTOCK, "run", "prices.yml", "--json"],
        cwd=project,
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def ended(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    out, err = process.communicate(timeout=400)
    assert process.returncode == 0, err.decode()
    found: dict[str, Any] = json.loads(out)
    return found


def await_work(project: Path, process: subprocess.Popen[bytes], word: str) -> None:
    """Until Spark is at work on a spool whose rows are being written."""
    deadline = time.monotonic() + 120
    while not any((project / "scratch").rglob(word)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def check(project: Path, told: dict[str, Any]) -> None:
    good = sum(1 for n in range(ROWS) if n % 977 - 1 >= 0)
    assert told["balance"]["good.rules"]["rejected"] == ROWS - good
    assert told["balance"]["summary.aggregate"]["in"] == good
    lake = DeltaTable(str(project / "lake")).to_pyarrow_table(columns=["id"])
    assert lake.num_rows == good
    assert len(set(lake.column("id").to_pylist())) == good


def test_a_pipeline_ends_where_a_worker_dies(project: Path, cluster: SparkCluster) -> None:
    process = started(project)
    await_work(project, process, "_temporary")
    cluster.workers[0].stop()
    check(project, ended(process))


def test_what_a_killed_driver_began_is_ended_once(project: Path) -> None:
    process = started(project)
    await_work(project, process, "_temporary")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    check(project, ended(started(project)))
