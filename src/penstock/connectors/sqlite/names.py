"""Names of what the sink makes: staged files in the scratch folder, the index on keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.connectors.commits import fingerprint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from penstock.connectors.api import Epoch, SinkId


def _prefix(sink_id: SinkId) -> str:
    return f"sqlite-{fingerprint(*sink_id.parts)}-"


def attempt_file(scratch: Path, epoch: Epoch) -> Path:
    """A new, empty file for one more writer of the attempt."""
    place = 0
    while True:
        name = f"{_prefix(epoch.sink_id)}{fingerprint(epoch.attempt, str(epoch.number))}-{place:04d}.arrow"
        try:
            (scratch / name).touch(exist_ok=False)
        except FileExistsError:
            place += 1
        else:
            return scratch / name


def staged_of(scratch: Path, sink_id: SinkId) -> list[Path]:
    """All that writers of this sink id have left."""
    return sorted(scratch.glob(f"{_prefix(sink_id)}*.arrow"))


def key_index(table: str, keys: Sequence[str]) -> str:
    """The name of the index by which a merge finds rows."""
    return f"_penstock_key_{fingerprint(table.lower(), *keys)}"
