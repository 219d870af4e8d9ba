"""Which files a path or pattern of a document stands for, and what each was when an epoch was planned."""

from __future__ import annotations

import glob
import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from penstock.errors import ConfigError, DataError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from penstock.connectors.api import Json, Position
    from penstock.connectors.objects.bucket import StoredObject
    from penstock.connectors.objects.outlines import Outline

_WHOLE_BYTES: Final = 8 * 2**20
_SAMPLES: Final = 64
_SAMPLE_BYTES: Final = 64 * 2**10
_WILDCARDS: Final = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Place:
    """A cut in a file: how far it is (bytes of a text, rows of other kinds), and how many records, the header too, are before it."""

    at: int
    records: int


START: Final = Place(0, 0)


@dataclass(frozen=True, slots=True)
class Piece:
    """``end`` None: to the file's end."""

    start: Place
    end: Place | None


@dataclass(frozen=True, slots=True)
class Remote:
    """The object that a file is a copy of, and what people call it."""

    stored: StoredObject
    url: str

    @property
    def checksum(self) -> str:
        """What stands for its content; of stores that say nothing of it, the time of modification has to do."""
        return f"tag:{self.stored.tag or self.stored.modified_ns}"


@dataclass(frozen=True, slots=True)
class FoundFile:
    """``place`` is where it lies, as text: a listing may have many. ``name`` is the path below the pattern's fixed part: what
    a position keeps, so that a project can move. ``size`` and ``mtime_ns`` are as of the listing: whoever writes to the file
    changes them, and it is another one. ``piece``: what is wanted of it, None: all. ``remote`` None: it is a file of this
    machine; else ``place`` is that of its copy once it has been made.
    """

    place: str
    name: str
    size: int
    mtime_ns: int
    piece: Piece | None = None
    remote: Remote | None = None

    @property
    def path(self) -> Path:
        return Path(self.place)

    @property
    def shown(self) -> str:
        """Where it lies, for people."""
        return self.remote.url if self.remote is not None else self.place


@dataclass(frozen=True, slots=True)
class State:
    """What a file was. ``checksum`` (XXH3) is over all bytes of a file of at most 8 MiB, else over 64 pieces of 64 KiB
    spread evenly, first and last bytes among them: a change that leaves size and time of modification as they were, and
    touches none of the pieces, is not seen. Of an object it is what its store says of the content. ``same_as``: it was
    passed over, since a file of that name has its content. ``read``: it was read up to there, None: as a whole.
    """

    name: str
    size: int
    mtime_ns: int
    checksum: str
    same_as: str | None = None
    read: Place | None = None

    def to_json(self) -> dict[str, Json]:
        found: dict[str, Json] = {
            "path": self.name,
            "size": self.size,
            "mtime_ns": self.mtime_ns,
            "checksum": self.checksum,
        }
        if self.same_as is not None:
            found["same_as"] = self.same_as
        if self.read is not None:
            found["read"] = {"at": self.read.at, "records": self.read.records}
        return found


@dataclass(frozen=True, slots=True)
class Listing:
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
        look = self._look(root)
        return lambda name: look(name) if (root / name).exists() else None

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
    return FoundFile(place, name, now.st_size, now.st_mtime_ns)


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


def state_of(file: FoundFile) -> State:
    """Reads at most 8 MiB, of an object nothing. Raises ConfigError SRC-132."""
    import xxhash

    if file.remote is not None:
        return State(file.name, file.size, file.mtime_ns, file.remote.checksum)
    try:
        with file.path.open("rb") as stream:
            before = os.fstat(stream.fileno())
            hashed = xxhash.xxh3_128()
            for start, length in _pieces(before.st_size):
                stream.seek(start)
                hashed.update(stream.read(length))
    except OSError as error:
        raise unreadable(file.path, error) from None
    return State(file.name, before.st_size, before.st_mtime_ns, hashed.hexdigest())


def _pieces(size: int) -> Sequence[tuple[int, int]]:
    if size <= _WHOLE_BYTES:
        return [(0, size)]
    step = (size - _SAMPLE_BYTES) / (_SAMPLES - 1)
    return [(int(at * step), _SAMPLE_BYTES) for at in range(_SAMPLES)]


# ---------------------------------------------------------------- positions


def position_of(states: Sequence[State]) -> Position:
    """``{"v": 1, "files": [{"path", "size", "mtime_ns", "checksum"}]}``, sorted by path: all rows of these files."""
    return position_with({state.name: state.to_json() for state in states})


def position_with(entries: Mapping[str, Json]) -> Position:
    """As ``position_of``, of what ``entries_of`` gives."""
    return {"v": 1, "files": [entries[name] for name in sorted(entries)]}


def states_of(position: Position | None) -> tuple[State, ...]:
    """The inverse; None is no file. Raises ConfigError SRC-131 for what another version wrote."""
    return tuple(_state(entry) for entry in entries_of(position).values())


def entries_of(position: Position | None) -> dict[str, Json]:
    """What a position keeps of each file, by name; None is no file. Errors as ``states_of``."""
    match position:
        case None:
            return {}
        case {"v": 1, "files": list() as files}:
            entries: dict[str, Json] = {
                str(entry["path"]): entry for entry in files if isinstance(entry, dict) and "path" in entry
            }
            if len(entries) == len(files):
                return entries
    raise _foreign()


def moves(after: Position | None, upto: Position) -> Iterator[tuple[State | None, State]]:
    """What the files of (after, upto] were before, and are; only these are looked into, for a position has all files that were
    ever read. Errors as ``states_of``.
    """
    done = entries_of(after)
    for name, entry in entries_of(upto).items():
        before = done.get(name)
        if before != entry:
            yield None if before is None else _state(before), _state(entry)


def _state(entry: Json) -> State:
    match entry:
        case {"path": str() as name, "size": int() as size, "mtime_ns": int() as mtime, "checksum": str() as checksum}:
            state = State(name, size, mtime, checksum)
            match entry:
                case {"same_as": str() as same_as}:
                    return replace(state, same_as=same_as)
                case {"read": {"at": int() as at, "records": int() as records}}:
                    return replace(state, read=Place(at, records))
                case _:
                    return state
        case _:
            raise _foreign()


def _foreign() -> ConfigError:
    return ConfigError("SRC-131", "a position was not written by this version of the file sources")


_ANEW: Final = (
    "run again, so that the epoch is planned anew; where a sink has the epoch already, or an earlier one of its series, put "
    "the file back as it was, or begin anew with --full-refresh, which replaces the sinks' contents"
)
_LATER: Final = "run again when nobody writes to it"


def planned(found: Sequence[FoundFile], after: Position | None, upto: Position) -> tuple[FoundFile, ...]:
    """The files of (after, upto], as they were planned. Raises ConfigError SRC-131; DataError SRC-110 where one of them
    is gone or is not what it was.
    """
    chosen: list[FoundFile] = []
    for file, state in _ranged(found, after, upto):
        if state_of(file) != replace(state, read=None):
            raise _not_as_planned(state.name, "has changed since the epoch was planned")
        chosen.append(file)
    return tuple(chosen)


def grown(
    found: Sequence[FoundFile],
    after: Position | None,
    *,
    on_change: Literal["again", "ignore", "fail"],
    skips_same: bool,
) -> Position:
    """What has been read once the new files among ``found`` have been, too: files that are gone stay in it, so that they
    are not read again when they come back. A file that was only touched is no other. Looks into new and changed files alone.

    Raises ConfigError SRC-131, SRC-132; DataError SRC-113 where one has changed and ``on_change`` is fail.
    """
    states = {state.name: state for state in states_of(after)}
    contents = {(state.size, state.checksum): state.name for state in states.values()}
    for file in found:
        before = states.get(file.name)
        if before is not None and _is_untouched(before, file):
            continue
        now = state_of(file)
        content = (now.size, now.checksum)
        if before is not None and (content == (before.size, before.checksum) or on_change == "ignore"):
            continue
        if before is not None and on_change == "fail":
            raise DataError(
                "SRC-113",
                f'the file "{file.name}" has changed since it was read',
                hint="on_change: again reads it again as a whole; ignore leaves it as it was read",
            )
        if before is None and skips_same and content in contents:
            now = replace(now, same_as=contents[content])
        contents.setdefault(content, file.name)
        states[file.name] = now
    return position_of(list(states.values()))


def _is_untouched(state: State, file: FoundFile) -> bool:
    """By what a listing tells: size and time, and of an object what the store says of its content, for its times are seconds."""
    same = (state.size, state.mtime_ns) == (file.size, file.mtime_ns)
    return same and (file.remote is None or file.remote.checksum == state.checksum)


def names_in(after: Position | None, upto: Position) -> frozenset[str]:
    """Of the files of (after, upto]. Raises ConfigError SRC-131."""
    return frozenset(state.name for _, state in moves(after, upto))


def check_untouched(found: Sequence[FoundFile], after: Position | None, upto: Position) -> None:
    """After ``planned`` has found these files as they were, and they have been read: whether nobody wrote to them
    meanwhile. Errors as ``planned``.
    """
    for file, state in _ranged(found, after, upto):
        if not _is_untouched(state, file):
            raise _not_as_planned(state.name, "has changed while it was read", _LATER)


def check_described(found: Sequence[FoundFile], described: Sequence[FoundFile]) -> None:
    """Whether nobody wrote to the files of which the columns are known. Raises DataError SRC-110."""
    before = {file.name: file for file in described}
    for file in found:
        if before.get(file.name, file) != file:
            raise _not_as_planned(file.name, "has changed while the run began", _LATER)


def _ranged(found: Sequence[FoundFile], after: Position | None, upto: Position) -> Iterator[tuple[FoundFile, State]]:
    """The files of (after, upto], or what is wanted of them, with what each was when planned. Errors as ``planned``, but for
    what has changed.
    """
    files = by_name(found)
    for before, state in moves(after, upto):
        if state.same_as is not None:
            continue
        file = files.get(state.name)
        if file is None:
            raise _not_as_planned(state.name, "is gone since the epoch was planned")
        start = begun(before, state)
        piece = Piece(start, state.read) if start is not START or state.read is not None else None
        yield replace(file, piece=piece), state


def begun(before: State | None, state: State) -> Place:
    """Up to where a file has been read that ``before`` knows: its beginning where it was not, or has changed since."""
    if before is None or before.read is None or replace(before, read=None) != replace(state, read=None):
        return START
    return before.read


def by_name(found: Sequence[FoundFile]) -> dict[str, FoundFile]:
    return {file.name: file for file in found}


def _not_as_planned(name: str, what: str, hint: str = _ANEW) -> DataError:
    return DataError("SRC-110", f'the file "{name}" {what}', hint=hint, about=("path",))
