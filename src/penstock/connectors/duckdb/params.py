"""The parameters of DuckDB sources and sinks, as documents write them."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field, model_validator

from penstock.connectors.api import WriteMode
from penstock.connectors.marker_tables import OWN_TABLES
from penstock.connectors.params import SinkParams, SourceParams
from penstock.fields import Duration, Name

_WAIT = timedelta(seconds=10)


class DuckdbSourceParams(SourceParams):
    """A table or a view."""

    path: str = Field(min_length=1, description="The DuckDB file, relative to the project.")
    table: str = Field(min_length=1, description="The table or view to read, of the schema main.")
    lock_wait: Duration = Field(default=_WAIT, description="How long to wait while another process holds the file.")


class DuckdbSinkParams(SinkParams):
    """A table, created where it is not there yet."""

    path: str = Field(
        min_length=1, description="The DuckDB file, relative to the project; it is made where it is missing."
    )
    table: str = Field(min_length=1, description="The table to write, of the schema main.")
    partition_by: list[Name] = Field(
        default_factory=list, description="Columns whose values say which rows an overwrite_partitions replaces."
    )
    lock_wait: Duration = Field(default=_WAIT, description="How long to wait while another process holds the file.")

    @model_validator(mode="after")
    def _fits_together(self) -> DuckdbSinkParams:
        if bool(self.partition_by) != (self.mode is WriteMode.OVERWRITE_PARTITIONS):
            raise ValueError("mode overwrite_partitions and partition_by need each other")
        if self.mode is not WriteMode.MERGE and (self.keys or self.order_by):
            raise ValueError("keys and order_by are for mode merge")
        for named in ("keys", "partition_by"):
            if len(set(getattr(self, named))) != len(getattr(self, named)):
                raise ValueError(f"{named} names a column twice")
        if self.table.lower() in OWN_TABLES or "\x00" in self.table:
            raise ValueError("that name is reserved")
        return self
