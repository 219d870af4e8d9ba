"""One session of Spark per process, which all pipelines in it share: found or opened, or a clear error within seconds."""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
import threading
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, cast

from penstock.engines.spark import configuration as conf
from penstock.engines.spark.jars import default_folder, is_complete
from penstock.engines.spark.java import check_java
from penstock.engines.spark.masters import CONNECT, addresses, check_answers, is_connect, is_here
from penstock.errors import ConfigError
from penstock.secret import MASK
from penstock.structs import Selective

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import IO

    from py4j.java_gateway import JavaGateway
    from pyspark.sql import SparkSession

_OPENING: Final = threading.Lock()
_HANDED_OVER: Final = ("SPARK_REMOTE", "SPARK_MASTER")
_LOGGERS: Final = ("SQLQueryContextLogger", "DataFrameQueryContextLogger")
_SECRET: Final = re.compile(r"secret|password|token|credential|access[._-]?key|account[._-]?key", re.IGNORECASE)
_CHATTER: Final = re.compile(r"^\s+at |\b(?:WARN|INFO)\b|^WARNING: |^Using Spark's |^Setting default log |^To adjust ")
_TOLD: Final = 4000  # characters of what a driver said before it ended


class SparkSettings(Selective):
    """``master`` None is what spark-submit, the environment or Spark's own files say, else ``local[*]``. ``jars`` None is the
    folder that ``penstock spark jars`` fills by default, where it is filled. ``settings`` are Spark's own; they may hold
    secrets, and are never printed.
    """

    master: str | None = None
    jars: Path | None = None
    settings: Mapping[str, str] = MappingProxyType({})
    app_name: str = "penstock"
    unprinted = frozenset({"settings", "master"})
    uncompared = frozenset({"app_name"})


def open_session(settings: SparkSettings) -> SparkSession:
    """This process' session, opened where there is none; blocks for some ten seconds then. It lives until the process ends,
    or its ``stop``. May be called from any thread.

    A session that is there already is taken where it is told the same (its application's name may differ).

    Raises ConfigError ENG-400 (pyspark is not installed), ENG-401 and ENG-402 (Java), ENG-404 (jars), ENG-405 (a session that
    is told otherwise), ENG-406 (a setting that is fixed), ENG-410 (Spark does not start); TransientError ENG-403 (no master
    answers).
    """
    conf.check(settings.settings)
    _require()
    _quieten()
    with _OPENING:
        found = _present()
        if found is None:
            return _opened(settings)
        _check_alike(found, settings)
        return found


def close_session(session: SparkSession) -> None:
    """Stop it, and end the driver that this process has started for it. Idempotent."""
    with _OPENING:
        session.stop()
        if not _is_remote(session):
            _forget_ended()


def _require() -> None:
    try:
        import pyspark  # noqa: F401 -- only whether it is there
    except ImportError as missing:
        raise ConfigError(
            "ENG-400",
            "Spark needs the optional dependencies that are not installed",
            detail=str(missing),
            hint="pip install 'penstock[spark]'",
        ) from None


def _quieten() -> None:
    """Otherwise pyspark prints every exception of a query, with its stack in Java, beside raising it."""
    from pyspark.logger import PySparkLogger

    for name in _LOGGERS:
        PySparkLogger.getLogger(name).setLevel(logging.CRITICAL + 1)


# ---------------------------------------------------------------- a session that is there


def _present() -> SparkSession | None:
    """What pyspark answers is by thread; these are the process' own."""
    from pyspark.sql import SparkSession

    connect = sys.modules.get("pyspark.sql.connect.session")
    remote = None if connect is None else connect.SparkSession._default_session  # noqa: SLF001
    if remote is not None and not remote.is_stopped:
        return cast("SparkSession", remote)
    from pyspark import SparkContext

    context = SparkContext._active_spark_context  # noqa: SLF001
    if context is None:
        return None
    return SparkSession._instantiatedSession or SparkSession(context)  # noqa: SLF001


def _check_alike(session: SparkSession, settings: SparkSettings) -> None:
    """What has a default may differ: whoever opened the session has chosen it."""
    master = _master(settings)
    if is_connect(master) != _is_remote(session):
        raise _differs("it is of another kind: Spark Connect and a driver of its own exclude each other in a process")
    if is_connect(master):
        if addresses(cast("str", master)) != addresses(_endpoint(session)):
            raise _differs("it is of another server of Spark Connect")
        wanted = {**settings.settings, **conf.FIXED}
    else:
        told = conf.configuration(master, settings.settings, _jars(settings), started_here=True)
        wanted = {name: told[name] for name in (*settings.settings, *conf.FIXED)}
        if settings.jars is not None:
            wanted[conf.JARS] = told[conf.JARS]
        if master is not None:
            wanted[conf.MASTER] = master
    _check_told(session, wanted)


def _check_told(session: SparkSession, wanted: Mapping[str, str]) -> None:
    different = [name for name, value in wanted.items() if not _is_told(session, name, value)]
    if different:
        raise _differs(f"it is told otherwise of {', '.join(sorted(different))}")


def _is_told(session: SparkSession, name: str, value: str) -> bool:
    told = session.conf.get(name, conf.LEFT.get(name))
    if name in conf.JAVA_OPTIONS:  # Spark puts its own before
        return told is not None and f" {told}".endswith(f" {value}")
    return told == value


def _is_remote(session: SparkSession) -> bool:
    return type(session).__module__.startswith("pyspark.sql.connect")


def _endpoint(session: SparkSession) -> str:
    return f"{CONNECT}{session.client._builder.endpoint}"  # type: ignore[operator]  # noqa: SLF001


def _differs(detail: str) -> ConfigError:
    return ConfigError(
        "ENG-405",
        "this process has a Spark session that is told otherwise",
        detail=detail,
        hint="give the pipelines of one process the same settings of Spark, or run them in processes of their own",
    )


# ---------------------------------------------------------------- a new session


def _opened(settings: SparkSettings) -> SparkSession:
    master = _master(settings)
    if is_connect(master):
        check_answers(cast("str", master))
        session = _connected(cast("str", master), settings)
    else:
        session = _driven(master, settings)
    _check_told(session, conf.MEANING)
    return session


def _master(settings: SparkSettings) -> str | None:
    if settings.master is not None:
        return settings.master
    return next((os.environ[name] for name in _HANDED_OVER if os.environ.get(name)), None)


def _jars(settings: SparkSettings) -> tuple[str, ...]:
    """Paths, in their order. Raises ConfigError ENG-404."""
    folder = settings.jars
    if folder is None:
        folder = default_folder()
        if not is_complete(folder):
            return ()
    found = sorted(str(path.absolute()) for path in folder.glob("*.jar"))
    if not found:
        raise ConfigError(
            "ENG-404",
            f'there are no jars in "{folder}"' if folder.is_dir() else f'there is no folder of jars "{folder}"',
            hint=f"penstock spark jars --out '{folder}'",
        )
    return tuple(found)


def _connected(url: str, settings: SparkSettings) -> SparkSession:
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    told = conf.configuration(url, settings.settings, (), started_here=False)
    try:
        session = SparkSession.builder.remote(url).appName(settings.app_name).getOrCreate()
        for name, value in told.items():
            session.conf.set(name, value)
    except PySparkException as error:
        raise _unstarted(str(error), settings) from None
    return session


def _driven(master: str | None, settings: SparkSettings) -> SparkSession:
    """The driver runs on this machine, in a JVM that this process starts unless spark-submit has."""
    handed_over = "PYSPARK_GATEWAY_PORT" in os.environ
    jars = () if handed_over and settings.jars is None else _jars(settings)
    if not handed_over:
        check_java()
    if master is not None:
        check_answers(master)
    if is_here(master):
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # the driver's JVM inherits it, and its workers from it
    told = conf.configuration(master, settings.settings, jars, started_here=not handed_over)
    told["spark.app.name"] = settings.app_name
    with tempfile.TemporaryFile() as log:
        try:
            return _started(told, log)
        except ConfigError:
            raise
        except Exception as error:
            if not _is_of_spark(error):
                raise
            raise _unstarted(_last_words(log) if _is_exit(error) else _words(error), settings) from None


def _started(told: Mapping[str, str], log: IO[bytes]) -> SparkSession:
    """What Java and Spark print goes into ``log``: Java's first words cannot be silenced by any setting."""
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    _forget_ended()
    gateway = SparkContext._gateway  # noqa: SLF001
    if gateway is None:
        # A command line can be read by everybody on the machine: what may be secret follows when Spark is up.
        shown = {name: value for name, value in told.items() if not _SECRET.search(name)}
        at_start = SparkConf(loadDefaults=False).setAll(list(shown.items()))
        gateway = launch_gateway(at_start, {"stderr": log})  # type: ignore[no-untyped-call]
    every = SparkConf(_jvm=gateway.jvm).setAll(list(told.items()))
    for name, value in conf.formats(f"{every.get(conf.JARS, '')} {every.get(conf.COORDINATES, '')}").items():
        every.setIfMissing(name, value)
    check_answers(every.get(conf.MASTER, "") or "")
    _check_zone(gateway)
    return SparkSession(SparkContext(conf=every, gateway=gateway))


def _forget_ended() -> None:
    """The driver of a session that was stopped is still there, with the memory and the jars of that session."""
    from pyspark import SparkContext

    gateway = SparkContext._gateway  # noqa: SLF001
    process = getattr(gateway, "proc", None)
    if gateway is None or process is None:
        return
    gateway.shutdown()
    process.stdin.close()
    process.wait()
    SparkContext._gateway = SparkContext._jvm = None  # noqa: SLF001


def _check_zone(gateway: JavaGateway) -> None:
    """spark-submit has started the driver before anybody here could say how."""
    zone = str(gateway.jvm.java.util.TimeZone.getDefault().getID())
    if zone != "UTC":
        raise ConfigError(
            "ENG-405",
            f'the driver that was handed over runs in the time zone "{zone}"',
            detail="the meaning of pipelines depends on UTC",
            hint=f"spark-submit --conf {conf.JAVA_OPTIONS[0]}=-Duser.timezone=UTC",
        )


def _is_of_spark(error: Exception) -> bool:
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    return isinstance(error, Py4JError | PySparkException)


def _is_exit(error: Exception) -> bool:
    return getattr(error, "getCondition", lambda: None)() == "JAVA_GATEWAY_EXITED"


def _last_words(log: IO[bytes]) -> str:
    """What a driver printed before it ended, without stacks and warnings."""
    log.seek(max(0, log.seek(0, os.SEEK_END) - _TOLD))
    lines = log.read().decode(errors="replace").splitlines()
    return (
        "\n".join(line for line in lines if line.strip() and not _CHATTER.search(line)) or "its driver ended in silence"
    )


def _words(error: Exception) -> str:
    """Java's exception without its stack."""
    java = getattr(error, "java_exception", None)
    return (str(java) if java is not None else str(error)).partition("\n\tat ")[0].strip()


def _unstarted(detail: str, settings: SparkSettings) -> ConfigError:
    for name, value in settings.settings.items():
        if value and _SECRET.search(name):
            detail = detail.replace(value, MASK)
    return ConfigError("ENG-410", "Spark does not start", detail=detail)
