"""Which place the files of a catalog's tables have: this machine, or an object store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.connectors.iceberg.places import LocalPlace

if TYPE_CHECKING:
    from penstock.connectors.api import Context
    from penstock.connectors.iceberg.params import IcebergConnection
    from penstock.connectors.iceberg.places import Place


def place_of(connection: IcebergConnection, context: Context, own: str) -> Place:
    """As the document says; ``own`` names, in the component's private folder, what mirrors an object store."""
    if connection.store is None:
        return LocalPlace(context.resolve)
    from penstock.connectors.iceberg.in_store import StorePlace

    return StorePlace.of(connection.store, context, own)
