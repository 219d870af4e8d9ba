"""Parser events -> positioned tree, within the limits of security.md; collects what is wrong as it goes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

from yaml.error import YAMLError
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from penstock.document import syntax
from penstock.document.scalars import NumberRangeError, typed
from penstock.document.tree import Entry, Mapping, Node, Scalar, Sequence
from penstock.errors import ConfigError, InternalError, Location, Problem
from penstock.structs import Frozen, replace

if TYPE_CHECKING:
    from penstock.document.parsers import EventParser
    from penstock.document.trace import Source, Style

MAX_DEPTH: Final = 50
MAX_NODES: Final = 100_000
MAX_EXPANDED_CHARACTERS: Final = 4 * 1024 * 1024
MAX_PROBLEMS: Final = 100
_MAX_SHOWN: Final = 40  # characters of a wrong number

_STYLES: Final[dict[str | None, Style]] = {
    None: "plain", "": "plain", "'": "single", '"': "double", "|": "literal", ">": "folded",
}  # fmt: skip
_PROPERTIES: Final = re.compile(r"^(?:[ \t]+|[&!][^ \t]*|(?<![^ \t])#.*)+")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")

_E = TypeVar("_E", bound=Event)


class _StopError(Exception):
    """Nothing more can be read; what is wrong stands in the builder's problems."""


class _Anchor(Frozen):
    node: Node
    nodes: int
    characters: int
    height: int


class Builder:
    """Builds one document's tree; used once.

    An alias is the node it names, counted as if it were written out, so that every later walk over the tree is bounded
    by MAX_NODES too.
    """

    def __init__(self, parser: EventParser, source: Source) -> None:
        self._parser = parser
        self._source = source
        self._problems: list[Problem] = []
        self._anchors: dict[str, _Anchor | None] = {}  # None while its node is being built
        self._nodes = 0
        self._characters = 0
        self._deepest = 0

    def build(self) -> Node:
        """The tree of the only document. Raises ConfigError with all problems (DOC-104 to DOC-119)."""
        node: Node | None = None
        try:
            node = self._document()
        except _StopError:
            pass
        except YAMLError as error:
            self._problems.append(syntax.explain(error, self._source))
        finally:
            self._parser.dispose()
        if node is None or self._problems:
            raise ConfigError.of(self._problems)
        return node

    # ------------------------------------------------------------ structure

    def _document(self) -> Node:
        self._take(StreamStartEvent)
        if isinstance(self._next(), StreamEndEvent):
            self._stop("DOC-104", "the document is empty", Location(self._source.file, 1, 1, 1, self._source.line(1)))
        node = self._node(self._next(), 1)
        if isinstance(node, Scalar) and not node.text and not node.quoted:
            self._stop("DOC-104", "the document is empty", node.at)
        self._take(DocumentEndEvent)
        after = self._next()
        if isinstance(after, DocumentStartEvent):
            self._stop(
                "DOC-116",
                "a second document starts here",
                self._at(after),
                detail='a file holds one document; "---" starts another.',
            )
        return node

    def _next(self) -> Event:
        event = self._parser.get_event()
        assert event is not None
        return event

    def _take(self, kind: type[_E]) -> _E:
        event = self._next()
        assert isinstance(event, kind)
        return event

    def _node(self, event: Event, depth: int) -> Node:
        self._check_limits(event, depth)
        match event:
            case AliasEvent():
                return self._alias(event, depth)
            case NodeEvent(anchor=str() as name):
                return self._anchored(name, event, depth)
            case NodeEvent():
                return self._content(event, depth)
            case _:
                raise InternalError("INT-900", f"the parser gave {type(event).__name__}")

    def _content(self, event: NodeEvent, depth: int) -> Node:
        if not isinstance(event, AliasEvent) and (tag := getattr(event, "tag", None)):
            self._report("DOC-115", f'the tag "{tag}" is not allowed', self._at(event), detail="values have no tags.")
        match event:
            case ScalarEvent():
                return self._scalar(event)
            case SequenceStartEvent():
                return self._sequence(event, depth)
            case MappingStartEvent():
                return self._mapping(event, depth)
            case _:
                raise InternalError("INT-900", f"the parser gave {type(event).__name__}")

    def _sequence(self, start: SequenceStartEvent, depth: int) -> Sequence:
        items: list[Node] = []
        while not isinstance(event := self._next(), SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return Sequence(tuple(items), self._at(start, event))

    def _mapping(self, start: MappingStartEvent, depth: int) -> Mapping:
        entries: dict[str, Entry] = {}
        while not isinstance(event := self._next(), MappingEndEvent):
            key = self._key(self._node(event, depth + 1))
            value = self._value(depth + 1, key)
            if key is None:
                continue
            first = entries.setdefault(key.text, Entry(key, value)).key
            if first is not key:
                self._report_duplicate(key, first)
        return Mapping(entries, self._at(start, event))

    def _value(self, depth: int, key: Scalar | None) -> Node:
        """What stands behind a key; a null that is not written stands where its key stands."""
        value = self._node(self._next(), depth)
        if key is not None and isinstance(value, Scalar) and not value.text and not value.quoted:
            return replace(value, at=key.at)
        return value

    # ------------------------------------------------------------ anchors and aliases

    def _anchored(self, name: str, event: NodeEvent, depth: int) -> Node:
        self._anchors[name] = None
        nodes, characters, deepest = self._nodes - 1, self._characters, self._deepest
        self._deepest = depth
        node = self._content(event, depth)
        self._anchors[name] = _Anchor(node, self._nodes - nodes, self._characters - characters, self._deepest - depth)
        self._deepest = max(deepest, self._deepest)
        return node

    def _alias(self, event: AliasEvent, depth: int) -> Node:
        name = event.anchor or ""
        at = self._at(event)
        if name not in self._anchors:
            self._stop("DOC-110", f'"*{name}" names no anchor', at, detail='a text that starts with "*" needs quotes.')
        anchor = self._anchors[name]
        if anchor is None:
            self._stop("DOC-112", f'"*{name}" stands inside what it names', at)
        self._nodes += anchor.nodes - 1
        self._characters += anchor.characters
        if self._nodes > MAX_NODES or self._characters > MAX_EXPANDED_CHARACTERS:
            self._stop(
                "DOC-111",
                f'the alias "*{name}" makes the document too large',
                at,
                detail=f"with its aliases written out a document has at most {MAX_NODES} values "
                f"and {MAX_EXPANDED_CHARACTERS} characters.",
            )
        self._check_depth(depth + anchor.height, at)
        return anchor.node

    # ------------------------------------------------------------ scalars and keys

    def _scalar(self, event: ScalarEvent) -> Scalar:
        style = _STYLES[event.style]
        text = _join_surrogates(event.value)
        at = self._scalar_at(event, style)
        self._characters += len(text)
        if "\0" in text or _SURROGATE.search(text):
            named = "the NUL character" if "\0" in text else "half of a surrogate pair"
            self._report("DOC-119", f"the text holds {named}", at, detail="no text of a document may hold it.")
        value: bool | int | float | str | None = text
        if style == "plain":
            try:
                value = typed(text)
            except NumberRangeError as error:
                shown = text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 3]}..."
                self._report("DOC-118", f"the number {shown} {error}", at, hint="write it in quotes to have a text")
        return Scalar(value, text, at, style, self._source)

    def _key(self, node: Node) -> Scalar | None:
        if not isinstance(node, Scalar):
            self._report("DOC-114", "a key is a text, not a list or a map", node.at)
            return None
        if node.text == "<<" and not node.quoted:
            self._report(
                "DOC-117",
                'merge keys ("<<") are not supported',
                node.at,
                detail="an environment merges over the base; an alias may stand as a value.",
            )
            return None
        if not isinstance(node.value, str):
            shown = f'the key "{node.text}" is {_kind(node.value)}' if node.text else "the key is missing"
            self._report("DOC-114", f"{shown}, not a text", node.at, hint=f'write "{node.text}" in quotes')
        return node

    def _report_duplicate(self, key: Scalar, first: Scalar) -> None:
        self._report(
            "DOC-113",
            f'the key "{key.text}" stands here a second time',
            key.at,
            detail=f"the first is at {first.at.file}:{first.at.line}:{first.at.column}.",
        )

    # ------------------------------------------------------------ limits, places, problems

    def _check_limits(self, event: Event, depth: int) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._stop("DOC-109", f"the document has more than {MAX_NODES} values", self._at(event))
        self._deepest = max(self._deepest, depth)
        self._check_depth(depth, None if depth <= MAX_DEPTH else self._at(event))

    def _check_depth(self, depth: int, at: Location | None) -> None:
        if depth > MAX_DEPTH:
            self._stop("DOC-108", f"the document is nested deeper than {MAX_DEPTH} levels", at)
        self._deepest = max(self._deepest, depth)

    def _at(self, event: Event, last: Event | None = None) -> Location:
        """From the event's first character to its last, or to the end of its first line."""
        start, end = event.start_mark, (last or event).end_mark
        assert start is not None
        assert end is not None
        return self._span(start.line, start.column, end_line=end.line, end_column=end.column)

    def _span(self, line: int, column: int, *, end_line: int, end_column: int) -> Location:
        text = self._source.line(line + 1)
        stop = min(end_column, len(text.rstrip())) if end_line == line else len(text.rstrip())
        return Location(self._source.file, line + 1, column + 1, max(stop, column) + 1, text)

    def _scalar_at(self, event: ScalarEvent, style: Style) -> Location:
        """Behind an anchor or tag; of a block scalar its indicator, such as ``|-``."""
        start, end = event.start_mark, event.end_mark
        assert start is not None
        assert end is not None
        line, column = start.line, start.column
        if event.anchor or event.tag:
            line, column = self._behind_properties(line, column)
        if style == "plain" and not event.value:
            return self._before(line, column)
        if style not in {"literal", "folded"}:
            return self._span(line, column, end_line=end.line, end_column=end.column)
        text = self._source.line(line + 1)
        at = self._span(line, column, end_line=line, end_column=len(text) - len(text[column:].lstrip("|>+-0123456789")))
        if text[at.end_column - 1 : at.end_column].strip(" "):  # the two parsers disagree about what may stand there
            self._report("DOC-105", f'a space is missing behind "{text[column : at.end_column - 1]}"', at)
        return at

    def _before(self, line: int, column: int) -> Location:
        """The last character before there that is not white space: where a value is missing, the parsers differ."""
        while line > 0 and not self._source.line(line + 1)[:column].strip():
            line, column = line - 1, MAX_EXPANDED_CHARACTERS
        text = self._source.line(line + 1)
        stop = len(text[:column].rstrip())
        return Location(self._source.file, line + 1, max(1, stop), stop + 1, text)

    def _behind_properties(self, line: int, column: int) -> tuple[int, int]:
        """The first character behind anchors, tags, comments and white space from there on."""
        for number in range(line, len(self._source.lines)):
            rest = self._source.lines[number][column if number == line else 0 :]
            content = _PROPERTIES.sub("", rest)
            if content:
                return number, len(self._source.lines[number]) - len(content)
        return line, column

    def _report(
        self, code: str, message: str, at: Location | None, *, detail: str | None = None, hint: str | None = None
    ) -> None:
        self._problems.append(Problem(code, message, at=at, detail=detail, hint=hint))
        if len(self._problems) >= MAX_PROBLEMS:
            raise _StopError

    def _stop(self, code: str, message: str, at: Location | None, *, detail: str | None = None) -> NoReturn:
        self._report(code, message, at, detail=detail)
        raise _StopError


def _join_surrogates(text: str) -> str:
    r"""``\ud83d\ude00`` of JSON as the one character it means; a lone half stays, to be refused."""
    if not _SURROGATE.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case _:
            return "a number"
