"""The parameters of Iceberg catalogs, sources and sinks, as documents write them."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from penstock.connectors.iceberg.partitions import DivisionParam
from penstock.connectors.lake.params import Moment
from penstock.connectors.objects.config import ObjectConnectionParam, url_of
from penstock.connectors.params import SinkParams, SourceParams
from penstock.fields import Params, TextOrSecret
from penstock.secret import Secret

_PART: Final = re.compile(r"[^\x00-\x1f/\\.%?#]+")  # of a table's name: it names a folder, too


def _named(value: str) -> str:
    parts = value.split(".")
    if len(parts) < 2 or not all(_PART.fullmatch(part) for part in parts):  # noqa: PLR2004 -- a namespace and a name
        raise ValueError('takes a namespace and a name, such as "oil.prices"')
    return value


TableName = Annotated[str, AfterValidator(_named)]


class IcebergConnection(Params):
    """A catalog: in a SQLite file, in another database, or a REST service."""

    path: str | None = Field(
        default=None, min_length=1, description="A SQL catalog's SQLite file, relative to the project; a sink makes it."
    )
    database: TextOrSecret | None = Field(
        default=None,
        description="A SQL catalog in another database, as SQLAlchemy writes its URL; its driver must be installed.",
    )
    uri: str | None = Field(default=None, pattern=r"^https?://", description="The address of a REST catalog.")
    name: str = Field(
        default="default",
        min_length=1,
        description="The catalog's name, by which a SQL catalog keeps its tables apart.",
    )
    warehouse: str | None = Field(
        default=None,
        min_length=1,
        description="SQL: the folder below which new tables lie, relative to the project. REST: the warehouse's name.",
    )
    store: ObjectConnectionParam | None = Field(
        default=None,
        description="The object store that the tables' files lie in; unsaid, this machine's folders. `warehouse` of a SQL "
        "catalog is then a path below its prefix.",
    )
    token: Secret | None = Field(default=None, description="REST: the bearer token.")
    credential: Secret | None = Field(default=None, description="REST: client_id:client_secret, to get a token with.")
    oauth2_uri: str | None = Field(default=None, pattern=r"^https?://", description="REST: where tokens are to be had.")
    scope: str | None = Field(default=None, description="REST: the scope of the token.")

    @model_validator(mode="after")
    def _is_one(self) -> IcebergConnection:
        if sum(given is not None for given in (self.path, self.database, self.uri)) != 1:
            raise ValueError("takes one of path, database and uri")
        if self.uri is None:
            for key in ("token", "credential", "oauth2_uri", "scope"):
                if getattr(self, key) is not None:
                    raise ValueError(f"{key} is for a REST catalog")
        if self.token is not None and self.credential is not None:
            raise ValueError("takes token or credential, not both")
        if self.credential is not None and self.oauth2_uri is None:
            raise ValueError("credential needs oauth2_uri: where tokens are to be had")
        return self


class IcebergSourceParams(SourceParams):
    """An Iceberg table, as it stands now or as it once stood."""

    connection: IcebergConnection = Field(description="The catalog, or a connection of penstock.yml.")
    table: TableName = Field(description="The table, namespace.name.")
    snapshot: int | None = Field(default=None, ge=0, description="Read this snapshot instead of the current one.")
    as_of: Moment | None = Field(
        default=None,
        description="Read the snapshot that was current at this time (ISO 8601, UTC unless a zone stands there).",
    )

    @model_validator(mode="after")
    def _one_way_to_travel(self) -> IcebergSourceParams:
        if self.snapshot is not None and self.as_of is not None:
            raise ValueError("snapshot and as_of both say which state to read; keep one")
        return self


class IcebergSinkParams(SinkParams):
    """An Iceberg table that is created where it is not there yet."""

    connection: IcebergConnection = Field(description="The catalog, or a connection of penstock.yml.")
    table: TableName = Field(description="The table, namespace.name.")
    partition_by: list[DivisionParam] = Field(
        default_factory=list,
        description="What divides the table: columns, or {month: column}, {bucket: [column, 16]}; empty: as the table is, or not at all.",
    )
    compression: Literal["auto", "zstd", "snappy", "lz4", "none"] = Field(
        default="auto", description="How the pages of its Parquet files are compressed; auto: zstd at level 1."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> IcebergSinkParams:
        for name, given in (("keys", self.keys), ("partition_by", [str(part) for part in self.partition_by])):
            if len(set(given)) != len(given):
                raise ValueError(f"{name} names a column twice")
        return self

    def elsewhere(self) -> str | None:
        return None if self.connection.store is None else f"{self.table} in {url_of(self.connection.store)}"


__all__ = ["IcebergConnection", "IcebergSinkParams", "IcebergSourceParams"]
