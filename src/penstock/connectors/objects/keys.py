"""Paths of documents as keys of a store."""

from __future__ import annotations

from penstock.errors import ConfigError


def checked_key(text: str) -> str:
    """A path of a document as a key, without slashes that name nothing. Raises ConfigError DOC-231."""
    parts = [part for part in text.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise ConfigError(
            "DOC-231",
            f'the path "{text}" goes up with ".."',
            hint="write the path from the connection's prefix on",
            about=("path",),
        )
    return "/".join(parts)


def joined(*parts: str) -> str:
    """Keys, or parts of them, as one key; empty ones stand for nothing."""
    return "/".join(filter(None, parts))
