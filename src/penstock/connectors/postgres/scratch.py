"""A schema of its own, in the same database, for the sinks of a pipeline that is tortured."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final

from penstock.connectors.families import PLACE
from penstock.connectors.postgres.driver import Place, connect, translated
from penstock.connectors.postgres.names import parse_name
from penstock.registry import ScratchPlace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import psycopg

    from penstock.clock import Clock
    from penstock.connectors.postgres.params import PostgresSinkParams


def _moved(params: PostgresSinkParams, name: str, _folder: Path) -> PostgresSinkParams:
    own = PLACE if PLACE in params.table else '"' + parse_name(params.table, "SNK").name.replace('"', '""') + '"'
    return params.model_copy(update={"table": f"{name}.{own}"})


@contextmanager
def _there(params: PostgresSinkParams, _clock: Clock) -> Iterator[None]:
    """Raises what connecting raises, and ConfigError SNK-204 where the role may make no schema."""
    from psycopg import sql

    place = Place.of(params.connection, "SNK")
    schema = sql.Identifier(params.table.partition(".")[0])
    connection = connect(params.connection, place)
    try:
        with translated(place, "making a schema for a trial"):
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
        try:
            yield
        finally:
            _drop(connection, place, params)
    finally:
        connection.close()


def _remove(params: PostgresSinkParams, _clock: Clock) -> None:
    """Raises what connecting raises."""
    place = Place.of(params.connection, "SNK")
    with closing(connect(params.connection, place)) as connection:
        _drop(connection, place, params)


def _drop(connection: psycopg.Connection[Any], place: Place, params: PostgresSinkParams) -> None:
    from psycopg import sql

    schema = sql.Identifier(params.table.partition(".")[0])
    with translated(place, "removing the schema of a trial"):
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(schema))


SCRATCH: Final = ScratchPlace(_moved, _there, _remove)
