"""Where files lie that lie on no disk of this machine: which connections there are, and the door behind each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from penstock.connectors.hdfs.config import HdfsConnection
from penstock.connectors.objects.config import ObjectConnection, url_of

if TYPE_CHECKING:
    from penstock.clock import Clock
    from penstock.connectors.objects.bucket import Bucket
    from penstock.connectors.resilience.ward import Wards

FileConnection = ObjectConnection | HdfsConnection
# As a field's type: told apart by `type`.
FileConnectionParam = Annotated[FileConnection, Field(discriminator="type")]


def place_url(connection: FileConnection) -> str:
    """What people call the place that paths are relative to, without a slash at its end."""
    return connection.url if isinstance(connection, HdfsConnection) else url_of(connection)


def open_bucket(connection: FileConnection, clock: Clock, wards: Wards | None = None) -> Bucket:
    """Asks nobody yet; no driver is imported."""
    if isinstance(connection, HdfsConnection):
        from penstock.connectors.hdfs.bucket import HdfsBucket

        return HdfsBucket(connection, clock, wards)
    from penstock.connectors.objects.store import ObjectBucket

    return ObjectBucket(connection, clock, wards)


__all__ = ["FileConnection", "FileConnectionParam", "open_bucket", "place_url"]
