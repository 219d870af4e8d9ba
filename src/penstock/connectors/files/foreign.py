"""Files in a target's folder that no commit lists: an overwrite would leave them there, beside its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.connectors.files.commit.records import State


def refuse_foreign(names: Iterable[str], state: State, *, extension: str, named: str) -> None:
    """Raises ConfigError SNK-135 for the first file with the sink's extension that Penstock did not write there."""
    known = {entry.path for entry in state.live}
    first = next((name for name in names if name.endswith(f".{extension}") and name not in known), None)
    if first is not None:
        raise ConfigError(
            "SNK-135",
            f'"{named}" holds files that were not written here, which an overwrite would not replace',
            detail=f"the first is {first}",
            hint="move them elsewhere, or write to another folder",
        )
