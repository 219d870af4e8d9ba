"""The parameters of a connection to HDFS, as documents write them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from penstock.connectors.http.guard import parse_allowed
from penstock.connectors.http.urls import parse_url
from penstock.connectors.objects.config import Endpoint, RemoteFiles
from penstock.connectors.resilience.settings import Wait
from penstock.fields import Params
from penstock.secret import Secret  # noqa: TC001 -- pydantic reads it


def _server(value: str) -> str:
    if parse_allowed(value).port is None:
        raise ValueError(f"{value[:80]!a} is no host:port")
    return value.lower()


Server = Annotated[str, AfterValidator(_server)]


class HdfsTimeouts(Params):
    """How long to wait."""

    connect: Wait = Field(default=timedelta(seconds=10), description="For a connection.")
    idle: Wait = Field(default=timedelta(seconds=60), description="While no byte comes.")


class HdfsConnection(RemoteFiles):
    """A folder of HDFS, by WebHDFS."""

    type: Literal["hdfs"] = Field(description="HDFS, by WebHDFS.")
    endpoint: Endpoint = Field(
        description="The HTTP address of the active namenode, such as https://namenode.example:9871."
    )
    user: str | None = Field(
        default=None,
        min_length=1,
        description="Who we say that we are, where the cluster believes it (simple authentication).",
    )
    token: Secret | None = Field(default=None, description="A delegation token, in place of a user.")
    datanodes: dict[Server, Server] = Field(
        default_factory=dict,
        description="Where datanodes are reached, host:port each, by what the namenode calls them; unsaid, by that.",
    )
    timeouts: HdfsTimeouts = Field(default_factory=HdfsTimeouts, description="How long to wait.")

    @model_validator(mode="after")
    def _fits_together(self) -> HdfsConnection:
        if self.endpoint.startswith("http:") and not self.allow_http:
            raise ValueError("endpoint is without TLS; say allow_http: true where that is meant")
        if parse_url(self.endpoint).target not in {"", "/"}:
            raise ValueError("endpoint has a path; what paths begin with is the prefix")
        if (self.user is None) == (self.token is None):
            raise ValueError("needs one of user, token")
        return self

    @property
    def url(self) -> str:
        """What people call the folder that paths are relative to, without a slash at its end."""
        endpoint = parse_url(self.endpoint)
        scheme = "swebhdfs" if endpoint.scheme == "https" else "webhdfs"
        root = f"{scheme}://{endpoint.authority}"
        return f"{root}/{self.prefix}" if self.prefix else root


__all__ = ["HdfsConnection", "HdfsTimeouts"]
