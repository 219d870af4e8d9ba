"""Places in an answer: ``response.data``, with double quotes around a name that has dots, blanks or brackets in it."""

from __future__ import annotations

import re
from typing import Final

Path = tuple[str, ...]

_PART: Final = re.compile(r'"((?:[^"\\]|\\.)*)"|([^".\[\]\s$]+)')
_ESCAPED: Final = re.compile(r"\\(.)")


def parse_path(text: str) -> Path:
    """The names on the way to a place; none: the whole answer. Raises ValueError with what is expected.

    >>> parse_path('response.data'), parse_path('links."next page"'), parse_path('')
    (('response', 'data'), ('links', 'next page'), ())
    """
    if text == "":
        return ()
    parts: list[str] = []
    at = 0
    while True:
        match = _PART.match(text, at)
        if match is None:
            expected = 'names with dots between them, such as response.data; "quoted" where a name has a dot or a blank'
            raise ValueError(f"takes {expected}; at position {at + 1} stands something else")
        parts.append(match[2] if match[2] is not None else _ESCAPED.sub(r"\1", match[1]))
        at = match.end()
        if at == len(text):
            return tuple(parts)
        if text[at] != ".":
            raise ValueError(f"takes names with dots between them; at position {at + 1} stands {text[at]!a}")
        at += 1


def pointer(path: Path) -> str:
    """The path as a JSON pointer (RFC 6901).

    >>> pointer(("a/b", "c~d"))
    '/a~1b/c~0d'
    """
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)


def path_of(text: str) -> Path:
    """The inverse of ``pointer``."""
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:])


def shown(path: Path) -> str:
    """The path as a document writes it."""
    return ".".join(path) if path else "the answer itself"
