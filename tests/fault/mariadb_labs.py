"""A database of a real MariaDB or MySQL, and sinks and sources on it, for the tests of what goes wrong."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

import mariadb_tables as tables
from penstock.connectors.api import pass_by
from penstock.connectors.mariadb.params import MariadbSinkParams, MariadbSourceParams
from penstock.connectors.mariadb.sink import MariadbSink
from penstock.connectors.mariadb.source import MariadbSource
from penstock.errors import PenstockError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pymysql.connections import Connection

    from penstock.testing.servers import MariadbServer

MODES: dict[str, dict[str, Any]] = {"append": {}, "overwrite": {}, "merge": {"keys": ["id"]}}
BOTH = pytest.mark.parametrize("lab", ["mariadb", "mysql"], indirect=True)
MYSQL_AT_LENGTH = pytest.mark.parametrize(
    "lab", ["mariadb", pytest.param("mysql", marks=pytest.mark.long)], indirect=True
)


class CrashError(Exception):
    """What a crash point raises in these tests."""


def crash_at(point: str) -> Callable[[str], None]:
    def crash(reached: str) -> None:
        if reached == point:
            raise CrashError

    return crash


@dataclass(frozen=True)
class Lab:
    server: MariadbServer
    url: str
    connection: Connection[Any]
    folder: Path

    def run(self, statement: str) -> list[Any]:
        return tables.execute(self.connection, statement)

    def rows(self) -> list[tuple[Any, ...]]:
        return sorted(self.run("SELECT id, name FROM t"))

    def staging(self) -> list[str]:
        return [name for (name,) in self.run("SHOW TABLES LIKE '\\_penstock\\_stage%'")]

    def sink(
        self, mode: str = "append", reached: Callable[[str], None] = pass_by, *, refreshes: bool = False, **keys: object
    ) -> MariadbSink:
        given = {"type": "mariadb", "from": "x", "connection": self.url, "table": "t", "mode": mode}
        params = MariadbSinkParams.model_validate({**given, **MODES[mode], **keys})
        return MariadbSink(params, tables.context(self.folder, reached, refreshes=refreshes))

    def source(self, **keys: object) -> MariadbSource:
        params = MariadbSourceParams.model_validate({"type": "mariadb", "connection": self.url, **keys})
        return MariadbSource(params, tables.context(self.folder))


@contextmanager
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    """On MariaDB, or the server that the test's parameter names."""
    name = getattr(request, "param", "mariadb")
    server = request.getfixturevalue(f"{name}_server")
    url = server.url(request.getfixturevalue(f"{name}_database"))
    with tables.connect(url) as connection:
        yield Lab(server, url, connection, tmp_path)


def refused(act: Callable[[], object]) -> PenstockError:
    with pytest.raises(PenstockError) as caught:
        act()
    return caught.value
