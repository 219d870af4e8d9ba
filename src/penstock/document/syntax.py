"""What the YAML parser complains about, in the words and with the codes of Penstock (DOC-105 to DOC-107)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from yaml.error import MarkedYAMLError, YAMLError

from penstock.errors import Location, Problem

if TYPE_CHECKING:
    from penstock.document.trace import Source

_KEY_AND_VALUE: Final = re.compile(r"\s*(?:- +)*[^\s#:\"'{\[][^:#]*:\s+[^\s#|>&!]")
# Part of the parser's words (both parsers share it) -> message, detail.
_KNOWN: Final[tuple[tuple[str, str, str | None], ...]] = (
    (
        "mapping values are not allowed",
        'a ":" stands where no key may stand',
        'a text with ": " in it needs quotes; or the line before lacks its ":".',
    ),
    ("entries are not allowed", 'a list entry ("- ") cannot stand here', "a list starts on a line of its own."),
    ("node content", "a value is missing here", None),
    ("<document start>", "this stands behind the end of the document", None),
    ("could not find expected ':'", 'a ":" is missing after this key', None),
    ("scanning an alias", 'the "*" names no anchor', 'a text that starts with "*" needs quotes.'),
    ("scanning an anchor", 'the "&" is not followed by a name', 'a text that starts with "&" needs quotes.'),
    ("unknown escape character", "the escape after the backslash is unknown", "single quotes leave it as it is."),
    ("while parsing a flow mapping", 'a "," or "}" is missing here', 'texts with [ ] { } , ":" need quotes in it.'),
    ("while parsing a flow sequence", 'a "," or "]" is missing here', 'texts with [ ] { } , ":" need quotes in it.'),
    ("while parsing a block mapping", "this does not fit into the map around it", None),
    ("while parsing a block collection", "this does not fit into the list around it", None),
)

_CONTEXT: Final = {
    "while scanning a quoted scalar": "a quoted text",
    "while scanning a simple key": "a key",
    "while parsing a flow mapping": "a map",
    "while parsing a flow sequence": "a list",
    "while scanning a block scalar": "a block of text",
}


def explain(error: YAMLError, source: Source) -> Problem:
    """The problem behind a parser's exception, with its place."""
    if not isinstance(error, MarkedYAMLError) or (error.problem_mark or error.context_mark) is None:
        first = Location(source.file, 1, 1, 1, source.line(1))
        return Problem("DOC-105", "the document cannot be read as YAML", at=first, detail=f"{error}.")
    mark = error.problem_mark or error.context_mark
    assert mark is not None
    at = _location(source, mark.line, mark.column)
    words = f"{error.context or ''}: {error.problem or ''}"
    if _is_past_the_end(source, mark.line, mark.column):
        return _truncated(error, source, at)
    if _is_tab(source, mark.line, mark.column):
        return Problem(
            "DOC-106", "a tab stands where only spaces may indent", at=at, hint="indent with spaces instead of tabs"
        )
    return _explain_words(words, source, at=at, indentation=_indentation(error, source, at))


def _indentation(error: MarkedYAMLError, source: Source, at: Location) -> str | None:
    """Where this line should begin, if it is its indentation that is wrong."""
    text = source.line(at.line)
    begins = len(text) - len(text.lstrip()) + 1
    before = next((number for number in range(at.line - 1, 0, -1) if source.line(number).strip()), 0)
    above = source.line(before) if before else ""
    around = error.context_mark
    if (error.context or "").startswith("while parsing a block") and around is not None and begins == at.column:
        may = f"in column {around.column + 1}, as in line {around.line + 1}"
        inner = len(above) - len(above.lstrip()) + 1
        if inner > begins:
            may += f", or in column {inner}, as in line {before}"
        return f"a line here may begin {may}; this begins in {begins}."
    beside = len(above) - len(above.lstrip(" -")) + 1
    if "mapping values" in (error.problem or "") and begins > beside and _KEY_AND_VALUE.match(above):
        return f"the key of line {before} has its value already: a key beside it begins in column {beside}, this in {begins}."
    return None


def _explain_words(words: str, source: Source, *, at: Location, indentation: str | None) -> Problem:
    line, column = source.line(at.line), at.column - 1
    if line[max(0, column - 1) : column + 1] == "${":
        return Problem("DOC-105", 'inside { } and [ ] a text with "${" needs quotes', at=at)
    if "cannot start any token" in words:
        message = f'the character "{line[column : column + 1]}" cannot start a value'
        return Problem("DOC-105", message, at=at, hint="write the text in quotes")
    for known, message, detail in _KNOWN:
        if known in words:
            return Problem("DOC-105", message, at=at, detail=indentation or detail)
    return Problem("DOC-105", "the document is not valid YAML", at=at, detail=f"{words.strip(': ')}.")


def _truncated(error: MarkedYAMLError, source: Source, end: Location) -> Problem:
    opened = error.context_mark
    if opened is None:
        return Problem("DOC-107", "the document ends where a value is expected", at=end)
    at = _location(source, opened.line, opened.column)
    what = _CONTEXT.get(error.context or "", "a value")
    return Problem("DOC-107", f"the document ends inside {what}", at=at, detail="it starts here and is not closed.")


def _location(source: Source, line: int, column: int) -> Location:
    return Location(source.file, line + 1, column + 1, column + 2, source.line(line + 1))


def _is_past_the_end(source: Source, line: int, column: int) -> bool:
    rest = [source.line(line + 1)[column:], *source.lines[line + 1 :]]
    return not any(part.strip() for part in rest)


def _is_tab(source: Source, line: int, column: int) -> bool:
    text = source.line(line + 1)
    indentation = text[: len(text) - len(text.lstrip())]
    return text[column : column + 1] == "\t" or ("\t" in indentation and column <= len(indentation))
