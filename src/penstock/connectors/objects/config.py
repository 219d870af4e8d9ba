"""The parameters of connections to object stores, as documents write them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final, Literal, assert_never

from pydantic import AfterValidator, Field, model_validator

from penstock.connectors.http.config import Timeouts
from penstock.connectors.http.guard import parse_allowed
from penstock.connectors.http.urls import parse_url
from penstock.connectors.resilience.settings import Care
from penstock.errors import ConfigError
from penstock.fields import ByteSize, Duration, Params, TextOrSecret
from penstock.secret import Secret

_SHORTEST_LIFE: Final = timedelta(minutes=15)
_LONGEST_LIFE: Final = timedelta(hours=12)


def _prefix(value: str) -> str:
    parts = [part for part in value.split("/") if part]
    if any(part in {".", ".."} for part in parts):
        raise ValueError('takes a prefix without "." and ".."')
    return "/".join(parts)


def _endpoint(value: str) -> str:
    try:
        parse_url(value)
    except ConfigError as error:
        raise ValueError(error.problems[0].message) from None
    return value.rstrip("/")


def _allowed(value: str) -> str:
    parse_allowed(value)
    return value


Endpoint = Annotated[str, AfterValidator(_endpoint)]


class RemoteFiles(Care):
    """What every connection has that files lie behind."""

    prefix: Annotated[str, AfterValidator(_prefix)] = Field(
        default="", description="What every path begins with: paths lead nowhere else."
    )
    allow_http: bool = Field(default=False, description="Whether the endpoint may be without TLS.")
    allow_private: list[Annotated[str, AfterValidator(_allowed)]] = Field(
        default_factory=list,
        description="Hosts that may be private or loopback: a name, name:port, address:port or network (10.0.0.0/8).",
    )
    cache: ByteSize = Field(
        default=32 * 2**30,
        gt=0,
        description="How much of the disk the copies may take that a source has at the same time.",
    )
    parallel: int = Field(default=8, ge=1, le=64, description="How many requests for data run at the same time.")


class _Store(RemoteFiles):
    """What all object stores have."""

    endpoint: Endpoint | None = Field(
        default=None, description="The service's URL, where it is not the provider's own."
    )
    anonymous: bool = Field(default=False, description="Whether requests go without credentials.")
    timeouts: Timeouts = Field(default_factory=Timeouts, description="How long to wait.")

    @model_validator(mode="after")
    def _is_encrypted(self) -> _Store:
        if self.endpoint is not None and self.endpoint.startswith("http:") and not self.allow_http:
            raise ValueError("endpoint is without TLS; say allow_http: true where that is meant")
        return self


def _life(value: timedelta) -> timedelta:
    if not _SHORTEST_LIFE <= value <= _LONGEST_LIFE:
        raise ValueError("takes a duration from 15m to 12h")
    return value


class AssumedRole(Params):
    """A role that is taken on with the connection's keys: requests to the store go with its temporary credentials."""

    arn: str = Field(pattern=r"^arn:[a-z0-9-]+:[a-z]+::[0-9]*:role/[\w+=,.@/-]+$", description="The role's ARN.")
    external_id: TextOrSecret | None = Field(default=None, description="The external id that the role asks for.")
    session_name: str = Field(
        default="penstock",
        pattern=r"^[\w+=,.@-]{2,64}$",
        description="What the session is called in the account's logs.",
    )
    duration: Annotated[Duration, AfterValidator(_life)] = Field(
        default=timedelta(hours=1),
        description="How long temporary credentials live, 15m to 12h; they are renewed before they run out.",
    )
    endpoint: Endpoint | None = Field(
        default=None, description="The token service's URL (STS), where it is not Amazon's own of the region."
    )


class S3Connection(_Store):
    """A bucket of Amazon S3, or of a store that speaks like it."""

    type: Literal["s3"] = Field(description="Amazon S3, or a store that speaks like it.")
    bucket: str = Field(min_length=1, description="The bucket.")
    region: str = Field(default="us-east-1", min_length=1, description="The bucket's region.")
    access_key_id: TextOrSecret | None = Field(default=None, description="The id of the access key.")
    secret_access_key: Secret | None = Field(default=None, description="The access key itself.")
    session_token: Secret | None = Field(default=None, description="The token of temporary credentials.")
    role: AssumedRole | None = Field(default=None, description="The role that is taken on with these keys (STS).")
    path_style: bool | None = Field(
        default=None,
        description="Whether the bucket stands in the path and not in the host's name; unsaid, with an endpoint.",
    )

    @model_validator(mode="after")
    def _has_credentials(self) -> S3Connection:
        keys = (self.access_key_id, self.secret_access_key)
        if self.anonymous and any((*keys, self.session_token)):
            raise ValueError("anonymous takes no credentials")
        if not self.anonymous and not all(keys):
            raise ValueError("needs access_key_id and secret_access_key, or anonymous: true")
        if self.role is None:
            return self
        if self.anonymous:
            raise ValueError("role needs access_key_id and secret_access_key")
        if (self.role.endpoint or "").startswith("http:") and not self.allow_http:
            raise ValueError("the role's endpoint is without TLS; say allow_http: true where that is meant")
        return self


class GcsConnection(_Store):
    """A bucket of Google Cloud Storage."""

    type: Literal["gcs"] = Field(description="Google Cloud Storage.")
    bucket: str = Field(min_length=1, description="The bucket.")
    service_account_key: Secret | None = Field(default=None, description="The service account's key, as JSON.")
    token: Secret | None = Field(default=None, description="A bearer token, in place of a key.")

    @model_validator(mode="after")
    def _has_credentials(self) -> GcsConnection:
        given = [name for name in ("service_account_key", "token") if getattr(self, name)]
        if len(given) + self.anonymous != 1:
            raise ValueError("needs one of service_account_key, token, anonymous")
        return self


class AzureConnection(_Store):
    """A container of Azure Blob Storage."""

    type: Literal["azure"] = Field(description="Azure Blob Storage.")
    account: str = Field(min_length=1, description="The storage account.")
    container: str = Field(min_length=1, description="The container.")
    account_key: Secret | None = Field(default=None, description="The account's key.")
    sas: Secret | None = Field(default=None, description="A shared access signature, as the query of a URL.")
    tenant_id: str | None = Field(default=None, description="The tenant of a service principal.")
    client_id: str | None = Field(default=None, description="The id of a service principal.")
    client_secret: Secret | None = Field(default=None, description="The secret of a service principal.")

    @model_validator(mode="after")
    def _has_credentials(self) -> AzureConnection:
        principal = (self.tenant_id, self.client_id, self.client_secret)
        if any(principal) and not all(principal):
            raise ValueError("a service principal needs tenant_id, client_id and client_secret")
        if bool(self.account_key) + bool(self.sas) + any(principal) + self.anonymous != 1:
            raise ValueError("needs one of account_key, sas, client_secret, anonymous")
        return self


ObjectConnection = S3Connection | GcsConnection | AzureConnection
# As a field's type: told apart by `type`.
ObjectConnectionParam = Annotated[ObjectConnection, Field(discriminator="type")]


def url_of(connection: ObjectConnection) -> str:
    """What people call the place that paths are relative to, without a slash at its end."""
    match connection:
        case S3Connection():
            root = f"s3://{connection.bucket}"
        case GcsConnection():
            root = f"gs://{connection.bucket}"
        case AzureConnection():
            root = f"az://{connection.account}/{connection.container}"
        case _:
            assert_never(connection)
    return f"{root}/{connection.prefix}" if connection.prefix else root


__all__ = [
    "AssumedRole",
    "AzureConnection",
    "Endpoint",
    "GcsConnection",
    "ObjectConnection",
    "ObjectConnectionParam",
    "RemoteFiles",
    "S3Connection",
]
