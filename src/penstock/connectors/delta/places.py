"""Where a table lies: in a folder of this machine, or in an object store, of which a folder then mirrors what is needed.

Everything else in this room reads and writes below ``root`` and asks the place to bring things there, or to take them
where readers look.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from penstock.connectors.delta.driver import check_writable_folders
from penstock.connectors.delta.layout import log_file, sink_folder
from penstock.connectors.delta.staging import FolderAttempt, attempts_in
from penstock.connectors.lake.tables import present
from penstock.disk import ensure_folder, sync_file, sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from deltalake import DeltaTable

    from penstock.connectors.api import Epoch, SinkId
    from penstock.connectors.delta.staging import Attempt
    from penstock.connectors.lake.tables import DataFile


class Place(ABC):
    """``root`` is absolute and free of links; ``name`` and ``shown`` are for messages. Not for several threads."""

    root: Path
    name: str
    shown: str

    # ------------------------------------------------------------ the log

    @abstractmethod
    def look(self) -> bool:
        """Bring the newest version's log below ``root``, and say whether there is one."""

    @abstractmethod
    def reach(self, version: int | None) -> None:
        """From now on bring that version's log too, where it is older; None: all there is."""

    @abstractmethod
    def entry(self, version: int) -> str | None:
        """The log entry of a version that is there; None where it is gone."""

    @abstractmethod
    def publish(self, version: int) -> bool:
        """What deltalake has written below ``root`` as the log entry of a version becomes that of the table, if it has
        none: False where another writer was first.
        """

    @abstractmethod
    def settle(self, version: int) -> None:
        """Make a log entry durable that is there. Raises OSError."""

    @abstractmethod
    def checkpointed(self, handle: DeltaTable, *, cleans: bool) -> None:
        """Deltalake has summed the log up below ``root``. ``cleans``: old entries may go."""

    # ------------------------------------------------------------ data files

    @abstractmethod
    def local(self, title: str, files: Sequence[DataFile]) -> list[Path]:
        """Where these files of the table can be read. Raises DataError SRC-110, SRC-254."""

    def check_scanned(self, title: str) -> None:  # noqa: B027 -- all of a folder is there
        """Raises ConfigError SRC-361 where deltalake's own reader cannot be used."""

    @abstractmethod
    def lacking(self, paths: Sequence[str]) -> int:
        """How many of them, relative to the table, are not there."""

    # ------------------------------------------------------------ writing

    @abstractmethod
    def check_writable(self) -> None:
        """ConfigError SNK-260."""

    @abstractmethod
    def begin(self, epoch: Epoch) -> Attempt: ...

    @abstractmethod
    def claim(self, sink_id: SinkId, name: str) -> Attempt | None:
        """Take over what was staged; None where it is gone or somebody else holds it."""

    @abstractmethod
    def clear(self, sink_id: SinkId) -> None:
        """Remove what attempts of this sink left that nobody commits any more. Errors as ``Attempt.remove``."""

    def tidy(self, epoch: Epoch) -> None:  # noqa: B027 -- a folder's locks tell who is at work
        """This epoch is committed: remove what other attempts at it left."""

    def close(self) -> None:  # noqa: B027 -- a folder holds nothing
        """Idempotent."""


class FolderPlace(Place):
    """The table's own folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.name = root.name
        self.shown = str(root)

    def look(self) -> bool:
        return (self.root / "_delta_log").is_dir()

    def reach(self, version: int | None) -> None:
        """All of it is there."""

    def entry(self, version: int) -> str | None:
        try:
            return log_file(self.root, version).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def publish(self, version: int) -> bool:  # noqa: ARG002 -- as the contract has it
        return True

    def settle(self, version: int) -> None:
        entry = log_file(self.root, version)
        sync_file(entry)
        sync_folder(entry.parent)
        if version == 0:
            sync_folder(self.root)

    def checkpointed(self, handle: DeltaTable, *, cleans: bool) -> None:
        folder = self.root / "_delta_log"
        for part in folder.glob(f"{handle.version():020}.checkpoint*"):
            sync_file(part)
        sync_file(folder / "_last_checkpoint")
        sync_folder(folder)
        if cleans:
            handle.cleanup_metadata()

    def local(self, title: str, files: Sequence[DataFile]) -> list[Path]:
        return present(self.root, title, files)

    def lacking(self, paths: Iterable[str]) -> int:
        return sum(not (self.root / path).is_file() for path in paths)

    def check_writable(self) -> None:
        check_writable_folders(self.root)

    def begin(self, epoch: Epoch) -> Attempt:
        ensure_folder(self.root)
        return FolderAttempt.begin(self, epoch)

    def claim(self, sink_id: SinkId, name: str) -> Attempt | None:
        return FolderAttempt.claim(self, sink_folder(self.root, sink_id) / name)

    def clear(self, sink_id: SinkId) -> None:
        for folder in attempts_in(sink_folder(self.root, sink_id)):
            attempt = FolderAttempt.claim(self, folder)
            if attempt is not None:
                attempt.remove()
