"""The parameters of Delta sources and sinks, as documents write them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from penstock.connectors.lake.params import Moment
from penstock.connectors.objects.config import ObjectConnectionParam, url_of
from penstock.connectors.params import SinkParams, SourceParams
from penstock.fields import Name


class DeltaSourceParams(SourceParams):
    """A Delta table, as it stands now or as it once stood."""

    connection: ObjectConnectionParam | None = Field(
        default=None,
        description="The object store it lies in, or a connection of penstock.yml; unsaid, this machine's folders.",
    )
    path: str = Field(
        min_length=1, description="The table's folder, relative to the project, or to the connection's prefix."
    )
    version: int | None = Field(
        default=None, ge=0, description="Read this version of the table instead of the newest one."
    )
    timestamp: Moment | None = Field(
        default=None,
        description="Read the version that was current at this time (ISO 8601, UTC unless a zone stands there).",
    )

    @model_validator(mode="after")
    def _one_way_to_travel(self) -> DeltaSourceParams:
        if self.version is not None and self.timestamp is not None:
            raise ValueError("version and timestamp both say which state to read; keep one")
        return self


class DeltaSinkParams(SinkParams):
    """A Delta table that is created where it is not there yet."""

    connection: ObjectConnectionParam | None = Field(
        default=None,
        description="The object store it lies in, or a connection of penstock.yml; unsaid, this machine's folders.",
    )
    path: str = Field(
        min_length=1, description="The table's folder, relative to the project, or to the connection's prefix."
    )
    partition_by: list[Name] = Field(
        default_factory=list,
        description="Columns whose values divide the table into folders; empty: as the table is, or not at all.",
    )
    compression: Literal["auto", "zstd", "snappy", "lz4", "none"] = Field(
        default="auto", description="How the pages of its Parquet files are compressed; auto: zstd at level 1."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> DeltaSinkParams:
        for name, columns in (("keys", self.keys), ("partition_by", self.partition_by)):
            if len(set(columns)) != len(columns):
                raise ValueError(f"{name} names a column twice")
        return self

    def elsewhere(self) -> str | None:
        return None if self.connection is None else f"{url_of(self.connection)}/{self.path}"
