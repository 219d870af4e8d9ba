"""The words of a type's text, with their offsets; shared by the parsers of document types and of DuckDB's types."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn


class Sort(Enum):
    """What a token is: a bare word, a "quoted name", a 'quoted text', a whole number, one mark, or the end."""

    WORD = auto()
    NAME = auto()
    TEXT = auto()
    NUMBER = auto()
    MARK = auto()
    END = auto()


class Token(Frozen):
    """``text`` is what the token means (quotes removed); ``offset`` and ``length`` say where it stands, in characters."""

    sort: Sort
    text: str
    offset: int
    length: int


_PATTERN: Final = re.compile(
    r"""(?P<space>[ \t\r\n]+)|(?P<WORD>[A-Za-z_][A-Za-z0-9_]*)|"(?P<NAME>(?:[^"]|"")*)"|'(?P<TEXT>(?:[^']|'')*)'"""
    r"""|(?P<NUMBER>-?[0-9]{1,9}(?![0-9A-Za-z_]))|(?P<MARK>[^"'])"""
)
_QUOTES: Final = {Sort.NAME: '"', Sort.TEXT: "'"}


def tokens_of(text: str, refuse: Callable[[str, int, int], NoReturn]) -> list[Token]:
    """All tokens, the last one an END. ``refuse(message, offset, length)`` raises where a quote is not closed."""
    found: list[Token] = []
    position = 0
    while position < len(text):
        match = _PATTERN.match(text, position)
        if match is None:
            refuse("a quote is not closed", position, len(text) - position)
        if match.lastgroup != "space":
            assert match.lastgroup is not None
            sort = Sort[match.lastgroup]
            quote = _QUOTES.get(sort)
            inner = match[match.lastgroup]
            meant = inner.replace(quote * 2, quote) if quote else inner
            found.append(Token(sort, meant, position, match.end() - position))
        position = match.end()
    found.append(Token(Sort.END, "", len(text), 0))
    return found


class Cursor:
    """Walks over tokens; never past the END."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._place = 0

    @property
    def current(self) -> Token:
        return self._tokens[self._place]

    def take(self) -> Token:
        """The current token; the next one becomes current."""
        token = self.current
        if token.sort is not Sort.END:
            self._place += 1
        return token

    def at_mark(self, mark: str) -> bool:
        return self.current.sort is Sort.MARK and self.current.text == mark

    def at_word(self, *words: str) -> bool:
        return self.current.sort is Sort.WORD and self.current.text.upper() in words

    def took(self, mark: str) -> bool:
        """Whether the current token is that mark; it is then taken."""
        found = self.at_mark(mark)
        if found:
            self.take()
        return found
