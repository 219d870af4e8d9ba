"""The positioned tree: what a document says, each key and value with the place where it stands.

Made by ``loader.load``; ``plain`` gives ordinary data for validation, ``locate`` turns a path into that data (pydantic's
``loc``) back into a place, ``offset_location`` finds a part of a text (a column in ``sql: |``) in the document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from penstock.document.trace import Source, trace
from penstock.errors import Location
from penstock.structs import Frozen, Selective

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Mapping as AbstractMapping
    from collections.abc import Sequence as AbstractSequence
    from datetime import date, datetime, time
    from decimal import Decimal

    from penstock.document.trace import Style
    from penstock.secret import Secret

    Value: TypeAlias = "bool | int | float | str | Decimal | date | datetime | time | Secret | None"

Path: TypeAlias = tuple[str | int, ...]
_MAX_TRACED: Final = 100_000  # characters of a text in which parts are looked for


class Replacement(Frozen):
    """A placeholder that was replaced: half-open spans in ``Scalar.text`` and in the text that came of it.

    ``value`` is what took its place; the ``$`` of an escaped ``$${`` is such a part too, and its value is "$".
    """

    start: int
    end: int
    value_start: int
    value_end: int
    value: Value = None


class Scalar(Selective):
    """One value. ``text`` is what stands in the document, unquoted and unfolded, before typing and replacement.

    ``at`` covers the value with its quotes; of a block scalar (``|``, ``>``) it covers the indicator.
    """

    value: Value
    text: str
    at: Location
    style: Style = "plain"
    origin: Source | None = None
    replacements: tuple[Replacement, ...] = ()
    uncompared = frozenset({"origin"})
    unprinted = frozenset({"origin", "replacements"})

    @property
    def quoted(self) -> bool:
        """Whether the author said that this is text: in quotes, or as a block."""
        return self.style != "plain"


class Sequence(Frozen):
    items: tuple[Node, ...]
    at: Location


class Entry(Frozen):
    key: Scalar
    value: Node


class Mapping(Frozen):
    """Entries by name, in the order of the document; every name once."""

    entries: AbstractMapping[str, Entry]
    at: Location

    def get(self, name: str) -> Node | None:
        """The value under that key, None where the key does not stand there."""
        entry = self.entries.get(name)
        return entry.value if entry else None


Node: TypeAlias = Scalar | Sequence | Mapping
Plain: TypeAlias = "Value | list[Plain] | dict[str, Plain]"


def is_null(node: Node) -> bool:
    """Whether nothing is written there, or ``null``."""
    return isinstance(node, Scalar) and node.value is None


def plain(node: Node) -> Plain:
    """Ordinary Python data: dict, list and scalar values; an alias is a copy of what it names."""
    match node:
        case Scalar():
            return node.value
        case Sequence():
            return [plain(item) for item in node.items]
        case Mapping():
            return {name: plain(entry.value) for name, entry in node.entries.items()}


def walk(node: Node, path: Path = ()) -> Iterator[tuple[Path, Scalar]]:
    """Every scalar value (not the keys) with its path, in the order of the document."""
    match node:
        case Scalar():
            yield path, node
        case Sequence():
            for index, item in enumerate(node.items):
                yield from walk(item, (*path, index))
        case Mapping():
            for name, entry in node.entries.items():
                yield from walk(entry.value, (*path, name))


def _child(node: Node, step: str | int) -> tuple[Node, Location | None] | None:
    match node:
        case Mapping() if isinstance(step, str) and step in node.entries:
            entry = node.entries[step]
            return entry.value, entry.key.at
        case Sequence() if isinstance(step, int) and 0 <= step < len(node.items):
            return node.items[step], None
        case _:
            return None


def locate(node: Node, path: AbstractSequence[str | int], *, key: bool = False) -> Location:
    """The place of the value at ``path``, or with ``key=True`` of the key that names it.

    A part of the path that does not exist is passed over, so that the tags which pydantic puts into a ``loc`` do no
    harm; a path whose last part does not exist (a missing key) gives the deepest part that does: the key of that
    mapping or list, where it has one.
    """
    current, name_at, found = node, None, True
    for step in path:
        child = _child(current, step)
        found = child is not None
        if child is not None:
            current, name_at = child
    wants_key = key or (not found and not isinstance(current, Scalar))
    return name_at if wants_key and name_at is not None else current.at


def find(node: Node, path: AbstractSequence[str | int]) -> Node | None:
    """The node at exactly that path, None where there is none."""
    current = node
    for step in path:
        child = _child(current, step)
        if child is None:
            return None
        current = child[0]
    return current


def _before_replacement(scalar: Scalar, offset: int) -> tuple[int, int | None]:
    """``offset`` of the value as an offset of the text, with the placeholder's length where it falls inside one."""
    shift = 0
    for part in scalar.replacements:
        if offset < part.value_start:
            break
        if offset < part.value_end:
            return part.start, part.end - part.start
        shift = part.end - part.value_end
    return offset + shift, None


def offset_location(scalar: Scalar, offset: int, length: int = 1) -> Location:
    """Where characters ``offset .. offset+length`` of the scalar's text stand in the document, clipped to one line.

    Offsets count characters of the value as the program sees it: unquoted, unfolded, placeholders replaced (a part
    inside a replaced placeholder gives the whole placeholder). An offset past the end gives the last character; a
    scalar without a document behind it, or one of more than 100,000 characters, gives its own place.
    """
    if scalar.origin is None or len(scalar.text) > _MAX_TRACED:
        return scalar.at
    start, placeholder = _before_replacement(scalar, max(0, offset))
    places = trace(scalar.origin, scalar.text, scalar.at, scalar.style)
    if not places:
        return scalar.at
    line, column = places[min(start, len(places) - 1)]
    if placeholder is None:
        last, rest = _before_replacement(scalar, max(0, offset) + max(1, length) - 1)
        stop = last + (rest or 1)
    else:
        stop = start + placeholder
    end_column = column + 1
    for next_line, next_column in places[start:stop]:
        if next_line != line:
            break
        end_column = next_column + 1
    return Location(scalar.at.file, line, column, end_column, scalar.origin.line(line))
