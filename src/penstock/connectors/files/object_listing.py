"""Which objects a path or pattern of a document stands for: the listing of files, over an object store.

A key is a path with slashes, and wildcards mean what they mean in folders: ``*`` and ``?`` stay within one name and match
no leading dot, ``**`` stands for any number of folders.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from penstock.connectors.files.listing import FoundFile, Remote
from penstock.connectors.files.places import open_bucket
from penstock.connectors.objects.copies import Copies
from penstock.connectors.objects.keys import checked_key
from penstock.errors import ConfigError
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.connectors.api import Context
    from penstock.connectors.files.places import FileConnection
    from penstock.connectors.objects.bucket import Bucket, StoredObject
    from penstock.connectors.objects.outlines import Outline

_WILDCARDS: Final = frozenset("*?[")


class ObjectListing(Frozen):
    """As ``Listing``: what ``files`` returns has no content yet, until ``outline`` or ``fetch`` has copied it."""

    text: str
    endings: tuple[str, ...]
    bucket: Bucket
    copies: Copies

    @classmethod
    def of(cls, text: str, connection: FileConnection, *, context: Context, endings: tuple[str, ...]) -> ObjectListing:
        bucket = open_bucket(connection, context.clock, context.wards)
        return cls(text, endings, bucket, Copies(bucket, context.scratch / "objects"))

    def files(self) -> tuple[FoundFile, ...]:
        """Sorted by name; at least one. An object of exactly this key, or a folder, goes before a pattern that its key
        would be; a folder stands for all below it with one of the endings, but those whose names begin with ``.`` or ``_``.

        Raises ConfigError DOC-231, SRC-130 (there is none), and what the store answers (``Bucket``).
        """
        key = checked_key(self.text)
        root, found = self._matching(key)
        if not found:
            raise ConfigError(
                "SRC-130",
                f'no object is there for "{self.text}"',
                detail=f"looked for {self.bucket.url_of(key)}.",
                about=("path",),
            )
        start = len(root) + 1 if root else 0
        files = [self._file(item, item.key[start:]) for item in found]
        return tuple(sorted(files, key=lambda file: file.name))

    def outline(self, files: Sequence[FoundFile], outline: Outline | None) -> None:
        """So much of each as tells what it is. Errors as ``Copies``."""
        self.copies.outline([_object(file) for file in files], outline)

    def fetch(self, files: Sequence[FoundFile]) -> None:
        """All of each. Errors as ``Copies``."""
        self.copies.fetch([_object(file) for file in files])

    def close(self) -> None:
        self.copies.remove()

    def _matching(self, key: str) -> tuple[str, list[StoredObject]]:
        """The folder that names are relative to, and what is there."""
        alone = self.bucket.find(key) if key else None
        if alone is not None:
            return key.rpartition("/")[0], [alone]
        below = self.bucket.list(key)
        if below or not _WILDCARDS & set(key):
            start = len(key) + 1 if key else 0
            return key, [item for item in below if self._counts(item.key[start:])]
        parts = key.split("/")
        plain = next(at for at, part in enumerate(parts) if _WILDCARDS & set(part))
        root, pattern = "/".join(parts[:plain]), parts[plain:]
        start = len(root) + 1 if root else 0
        return root, [item for item in self.bucket.list(root) if matches(item.key[start:].split("/"), pattern)]

    def _counts(self, name: str) -> bool:
        """In a folder that is named as a whole."""
        return name.lower().endswith(self.endings) and not any(part.startswith((".", "_")) for part in name.split("/"))

    def _file(self, item: StoredObject, name: str) -> FoundFile:
        place = str(self.copies.path_of(item))
        return FoundFile(place, name, item.size, item.modified_ns, remote=Remote(item, self.bucket.url_of(item.key)))


def matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a key's parts are what the pattern's stand for."""
    if not pattern:
        return not parts
    first, rest = pattern[0], pattern[1:]
    if first == "**":
        return matches(parts, rest) or (bool(parts) and not parts[0].startswith(".") and matches(parts[1:], pattern))
    return bool(parts) and _is_named(parts[0], first) and matches(parts[1:], rest)


def _is_named(part: str, pattern: str) -> bool:
    hidden = part.startswith(".") and not pattern.startswith(".")
    return not hidden and fnmatchcase(part, pattern)


def _object(file: FoundFile) -> StoredObject:
    assert file.remote is not None
    return file.remote.stored
