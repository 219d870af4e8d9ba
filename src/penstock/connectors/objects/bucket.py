"""What the connectors of files ask of a place that is no folder of this machine: files under keys, whole ones at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import closing
from typing import TYPE_CHECKING

from penstock.connectors.resilience.parallel import in_order
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from penstock.connectors.resilience.cancel import Cancellation


class StoredObject(Frozen):
    """``modified_ns`` as exact as every answer of the place gives it (an object store: whole seconds); ``tag`` is what the
    place says of the content: another one is another content. None where it says nothing.
    """

    key: str
    size: int
    modified_ns: int
    tag: str | None


class ObjectGoneError(Exception):
    """The object is not there; raised to callers within the room of connectors, who say what that means."""


class ObjectChangedError(Exception):
    """The object is there with another content; as above."""


class Bucket(ABC):
    """Keys are relative to the connection's prefix. Thread-safe; every method may block, and raises what the connection's
    system answers. Each implementation passes ``penstock.testing.buckets``.

    ``url`` is what people call the prefix, without a slash at its end; ``cache`` how many bytes the copies of a source may
    take at the same time; ``parallel`` how many requests for data run at the same time.
    """

    url: str
    cache: int
    parallel: int

    def url_of(self, key: str) -> str:
        return f"{self.url}/{key}"

    # ------------------------------------------------------------ reading

    @abstractmethod
    def list(self, prefix: str, *, after: str | None = None) -> list[StoredObject]:
        """All objects below ``prefix/`` (of the whole bucket where it is ""), in no particular order; what only stands for
        a folder is left out. ``after``: those whose keys come later than this one.

        What is still being written may be listed, under a name of its own that begins with a dot.
        """

    @abstractmethod
    def find(self, key: str) -> StoredObject | None:
        """The object as it is now; None where it is not there."""

    @abstractmethod
    def read(self, key: str) -> bytes | None:
        """A small object as a whole; None where it is not there."""

    @abstractmethod
    def read_range(self, found: StoredObject, start: int, end: int) -> bytes:
        """Bytes [start, end), at least one, of exactly this object. Raises ObjectGoneError or ObjectChangedError, of which some
        places tell one alone.
        """

    # ------------------------------------------------------------ writing

    @abstractmethod
    def write(self, key: str, content: Path | bytes) -> None:
        """The object as a whole, in place of one that is there: nobody ever finds a part of it under its key."""

    def write_all(self, files: Mapping[str, Path]) -> None:
        """Each file to its key, several at a time. The first failure ends those that have not begun."""

        def put(key: str, cancelled: Cancellation) -> None:
            cancelled.check()
            self.write(key, files[key])

        with closing(in_order(put, list(files), concurrency=self.parallel)) as done:
            for _ in done:
                pass

    @abstractmethod
    def create(self, key: str, content: bytes) -> bool:
        """A small object that is not there yet; False where another is. One that has this very content counts as made: it
        may be our own, of a try whose answer was lost, so that ``content`` must tell one writer from another.
        """

    @abstractmethod
    def place(self, found: str, size: int, to: str) -> None:
        """What lies at ``found`` lies at ``to`` as well, or instead, and in place of what is there: whoever calls deletes
        ``found`` afterwards. Raises ObjectGoneError.
        """

    @abstractmethod
    def delete(self, keys: Sequence[str]) -> None:
        """What is gone already is no error."""
