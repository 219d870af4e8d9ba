"""The parameters of MariaDB connections, sources and sinks, as documents write them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from penstock.connectors.api import WriteMode
from penstock.connectors.params import SinkParams, SourceParams
from penstock.connectors.server_urls import ServerConnection, with_url
from penstock.fields import Duration, TextOrSecret
from penstock.secret import Secret

MAX_PARTS: Final = 64


class MariadbConnection(ServerConnection):
    """Where a server is and who logs in; a URL may say the same."""

    model_config = with_url("mariadb://user@host:3306/database")
    url_schemes = ("mariadb", "mysql")
    url_example = "mariadb://user@host:3306/database"
    url_options = ("socket", "tls", "tls_ca")

    host: str = Field(default="localhost", min_length=1, description="The server's name or address.")
    port: int = Field(default=3306, ge=1, le=65535, description="The server's port.")
    socket: str | None = Field(default=None, description="The server's socket on this machine, in place of the port.")
    database: str | None = Field(default=None, description="The database of tables that are named without one.")
    user: str | None = Field(default=None, description="Who logs in; without one, the system's user.")
    password: Secret | None = Field(default=None, description="The user's password.")
    tls: Literal["disable", "prefer", "require", "verify"] = Field(
        default="prefer",
        description="Whether the connection is encrypted; verify also checks the server's certificate and name.",
    )
    tls_ca: str | None = Field(default=None, description="The file with the certificates that are trusted.")
    connect_timeout: Duration = Field(default=timedelta(seconds=10), description="How long a connection may take.")
    statement_timeout: Duration | None = Field(
        default=None,
        description="How long one statement may run; without one, as the server says. MySQL: queries only.",
    )
    lock_timeout: Duration = Field(
        default=timedelta(seconds=60), description="How long a statement waits for another's lock on a table or row."
    )


Connection = Annotated[
    MariadbConnection,
    Field(description="The server, a connection of penstock.yml, or a URL: mariadb://user@host/database."),
]


class MariadbSourceParams(SourceParams):
    """A table, a view, or the result of a query."""

    connection: Connection
    table: str | None = Field(
        default=None, min_length=1, description="A table or view, database.table; names with dots in backticks: `a.b`."
    )
    query: TextOrSecret | None = Field(default=None, description="One SELECT in the server's own SQL.")
    split_by: str | None = Field(
        default=None,
        description="A column of numbers, dates or times by whose ranges parts of the table are read at the same time.",
    )
    parallel: int = Field(
        default=2, ge=1, le=MAX_PARTS, description="How many parts are read at the same time, with split_by."
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> MariadbSourceParams:
        if (self.table is None) == (self.query is None):
            raise ValueError("takes table or query, one of the two")
        if self.split_by is not None and self.table is None:
            raise ValueError("split_by is for a table: parts of a query have no snapshot in common")
        if "parallel" in self.model_fields_set and self.split_by is None:
            raise ValueError("parallel needs split_by")
        return self


class MariadbSinkParams(SinkParams):
    """A table, created where it is not there yet."""

    connection: Connection
    table: str = Field(min_length=1, description="The table, database.table; names with dots in backticks: `a.b`.")

    @model_validator(mode="after")
    def _fits_together(self) -> MariadbSinkParams:
        if self.mode is WriteMode.OVERWRITE_PARTITIONS:
            raise ValueError("a MariaDB table takes append, overwrite and merge")
        if len(set(self.keys)) != len(self.keys):
            raise ValueError("keys names a column twice")
        return self


__all__ = ["MariadbConnection", "MariadbSinkParams", "MariadbSourceParams"]
