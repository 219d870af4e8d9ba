"""What a document says about an HTTP service: one group of keys, shared by every connector that speaks HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from penstock.connectors.http.guard import parse_allowed
from penstock.connectors.http.messages import check_header
from penstock.connectors.http.urls import parse_url
from penstock.connectors.resilience.settings import Care, RateLimit, Retries, Wait
from penstock.errors import ConfigError
from penstock.fields import ByteSize, Params, TextOrSecret, unfit
from penstock.secret import Secret


def _url(value: str | Secret) -> str | Secret:
    """A URL that came from a secret is checked as well, and no message shows it."""
    hidden = isinstance(value, Secret)
    try:
        parse_url(value.reveal() if isinstance(value, Secret) else value, hidden=hidden)
    except ConfigError as error:
        problem = error.problems[0]
        raise unfit(value, problem.message + (f" ({problem.hint})" if problem.hint else "")) from None
    return value


def _headers(value: dict[str, str | Secret]) -> dict[str, str | Secret]:
    for name, text in value.items():
        try:
            check_header(name, text)
        except ConfigError as error:
            raise unfit(text, error.problems[0].message) from None
    return value


def _allowed(value: str) -> str:
    parse_allowed(value)
    return value


Url = Annotated[TextOrSecret, AfterValidator(_url)]
HeaderMap = Annotated[dict[str, TextOrSecret], AfterValidator(_headers)]
QueryMap: TypeAlias = dict[str, TextOrSecret | list[TextOrSecret]]


class ApiKeyAuth(Params):
    """A key in a header or in the query."""

    type: Literal["api_key"] = Field(description="A key in a header or in the query.")
    name: str = Field(default="X-Api-Key", min_length=1, description="The header's or the parameter's name.")
    value: Secret = Field(description="The key.")
    place: Literal["header", "query"] = Field(default="header", alias="in", description="Where the key is sent.")

    @model_validator(mode="after")
    def _check_name(self) -> ApiKeyAuth:
        if self.place == "header":
            _headers({self.name: ""})
        return self


class BasicAuth(Params):
    """User name and password (RFC 7617)."""

    type: Literal["basic"] = Field(description="User name and password.")
    username: TextOrSecret = Field(description="The user's name.")
    password: Secret = Field(default=Secret(""), description="The password.")

    @model_validator(mode="after")
    def _check_username(self) -> BasicAuth:
        name = self.username.reveal() if isinstance(self.username, Secret) else self.username
        if ":" in name:
            raise ValueError("a user name for basic authentication has no colon in it")
        return self


class BearerAuth(Params):
    """A token in the Authorization header (RFC 6750)."""

    type: Literal["bearer"] = Field(description="A token in the Authorization header.")
    token: Secret = Field(description="The token.")


class OAuth2Auth(Params):
    """OAuth 2 client credentials (RFC 6749, 4.4): a token is fetched, kept, and renewed before it runs out."""

    type: Literal["oauth2"] = Field(description="OAuth 2 client credentials.")
    token_url: Url = Field(description="Where tokens come from; the same guard holds for it.")
    client_id: TextOrSecret = Field(description="The client's id.")
    client_secret: Secret = Field(description="The client's secret.")
    scopes: list[str] = Field(default_factory=list, description="The scopes asked for.")
    audience: str | None = Field(default=None, description="The audience asked for, where the server wants one.")
    client_in: Literal["header", "body"] = Field(
        default="header", description="Whether the client's id and secret go as basic authentication or in the body."
    )
    parameters: dict[str, TextOrSecret] = Field(
        default_factory=dict, description="More parameters of the token request, by name."
    )


Auth = Annotated[ApiKeyAuth | BasicAuth | BearerAuth | OAuth2Auth, Field(discriminator="type")]


class Timeouts(Params):
    """How long to wait."""

    connect: Wait = Field(default=timedelta(seconds=10), description="For a connection, look-up and TLS included.")
    idle: Wait = Field(default=timedelta(seconds=60), description="While no byte moves; in whole seconds, rounded up.")
    total: Wait = Field(default=timedelta(minutes=5), description="For one attempt as a whole, redirects included.")


class Tls(Params):
    """TLS beyond the defaults: certificates are always verified, TLS 1.2 is the least."""

    ca_file: str | None = Field(default=None, description="Authorities to trust (PEM), instead of the usual ones.")
    cert_file: str | None = Field(default=None, description="A client certificate (PEM).")
    key_file: str | None = Field(default=None, description="Its key (PEM), if it is not in cert_file.")
    key_password: Secret | None = Field(default=None, description="The key's password.")

    @model_validator(mode="after")
    def _check_pair(self) -> Tls:
        if self.cert_file is None and (self.key_file is not None or self.key_password is not None):
            raise ValueError("key_file and key_password need a cert_file")
        return self


class HttpConnection(Care):
    """An HTTP service: where it is, who we are to it, and how gently it is to be treated."""

    base_url: Url = Field(description="What every path stands below.")
    headers: HeaderMap = Field(default_factory=dict, description="Headers of every request.")
    query: QueryMap = Field(default_factory=dict, description="Query parameters of every request; a list repeats one.")
    auth: Auth | None = Field(default=None, description="How we show who we are.")
    allow_private: list[Annotated[str, AfterValidator(_allowed)]] = Field(
        default_factory=list,
        description="Hosts that may be private or loopback: a name, name:port, address:port or network (10.0.0.0/8).",
    )
    timeouts: Timeouts = Field(default_factory=Timeouts, description="How long to wait.")
    max_response_bytes: ByteSize = Field(
        default=64 * 1024 * 1024, gt=0, description="How large one answer may be, decompressed."
    )
    max_redirects: int = Field(default=5, ge=0, le=20, description="How often the server may send a request on.")
    rate_limit: RateLimit | None = Field(default=None, description="How often the service may be asked.")
    tls: Tls = Field(default_factory=Tls, description="Certificates beyond the defaults.")


__all__ = [
    "ApiKeyAuth", "Auth", "BasicAuth", "BearerAuth", "HttpConnection", "OAuth2Auth", "RateLimit", "Retries", "Timeouts",
    "Tls",
]  # fmt: skip
