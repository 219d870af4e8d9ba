"""The parameters of MariaDB connections, sources and sinks, as documents write them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Final, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import ConfigDict, Field, model_validator

from penstock.connectors.api import WriteMode
from penstock.connectors.params import SinkParams, SourceParams
from penstock.fields import Duration, Params, TextOrSecret, reveal, unfit
from penstock.secret import Secret

_SCHEMES: Final = ("mariadb", "mysql")
_PLACE: Final = ("host", "port", "database", "user", "password")
_URL_OPTIONS: Final = ("socket", "tls", "tls_ca")


def parse_url(url: str) -> dict[str, Any]:
    """The fields of ``mariadb://user:password@host:port/database?tls=…``.

    Raises ValueError with a message that shows no part of the URL: it may hold a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("the URL cannot be understood; special characters in it need percent-encoding") from None
    if parts.scheme not in _SCHEMES or parts.fragment:
        raise ValueError("takes a URL such as mariadb://user@host:3306/database")
    found: dict[str, Any] = {
        "host": unquote(parts.hostname or ""),
        "port": port,
        "database": unquote(parts.path.removeprefix("/")),
        "user": unquote(parts.username or ""),
        "password": Secret(unquote(parts.password)) if parts.password else None,
    }
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in _URL_OPTIONS:
            raise ValueError("the URL's query takes socket, tls and tls_ca; set others as keys")
        found[name] = value
    return {name: value for name, value in found.items() if value not in ("", None)}


def _with_url(schema: dict[str, Any]) -> None:
    """The key ``url`` is spelled out before validation, and completed in editors all the same."""
    url = {"type": "string", "description": "All of it as one URL: mariadb://user@host:3306/database."}
    schema["properties"] = {"url": url, **schema["properties"]}


class MariadbConnection(Params):
    """Where a server is and who logs in; a URL may say the same."""

    model_config = ConfigDict(json_schema_extra=_with_url)

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

    @model_validator(mode="before")
    @classmethod
    def _from_url(cls, value: Any) -> Any:
        """``connection: mariadb://…``, or ``{url: …}`` with keys that the URL does not say."""
        if isinstance(value, (str, Secret)):
            value = {"url": value}
        if not isinstance(value, dict) or "url" not in value:
            return value
        given = dict(value)
        url = given.pop("url")
        if not isinstance(url, (str, Secret)):
            raise ValueError("url takes text")  # noqa: TRY004 -- pydantic collects ValueErrors
        both = [name for name in _PLACE if name in given]
        if both:
            raise ValueError(f"url says {both[0]} already; keep one of them")
        try:
            return parse_url(reveal(url)) | given
        except ValueError as error:
            raise unfit(url, str(error)) from None


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

    @model_validator(mode="after")
    def _one_of_two(self) -> MariadbSourceParams:
        if (self.table is None) == (self.query is None):
            raise ValueError("takes table or query, one of the two")
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
