"""Reads a document safely: bounded, positioned, typed by YAML 1.2's core schema. JSON is read by the same path.

What is allowed: one document of at most 1 MiB in UTF-8 (with or without byte order mark), 50 levels, 100,000 values
with every alias counted as if written out. What is refused, each with its own code: duplicate keys, keys that are no
texts, tags, merge keys, several documents, control characters, and line separators that editors count differently.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from penstock.document.builder import Builder
from penstock.document.parsers import parser_for
from penstock.document.trace import Source
from penstock.errors import ConfigError, Location, Problem

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.document.tree import Node

MAX_BYTES: Final = 1024 * 1024
_MAX_SHOWN: Final = 20

_NOT_ALLOWED: Final = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_WIDE_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")


def load_file(path: Path, *, name: str | None = None) -> Node:
    """The tree of a file; ``name`` is what problems call it. Raises ConfigError, DOC-100 where it cannot be read."""
    shown = name or str(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError("DOC-100", f'cannot read "{shown}"', detail=f"{reason}.") from None
    return load(data, shown)


def load(text: str | bytes, file: str = "document", *, pure: bool = False) -> Node:
    """The tree of a text; ``file`` is what problems call it; ``pure`` does without libyaml.

    Raises ConfigError with every problem found (DOC-101 to DOC-119), and no other exception whatever the bytes are.
    """
    lines_text = _clean(_decode(text, file), file)
    source = Source(file, tuple(lines_text.split("\n")))
    return Builder(parser_for(lines_text, pure=pure), source).build()


def _decode(data: str | bytes, file: str) -> str:
    if len(data) > MAX_BYTES or (isinstance(data, str) and len(data.encode(errors="surrogatepass")) > MAX_BYTES):
        raise ConfigError(
            "DOC-101", f'"{file}" is larger than {MAX_BYTES} bytes', detail="a document has at most 1 MiB."
        )
    if isinstance(data, str):
        return data.removeprefix("\ufeff")
    if data[:2] in _WIDE_MARKS or b"\0" in data[:4]:
        raise ConfigError("DOC-102", f'"{file}" is not UTF-8 but looks like UTF-16 or UTF-32', hint="save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # With a byte order mark the codec counts from behind it.
        good = error.object[: error.start].decode("utf-8", "replace")
        raise ConfigError(
            "DOC-102",
            f'"{file}" is not UTF-8: byte 0x{error.object[error.start]:02x} has no meaning there',
            at=_place(good, good, offset=len(good), file=file),
            hint="save it as UTF-8",
        ) from None


def _clean(text: str, file: str) -> str:
    r"""With ``\n`` as the only line break, once no character is left that the parsers or editors disagree about."""
    problems = [
        Problem(
            "DOC-103",
            f"the character U+{ord(match[0]):04X} is not allowed in a document",
            at=_place(text, text, offset=match.start(), file=file),
            detail='inside double quotes it can be written as an escape, such as "\\x01" or "\\u2028".',
        )
        for match, _ in zip(_NOT_ALLOWED.finditer(text), range(_MAX_SHOWN), strict=False)
    ]
    if problems:
        raise ConfigError.of(problems)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _place(text: str, before: str, *, offset: int, file: str) -> Location:
    lines = re.split("\r\n|\r|\n", before[:offset])
    column = len(lines[-1]) + 1
    rest = re.match(r"[^\r\n]*", text[offset:])
    return Location(file, len(lines), column, column + 1, lines[-1] + (rest[0] if rest else ""))
