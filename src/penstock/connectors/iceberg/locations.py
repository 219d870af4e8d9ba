"""Locations of tables and files, as an Iceberg table writes them, and paths of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from penstock.errors import ConfigError

_SCHEME: Final = "file://"


def path_of(location: str) -> Path:
    """The path that a location names. Raises ConfigError SRC-265 for one that is not on the local file system."""
    path = location.removeprefix(_SCHEME).removeprefix("file:")
    if not path.startswith("/"):
        raise ConfigError(
            "SRC-265",
            "an Iceberg table does not lie on the local file system",
            detail=f"it names {location!r}",
            hint="a table in an object store needs the `store` of its connection",
        )
    return Path(path)


def location_of(path: Path) -> str:
    """Of an absolute path."""
    return f"{_SCHEME}{path}"
