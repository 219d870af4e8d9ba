"""Reads the document's spelling of a type: ``decimal(12,4)?``, ``list<struct<a: int64, "b c": string?>>``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from penstock.errors import ConfigError, Location, nearest
from penstock.types.logical import MAX_DEPTH, Decimal, Kind, List, LogicalType, Map, Primitive, Struct, StructField
from penstock.types.tokens import Cursor, Sort, Token, tokens_of

if TYPE_CHECKING:
    from typing import NoReturn

MAX_LENGTH: Final = 1024 * 1024

Place: TypeAlias = Callable[[int, int], Location]
_Made = TypeVar("_Made")

_PRIMITIVES: Final = {kind.value: Primitive(kind) for kind in Kind}
_NAMES: Final = (*_PRIMITIVES, "decimal", "list", "map", "struct")

# What other systems call a type, lower case -> what to write here. A person who writes one of these means exactly it.
_FOREIGN: Final[dict[str, str]] = {
    **dict.fromkeys(("str", "text", "varchar", "char", "character", "nvarchar", "nchar", "bpchar", "utf8"), "string"),
    **dict.fromkeys(("citext", "clob", "enum", "name", "large_string", "longtext", "mediumtext", "varchar2"), "string"),
    **dict.fromkeys(("bool", "bit", "logical"), "boolean"),
    **dict.fromkeys(("tinyint", "byte", "int1"), "int8"),
    **dict.fromkeys(("smallint", "short", "int2", "smallserial"), "int16"),
    **dict.fromkeys(("int", "integer", "int4", "serial", "mediumint", "signed"), "int32 or int64"),
    **dict.fromkeys(("bigint", "long", "bigserial", "serial8", "longlong"), "int64"),
    **dict.fromkeys(("utinyint", "ubyte"), "uint8"),
    **dict.fromkeys(("usmallint", "ushort"), "uint16"),
    **dict.fromkeys(("uint", "uinteger", "unsigned"), "uint32 or uint64"),
    **dict.fromkeys(("ubigint", "ulong"), "uint64"),
    **dict.fromkeys(("hugeint", "uhugeint", "int128"), "decimal(38,0)"),
    **dict.fromkeys(("real", "float4", "single"), "float32"),
    **dict.fromkeys(("double", "float8", "binary_double"), "float64"),
    "float": "float32 or float64",
    "halffloat": "float32",
    **dict.fromkeys(("numeric", "number", "dec", "money", "bignumeric", "decimal128"), "decimal(precision,scale)"),
    **dict.fromkeys(("date32", "date64", "day"), "date"),
    **dict.fromkeys(("time32", "time64"), "time"),
    **dict.fromkeys(("datetime", "datetime2", "timestamp_ntz", "timestampntz", "smalldatetime"), "timestamp"),
    **dict.fromkeys(("timestamp_tz", "timestamp_ltz", "datetimeoffset", "instant", "datetimetz"), "timestamptz"),
    **dict.fromkeys(("duration", "timedelta"), "interval"),
    **dict.fromkeys(("guid", "uniqueidentifier"), "uuid"),
    **dict.fromkeys(("bytes", "bytea", "blob", "varbinary", "raw", "large_binary", "image"), "binary"),
    **dict.fromkeys(("jsonb", "variant", "super", "any", "dynamic"), "json"),
    **dict.fromkeys(("array", "repeated", "sequence"), "list<type>"),
    **dict.fromkeys(("dict", "hash", "hstore", "dictionary"), "map<string,string>"),
    **dict.fromkeys(("object", "record", "row", "tuple"), "struct<name: type, ...>"),
}


def parse_type(text: str, *, at: Location | None = None, place: Place | None = None) -> tuple[LogicalType, bool]:
    """The type that ``text`` spells, and whether ``?`` stands behind it. Blanks between words do not count.

    ``place(offset, length)`` says where a part of the text stands in its document; where only ``at`` (the whole text's
    place) is known, the caret is narrowed if the text stands there literally.
    Raises ConfigError: DOC-400 not a type as written, DOC-401 unknown name, DOC-402 wrong parameters, DOC-403 too long
    or too deep, DOC-404 a struct's field names, DOC-405 ``?`` where null can never stand.

    >>> str(parse_type("list< int64? >")[0])
    'list<int64?>'
    """
    return _Parser(text, at=at, place=place).parse()


# The hint for a type that YAML cut at a comma of its own.
QUOTED_TYPE: Final = 'inside {...} or [...] of YAML a type with a comma stands in quotes, such as "decimal(12,4)"'


def is_unclosed(text: str) -> bool:
    """Whether a bracket is open at the end: a comma inside {...} of YAML ends a text that is not quoted.

    >>> is_unclosed("decimal(10"), is_unclosed("decimal(10,2)")
    (True, False)
    """
    return text.count("(") > text.count(")") or text.count("<") > text.count(">")


class _Parser:
    """One call of parse_type; recursive descent with the depth counted."""

    def __init__(self, text: str, *, at: Location | None, place: Place | None) -> None:
        self._text = text
        self._at = at
        self._place = place
        self._depth = 0
        if len(text) > MAX_LENGTH:
            self._fail("DOC-403", f"the type is longer than {MAX_LENGTH} characters", 0, 0)
        self._cursor = Cursor(tokens_of(text, self._syntax))

    def parse(self) -> tuple[LogicalType, bool]:
        logical = self._type()
        nullable = self._nullable()
        if self._cursor.current.sort is not Sort.END:
            self._unexpected("the type ends before")
        return logical, nullable

    def _type(self) -> LogicalType:
        self._depth += 1
        token = self._cursor.current
        if self._depth > MAX_DEPTH:
            self._fail("DOC-403", f"the type nests deeper than {MAX_DEPTH} levels", token.offset, token.length)
        if token.sort is not Sort.WORD:
            self._unexpected("a type is expected instead of")
        logical = self._named(self._cursor.take())
        self._depth -= 1
        return logical

    def _named(self, token: Token) -> LogicalType:
        match token.text:
            case "decimal":
                return self._decimal(token)
            case "list":
                return self._list(token)
            case "map":
                return self._map(token)
            case "struct":
                return self._struct(token)
            case name if name in _PRIMITIVES:
                self._no_parameters(token)
                return _PRIMITIVES[name]
            case _:
                return self._unknown(token)

    def _decimal(self, token: Token) -> Decimal:
        if not self._cursor.took("("):
            self._fail("DOC-402", "decimal takes two numbers", *_span(token), hint=_DECIMAL_HINT)
        precision = self._number()
        if not self._cursor.took(","):
            self._fail("DOC-402", "decimal takes two numbers", *_span(token), hint=_DECIMAL_HINT)
        scale = self._number()
        last = self._expect(")")
        return self._built(token, last, lambda: Decimal(precision, scale))

    def _number(self) -> int:
        token = self._cursor.current
        if token.sort is not Sort.NUMBER:
            self._fail("DOC-402", "decimal takes two numbers", *_span(token), hint=_DECIMAL_HINT)
        return int(self._cursor.take().text)

    def _list(self, token: Token) -> List:
        self._open(token, "list<type>")
        element = self._type()
        nullable = self._nullable()
        self._expect(">")
        return List(element, nullable)

    def _map(self, token: Token) -> Map:
        self._open(token, "map<key,value>")
        key = self._type()
        if self._cursor.at_mark("?"):
            self._fail("DOC-405", "a map's key is never null", *_span(self._cursor.current), hint='remove the "?"')
        self._expect(",")
        value = self._type()
        nullable = self._nullable()
        self._expect(">")
        return Map(key, value, nullable)

    def _struct(self, token: Token) -> Struct:
        self._open(token, "struct<name: type, ...>")
        fields: list[StructField] = []
        names: set[str] = set()
        while not fields or self._cursor.took(","):
            if self._cursor.at_mark(">"):
                break
            fields.append(self._field(names))
        last = self._expect(">")
        return self._built(token, last, lambda: Struct(tuple(fields)))

    def _field(self, names: set[str]) -> StructField:
        token = self._cursor.current
        if token.sort not in (Sort.WORD, Sort.NAME):
            self._unexpected("a field's name is expected instead of")
        self._cursor.take()
        if token.text in names:
            self._fail("DOC-404", f'the struct has two fields named "{token.text}"', *_span(token))
        names.add(token.text)
        self._expect(":")
        logical = self._type()
        nullable = self._nullable()
        return self._built(token, token, lambda: StructField(token.text, logical, nullable))

    def _nullable(self) -> bool:
        nullable = self._cursor.took("?")
        if nullable and self._cursor.at_mark("?"):
            self._fail("DOC-405", 'one "?" says it all', *_span(self._cursor.current), hint='remove the second "?"')
        return nullable

    def _no_parameters(self, token: Token) -> None:
        cursor = self._cursor
        if cursor.at_mark("("):
            self._fail(
                "DOC-402", f"{token.text} takes no parameters", *_span(cursor.current), hint=f'write "{token.text}"'
            )
        if cursor.at_mark("<"):
            self._fail(
                "DOC-402", f"{token.text} holds no other types", *_span(cursor.current), hint=f'write "{token.text}"'
            )
        if cursor.at_mark("["):
            self._fail(
                "DOC-400",
                "a list is not written with brackets",
                *_span(cursor.current),
                hint=f'write "list<{token.text}>"',
            )

    def _open(self, token: Token, form: str) -> None:
        if not self._cursor.took("<"):
            self._fail("DOC-402", f"{token.text} does not say what it holds", *_span(token), hint=f'write "{form}"')

    def _expect(self, mark: str) -> Token:
        if not self._cursor.at_mark(mark):
            self._unexpected(f'"{mark}" is expected instead of')
        return self._cursor.take()

    def _built(self, first: Token, last: Token, make: Callable[[], _Made]) -> _Made:
        """What ``make`` gives; its refusal gets the place of the tokens it was made from."""
        try:
            return make()
        except ConfigError as error:
            problem = error.problems[0]
            end = last.offset + last.length
            self._fail(problem.code, problem.message, first.offset, end - first.offset, hint=problem.hint)

    def _unknown(self, token: Token) -> NoReturn:
        meant = token.text.lower()
        suggestion = _FOREIGN.get(meant) or (meant if meant in _NAMES else nearest(meant, _NAMES))
        hint: str | None = None
        if suggestion is not None:
            either = '" or "'.join(suggestion.split(" or "))
            hint = f'write "{either}"' if meant in _FOREIGN or meant in _NAMES else f'did you mean "{suggestion}"?'
        detail = f"the types are {', '.join(_NAMES)}"
        self._fail("DOC-401", f'there is no type "{token.text}"', *_span(token), hint=hint, detail=detail)

    def _unexpected(self, expected: str) -> NoReturn:
        token = self._cursor.current
        found = (
            "the end" if token.sort is Sort.END else f'"{self._text[token.offset : token.offset + token.length][:40]}"'
        )
        self._syntax(f"{expected} {found}", token.offset, token.length)

    def _syntax(self, message: str, offset: int, length: int) -> NoReturn:
        shown = self._text[max(0, offset - 40) : offset + 40]
        self._fail("DOC-400", message, offset, length, detail=f"at character {offset + 1} of the type, near {shown!r}")

    def _fail(
        self, code: str, message: str, offset: int, length: int, *, hint: str | None = None, detail: str | None = None
    ) -> NoReturn:
        quoted = QUOTED_TYPE if is_unclosed(self._text) else hint
        raise ConfigError(code, message, at=self._where(offset, length), hint=quoted, detail=detail)

    def _where(self, offset: int, length: int) -> Location | None:
        if self._place is not None:
            return self._place(offset, length)
        at = self._at
        start = -1 if at is None or at.source is None else at.source.find(self._text, at.column - 1, at.end_column)
        if at is None or start < 0:
            return at
        column = start + offset + 1
        return Location(at.file, at.line, column, column + max(1, length), at.source)


_DECIMAL_HINT: Final = 'write "decimal(precision,scale)": the count of all digits, and of those after the point'


def _span(token: Token) -> tuple[int, int]:
    return token.offset, token.length
