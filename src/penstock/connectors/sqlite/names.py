"""The name of what the sink makes: the index on keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.connectors.commits import fingerprint

if TYPE_CHECKING:
    from collections.abc import Sequence


def key_index(table: str, keys: Sequence[str]) -> str:
    """The name of the index by which a merge finds rows."""
    return f"_penstock_key_{fingerprint(table.lower(), *keys)}"
