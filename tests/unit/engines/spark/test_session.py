"""One session per process: what it is told, what it refuses, and what it says where there is no Spark to be had."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from penstock.engines.spark import configuration as conf
from penstock.engines.spark.java import check_java
from penstock.engines.spark.masters import addresses, is_here
from penstock.engines.spark.session import SparkSettings, open_session
from penstock.errors import ConfigError, PenstockError, TransientError
from penstock.testing.processes import free_port
from penstock.testing.servers import Unavailable
from spark_sessions import find_jars

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).parents[4]
SECONDS = 10.0


def java_that_says(folder: Path, text: str) -> Path:
    """A home of Java whose program says that on stderr, as Java does."""
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{text}\nEND\n", encoding="utf-8")
    program.chmod(0o755)
    return folder


def refused(settings: SparkSettings) -> PenstockError:
    began = time.monotonic()
    with pytest.raises(PenstockError) as found:
        open_session(settings)
    assert time.monotonic() - began < SECONDS
    return found.value


@pytest.fixture
def nothing_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JAVA_HOME", "SPARK_MASTER", "SPARK_REMOTE", "PYSPARK_GATEWAY_PORT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def no_session(nothing_handed_over: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has opened none."""
    monkeypatch.setattr("penstock.engines.spark.session._present", lambda: None)


# ---------------------------------------------------------------- Java


def test_java_is_missing(no_session: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    error = refused(SparkSettings(master="local[1]"))
    assert isinstance(error, ConfigError)
    assert error.code == "ENG-401"
    assert error.problems[0].hint == "install Java 17 or newer, and let JAVA_HOME name its folder"
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "gone"))
    assert str(tmp_path / "gone") in str(refused(SparkSettings(master="local[1]")))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('openjdk version "11.0.2" 2019-01-15', "Java 11 is too old for Spark"),
        ('java version "1.8.0_392"', "Java 8 is too old for Spark"),
        ("Segmentation fault", "does not say which Java it is"),
    ],
)
def test_java_is_of_another_version(
    no_session: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, told: str
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(java_that_says(tmp_path, said)))
    error = refused(SparkSettings(master="local[1]"))
    assert error.code == "ENG-402"
    assert told in str(error)


@pytest.mark.parametrize(
    "said",
    [
        'openjdk version "17.0.15" 2025-04-15',
        'Picked up JAVA_TOOL_OPTIONS: -Xmx1g\njava version "21"',
        'version "25-ea"',
    ],
)
def test_java_may_be_newer(
    nothing_handed_over: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str
) -> None:
    home = java_that_says(tmp_path, said)
    monkeypatch.setenv("JAVA_HOME", str(home))
    assert check_java() == home / "bin" / "java"
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(home / "bin"), prepend=os.pathsep)
    assert check_java() == home / "bin" / "java"


def test_pyspark_is_missing(no_session: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    error = refused(SparkSettings())
    assert error.code == "ENG-400"
    assert error.problems[0].hint == "pip install 'penstock[spark]'"


# ---------------------------------------------------------------- masters


@pytest.mark.parametrize("scheme", ["spark://", "sc://"])
def test_nobody_answers(no_session: None, scheme: str) -> None:
    port = free_port()
    error = refused(SparkSettings(master=f"{scheme}127.0.0.1:{port}{'/;token=hunter2' if scheme == 'sc://' else ''}"))
    assert isinstance(error, TransientError)
    assert error.code == "ENG-403"
    assert f"127.0.0.1:{port}" in str(error)
    assert "hunter2" not in str(error)


def test_a_master_that_swallows_what_it_is_asked_does_not_answer(
    no_session: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its queue is full: a connection is neither taken nor refused."""
    monkeypatch.setattr("penstock.engines.spark.masters._ANSWER_S", 0.2)
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as server,
        socket.socket() as first,
        socket.socket() as second,
    ):
        for client in (first, second):
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        error = refused(SparkSettings(master=f"spark://127.0.0.1:{server.getsockname()[1]}"))
    assert error.code == "ENG-403"
    assert "timed out" in str(error)


@pytest.mark.parametrize("variable", ["SPARK_MASTER", "SPARK_REMOTE"])
def test_what_the_environment_hands_over_is_the_master(
    no_session: None, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    place = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv(variable, f"{'sc' if variable == 'SPARK_REMOTE' else 'spark'}://{place}")
    assert place in str(refused(SparkSettings()))


@pytest.mark.parametrize(
    "master", ["spark://host", "spark://host:0", "spark://a:7077,:7077", "spark://", "sc://", "sc://a b"]
)
def test_a_master_has_an_address(no_session: None, master: str) -> None:
    assert refused(SparkSettings(master=master)).code == "ENG-410"


def test_several_masters_and_the_port_of_connect() -> None:
    assert addresses("spark://a:7077,[::1]:7078") == (("a", 7077), ("::1", 7078))
    assert addresses("sc://server/;token=x") == (("server", 15002),)
    assert addresses("sc://server:7;use_ssl=true") == (("server", 7),)
    assert addresses("yarn") == addresses("k8s://https://host:443") == ()


@pytest.mark.parametrize(
    ("master", "here"),
    [
        (None, True),
        ("local[4]", True),
        ("local-cluster[2,1,1024]", True),
        ("spark://localhost:7077", True),
        ("spark://127.0.0.1:7077,[::1]:7077", True),
        ("spark://127.0.0.1:7077,other:7077", False),
        ("yarn", False),
    ],
)
def test_workers_here_take_this_python(master: str | None, *, here: bool) -> None:
    assert is_here(master) is here


# ---------------------------------------------------------------- settings and jars


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("spark.sql.ansi.enabled", "false"),
        ("spark.sql.session.timezone", "UTC"),  # a name of another case is another setting to Spark
        ("spark.sql.session.timeZone", "Europe/Berlin"),
        ("spark.sql.caseSensitive", "false"),
        ("spark.sql.decimalOperations.allowPrecisionLoss", "true"),
        ("spark.sql.timestampType", "TIMESTAMP_NTZ"),
        ("spark.driver.extraJavaOptions", "-Xss4m -Duser.timezone=Europe/Berlin"),
        ("spark.executor.extraJavaOptions", "-Duser.timezone=UTC+1"),
        ("spark.master", "local[2]"),
        ("spark.remote", "sc://host"),
    ],
)
def test_what_the_meaning_depends_on_cannot_be_set(name: str, value: str) -> None:
    error = refused(SparkSettings(settings={name: value}))
    assert error.code == "ENG-406"
    assert f'"{name}"' in error.problems[0].message


def test_what_is_fixed_may_be_said_as_it_is() -> None:
    conf.check({**conf.FIXED, "spark.driver.extraJavaOptions": "-Duser.timezone=UTC -Xss4m"})


def test_a_users_settings_stand_over_the_defaults_and_beside_what_is_fixed() -> None:
    settings = {
        "spark.ui.enabled": "true",
        "spark.driver.extraJavaOptions": "-Xss4m",
        "spark.executor.extraJavaOptions": "-Duser.timezone=UTC -Xss2m",
        "spark.jars": "/mine.jar",
    }
    told = conf.configuration("local[2]", settings, ["/delta.jar"], started_here=True)
    assert told["spark.ui.enabled"] == "true"
    assert told["spark.sql.adaptive.enabled"] == "true"
    assert told["spark.driver.extraJavaOptions"] == "-Xss4m -Duser.timezone=UTC"
    assert told["spark.executor.extraJavaOptions"] == "-Duser.timezone=UTC -Xss2m"
    assert told["spark.jars"] == "/mine.jar,/delta.jar"
    assert told.items() >= conf.FIXED.items()


def test_a_driver_that_others_have_started_logs_as_they_say() -> None:
    assert "spark.log.level" not in conf.configuration(None, {}, (), started_here=False)
    assert conf.configuration(None, {}, (), started_here=True)["spark.log.level"] == "ERROR"


def test_a_server_of_connect_is_told_what_belongs_to_a_session_only() -> None:
    told = conf.configuration("sc://host", {"spark.sql.shuffle.partitions": "4"}, (), started_here=False)
    assert all(name.startswith("spark.sql.") for name in told)
    assert told.items() >= conf.FIXED.items()


def test_delta_and_iceberg_are_there_where_their_jars_are() -> None:
    assert conf.formats("/a/postgresql-42.jar") == {}
    delta = conf.formats("io.delta:delta-spark_4.1_2.13:4.4.0")
    assert delta["spark.sql.catalog.spark_catalog"] == "org.apache.spark.sql.delta.catalog.DeltaCatalog"
    both = conf.formats("/a/delta-spark_4.1.jar,/a/iceberg-spark-runtime-4.1_2.13.jar")
    assert both["spark.sql.extensions"].count(",") == 1
    assert "spark.sql.catalog.spark_catalog" not in conf.formats("/a/iceberg-spark-runtime-4.1_2.13.jar")


@pytest.mark.parametrize("there", [True, False])
def test_there_are_no_jars(no_session: None, tmp_path: Path, *, there: bool) -> None:
    folder = tmp_path / "jars"
    if there:
        folder.mkdir()
    error = refused(SparkSettings(master="local[1]", jars=folder))
    assert error.code == "ENG-404"
    assert error.problems[0].hint == f"penstock spark jars --out '{folder}'"


def test_settings_show_no_secret() -> None:
    settings = SparkSettings(master="sc://host/;token=hunter2", settings={"spark.hadoop.fs.s3a.secret.key": "hunter3"})
    assert "hunter" not in f"{settings!r} {settings}"


# ---------------------------------------------------------------- with Spark itself


@pytest.mark.slow
def test_a_session_means_what_duckdb_means(spark: SparkSession) -> None:
    from pyspark.errors import ArithmeticException

    with pytest.raises(ArithmeticException, match="DIVIDE_BY_ZERO"):
        spark.sql("select 1 / 0").collect()
    row = spark.sql(
        "select current_timezone() as zone, typeof(timestamp '2024-03-31 02:30:00') as type,"
        " unix_seconds(timestamp '2024-03-31 02:30:00') as seconds,"
        " typeof(cast(1 as decimal(38, 10)) * cast(1 as decimal(20, 10))) as product"
    ).first()
    assert row is not None
    assert row.asDict() == {"zone": "UTC", "type": "timestamp", "seconds": 1711852200, "product": "decimal(38,20)"}
    assert spark._jvm is not None
    assert spark._jvm.java.util.TimeZone.getDefault().getID() == "UTC"


@pytest.mark.slow
def test_delta_and_iceberg_are_written_and_read(spark: SparkSession, tmp_path: Path) -> None:
    rows = spark.range(10).selectExpr("id", "cast(id as string) as text")
    rows.write.format("delta").save(str(tmp_path / "delta"))
    assert spark.read.format("delta").load(str(tmp_path / "delta")).count() == 10
    catalog = {"": "org.apache.iceberg.spark.SparkCatalog", ".type": "hadoop", ".warehouse": str(tmp_path / "iceberg")}
    for name, value in catalog.items():
        spark.conf.set(f"spark.sql.catalog.ice{name}", value)
    rows.writeTo("ice.db.numbers").using("iceberg").create()
    spark.sql("delete from ice.db.numbers where id < 3")
    assert spark.table("ice.db.numbers").count() == 7
    spark.sql("drop table ice.db.numbers")
    for name in catalog:
        spark.conf.unset(f"spark.sql.catalog.ice{name}")


@pytest.mark.slow
@pytest.mark.parametrize("driver", ["org.postgresql.Driver", "org.sqlite.JDBC", "org.mariadb.jdbc.Driver"])
def test_drivers_of_databases_are_there(spark: SparkSession, driver: str) -> None:
    assert spark._jvm is not None
    assert spark._jvm.java.lang.Thread.currentThread().getContextClassLoader().loadClass(driver) is not None


@pytest.mark.slow
def test_avro_is_written_and_read(spark: SparkSession, tmp_path: Path) -> None:
    spark.range(10).write.format("avro").save(str(tmp_path / "avro"))
    assert spark.read.format("avro").load(str(tmp_path / "avro")).count() == 10


@pytest.mark.slow
def test_pipelines_of_a_process_share_a_session_unless_they_ask_for_another(
    spark: SparkSession, nothing_handed_over: None
) -> None:
    same = {"spark.sql.shuffle.partitions": spark.conf.get("spark.sql.shuffle.partitions")}
    assert open_session(SparkSettings(app_name="another")) is spark
    assert open_session(SparkSettings(master="local[2]", settings=same)) is spark
    for asked, named in (
        (SparkSettings(settings={"spark.driver.memory": "2g"}), "spark.driver.memory"),
        (SparkSettings(master="local[7]"), "spark.master"),
        (SparkSettings(master="sc://localhost"), "Spark Connect"),
    ):
        error = refused(asked)
        assert error.code == "ENG-405"
        assert named in str(error)
    spark.conf.set("spark.sql.caseSensitive", "false")
    try:
        assert "spark.sql.caseSensitive" in str(refused(SparkSettings()))
    finally:
        spark.conf.set("spark.sql.caseSensitive", "true")


def in_a_process_of_its_own(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    jars = find_jars()
    if isinstance(jars, Unavailable):
        pytest.skip(jars.reason)
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    kept: dict[str, Any] = {
        name: value for name, value in os.environ.items() if not name.startswith(("SPARK", "PYSPARK"))
    }
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**kept, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


SILENT = """
import sys
from penstock.engines.spark.session import SparkSettings, close_session, open_session
from pyspark.sql.functions import udf

settings = {"spark.driver.memory": "1g", "spark.driver.extraJavaOptions": "-Dmine=1", "spark.my.password": "hunter2"}
session = open_session(SparkSettings(master="local[1]", settings=settings))
assert open_session(SparkSettings(settings=settings)) is session
assert session.conf.get("spark.my.password") == "hunter2"
command = open(f"/proc/{session.sparkContext._gateway.proc.pid}/cmdline").read()
assert "-Dmine=1" in command and "hunter2" not in command
(row,) = session.range(1).select(udf(lambda _: sys.executable)("id").alias("python")).collect()
assert row.python == sys.executable
for wrong in ("select 1/0", "select nope"):
    try:
        session.sql(wrong).collect()
    except Exception as error:
        assert type(error).__module__.startswith("pyspark."), error
    else:
        raise AssertionError(wrong)
session.range(3).write.format("delta").save("DELTA")
close_session(session)
session = open_session(SparkSettings(master="local[1]", settings={"spark.driver.memory": "700m"}))
assert session.conf.get("spark.driver.memory") == "700m"
assert session.range(3).count() == 3
print("done")
"""


@pytest.mark.slow
def test_nothing_is_printed_and_no_secret_stands_on_a_command_line(tmp_path: Path) -> None:
    done = in_a_process_of_its_own(SILENT.replace("DELTA", str(tmp_path / "delta")))
    assert (done.stdout, done.stderr) == ("done\n", "")


FAILING = """
from penstock.engines.spark.session import SparkSettings, open_session
from penstock.errors import ConfigError

for settings in (
    SparkSettings(master="local[1]", settings={"spark.driver.memory": "1x"}),
    SparkSettings(master="yarm"),
):
    try:
        open_session(settings)
    except ConfigError as error:
        print(error)
"""


@pytest.mark.slow
def test_spark_does_not_start() -> None:
    done = in_a_process_of_its_own(FAILING)
    assert done.stderr == ""
    assert done.stdout.count("error[ENG-410]: Spark does not start") == 2
    assert "Invalid maximum heap size" in done.stdout
    assert "Master must either be yarn or start with spark" in done.stdout
    assert "\tat " not in done.stdout
    assert "WARN" not in done.stdout
