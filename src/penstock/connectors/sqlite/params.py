"""The parameters of SQLite sources and sinks, as documents write them."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field, model_validator

from penstock.connectors.api import WriteMode
from penstock.connectors.marker_tables import OWN_TABLES
from penstock.connectors.params import SinkParams, SourceParams
from penstock.fields import Duration

_WAIT = timedelta(seconds=10)


class SqliteSourceParams(SourceParams):
    """A table, or a query."""

    path: str = Field(min_length=1, description="The SQLite file, relative to the project.")
    table: str | None = Field(default=None, min_length=1, description="The table or view to read in full.")
    query: str | None = Field(
        default=None, min_length=1, description="A SELECT in SQLite's dialect, instead of a table."
    )
    lock_wait: Duration = Field(default=_WAIT, description="How long to wait while another process holds the file.")

    @model_validator(mode="after")
    def _one_of_two(self) -> SqliteSourceParams:
        if (self.table is None) == (self.query is None):
            raise ValueError("takes table or query, one of the two")
        return self


class SqliteSinkParams(SinkParams):
    """A table, created where it is not there yet."""

    path: str = Field(
        min_length=1, description="The SQLite file, relative to the project; it is made where it is missing."
    )
    table: str = Field(min_length=1, description="The table to write.")
    lock_wait: Duration = Field(default=_WAIT, description="How long to wait while another process holds the file.")

    @model_validator(mode="after")
    def _fits_together(self) -> SqliteSinkParams:
        if self.mode is WriteMode.OVERWRITE_PARTITIONS:
            raise ValueError("SQLite has no partitions; modes are append, overwrite and merge")
        if self.mode is not WriteMode.MERGE and (self.keys or self.order_by):
            raise ValueError("keys and order_by are for mode merge")
        if len(set(self.keys)) != len(self.keys):
            raise ValueError("keys names a column twice")
        if self.table.lower().startswith("sqlite_") or self.table.lower() in OWN_TABLES or "\x00" in self.table:
            raise ValueError("that name is reserved")
        return self
