"""The parameters of SQLAlchemy connections and sources, as documents write them."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Field, model_validator

from penstock.connectors.params import SourceParams
from penstock.fields import Params, TextOrSecret, reveal, unfit
from penstock.secret import Secret


def _url(value: str | Secret) -> str | Secret:
    """A URL with a password in it is a secret, whoever wrote it there. No message shows any of it."""
    text = reveal(value)
    if "://" not in text:
        raise unfit(value, "takes a URL such as postgresql+psycopg://user@host:5432/database")
    try:
        written = urlsplit(text).password
    except ValueError:
        raise unfit(value, "is no URL that can be understood; special characters in it need percent-encoding") from None
    if not written:
        return value
    known = value.hidden()[1:] if isinstance(value, Secret) else ()
    return Secret(text, (*known, written, unquote(written)))


class SqlalchemyConnection(Params):
    """A database as SQLAlchemy names it: dialect+driver://user@host:port/database?option=value."""

    url: Annotated[TextOrSecret, AfterValidator(_url)] = Field(
        description="SQLAlchemy's URL: dialect+driver://user@host:port/database; sqlite:///file.db is within the project."
    )
    user: str | None = Field(default=None, min_length=1, description="Who logs in, in place of the URL's user.")
    password: Secret | None = Field(default=None, description="The user's password, in place of the URL's.")
    options: dict[str, str | bool | int | float | Secret] = Field(
        default_factory=dict, description="Arguments of the driver's connect, such as connect_timeout: 10."
    )

    @model_validator(mode="before")
    @classmethod
    def _from_url(cls, value: Any) -> Any:
        return {"url": value} if isinstance(value, (str, Secret)) else value


class SqlalchemySourceParams(SourceParams):
    """A table, a view, or the result of a query."""

    connection: SqlalchemyConnection = Field(
        description="The database, a connection of penstock.yml, or a URL: dialect+driver://user@host/database."
    )
    table: str | None = Field(
        default=None,
        min_length=1,
        description='A table or view, schema.table; names with dots in double quotes: "a.b".',
    )
    query: TextOrSecret | None = Field(default=None, description="One SELECT in the database's own SQL.")
    on_unknown_type: Literal["text", "fail"] = Field(
        default="text",
        description="What a column does whose type has no counterpart: it is read as the database prints it, or fails.",
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> SqlalchemySourceParams:
        if (self.table is None) == (self.query is None):
            raise ValueError("takes table or query, one of the two")
        return self


__all__ = ["SqlalchemyConnection", "SqlalchemySourceParams"]
