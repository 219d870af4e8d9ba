"""What files were when an epoch was planned: kept in positions, and compared with what they are when they are read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from penstock.connectors.files.listing import START, Piece, Place, by_name, unreadable
from penstock.errors import ConfigError, DataError
from penstock.structs import Frozen, replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from penstock.connectors.api import Json, Position
    from penstock.connectors.files.listing import FoundFile

_WHOLE_BYTES: Final = 8 * 2**20
_SAMPLES: Final = 64
_SAMPLE_BYTES: Final = 64 * 2**10
_PIECE_BYTES: Final = 4 * 2**20
_OF_ALL: Final = "whole:"  # before the checksum of a file over 8 MiB that is over all of its bytes
_OF_STORE: Final = "tag:"


class State(Frozen):
    """What a file was. ``checksum`` (XXH3): over all bytes of a file of at most 8 MiB, and of a larger one where it begins
    with ``whole:``; else over 64 pieces of 64 KiB spread evenly, first and last bytes among them. Of an object it is what its
    store says of the content. ``ctime_ns`` None: of an object, or an earlier version planned it. ``same_as``: it was passed
    over, since a file of that name has, or had, its content. ``earlier``: contents that were read of it before this one,
    where such contents are passed over. ``read``: it was read up to there, None: as a whole.
    """

    name: str
    size: int
    mtime_ns: int
    checksum: str
    ctime_ns: int | None = None
    same_as: str | None = None
    earlier: tuple[str, ...] = ()
    read: Place | None = None

    @property
    def content(self) -> str | None:
        """What stands for all of its bytes; None: no more than samples of them are known."""
        if self.size <= _WHOLE_BYTES or self.checksum.startswith((_OF_ALL, _OF_STORE)):
            return self.checksum.removeprefix(_OF_ALL)
        return None

    def has_rows_beyond(self, before: State | None) -> bool:
        """Whether a range that begins where the file was ``before`` has rows of it: not where it was passed over, or is
        another file by its times alone.
        """
        if self.same_as is not None:
            return False
        if before is None or self.content is None:
            return True
        return (before.size, before.content, before.read) != (self.size, self.content, self.read)

    def to_json(self) -> dict[str, Json]:
        found: dict[str, Json] = {
            "path": self.name,
            "size": self.size,
            "mtime_ns": self.mtime_ns,
            "checksum": self.checksum,
        }
        if self.ctime_ns is not None:
            found["ctime_ns"] = self.ctime_ns
        if self.same_as is not None:
            found["same_as"] = self.same_as
        if self.earlier:
            found["earlier"] = list(self.earlier)
        if self.read is not None:
            found["read"] = {"at": self.read.at, "records": self.read.records}
        return found


def state_of(file: FoundFile, *, whole: bool) -> State:
    """``whole``: over all of its bytes, in pieces of 4 MiB; else at most 8 MiB are read. Of an object nothing is. Raises
    ConfigError SRC-132.
    """
    import xxhash

    if file.remote is not None:
        return State(file.name, file.size, file.mtime_ns, file.remote.checksum)
    try:
        with file.path.open("rb", buffering=0) as stream:
            now = os.fstat(stream.fileno())
            hashed, piece = xxhash.xxh3_128(), memoryview(bytearray(min(_PIECE_BYTES, max(now.st_size, 1))))
            for start, length in [(0, now.st_size)] if whole else _pieces(now.st_size):
                stream.seek(start)
                left = length
                while left and (got := stream.readinto(piece[:left])):
                    hashed.update(piece[:got])
                    left -= got
    except OSError as error:
        raise unreadable(file.path, error) from None
    mark = _OF_ALL if whole and now.st_size > _WHOLE_BYTES else ""
    return State(file.name, now.st_size, now.st_mtime_ns, mark + hashed.hexdigest(), now.st_ctime_ns)


def _pieces(size: int) -> Sequence[tuple[int, int]]:
    if size <= _WHOLE_BYTES:
        return [(0, size)]
    step = (size - _SAMPLE_BYTES) / (_SAMPLES - 1)
    return [(int(at * step), _SAMPLE_BYTES) for at in range(_SAMPLES)]


def is_untouched(state: State, file: FoundFile) -> bool:
    """By what a listing tells: size and times, and of an object what the store says of its content, for its times are
    seconds. Of positions of earlier versions, which lack the time of change, by the time of modification alone.
    """
    if (state.size, state.mtime_ns) != (file.size, file.mtime_ns):
        return False
    if file.remote is not None:
        return file.remote.checksum == state.checksum
    return state.ctime_ns is None or state.ctime_ns == file.ctime_ns


# ---------------------------------------------------------------- positions


def position_of(states: Sequence[State]) -> Position:
    """``{"v": 1, "files": [{"path", "size", "mtime_ns", "checksum", "ctime_ns"}]}``, sorted by path: all rows of these files."""
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
    ever read. Not all of them have rows in it (``State.has_rows_beyond``). Errors as ``states_of``.
    """
    done = entries_of(after)
    for name, entry in entries_of(upto).items():
        before = done.get(name)
        if before != entry:
            yield None if before is None else _state(before), _state(entry)


def _state(entry: Json) -> State:
    if not isinstance(entry, dict):
        raise _foreign()
    match entry:
        case {"path": str() as name, "size": int() as size, "mtime_ns": int() as mtime, "checksum": str() as checksum}:
            ctime, same_as, earlier = entry.get("ctime_ns"), entry.get("same_as"), entry.get("earlier")
            return State(
                name,
                size,
                mtime,
                checksum,
                ctime if isinstance(ctime, int) else None,
                same_as if isinstance(same_as, str) else None,
                tuple(map(str, earlier)) if isinstance(earlier, list) else (),
                _read(entry.get("read")),
            )
        case _:
            raise _foreign()


def _read(stored: Json) -> Place | None:
    match stored:
        case {"at": int() as at, "records": int() as records}:
            return Place(at, records)
        case _:
            return None


def _foreign() -> ConfigError:
    return ConfigError("SRC-131", "a position was not written by this version of the file sources")


# ---------------------------------------------------------------- as they were planned

_ANEW: Final = (
    "run again, so that the epoch is planned anew; where a sink has the epoch already, or an earlier one of its series, put "
    "the file back as it was, or begin anew with --full-refresh, which replaces the sinks' contents"
)
_LATER: Final = "run again when nobody writes to it"


def planned(found: Sequence[FoundFile], after: Position | None, upto: Position) -> tuple[FoundFile, ...]:
    """The files of (after, upto], as they were planned. Raises ConfigError SRC-131; DataError SRC-110 where one of them
    is gone or is not what it was.

    A file of at most 8 MiB goes by its size, time of modification and bytes, which are looked at again. A larger one goes by
    its size and times, without being opened; where its time of change alone is another, by all of its bytes, or, where no more
    than samples of them are known (what is read in full is not looked at as a whole to be planned), it is taken for another
    one. Not seen is a change within the same tick of the file system's clock (some ms at most) as the last one before the
    file was planned, if it leaves the size as it was and the file is over 8 MiB.
    """
    chosen: list[FoundFile] = []
    for file, state in _ranged(found, after, upto):
        _check_content(file, state, _ANEW, what="since the epoch was planned", look=file.size <= _WHOLE_BYTES)
        chosen.append(file)
    return tuple(chosen)


def check_untouched(found: Sequence[FoundFile], after: Position | None, upto: Position) -> None:
    """After ``planned`` has found these files as they were, and they have been read: whether nobody wrote to them
    meanwhile. Errors as ``planned``, by which it goes too, but that small files are not looked at without a reason either.
    """
    for file, state in _ranged(found, after, upto):
        _check_content(file, state, _LATER, what="while it was read", look=False)


def _check_content(file: FoundFile, state: State, hint: str, *, what: str, look: bool) -> None:
    """``look``: into its content also where its times are what they were."""
    if file.remote is not None or (state.size, state.mtime_ns) != (file.size, file.mtime_ns):
        if not is_untouched(state, file):
            raise _not_as_planned(state.name, f"has changed {what}", hint)
        return
    if not look and state.ctime_ns == file.ctime_ns:
        return
    now = state_of(file, whole=state.content is not None)
    if (now.size, now.mtime_ns, now.checksum) != (state.size, state.mtime_ns, state.checksum):
        raise _not_as_planned(state.name, f"has changed {what}", hint)
    if state.content is None and state.ctime_ns not in (None, now.ctime_ns):
        raise _not_as_planned(state.name, f"may have changed {what}", hint, _NO_MORE_THAN_SAMPLES)


def check_described(found: Sequence[FoundFile], described: Sequence[FoundFile]) -> None:
    """Whether nobody wrote to the files of which the columns are known, as far as their times of modification tell: a scan finds
    the columns out again where their times of change are others. Raises DataError SRC-110.
    """
    before = {file.name: replace(file, ctime_ns=None) for file in described}
    for file in found:
        now = replace(file, ctime_ns=None)
        if before.get(file.name, now) != now:
            raise _not_as_planned(file.name, "has changed while the run began", _LATER)


def names_in(after: Position | None, upto: Position) -> frozenset[str]:
    """Of the files of (after, upto]. Raises ConfigError SRC-131."""
    return frozenset(state.name for _, state in moves(after, upto))


def _ranged(found: Sequence[FoundFile], after: Position | None, upto: Position) -> Iterator[tuple[FoundFile, State]]:
    """The files of (after, upto], or what is wanted of them, with what each was when planned. Errors as ``planned``, but for
    what has changed.
    """
    files = by_name(found)
    for before, state in moves(after, upto):
        if not state.has_rows_beyond(before):
            continue
        file = files.get(state.name)
        if file is None:
            raise _not_as_planned(state.name, "is gone since the epoch was planned", _ANEW)
        start = begun(before, state)
        piece = Piece(start, state.read) if start is not START or state.read is not None else None
        yield replace(file, piece=piece), state


def begun(before: State | None, state: State) -> Place:
    """Up to where a file has been read that ``before`` knows: its beginning where it was not, or has changed since."""
    if before is None or before.read is None or replace(before, read=None) != replace(state, read=None):
        return START
    return before.read


_NO_MORE_THAN_SAMPLES: Final = (
    "its size and its time of modification are what they were, but the file system saw it change, be it its name or its "
    "rights alone; it is over 8 MiB, and was planned by samples of its content."
)


def _not_as_planned(name: str, what: str, hint: str, detail: str | None = None) -> DataError:
    return DataError("SRC-110", f'the file "{name}" {what}', hint=hint, detail=detail, about=("path",))
