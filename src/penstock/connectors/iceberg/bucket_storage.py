"""Files of Iceberg tables in an object store: what pyiceberg reads and writes of metadata, by the connection's own means."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

from pyiceberg.io import FileIO, InputFile, OutputFile

from penstock.connectors.iceberg.in_store import PLACE
from penstock.connectors.objects.bucket import ObjectGoneError

if TYPE_CHECKING:
    from pyiceberg.io import InputStream, OutputStream
    from pyiceberg.typedef import Properties

    from penstock.connectors.iceberg.in_store import StorePlace

_IN_MEMORY: Final = 8 * 2**20


class _Sent(io.BytesIO):
    """A new object that is there once it is closed."""

    def __init__(self, place: StorePlace, key: str, *, overwrite: bool) -> None:
        super().__init__()
        self._place = place
        self._key = key
        self._overwrite = overwrite

    def close(self) -> None:
        if self.closed:
            return
        content = self.getvalue()
        super().close()
        if self._overwrite:
            self._place.bucket.write(self._key, content)
        elif not self._place.bucket.create(self._key, content):
            raise FileExistsError(self._place.bucket.url_of(self._key))


class _Object:
    """What files to be read and to be written have in common."""

    def __init__(self, place: StorePlace, location: str) -> None:
        super().__init__(location)  # type: ignore[call-arg]  # of the file
        self._place = place
        self._key = place.key_of(location)

    def __len__(self) -> int:
        found = self._place.bucket.find(self._key)
        if found is None:
            raise FileNotFoundError(self._place.bucket.url_of(self._key))
        return found.size

    def exists(self) -> bool:
        return self._place.bucket.find(self._key) is not None


class BucketInput(_Object, InputFile):
    """An object to be read."""

    def open(self, seekable: bool = True) -> InputStream:  # noqa: ARG002, FBT001, FBT002 -- as FileIO has it
        if len(self) > _IN_MEMORY:
            try:
                return self._place.fetched(self._key).open("rb")
            except ObjectGoneError:
                raise FileNotFoundError(self._place.bucket.url_of(self._key)) from None
        content = self._place.bucket.read(self._key)
        if content is None:
            raise FileNotFoundError(self._place.bucket.url_of(self._key))
        return io.BytesIO(content)


class BucketOutput(_Object, OutputFile):
    """An object to be written."""

    def to_input_file(self) -> InputFile:
        return BucketInput(self._place, self.location)

    def create(self, overwrite: bool = False) -> OutputStream:  # noqa: FBT001, FBT002 -- as FileIO has it
        return _Sent(self._place, self._key, overwrite=overwrite)


class BucketIO(FileIO):
    """What pyiceberg reads and writes through; the properties hold the place itself, which no text stands for.

    Raises ConfigError SRC-360 for locations elsewhere, and what ``Bucket`` does.
    """

    def __init__(self, properties: Properties) -> None:
        super().__init__({})
        told: dict[str, Any] = properties
        self._place: StorePlace = told[PLACE]

    def new_input(self, location: str) -> InputFile:
        return BucketInput(self._place, location)

    def new_output(self, location: str) -> OutputFile:
        return BucketOutput(self._place, location)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        named = location if isinstance(location, str) else location.location
        self._place.bucket.delete([self._place.key_of(named)])
