"""Data files of a table in an object store, as copies on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.connectors.lake.tables import not_as_told
from penstock.connectors.objects.bucket import StoredObject
from penstock.connectors.objects.keys import joined
from penstock.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from penstock.connectors.lake.tables import DataFile
    from penstock.connectors.objects.copies import Copies


def copied(copies: Copies, key: str, title: str, files: Sequence[DataFile]) -> list[Path]:
    """As ``LakeTable.local``, of a table whose key that is; copies of files that are not asked for may go."""
    objects = [StoredObject(joined(key, file.path), file.size, 0, None) for file in files]
    try:
        copies.fetch(objects)
    except DataError as error:
        raise not_as_told(title, "its object", error.problems[0].message) from None
    return [copies.path_of(item) for item in objects]
