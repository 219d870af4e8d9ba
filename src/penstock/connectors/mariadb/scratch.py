"""A database of its own, on the same server, for the sinks of a pipeline that is tortured."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final

from penstock.connectors.families import PLACE
from penstock.connectors.mariadb.driver import Place, connect, run, translated
from penstock.connectors.mariadb.names import parse_name
from penstock.connectors.mariadb.sql import identifier, sql
from penstock.registry import ScratchPlace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pymysql.connections import Connection

    from penstock.clock import Clock
    from penstock.connectors.mariadb.params import MariadbSinkParams


def _moved(params: MariadbSinkParams, name: str, _folder: Path) -> MariadbSinkParams:
    own = PLACE if PLACE in params.table else identifier(parse_name(params.table, "SNK").name)
    return params.model_copy(update={"table": f"{name}.{own}"})


@contextmanager
def _there(params: MariadbSinkParams, _clock: Clock) -> Iterator[None]:
    """Raises what connecting raises, and ConfigError SNK-237 where the user may make no database."""
    place = Place.of(params.connection, "SNK")
    database = identifier(params.table.partition(".")[0])
    connection = connect(params.connection, place)
    try:
        with translated(place, "making a database for a trial"):
            run(connection, sql("CREATE DATABASE {}", database))
        try:
            yield
        finally:
            _drop(connection, place, params)
    finally:
        connection.close()


def _remove(params: MariadbSinkParams, _clock: Clock) -> None:
    """Raises what connecting raises."""
    place = Place.of(params.connection, "SNK")
    with closing(connect(params.connection, place)) as connection:
        _drop(connection, place, params)


def _drop(connection: Connection[Any], place: Place, params: MariadbSinkParams) -> None:
    with translated(place, "removing the database of a trial"):
        run(connection, sql("DROP DATABASE IF EXISTS {}", identifier(params.table.partition(".")[0])))


SCRATCH: Final = ScratchPlace(_moved, _there, _remove)
