"""What of Delta this way of writing would break, and what it is therefore refused for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from penstock.connectors.api import WriteMode
from penstock.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.connectors.delta.table import Snapshot

# Writer features that change nothing for plain files, unless the table makes use of them (looked at below).
_LOOKED_AT: Final = frozenset(
    {
        *("appendOnly", "invariants", "checkConstraints", "changeDataFeed", "generatedColumns", "timestampNtz"),
        *("columnMapping", "identityColumns", "deletionVectors", "vacuumProtocolCheck", "v2Checkpoint"),
    }
)
_FLAGS: Final = {
    "delta.enableChangeDataFeed": "a change data feed",
    "delta.enableRowTracking": "row tracking",
    "delta.enableInCommitTimestamps": "timestamps in its commits",
}
_COLUMN_KEYS: Final = {
    "delta.generationExpression": "generated",
    "delta.invariants": "checked",
    "delta.identity.start": "an identity",
}


def check_writable(table: Snapshot, mode: WriteMode) -> None:
    """Raises ConfigError SNK-250 where files added to this table would not be what the table promises."""
    for reason in _reasons(table, mode):
        raise ConfigError(
            "SNK-250", f'the Delta table "{table.place.name}" cannot be written here: it has {reason}', detail=None
        )


def _reasons(table: Snapshot, mode: WriteMode) -> Iterator[str]:
    unknown = set(table.handle.protocol().writer_features or ()) - _LOOKED_AT
    if unknown:
        yield f"the writer feature {', '.join(sorted(unknown))}"
    settings = table.configuration
    yield from (what for key, what in _FLAGS.items() if _on(settings.get(key)))
    if any(key.startswith("delta.constraints.") for key in settings):
        yield "check constraints"
    if table.needs_scan:
        yield "deletion vectors or column mapping"
    if mode is not WriteMode.APPEND and _on(settings.get("delta.appendOnly")):
        yield "the property delta.appendOnly"
    for column in json.loads(table.handle.schema().to_json())["fields"]:
        yield from (f'a column "{column["name"]}" that is {what}' for what in _promises(column))


def _promises(column: dict[str, Any]) -> Iterator[str]:
    return (what for key, what in _COLUMN_KEYS.items() if key in column.get("metadata", {}))


def _on(value: str | None) -> bool:
    return (value or "").lower() == "true"
