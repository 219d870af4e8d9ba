"""Files in a target's folder that no commit lists: an overwrite would leave them there, beside its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.connectors.files.commit.names import HOME
from penstock.errors import ConfigError

if TYPE_CHECKING:
    from penstock.connectors.files.commit.records import State


def refuse_foreign(root: Path, state: State, *, extension: str, named: str) -> None:
    """Raises ConfigError SNK-135 for the first file with the sink's extension that Penstock did not write there."""
    known = {entry.path for entry in state.live}
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name != HOME)
        for name in sorted(names):
            path = str((Path(folder) / name).relative_to(root))
            if name.endswith(f".{extension}") and path not in known:
                raise ConfigError(
                    "SNK-135",
                    f'"{named}" holds files that were not written here, which an overwrite would not replace',
                    detail=f"the first is {path}",
                    hint="move them elsewhere, or write to another folder",
                )
