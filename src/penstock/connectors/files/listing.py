"""Which files a path or pattern of a document stands for, as they are now."""

from __future__ import annotations

import glob
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from penstock.errors import ConfigError, nearest
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from penstock.connectors.objects.bucket import StoredObject
    from penstock.connectors.objects.outlines import Outline

_WILDCARDS: Final = frozenset("*?[")


class Place(Frozen):
    """A cut in a file: how far it is (bytes of a text, rows of other kinds), and how many records, the header too, are before it."""

    at: int
    records: int


START: Final = Place(0, 0)


class Piece(Frozen):
    """``end`` None: to the file's end."""

    start: Place
    end: Place | None


class Remote(Frozen):
    """The object that a file is a copy of, and what people call it."""

    stored: StoredObject
    url: str

    @property
    def checksum(self) -> str:
        """What its store says of its content: another tag is another content, and the same one is the same. Of stores that say
        nothing of it, the time of modification (whole seconds, of HDFS milliseconds) has to do.
        """
        return f"tag:{self.stored.tag or self.stored.modified_ns}"


class FoundFile(Frozen):
    """``place`` is where it lies, as text: a listing may have many. ``name`` is the path below the pattern's fixed part: what
    a position keeps, so that a project can move. ``size``, ``mtime_ns`` and ``ctime_ns`` are as of the listing. Whoever writes
    to the file can put back the first two (``cp -p`` does); ``ctime_ns``, when the file system saw its last change, be it of
    its name or rights alone, is nobody's to set. None: an object has none. ``piece``: what is wanted of it, None: all.
    ``remote`` None: it is a file of this machine; else ``place`` is that of its copy once it has been made.
    """

    place: str
    name: str
    size: int
    mtime_ns: int
    piece: Piece | None = None
    remote: Remote | None = None
    ctime_ns: int | None = None

    @property
    def path(self) -> Path:
        return Path(self.place)

    @property
    def shown(self) -> str:
        """Where it lies, for people."""
        return self.remote.url if self.remote is not None else self.place


class Listing(Frozen):
    """The files of one path: ``text`` as the document writes it, ``endings`` those that count in a folder."""

    text: str
    resolve: Callable[[str], Path]
    endings: tuple[str, ...]

    def files(self) -> tuple[FoundFile, ...]:
        """Sorted by name; at least one. A file of exactly this name goes before a pattern that its name would be; a
        folder stands for all files below it with one of the endings, but those whose names begin with ``.`` or ``_``.

        Raises ConfigError SRC-130 (there is none), SRC-132 (it cannot be read), and what ``resolve`` raises of a link
        that leaves the project.
        """
        place = self.resolve(self.text)
        root = self._root(place)
        if root == place:
            names = self._below(place)
        elif place.exists() or not _WILDCARDS & set(self.text):
            names = [place.name] if place.exists() else []
        else:
            pattern = str(place.relative_to(root))
            names = glob.glob(pattern, root_dir=root, recursive=True)  # noqa: PTH207 -- Path.glob finds hidden ones
        found = [file for file in map(self._look(root), names) if file is not None]
        if not found:
            raise ConfigError(
                "SRC-130",
                f'no file is there for "{self.text}"',
                detail=f"looked for {place}"
                + (f" with the endings {', '.join(self.endings)}" if place.is_dir() else "")
                + ".",
                hint=None if place.is_dir() else self._nearest(place),
                about=("path",),
            )
        return tuple(sorted(found, key=lambda item: item.name))

    def again(self, names: Collection[str]) -> tuple[FoundFile, ...]:
        """Of those that ``files`` found the ones of these names that are still there. Raises as it does."""
        find = self.finder()
        return tuple(file for name in names if (file := find(name)) is not None)

    def finder(self) -> Callable[[str], FoundFile | None]:
        """Those that ``files`` found, one by one as they are now: no other one is looked at. None: it is gone. Raises as it does."""
        root = self._root(self.resolve(self.text))
        look, base = self._look(root), str(root)
        return lambda name: look(name) if os.path.exists(os.path.join(base, name)) else None  # noqa: PTH110, PTH118 -- as in _look

    def _root(self, place: Path) -> Path:
        """The folder that names are below: the place itself where it is one."""
        if place.is_dir():
            return place
        return place.parent if place.exists() or not _WILDCARDS & set(self.text) else _fixed_part(place)

    def _look(self, root: Path) -> Callable[[str], FoundFile | None]:
        """The file of a name below the root, as it is now; None: it is a folder. What was matched lies within the roots: each
        folder is looked at once, and of the files those that are links.
        """
        base, folders = str(root), set[str]()

        def look(name: str) -> FoundFile | None:
            path = os.path.join(base, name)  # noqa: PTH118 -- text: there may be many
            folder = path.rpartition(os.sep)[0]
            if folder not in folders:
                self.resolve(folder)
                folders.add(folder)
            return self._found(path, name)

        return look

    def _found(self, path: str, name: str) -> FoundFile | None:
        """None: it is a folder."""
        try:
            itself = os.lstat(path)
            is_link = stat.S_ISLNK(itself.st_mode)
            now = os.stat(path) if is_link else itself  # noqa: PTH116 -- as above
        except OSError as error:
            raise unreadable(Path(path), error) from None
        if stat.S_ISDIR(now.st_mode):
            return None
        if is_link:
            self.resolve(path)
        return _as_found(path, name.replace(os.sep, "/"), now)

    def outline(self, files: Sequence[FoundFile], outline: Outline | None) -> None:
        """Nothing to do: they lie here."""

    def fetch(self, files: Sequence[FoundFile]) -> None:
        """As ``outline``."""

    def close(self) -> None:
        """As ``outline``."""

    def _nearest(self, place: Path) -> str | None:
        """The path with its first part that is not there as the nearest name that is."""
        folder = next(folder for folder in place.parents if folder.is_dir())
        missing = len(folder.parts) - len(place.parts)
        written = list(Path(self.text).parts)
        if not -len(written) <= missing < 0 or _WILDCARDS & set(written[missing]):
            return None
        try:
            near = nearest(written[missing], os.listdir(folder))  # noqa: PTH208 -- names alone are wanted
        except OSError:
            return None
        written[missing] = near or ""
        return f'did you mean "{Path(*written)}"?' if near else None

    def _below(self, folder: Path) -> list[str]:
        found: list[str] = []
        for at, folders, names in os.walk(folder):
            folders[:] = [name for name in folders if not name.startswith((".", "_"))]
            below = os.path.relpath(at, folder)
            found += [
                name if below == os.curdir else os.path.join(below, name)  # noqa: PTH118 -- text: there may be many
                for name in names
                if not name.startswith((".", "_")) and name.lower().endswith(self.endings)
            ]
        return found


def found_at(path: Path, name: str) -> FoundFile:
    """The file as it is now. Raises ConfigError SRC-132."""
    try:
        now = path.stat()
    except OSError as error:
        raise unreadable(path, error) from None
    return _as_found(str(path), name, now)


def _as_found(place: str, name: str, now: os.stat_result) -> FoundFile:
    if not stat.S_ISREG(now.st_mode):
        raise ConfigError("SRC-132", f'"{Path(place).name}" cannot be read', detail="it is no regular file")
    return FoundFile(place, name, now.st_size, now.st_mtime_ns, ctime_ns=now.st_ctime_ns)


def _fixed_part(pattern: Path) -> Path:
    """The folders before the first part with a wildcard; a folder that is really called so is one of them."""
    fixed = Path(pattern.anchor)
    for part in pattern.parts[1:-1]:
        if _WILDCARDS & set(part) and not (fixed / part).is_dir():
            break
        fixed /= part
    return fixed


def unreadable(path: Path, error: OSError) -> ConfigError:
    """SRC-132, to be raised: the file system does not give the file."""
    return ConfigError("SRC-132", f'"{path.name}" cannot be read', detail=f"{error.strerror} ({path})")


def by_name(found: Sequence[FoundFile]) -> dict[str, FoundFile]:
    return {file.name: file for file in found}
