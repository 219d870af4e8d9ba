"""Files of Iceberg tables on the local file system: what has been written and closed survives a power cut.

pyiceberg writes manifests, manifest lists and metadata through this before it changes the catalog, and syncs nothing by
itself.
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from pyiceberg.io import FileIO, InputFile, OutputFile

from penstock.connectors.iceberg.locations import path_of
from penstock.disk import ensure_folder, sync_folder

if TYPE_CHECKING:
    from pathlib import Path

    from pyiceberg.io import InputStream, OutputStream


class _Synced(io.BufferedWriter):
    """A new file whose bytes and name are durable once it is closed."""

    def __init__(self, path: Path, mode: str) -> None:
        super().__init__(io.FileIO(path, mode))
        self._folder = path.parent

    def close(self) -> None:
        if self.closed:
            return
        try:
            self.flush()
            os.fsync(self.fileno())
        finally:
            super().close()
        sync_folder(self._folder)


class LocalInput(InputFile):
    """A file to be read."""

    def __len__(self) -> int:
        return path_of(self.location).stat().st_size

    def exists(self) -> bool:
        return path_of(self.location).is_file()

    def open(self, seekable: bool = True) -> InputStream:  # noqa: ARG002, FBT001, FBT002 -- as FileIO has it
        return path_of(self.location).open("rb")


class LocalOutput(OutputFile):
    """A file to be written."""

    def __len__(self) -> int:
        return path_of(self.location).stat().st_size

    def exists(self) -> bool:
        return path_of(self.location).is_file()

    def to_input_file(self) -> InputFile:
        return LocalInput(self.location)

    def create(self, overwrite: bool = False) -> OutputStream:  # noqa: FBT001, FBT002 -- as FileIO has it
        path = path_of(self.location)
        ensure_folder(path.parent)
        return _Synced(path, "w" if overwrite else "x")


class LocalIO(FileIO):
    """What pyiceberg reads and writes through. Raises ConfigError SRC-265 for locations elsewhere, OSError."""

    def new_input(self, location: str) -> InputFile:
        path_of(location)
        return LocalInput(location)

    def new_output(self, location: str) -> OutputFile:
        path_of(location)
        return LocalOutput(location)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        path_of(location if isinstance(location, str) else location.location).unlink()
