"""Where each character of a scalar's text stands in the document, through quotes, escapes and folded lines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.errors import Location

Style: TypeAlias = Literal["plain", "single", "double", "literal", "folded"]
Place: TypeAlias = tuple[int, int]  # 1-based line and column

_ESCAPE: Final = re.compile(r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)")
_SURROGATES: Final = re.compile(r"\\u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}")


class Source(Frozen):
    """A document's text by line, without line breaks; shared by all nodes read from it."""

    file: str
    lines: tuple[str, ...]

    def line(self, number: int) -> str:
        """The text of a 1-based line; empty past the end."""
        return self.lines[number - 1] if 0 < number <= len(self.lines) else ""


def trace(source: Source, text: str, at: Location, style: Style) -> list[Place]:
    """One place per character of ``text``; empty where the document does not explain the text."""
    match style:
        case "literal":
            return _literal(source, text, at)
        case "folded":
            return _align(text, _block_lines(source, at))
        case "plain":
            return _align(text, _words_by_line(source, at))
        case "single" | "double":
            return _align(text, _quoted_pieces(source, at, style))


def _literal(source: Source, text: str, at: Location) -> list[Place]:
    """A ``|`` block: line by line the same text, behind an indentation that all lines share."""
    places: list[Place] = []
    values = text.split("\n")
    indent = _indent(source, values, at.line)
    for number, value in enumerate(values, at.line + 1):
        places.extend((number, indent + 1 + index) for index in range(len(value) + 1))
    return places[: len(text)]


def _indent(source: Source, values: list[str], header: int) -> int:
    for number, value in enumerate(values, header + 1):
        if value:
            return max(0, len(source.line(number)) - len(value))
    return 0


# One piece of the document: its place, how many columns it takes, and the text that it stands for.
_Piece: TypeAlias = tuple[int, int, int, str]


def _align(text: str, pieces: Iterator[_Piece]) -> list[Place]:
    """Lays the pieces over the text; what lies between two pieces is white space, folded or not, behind the first."""
    places: list[Place] = []
    line, column = 0, 0
    for next_line, next_column, width, piece in pieces:
        if len(places) >= len(text):
            break
        start = len(places)
        while start < len(text) and not text.startswith(piece, start) and text[start] in " \t\n":
            start += 1
        if not text.startswith(piece, start):
            return []
        if not places:
            line, column = next_line, next_column
        places.extend(_white_space(line, column, start - len(places), same_line=line == next_line))
        places.extend((next_line, next_column + (index if width == len(piece) else 0)) for index in range(len(piece)))
        line, column = next_line, next_column + width
    places.extend(_white_space(line, column, len(text) - len(places), same_line=False))
    return places


def _white_space(line: int, column: int, length: int, *, same_line: bool) -> list[Place]:
    return [(line, column + (index if same_line else 0)) for index in range(length)]


def _block_lines(source: Source, at: Location) -> Iterator[_Piece]:
    """The lines of a ``>`` block, without the white space around them."""
    for number in range(at.line + 1, len(source.lines) + 1):
        line = source.line(number)
        content = line.strip(" \t")
        if content:
            yield number, line.index(content) + 1, len(content), content


def _words_by_line(source: Source, at: Location) -> Iterator[_Piece]:
    """A plain scalar: words, with white space that may be folded between them."""
    for number in range(at.line, len(source.lines) + 1):
        line = source.line(number)
        start = at.column - 1 if number == at.line else 0
        for match in re.finditer(r"[^ \t]", line[start:]):
            yield number, start + match.start() + 1, 1, match[0]


def _quoted_pieces(source: Source, at: Location, style: Style) -> Iterator[_Piece]:
    """A quoted scalar character by character; an escape stands for what it means, and has its own width."""
    start = at.column
    for number in range(at.line, len(source.lines) + 1):
        line = source.line(number)
        position = start if number == at.line else len(line) - len(line.lstrip(" \t"))
        while position < len(line):
            width, meaning = _unit(line, position, style)
            if width == 1 and line[position] == ("'" if style == "single" else '"'):
                return
            if meaning:
                yield number, position + 1, width, meaning
            position += width


def _unit(line: str, position: int, style: Style) -> tuple[int, str]:
    """Width and meaning of the character, escape or doubled quote at ``position``; folded white space means nothing."""
    if style == "single":
        return (2, "'") if line.startswith("''", position) else (1, line[position].strip(" \t"))
    if line[position] != "\\":
        return 1, line[position].strip(" \t")
    pair = _SURROGATES.match(line, position)
    match = pair or _ESCAPE.match(line, position)
    if match is None:
        return 1, ""
    return len(match[0]), _meaning(match[0])


_NAMED: Final = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "\t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "e": "\x1b",
    "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029",
}  # fmt: skip


def _meaning(escape: str) -> str:
    if _SURROGATES.fullmatch(escape):
        return (
            (chr(int(escape[2:6], 16)) + chr(int(escape[8:12], 16))).encode("utf-16", "surrogatepass").decode("utf-16")
        )
    name, digits = escape[1], escape[2:]
    return chr(int(digits, 16)) if digits else _NAMED.get(name, name)
