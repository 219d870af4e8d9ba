"""Sessions on what runs elsewhere: a cluster of Spark's own, and a server of Spark Connect; both on loopback here."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from penstock.testing.processes import end, free_port, with_us
from penstock.testing.servers import Unavailable
from spark_sessions import find_jars

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.long, pytest.mark.server]

SRC = Path(__file__).parents[4] / "src"
READY_S = 120.0

CLUSTER = """
import sys
from pathlib import Path
from penstock.engines.spark.session import SparkSettings, close_session, open_session
from pyspark.sql.functions import udf

gone, master, folder = sys.argv[1:]
both = f"spark://127.0.0.1:{gone},{master}"  # the first is not there
settings = {"spark.driver.memory": "1g", "spark.executor.memory": "512m", "spark.cores.max": "1"}
session = open_session(SparkSettings(master=both, settings=settings))
(row,) = session.range(1).select(udf(lambda _: f"{sys.executable} {__import__('time').tzname[0]}")("id")).collect()
assert row[0].split()[0] == sys.executable, row
zone = session.sql("select java_method('java.util.TimeZone', 'getDefault') as zone from range(1)").first()
assert "UTC" in zone.zone, zone
session.range(10).write.format("delta").save(folder)
assert session.read.format("delta").load(folder).count() == 10
close_session(session)
print("done")
"""

CONNECT = """
import sys
from penstock.engines.spark.session import SparkSettings, close_session, open_session
from penstock.errors import PenstockError

(server,) = sys.argv[1:]
settings = SparkSettings(master=f"sc://{server}", settings={"spark.sql.shuffle.partitions": "2"})
session = open_session(settings)
assert type(session).__module__ == "pyspark.sql.connect.session"
assert open_session(settings) is session
(row,) = session.sql("select current_timezone() as zone, typeof(timestamp '2024-01-01') as type").collect()
assert (row.zone, row.type) == ("UTC", "timestamp"), row
try:
    session.sql("select 1 / 0").collect()
except Exception as error:
    assert "DIVIDE_BY_ZERO" in str(error)
for other in (SparkSettings(master="local[1]"), SparkSettings(master="sc://127.0.0.1:1")):
    try:
        open_session(other)
    except PenstockError as error:
        print(error.code)
close_session(session)
print("done")
"""


def program(name: str) -> str:
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None or isinstance(found := find_jars(), Unavailable):
        pytest.skip("Spark is not there" if spec is None else str(getattr(found, "reason", "")))
    return str(Path(spec.origin).parent / "bin" / name)


@contextlib.contextmanager
def running(command: list[str], port: int, log: Path) -> Iterator[None]:
    """Until it takes connections at that port."""
    with log.open("wb") as told:
        process = subprocess.Popen(
            with_us(command),
            stdout=told,
            stderr=told,
            cwd=log.parent,
            env={**os.environ, "PYSPARK_PYTHON": sys.executable},
        )
    try:
        deadline = time.monotonic() + READY_S
        while not answers(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield
    finally:
        end(process, signal.SIGKILL)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def done(text: str, *arguments: str) -> str:
    found = subprocess.run(
        [sys.executable, "-c", text, *arguments],
        env={**os.environ, "PYTHONPATH": str(SRC)},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert found.stderr == ""
    return found.stdout


def test_a_cluster_of_several_masters_of_which_one_is_there(tmp_path: Path) -> None:
    master, page, worker, other = (free_port() for _ in range(4))
    deploy = "org.apache.spark.deploy"
    of_master = ["--host", "127.0.0.1", "--port", str(master), "--webui-port", str(page)]
    of_worker = ["--host", "127.0.0.1", "--port", str(worker), "--webui-port", str(other), "--cores", "1"]
    of_worker += ["--memory", "1g", f"spark://127.0.0.1:{master}"]
    start = program("spark-class")
    with (
        running([start, f"{deploy}.master.Master", *of_master], master, tmp_path / "master.log"),
        running([start, f"{deploy}.worker.Worker", *of_worker], worker, tmp_path / "worker.log"),
    ):
        told = done(CLUSTER, str(free_port()), f"127.0.0.1:{master}", str(tmp_path / "delta"))
    assert told == "done\n"


def test_a_server_of_spark_connect(tmp_path: Path) -> None:
    port = free_port()
    service = "org.apache.spark.sql.connect.service.SparkConnectServer"
    told = ["--conf", f"spark.connect.grpc.binding.port={port}", "--conf", "spark.ui.enabled=false"]
    told += ["--conf", "spark.connect.grpc.binding.address=127.0.0.1", "--master", "local[1]", "--driver-memory", "1g"]
    with running([program("spark-submit"), "--class", service, *told, "spark-internal"], port, tmp_path / "log"):
        assert done(CONNECT, f"127.0.0.1:{port}") == "ENG-405\nENG-405\ndone\n"


HANDED_OVER = """
from penstock.engines.spark.session import SparkSettings, open_session
from penstock.errors import ConfigError

try:
    session = open_session(SparkSettings())
    print(session.conf.get("spark.master"), session.conf.get("spark.sql.session.timeZone"), session.range(3).count())
except ConfigError as error:
    print(error.code)
"""


@pytest.mark.parametrize(("options", "told"), [("-Duser.timezone=UTC", "local[1] UTC 3\n"), ("", "ENG-405\n")])
def test_what_spark_submit_hands_over_is_taken_where_it_runs_in_utc(tmp_path: Path, options: str, told: str) -> None:
    (tmp_path / "job.py").write_text(HANDED_OVER, encoding="utf-8")
    told_to_java = ["--conf", "spark.ui.enabled=false", "--conf", f"spark.driver.extraJavaOptions={options}"]
    found = subprocess.run(
        [program("spark-submit"), "--master", "local[1]", "--driver-memory", "1g", *told_to_java, "job.py"],
        env={**os.environ, "PYTHONPATH": str(SRC), "PYSPARK_PYTHON": sys.executable, "TZ": "Europe/Berlin"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert found.stdout == told
