"""The parameters of REST sources and sinks, as documents write them."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from penstock.connectors.api import WriteMode
from penstock.connectors.http.config import HeaderMap, HttpConnection, QueryMap
from penstock.connectors.http.urls import parse_url
from penstock.connectors.params import SinkParams, SourceParams
from penstock.connectors.rest.path import parse_path
from penstock.errors import ConfigError
from penstock.fields import ByteSize, Params, TextOrSecret


def _path(value: str) -> str:
    parse_path(value)
    return value


def _origin(value: str) -> str:
    try:
        url = parse_url(value)
    except ConfigError as error:
        raise ValueError(error.problems[0].message) from None
    if url.target != "/":
        raise ValueError("takes an origin: scheme, host and port, no path")
    return value


def _json(value: dict[str, Any]) -> dict[str, Any]:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise ValueError("takes what JSON can say: maps, lists, text, finite numbers, booleans, null") from None
    return value


JsonPath = Annotated[str, AfterValidator(_path)]
Origin = Annotated[str, AfterValidator(_origin)]
JsonObject = Annotated[dict[str, Any], AfterValidator(_json)]
Place = Annotated[
    Literal["query", "body"], Field(description="Whether paging parameters stand in the query or in the body.")
]


class OffsetPaging(Params):
    """Rows skipped and rows wanted, as numbers."""

    type: Literal["offset"] = Field(description="Rows skipped and rows wanted, as numbers.")
    offset: str = Field(default="offset", min_length=1, description="The parameter that says how many to skip.")
    limit: str | None = Field(default="limit", min_length=1, description="The parameter that says how many to send.")
    size: int = Field(default=1000, ge=1, description="How many records a page should have.")
    total: JsonPath | None = Field(
        default=None, description="Where an answer says how many records there are: pages are then fetched in parallel."
    )
    place: Place = Field(default="query", alias="in")


class PagePaging(Params):
    """Pages by number."""

    type: Literal["page"] = Field(description="Pages by number.")
    page: str = Field(default="page", min_length=1, description="The parameter that holds the page's number.")
    first: int = Field(default=1, ge=0, description="The number of the first page.")
    limit: str | None = Field(default=None, min_length=1, description="The parameter that says how many to send.")
    size: int = Field(default=1000, ge=1, description="How many records a page should have, if limit is given.")
    total: JsonPath | None = Field(
        default=None, description="Where an answer says how many records there are: pages are then fetched in parallel."
    )
    pages: JsonPath | None = Field(
        default=None, description="Where an answer says how many pages there are: they are then fetched in parallel."
    )
    place: Place = Field(default="query", alias="in")


class CursorPaging(Params):
    """Each answer holds the key to the next."""

    type: Literal["cursor"] = Field(description="Each answer holds the key to the next.")
    cursor: JsonPath = Field(
        min_length=1, description="Where an answer holds the key; null, empty or missing: the end."
    )
    param: str = Field(default="cursor", min_length=1, description="The parameter that takes it.")
    more: JsonPath | None = Field(
        default=None, description="Where an answer says whether there is more (false: the end)."
    )
    limit: str | None = Field(default=None, min_length=1, description="The parameter that says how many to send.")
    size: int = Field(default=1000, ge=1, description="How many records a page should have, if limit is given.")
    place: Place = Field(default="query", alias="in")


class LinkPaging(Params):
    """The header Link names the next page (RFC 8288)."""

    type: Literal["link"] = Field(description="The header Link names the next page (RFC 8288).")
    rel: str = Field(default="next", min_length=1, description="Which relation leads on.")
    allow_origins: list[Origin] = Field(default_factory=list, description="Other origins that a link may lead to.")


class NextUrlPaging(Params):
    """Each answer holds the next page's URL."""

    type: Literal["next_url"] = Field(description="Each answer holds the next page's URL.")
    next: JsonPath = Field(min_length=1, description="Where an answer holds it; null, empty or missing: the end.")
    allow_origins: list[Origin] = Field(default_factory=list, description="Other origins that it may lead to.")


Paging = Annotated[OffsetPaging | PagePaging | CursorPaging | LinkPaging | NextUrlPaging, Field(discriminator="type")]


class RestSourceParams(SourceParams):
    """A listing of records that a service answers with JSON."""

    connection: HttpConnection = Field(description="The service: the name of a connection, or one written inline.")
    path: TextOrSecret = Field(default="", description="The listing's path below the connection's base_url.")
    method: Literal["GET", "POST"] = Field(default="GET", description="How the listing is asked for.")
    query: QueryMap = Field(default_factory=dict, description="Query parameters, literal; a list repeats one.")
    headers: HeaderMap = Field(default_factory=dict, description="Headers, literal.")
    body: JsonObject | None = Field(default=None, description="The JSON body of a POST.")
    paginate: Paging | None = Field(default=None, description="How the listing goes on; without it one answer is all.")
    records: JsonPath = Field(
        default="", description="Where an answer holds its records, such as response.data; empty: the answer itself."
    )
    concurrency: int = Field(
        default=4, ge=1, le=32, description="How many pages are fetched at once, where the paging allows it."
    )
    max_pages: int = Field(default=100_000, ge=1, description="More pages than this are an error.")

    @model_validator(mode="after")
    def _fits_together(self) -> RestSourceParams:
        if self.body is not None and self.method != "POST":
            raise ValueError("a body needs method: POST")
        place = getattr(self.paginate, "place", "query")
        if place == "body" and self.method != "POST":
            raise ValueError("paging parameters in the body need method: POST")
        return self


class RestSinkParams(SinkParams):
    """A service that takes records as JSON."""

    connection: HttpConnection = Field(description="The service: the name of a connection, or one written inline.")
    path: TextOrSecret = Field(default="", description="Where records are sent, below the connection's base_url.")
    method: Literal["POST", "PUT", "PATCH"] = Field(default="POST", description="How they are sent.")
    query: QueryMap = Field(default_factory=dict, description="Query parameters, literal; a list repeats one.")
    headers: HeaderMap = Field(default_factory=dict, description="Headers, literal.")
    body: Literal["array", "object", "lines"] = Field(
        default="array",
        description="A request holds an array of records, one record as it is, or records line by line (NDJSON).",
    )
    records: str | None = Field(
        default=None,
        min_length=1,
        description="The key under which the array stands; without it the body is the array.",
    )
    batch_size: int = Field(default=500, ge=1, le=100_000, description="How many records a request has at most.")
    max_request_bytes: ByteSize = Field(
        default=8 * 1024 * 1024, gt=0, description="How large a request's records may be; a single one may be larger."
    )
    concurrency: int = Field(default=4, ge=1, le=32, description="How many requests are under way at once.")

    @model_validator(mode="after")
    def _fits_together(self) -> RestSinkParams:
        if self.mode is not WriteMode.APPEND:
            raise ValueError("mode is append: what a service makes of a record is its own affair")
        if self.body != "array" and self.records is not None:
            raise ValueError(f"body: {self.body} sends records as they are; records needs body: array")
        if len(set(self.keys)) != len(self.keys):
            raise ValueError("keys names a column twice")
        return self

    @property
    def most_records(self) -> int:
        return 1 if self.body == "object" else self.batch_size


__all__ = [
    "CursorPaging", "LinkPaging", "NextUrlPaging", "OffsetPaging", "PagePaging", "Paging", "RestSinkParams",
    "RestSourceParams",
]  # fmt: skip
