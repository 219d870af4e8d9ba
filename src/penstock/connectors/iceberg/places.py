"""Where the files of a catalog's tables lie: in folders of this machine, or in an object store.

Everything else in this room knows paths: of a store those of a private folder that mirrors it, ``path_of`` and
``location_of`` say of what; the place brings files there and takes them where readers look.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final

from penstock.connectors.iceberg import locations
from penstock.connectors.iceberg.staging import FolderAttempt, folders_of
from penstock.connectors.lake.tables import present

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from penstock.connectors.api import Epoch, SinkId
    from penstock.connectors.iceberg.staging import Attempt
    from penstock.connectors.lake.tables import DataFile

_LOCAL_IO: Final = "penstock.connectors.iceberg.storage.LocalIO"


class Place(ABC):
    """``io``: what a catalog is told, so that pyiceberg reads and writes metadata here."""

    io: dict[str, Any]

    @abstractmethod
    def path_of(self, location: str) -> Path:
        """Raises ConfigError SRC-265, SRC-360."""

    @abstractmethod
    def location_of(self, path: Path) -> str: ...

    @abstractmethod
    def folder_of(self, location: str) -> Path:
        """A table's. Raises ConfigError SRC-265, SRC-360, DOC-232 (outside the project)."""

    @abstractmethod
    def home(self, warehouse: str, table: str) -> str:
        """The location of a new table in a SQL catalog. Raises ConfigError DOC-231, DOC-232."""

    @abstractmethod
    def local(self, root: Path, title: str, files: Sequence[DataFile]) -> list[Path]:
        """As ``LakeTable.local``."""

    def check(self, root: Path, title: str, files: Sequence[DataFile]) -> None:
        """Before pyiceberg reads them. Errors as ``local``."""
        self.local(root, title, files)

    @abstractmethod
    def room(self, root: Path) -> Path:
        """The folder in which our own DuckDB reads and writes files of a table."""

    @abstractmethod
    def lacking(self, root: Path, paths: Iterable[str]) -> int:
        """How many of them, relative to a table, are not there."""

    @abstractmethod
    def begin(self, root: Path, epoch: Epoch) -> Attempt: ...

    @abstractmethod
    def claim(self, root: Path, sink_id: SinkId, name: str) -> Attempt | None:
        """Take over what was staged; None where it is gone or somebody else holds it."""

    @abstractmethod
    def left(self, root: Path, sink_id: SinkId, upto: Epoch | None = None) -> list[Attempt]:
        """What attempts of this sink left that nobody works on, each held now; ``upto``: this epoch is committed, and
        only what is not later counts.
        """

    def close(self) -> None:  # noqa: B027 -- folders hold nothing
        """Idempotent."""


class LocalPlace(Place):
    """``resolve`` refuses what the project does not allow."""

    def __init__(self, resolve: Callable[[str], Path]) -> None:
        self._resolve = resolve
        self.io = {"py-io-impl": _LOCAL_IO}

    def path_of(self, location: str) -> Path:
        return locations.path_of(location)

    def location_of(self, path: Path) -> str:
        return locations.location_of(path)

    def folder_of(self, location: str) -> Path:
        return self._resolve(str(self.path_of(location))).resolve()

    def home(self, warehouse: str, table: str) -> str:
        return self.location_of(self._resolve(warehouse).resolve().joinpath(*table.split(".")))

    def local(self, root: Path, title: str, files: Sequence[DataFile]) -> list[Path]:
        return present(root, title, files)

    def room(self, root: Path) -> Path:
        return root

    def lacking(self, root: Path, paths: Iterable[str]) -> int:
        return sum(not (root / path).is_file() for path in paths)

    def begin(self, root: Path, epoch: Epoch) -> Attempt:
        return FolderAttempt.begin(self, root, epoch)

    def claim(self, root: Path, sink_id: SinkId, name: str) -> Attempt | None:
        return FolderAttempt.claim(self, root, sink_id, name)

    def left(self, root: Path, sink_id: SinkId, upto: Epoch | None = None) -> list[Attempt]:  # noqa: ARG002 -- locks tell
        return list(folders_of(self, root, sink_id))
