"""The parameters of PostgreSQL connections, sources and sinks, as documents write them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from penstock.connectors.api import WriteMode
from penstock.connectors.params import SinkParams, SourceParams
from penstock.connectors.server_urls import ServerConnection, with_url
from penstock.fields import Duration, Params, TextOrSecret
from penstock.secret import Secret

SslMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
MAX_PARTS: Final = 64


class PostgresConnection(ServerConnection):
    """Where a server is and who logs in; a URL may say the same."""

    model_config = with_url("postgresql://user@host:5432/database")
    url_schemes = ("postgresql", "postgres")
    url_example = "postgresql://user@host:5432/database"
    url_options = ("host", "sslmode", "sslrootcert", "application_name")

    host: str = Field(default="localhost", min_length=1, description="The server's name, or the folder of its socket.")
    port: int = Field(default=5432, ge=1, le=65535, description="The server's port.")
    database: str | None = Field(default=None, description="The database; without one, that of the user's name.")
    user: str | None = Field(default=None, description="The role that logs in; without one, the system's user.")
    password: Secret | None = Field(default=None, description="The role's password.")
    sslmode: SslMode = Field(default="prefer", description="How much TLS is asked for, as libpq defines it.")
    sslrootcert: str | None = Field(default=None, description="The file with the certificates that are trusted.")
    connect_timeout: Duration = Field(default=timedelta(seconds=10), description="How long a connection may take.")
    statement_timeout: Duration | None = Field(
        default=None, description="How long one statement may run; without one, as the server says."
    )
    lock_timeout: Duration = Field(
        default=timedelta(seconds=60), description="How long a statement waits for another's lock on a table."
    )
    application_name: str = Field(default="penstock", description="What the server shows in pg_stat_activity.")


class TableEntry(Params):
    """One table of a family."""

    name: str = Field(min_length=1, description="schema.table, or a pattern such as sales.*")
    keys: list[str] = Field(default_factory=list, description="Its keys; without them, its primary key.")
    priority: int = Field(default=0, ge=-1000, le=1000, description="Tables of a higher priority run earlier.")


Entry = Annotated[str | TableEntry, Field(union_mode="left_to_right")]
Connection = Annotated[
    PostgresConnection,
    Field(description="The server, a connection of penstock.yml, or a URL: postgresql://user@host/database."),
]


class PostgresSourceParams(SourceParams):
    """A table, the result of a query, or many tables."""

    connection: Connection
    table: str | None = Field(
        default=None,
        min_length=1,
        description='A table or view, schema.table; names with dots in double quotes: "a.b".',
    )
    query: TextOrSecret | None = Field(default=None, description="One SELECT in PostgreSQL's own SQL.")
    tables: list[Entry] | None = Field(
        default=None, min_length=1, description="Many tables: names, patterns (sales.*), or {name, keys, priority}."
    )
    on_table_error: Literal["continue", "stop"] = Field(
        default="continue", description="Whether the other tables go on when one of `tables` fails."
    )
    split_by: str | None = Field(
        default=None, description="A column of numbers, dates or times by whose ranges parts are read at the same time."
    )
    parallel: int = Field(
        default=2, ge=1, le=MAX_PARTS, description="How many parts of a table are read at the same time."
    )

    @model_validator(mode="after")
    def _one_thing(self) -> PostgresSourceParams:
        given = [name for name in ("table", "query", "tables") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("needs exactly one of table, query, tables")
        if self.split_by is not None and self.tables is not None:
            raise ValueError("split_by names a column of one table or query, not of many tables")
        if "on_table_error" in self.model_fields_set and self.tables is None:
            raise ValueError("on_table_error is for tables")
        return self


class PostgresSinkParams(SinkParams):
    """A table, created where it is not there yet."""

    connection: Connection
    table: str = Field(min_length=1, description='The table, schema.table; names with dots in double quotes: "a.b".')

    @model_validator(mode="after")
    def _fits_together(self) -> PostgresSinkParams:
        if self.mode is WriteMode.OVERWRITE_PARTITIONS:
            raise ValueError("a PostgreSQL table takes append, overwrite and merge")
        if len(set(self.keys)) != len(self.keys):
            raise ValueError("keys names a column twice")
        return self


__all__ = ["MAX_PARTS", "Entry", "PostgresConnection", "PostgresSinkParams", "PostgresSourceParams", "TableEntry"]
