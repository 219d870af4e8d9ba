"""``incremental: files``: which files are new since the last sealed epoch, and which of them were read before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from penstock.connectors.files.states import State, is_untouched, moves, position_of, state_of, states_of
from penstock.errors import DataError
from penstock.structs import replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from penstock.connectors.api import Position
    from penstock.connectors.files.listing import FoundFile


class Contents:
    """What files have been found to be, for as long as a source is open: a file is not looked into twice as long as its size
    and times are what they were.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[FoundFile, State]] = {}

    def of(self, file: FoundFile) -> State:
        """By all of its bytes. Raises ConfigError SRC-132."""
        known = self._known.get(file.name)
        if known is None or known[0] != file:
            known = self._known[file.name] = (file, state_of(file, whole=True))
        return known[1]


def grown(
    found: Sequence[FoundFile],
    after: Position | None,
    contents: Contents,
    *,
    on_change: Literal["again", "ignore", "fail"],
    skips_same: bool,
) -> Position:
    """What has been read once the new files among ``found`` have been, too: files that are gone stay in it, so that they
    are not read again when they come back. A file that was only touched is no other: its new times are kept with the next
    position that has new files. Looks into new and changed files alone, and into all of their bytes.

    With ``skips_same`` each content that was read of a file stays with its name (a checksum, 32 digits): the position grows
    by one for each time that a file is read again.

    Raises ConfigError SRC-131, SRC-132; DataError SRC-113 where one has changed and ``on_change`` is fail.
    """
    states = {state.name: state for state in states_of(after)}
    owners = _owners(states.values()) if skips_same else {}
    new: dict[str, State] = {}
    touched: dict[str, State] = {}
    for file in found:
        before = states.get(file.name)
        if before is not None and (on_change == "ignore" or _is_known(before, file)):
            touched |= _with_times(before, file) if is_untouched(before, file) else {}
            continue
        now = contents.of(file)
        if before is not None and (before.size, before.content) == (now.size, now.content):
            touched |= _with_times(before, now)
            continue
        if before is not None and on_change == "fail":
            raise DataError(
                "SRC-113",
                f'the file "{file.name}" has changed since it was read',
                hint="on_change: again reads it again as a whole; ignore leaves it as it was read",
            )
        if skips_same:
            now = _remembering(before, now, owners)
        new[file.name] = now
    return position_of(list({**states, **touched, **new}.values() if new else states.values()))


def read_again(after: Position | None, upto: Position) -> int:
    """How many files of (after, upto] an earlier epoch had rows of, that they may still have. Raises ConfigError SRC-131."""
    return sum(
        1
        for before, state in moves(after, upto)
        if before is not None and before.read is None and before.same_as is None and state.has_rows_beyond(before)
    )


def _is_known(before: State, file: FoundFile) -> bool:
    """Whether it is what was read without a look at all of its bytes. Of what was planned by samples (by an earlier version, or
    to be read in full), no more than these can be compared.
    """
    if is_untouched(before, file):
        return True
    if before.content is not None or before.size != file.size:
        return False
    return state_of(file, whole=False).checksum == before.checksum


def _with_times(before: State, now: State | FoundFile) -> dict[str, State]:
    """What was read, under the times that it has now; {} where it must stay as it is, or is so already."""
    known = replace(before, mtime_ns=now.mtime_ns, ctime_ns=now.ctime_ns)
    return {} if before.content is None or known == before else {before.name: known}


def _owners(states: Iterable[State]) -> dict[str, str]:
    """The contents that were read, each with the name of a file that has or had it. What is known by samples is none."""
    owners: dict[str, str] = {}
    for state in states:
        for content in (state.content, *state.earlier):
            if content is not None:
                owners.setdefault(content, state.same_as or state.name)
    return owners


def _remembering(before: State | None, now: State, owners: dict[str, str]) -> State:
    """With what was read of it before; passed over where it is new and another file has, or had, its content."""
    content = now.content
    assert content is not None
    owner = owners.setdefault(content, now.name)
    if before is None:
        return replace(now, same_as=owner) if owner != now.name else now
    read = () if before.content is None or before.same_as is not None else (before.content,)
    return replace(now, earlier=tuple(dict.fromkeys((*before.earlier, *read))))
