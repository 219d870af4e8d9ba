"""Which place a Delta table has: a folder of this machine, or a folder of an object store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.connectors.delta.places import FolderPlace

if TYPE_CHECKING:
    from penstock.connectors.api import Context
    from penstock.connectors.delta.params import DeltaSinkParams, DeltaSourceParams
    from penstock.connectors.delta.places import Place


def place_of(params: DeltaSinkParams | DeltaSourceParams, context: Context, *, own: str = "table") -> Place:
    """As the document says; ``own`` names, in the component's private folder, what mirrors an object store.

    Raises ConfigError DOC-231, DOC-232.
    """
    if params.connection is None:
        return FolderPlace(context.resolve(params.path).resolve())
    from penstock.connectors.delta.mirror import Mirror

    return Mirror.of(params.connection, params.path, context=context, own=own)
