"""The two event parsers of PyYAML, libyaml's and the pure one, brought to the same reading of a document.

libyaml is used where it is there (some 20 times faster). The pure one takes over where it is not, and for documents
with escaped surrogate pairs, which JSON writes and libyaml refuses.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol, cast

from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner, ScannerError
from yaml.tokens import ScalarToken

try:
    from yaml._yaml import CParser as _CParser
except ImportError:  # PyYAML built without libyaml
    _CParser = None  # type: ignore[assignment,misc]

if TYPE_CHECKING:
    from yaml.error import Mark
    from yaml.events import Event

HAS_LIBYAML: Final = _CParser is not None
_ESCAPED_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")


class EventParser(Protocol):
    def get_event(self) -> Event | None: ...

    def dispose(self) -> None: ...


class PureParser(Reader, Scanner, Parser):
    """PyYAML's pure parser, with tabs as libyaml takes them: between tokens and words, never as indentation."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)

    def scan_to_next_token(self) -> None:
        while True:
            while self.peek() == " " or (self.peek() == "\t" and (self.flow_level or not self.allow_simple_key)):
                self.forward()
            if self.peek() == "#":
                while self.peek() not in "\0\n":
                    self.forward()
            if not self._skip_line_break():
                return
            if not self.flow_level:
                self.allow_simple_key = True

    def scan_plain(self) -> ScalarToken:
        start_mark = end_mark = self.get_mark()
        indent = self.indent + 1
        text: list[str] = []
        blanks: list[str] = []
        while self.peek() != "#" and (length := self._plain_length(start_mark)):
            self.allow_simple_key = False
            text += [*blanks, self.prefix(length)]
            self.forward(length)
            end_mark = self.get_mark()
            blanks = self.scan_plain_spaces(indent, start_mark)
            if not blanks or (not self.flow_level and self.column < indent):
                break
        return ScalarToken("".join(text), True, start_mark, end_mark)

    def _plain_length(self, start_mark: Mark) -> int:
        """Characters up to white space or what ends a plain scalar; ``?`` does not, unlike in PyYAML's own."""
        ends = ",[]{}" if self.flow_level else ""
        length = 0
        while (character := self.peek(length)) not in "\0 \t\n" + ends:
            following = self.peek(length + 1)
            if character == ":" and following in "\0 \t\n":
                break
            if character == ":" and self.flow_level and following in "?,[]{}":
                raise ScannerError("while scanning a plain scalar", start_mark, "found unexpected ':'", self.get_mark())
            length += 1
        return length

    def scan_plain_spaces(self, indent: int, start_mark: Mark) -> list[str]:
        length = 0
        while self.peek(length) in " \t":
            length += 1
        blanks: str = self.prefix(length)
        self.forward(length)
        if self.peek() != "\n":
            return [blanks] if blanks else []
        breaks = -1
        while self.peek() in " \t\n":
            if self.peek() == "\n":
                self._skip_line_break()
                breaks += 1
                self.allow_simple_key = True
                if self.prefix(3) in {"---", "..."} and self.peek(3) in "\0 \t\n":
                    return []
            else:
                self._refuse_tab_before(indent, "while scanning a plain scalar", start_mark)
                self.forward()
        return ["\n"] * breaks or [" "]

    def scan_block_scalar_ignored_line(self, start_mark: Mark) -> None:
        while self.peek() in " \t":
            self.forward()
        super().scan_block_scalar_ignored_line(start_mark)

    def scan_block_scalar_indentation(self) -> tuple[list[str], int, Mark]:
        chunks, indent, end_mark = super().scan_block_scalar_indentation()
        self._refuse_tab_before(self.column + 1, "while scanning a block scalar", end_mark)
        return chunks, indent, end_mark

    def scan_block_scalar_breaks(self, indent: int) -> tuple[list[str], Mark]:
        chunks, end_mark = super().scan_block_scalar_breaks(indent)
        self._refuse_tab_before(indent, "while scanning a block scalar", end_mark)
        return chunks, end_mark

    def _skip_line_break(self) -> bool:
        found: bool = self.peek() == "\n"  # the only line break there is in a cleaned text
        if found:
            self.forward()
        return found

    def _refuse_tab_before(self, indent: int, context: str, start_mark: Mark) -> None:
        if self.peek() == "\t" and self.column < indent:
            raise ScannerError(context, start_mark, "found a tab character as indentation", self.get_mark())


def parser_for(text: str, *, pure: bool = False) -> EventParser:
    """A parser over a text without a byte order mark, carriage returns and control characters."""
    if pure or not HAS_LIBYAML or _ESCAPED_SURROGATE.search(text):
        return cast("EventParser", PureParser(text))
    return _CParser(text)
