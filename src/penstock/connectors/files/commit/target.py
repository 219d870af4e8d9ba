"""What a sink of files asks of the place where its target lies: a folder of this machine, or a bucket."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from penstock.connectors.api import Epoch, SinkId
    from penstock.connectors.files.commit.records import Entry, Manifest, State


class Target(ABC):
    """Paths of entries are relative to the target's folder. Attempts are folders of this machine, whatever the target is:
    the engine writes there, and ``keep`` makes durable what it wrote. Methods raise OSError where this machine's disk
    fails, within ``classified`` what that means; a store's errors are told by itself. ``one_file`` is the name of the one
    file that the target is, if it is one.
    """

    one_file: str | None

    @abstractmethod
    def classified(self) -> AbstractContextManager[None]:
        """Turns the disk's errors into ConfigError SNK-132, FatalError SNK-133 and TransientError SNK-134."""

    @abstractmethod
    def prepare(self) -> None:
        """Whether files can be written there. Raises ConfigError SNK-132."""

    # ------------------------------------------------------------ what is committed

    @abstractmethod
    def state(self) -> State:
        """The target after the newest commit. Raises FatalError SNK-131."""

    @abstractmethod
    def unpublished(self, state: State) -> list[Manifest]:
        """Commits whose files are not, or not all, where readers look; oldest first."""

    @abstractmethod
    def publish(self, manifest: Manifest, reached: Callable[[str], None]) -> None:
        """Brings a commit's files to where readers look: finished by whoever comes next, done once however often it runs."""

    @abstractmethod
    def names(self) -> list[str]:
        """The files that readers find, whoever wrote them, sorted; nothing of what the sink keeps for itself."""

    @abstractmethod
    def read(self, entries: Sequence[Entry]) -> list[Path]:
        """Files of this machine with the entries' content, in their order. Raises DataError SRC-110 where one is not as it
        was committed, and what copying an object raises.
        """

    # ------------------------------------------------------------ fences

    @abstractmethod
    def raise_fence(self, epoch: Epoch) -> None:
        """From now on no older runner commits for this sink, under whatever incarnation; what it has staged is thrown away.

        Raises FatalError SNK-120 where a newer runner has been here.
        """

    @abstractmethod
    def check_fence(self, epoch: Epoch) -> None:
        """Raises FatalError SNK-120 where a newer runner has been here."""

    # ------------------------------------------------------------ attempts

    @abstractmethod
    def attempt(self, epoch: Epoch) -> Path:
        """The folder of the epoch's attempt; it need not be there."""

    @abstractmethod
    def new_part(self, attempt: Path) -> Path:
        """An empty folder for one more writer of the attempt."""

    @abstractmethod
    def keep(self, folder: Path, files: Sequence[Path]) -> None:
        """What a writer has written into its folder is durable when this returns."""

    @abstractmethod
    def lacking(self, attempt: Path, paths: Collection[str]) -> int:
        """How many of an attempt's files, by their paths below its parts, are no longer there."""

    @abstractmethod
    def drop(self, epoch: Epoch, part: Path | None = None) -> None:
        """Removes the epoch's attempt unless it is committed, or what one writer of it left. Idempotent."""

    @abstractmethod
    def clean(self, sink_id: SinkId, *, keep: Collection[str] = ()) -> None:
        """Removes attempts of this sink id that are neither committed nor named in ``keep``."""

    # ------------------------------------------------------------ committing

    @abstractmethod
    def ready(self, attempt: Path, manifest: Manifest) -> None:
        """What must be there before the commit itself."""

    @abstractmethod
    def append(self, attempt: Path, manifest: Manifest) -> bool:
        """**The commit**: the attempt becomes this version. False where another commit has taken it.

        Raises FileNotFoundError where a newer runner has thrown the attempt away.
        """

    @abstractmethod
    def snapshot(self, state: State) -> bool:
        """Now and then, once all is published: keeps the state as one file and removes the versions it holds."""

    def close(self) -> None:  # noqa: B027 -- a folder holds nothing
        """Gives back what is held. Idempotent."""
