"""Whether a value is what the file says.

DuckDB's readers and casts round (``1.5`` into an integer is 2), cut (a time off a date), drop (an offset from a timestamp)
and overflow (``1e400`` is infinity) without a word. So no text is read as the type of its column at once: a
:class:`Reading` says as what the reader takes a column, how that becomes the value, and when the two may differ.
Fractions of a second beyond microseconds, and digits beyond those that a float has, are no difference: the type cannot
hold more. Expressions are DuckDB's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.structs import Frozen, field, replace
from penstock.trees import call, field_of, is_not_null, is_null, matches, text_of
from penstock.types import DATE, FLOAT32, FLOAT64, JSON, STRING
from penstock.types.duckdb import to_duckdb
from penstock.types.logical import Decimal, Kind, List, Map, Primitive, Struct, StructField

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from penstock.types.logical import LogicalType

# What a statement fails with: the fast reading cannot tell, or a value is certainly another than its text.
UNCERTAIN: Final = "penstock: a value cannot be told from its nearest number"
ALTERED: Final = "penstock: a value would not be what the file says"

_INTEGERS: Final = frozenset(
    {Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64, Kind.UINT8, Kind.UINT16, Kind.UINT32, Kind.UINT64}
)
_LONG: Final = frozenset({Kind.INT64, Kind.UINT64})
_EXACT_DIGITS: Final = 15  # so many decimal digits survive a double (IEEE 754)
_EXACT_INTEGER: Final = 2**53
_DAY: Final = r"[+-]?\d+[-/\\ ]\d{1,2}[-/\\ ]\d{1,2}(?: ?\(BC\))?"
_CLOCK: Final = r"\d{1,2}:\d{1,2}(?::\d{1,2}(?:\.\d*)?)?"
_UTC: Final = r"(?:Z|UTC|[+-]00(?::?00)?)?"
_OFFSET: Final = r"[+-](?:0?\d|1[0-5])(?::?[0-5]\d){0,2}"  # PostgreSQL's bounds; DuckDB takes +25:00 and +00:75
# The texts that such a column takes whole; all others have a part that would be lost, or that is none. An infinite day is
# none: files other than the engine's have no such value, and readers take it for a day in the year 5881580.
_WHOLE: Final = {
    Kind.DATE: rf"\s*(?:{_DAY}(?:[T ]\s*00?:00?(?::00?(?:\.0*)?)?\s*{_UTC})?)\s*",
    Kind.TIMESTAMP: rf"\s*(?:{_DAY}(?:[T ]\s*{_CLOCK}\s*{_UTC})?)\s*",
    Kind.TIMESTAMPTZ: rf"\s*(?:{_DAY}(?:[T ]\s*{_CLOCK}\s*(?:{_OFFSET}|[A-Za-z].*)?)?)\s*",
    Kind.TIME: rf"\s*{_CLOCK}\s*",
}
_OF_WORDS: Final = ("1900-01-01", "1970-01-01", "infinity", "-infinity")
_INFINITE: Final = r"\s*[+-]?(?i:inf(?:inity)?)\s*"
_WHOLE_NUMBER: Final = r"\s*[+-]?[0-9_]+(?:\.0*|[eE]\+?[0-9]+)?\s*"


class Spelling(Frozen):
    """How a file writes values. ``patterns``: of strptime, for dates and timestamps."""

    is_json: bool = False
    decimal_comma: bool = False
    patterns: Mapping[Kind, str] = field(default_factory=dict)

    def pattern(self, kind: LogicalType) -> str | None:
        return self.patterns.get(kind.kind) if isinstance(kind, Primitive) else None


class Reading(Frozen):
    """How a column of the type ``kind`` is read: the reader delivers ``held``.

    ``is_certain``: where :meth:`differs` is true the value is altered; else it may be, and the texts have to be asked.
    """

    kind: LogicalType
    held: LogicalType
    spelling: Spelling
    is_certain: bool = True

    def text(self, held: exp.Expr) -> exp.Expr:
        """What is made a value: in JSON true and false are the numbers 1 and 0, as the reader takes them too."""
        if self.held != STRING or not _is_number(self.kind):
            return held
        if self.spelling.is_json:
            digits = {"true": exp.Literal.string("1"), "false": exp.Literal.string("0")}
            pairs = [exp.If(this=exp.Literal.string(word), true=digit) for word, digit in digits.items()]
            return exp.Case(this=held.copy(), ifs=pairs, default=held)
        return _with_point(held) if self.spelling.decimal_comma else held

    def value(self, text: exp.Expr, *, tried: bool = False) -> exp.Expr:
        """The column's value. Where there is none it fails, or is null if ``tried``."""
        if self.held == self.kind:
            return text
        pattern = self.spelling.pattern(self.kind)
        if pattern is not None:
            text = call("try_strptime" if tried else "strptime", text, exp.Literal.string(pattern))
        return (exp.TryCast if tried else exp.Cast)(this=text, to=to_duckdb(self.kind))

    def differs(self, text: exp.Expr, value: exp.Expr, *, tried: bool = False) -> exp.Expr | None:
        """Whether the value is not what the file says; null where there is no text. None: it always is.

        ``tried``: nulls stand for texts that are no value.
        """
        if self.held == self.kind:
            return call("isinf", value) if self.kind in (FLOAT32, FLOAT64) else None
        if self.kind == JSON:
            return _found(text, value, None, tried=tried)
        if self.held == FLOAT64:
            return _differs_from_double(text, value, self.kind)
        if self.spelling.pattern(self.kind) is not None:
            return _found(text, value, is_mistaken(text, value), tried=tried)
        return _altered(text, value, kind=self.kind, look=_Look(tried, self.spelling.is_json and not tried))


def fast(kind: LogicalType, spelling: Spelling) -> Reading:
    """What costs least. Numbers come as doubles, since a double that was made the number and a double again tells both
    what was rounded and what was cut, at a tenth of the price of looking at the text.
    """
    match kind:
        case Decimal(precision) if precision <= _EXACT_DIGITS:
            return Reading(kind, FLOAT64, spelling, is_certain=False)
        case Primitive(number) if number in _INTEGERS:
            return Reading(kind, FLOAT64, spelling, is_certain=False)
        case Primitive(Kind.FLOAT32 | Kind.FLOAT64):
            return Reading(kind, kind, spelling, is_certain=False)
        case Primitive(Kind.BOOLEAN) if not spelling.is_json:
            return Reading(kind, kind, spelling)
        case _:
            return textual(kind, spelling)


def textual(kind: LogicalType, spelling: Spelling) -> Reading:
    """Every value by its text, wherever its type allows for a doubt. In JSON a value of json is one; elsewhere it is a text
    that may be none.
    """
    held = STRING if kind == JSON and not spelling.is_json else as_text(kind)
    return Reading(kind, held, spelling)


def as_text(kind: LogicalType) -> LogicalType:
    """The type with text in the place of every value."""
    match kind:
        case Decimal():
            return STRING
        case List(element, nullable):
            return List(as_text(element), nullable)
        case Map(key, value, nullable):
            return Map(as_text(key), as_text(value), nullable)
        case Struct(fields):
            return Struct(tuple(StructField(item.name, as_text(item.type), item.nullable) for item in fields))
        case Primitive():
            return kind if kind in (STRING, JSON) else STRING


def _is_number(kind: LogicalType) -> bool:
    is_integer = isinstance(kind, Primitive) and kind.kind in _INTEGERS
    return is_integer or isinstance(kind, Decimal) or kind in (FLOAT32, FLOAT64)


def _with_point(text: exp.Expr) -> exp.Expr:
    """A number with a comma, such that one with a point is none."""
    for old, new in ((".", "x"), (",", ".")):
        text = call("replace", text, exp.Literal.string(old), exp.Literal.string(new))
    return text


def has_long_decimals(kind: LogicalType) -> bool:
    """Whether a number of JSON may have more digits here than the engine's parser keeps."""
    match kind:
        case Decimal(precision):
            return precision > _EXACT_DIGITS
        case List(element):
            return has_long_decimals(element)
        case Map(_, value):
            return has_long_decimals(value)
        case Struct(fields):
            return any(has_long_decimals(item.type) for item in fields)
        case _:
            return False


class _Look(Frozen):
    """``tried``: a null where there is a text is a difference too. ``by_doubles``: the parser of JSON made doubles of
    fractions before they became text. ``depth``: of the lists above.
    """

    tried: bool
    by_doubles: bool
    depth: int = 0


def _altered(text: exp.Expr, value: exp.Expr, *, kind: LogicalType, look: _Look) -> exp.Expr | None:
    match kind:
        case Struct(fields):
            return _any_of(
                _altered(field_of(text, item.name), field_of(value, item.name), kind=item.type, look=look)
                for item in fields
            )
        case List(element):
            return _any_altered(text, value, kind=element, look=look)
        case Map(_, held):
            return _any_altered(call("map_values", text.copy()), call("map_values", value.copy()), kind=held, look=look)
        case _:
            altered = _leaf_altered(text, value, kind)
            if isinstance(kind, Decimal) and look.by_doubles:
                altered = _any_of((altered, _may_lack_digits(text, value, kind)))
            return _found(text, value, altered, tried=look.tried and kind not in (STRING, JSON))


def _found(text: exp.Expr, value: exp.Expr, altered: exp.Expr | None, *, tried: bool) -> exp.Expr | None:
    if not tried:
        return altered
    is_lost = is_null(value)
    return exp.and_(is_not_null(text), is_lost if altered is None else exp.or_(is_lost, altered))


def _leaf_altered(text: exp.Expr, value: exp.Expr, kind: LogicalType) -> exp.Expr | None:
    match kind:
        case Decimal():
            return _decimal_altered(text, value, kind)
        case Primitive(Kind.FLOAT32 | Kind.FLOAT64):
            return exp.and_(call("isinf", value.copy()), exp.not_(matches(text, _INFINITE)))
        case Primitive(number) if number in _INTEGERS:
            return _integer_altered(text, value)
        case Primitive(number) if number in _WHOLE:
            return _part_lost(text, number)
        case _:
            return None


def _any_altered(texts: exp.Expr, values: exp.Expr, *, kind: LogicalType, look: _Look) -> exp.Expr | None:
    """Over lists of one length."""
    pair = f"__pair{look.depth}"
    one, other = (call("struct_extract_at", exp.column(pair), exp.Literal.number(place)) for place in (1, 2))
    test = _altered(one, other, kind=kind, look=replace(look, depth=look.depth + 1))
    if test is None:
        return None
    pairs = call("list_zip", texts.copy(), values.copy())
    chosen = call("list_filter", pairs, exp.Lambda(this=test, expressions=[exp.to_identifier(pair)]))
    return exp.GT(this=call("len", chosen), expression=exp.Literal.number(0))


def quoted_long_numbers(line: exp.Expr) -> exp.Expr:
    """A line of JSON with its long numbers in quotes: DuckDB parses numbers as doubles, and text as it is."""
    number = rf"-?[0-9][0-9.]{{{_EXACT_DIGITS},}}(?:[eE][+-]?[0-9]+)?"
    # Text by text and character by character up to a number or, so that no match begins within a text, to the end.
    part = rf'((?:"(?:[^"\\]|\\.)*"|[^"])*?)({number}|$)'
    arguments = [exp.Literal.string(text) for text in (part, r'\1"\2"', "g")]
    quoted = call("left", call("regexp_replace", line.copy(), *arguments), exp.convert(-len('""')))
    has_one = call("regexp_matches", line.copy(), exp.Literal.string(number))
    return exp.Case().when(exp.and_(has_one, call("json_valid", quoted.copy())), quoted).else_(line.copy())


# ---------------------------------------------------------------- numbers


def _differs_from_double(held: exp.Expr, value: exp.Expr, kind: LogicalType) -> exp.Expr:
    differs = exp.NEQ(this=exp.Cast(this=value.copy(), to=to_duckdb(FLOAT64)), expression=held.copy())
    if isinstance(kind, Primitive) and kind.kind in _LONG:
        return exp.or_(differs, _at_least(held, _EXACT_INTEGER), copy=False)
    return differs


def _integer_altered(text: exp.Expr, value: exp.Expr) -> exp.Expr:
    double = exp.TryCast(this=text.copy(), to=to_duckdb(FLOAT64))
    differs = exp.NEQ(this=double.copy(), expression=exp.Cast(this=value.copy(), to=to_duckdb(FLOAT64)))
    by_text = exp.not_(matches(text, _WHOLE_NUMBER))
    is_small = exp.LT(this=call("abs", double.copy()), expression=exp.Literal.number(_EXACT_INTEGER))
    decided = exp.Case().when(is_small, differs).else_(by_text)
    return exp.and_(_is_respelled(text, value), decided)


def _decimal_altered(text: exp.Expr, value: exp.Expr, kind: Decimal) -> exp.Expr:
    double = exp.TryCast(this=text.copy(), to=to_duckdb(FLOAT64))
    as_double = exp.NEQ(this=exp.Cast(this=value.copy(), to=to_duckdb(FLOAT64)), expression=double)
    differs: exp.Expr = call("coalesce", as_double, exp.true())
    if kind.precision > _EXACT_DIGITS:
        wide = Decimal(38, 38 - kind.precision + kind.scale)
        exact = exp.NEQ(this=exp.TryCast(this=text.copy(), to=to_duckdb(wide)), expression=value.copy())
        differs = exp.or_(differs, call("coalesce", exact, exp.true()))
        plain = rf"\s*[+-]?[0-9_]*(?:\.[0-9_]{{0,{kind.scale}}}0*)?\s*"
        differs = exp.and_(exp.not_(matches(text, plain)), differs)
    return exp.and_(_is_respelled(text, value), differs)


def _may_lack_digits(text: exp.Expr, value: exp.Expr, kind: Decimal) -> exp.Expr:
    """Whether the number may have had more digits in the file than a double, as which JSON's fractions are parsed."""
    whole = max(0, _EXACT_DIGITS - kind.scale)
    is_fraction = call("regexp_matches", text.copy(), exp.Literal.string("[.eE]"))
    return exp.and_(_at_least(value, 10**whole) if whole else exp.true(), is_fraction)


def _at_least(value: exp.Expr, bound: int) -> exp.Expr:
    return exp.GTE(this=call("abs", value.copy()), expression=exp.Literal.number(bound))


def _is_respelled(text: exp.Expr, value: exp.Expr) -> exp.Expr:
    """Whether the value is written in another way than the engine would: what is not is certainly the same."""
    return exp.NEQ(this=text_of(value), expression=text.copy())


# ---------------------------------------------------------------- times


def is_mistaken(text: exp.Expr, moment: exp.Expr) -> exp.Expr:
    """Whether strptime made a moment of what its pattern does not say: of 24 the year 24, where ``%Y`` means four digits,
    or of a word (epoch, infinity) what it stands for; try_strptime, the first day of 1900.
    """
    of_word = exp.In(this=moment.copy(), expressions=[_day(day) for day in _OF_WORDS])
    is_word = exp.not_(call("regexp_matches", text.copy(), exp.Literal.string(r"\d")))
    is_early = exp.LT(this=moment.copy(), expression=_day("1000-01-01"))
    has_year = call("contains", text.copy(), call("strftime", moment.copy(), exp.Literal.string("%Y")))
    return exp.or_(exp.and_(of_word, is_word), exp.and_(is_early, exp.not_(has_year)))


def _day(text: str) -> exp.Expr:
    return exp.Cast(this=exp.Literal.string(text), to=to_duckdb(DATE))


def _part_lost(text: exp.Expr, kind: Kind) -> exp.Expr:
    lost = exp.not_(matches(text, _WHOLE[kind]))
    usual = {
        Kind.DATE: _has_length(text, 10),
        Kind.TIME: exp.and_(_has_length(text, 8), _has_colon_at(text, 3)),
        Kind.TIMESTAMP: exp.and_(_has_length(text, 19), _has_colon_at(text, -3)),
    }.get(kind)
    return lost if usual is None else exp.and_(exp.not_(usual), lost)


def _has_length(text: exp.Expr, length: int) -> exp.Expr:
    return exp.EQ(this=call("strlen", text.copy()), expression=exp.Literal.number(length))


def _has_colon_at(text: exp.Expr, place: int) -> exp.Expr:
    found = call("array_extract", text.copy(), exp.convert(place))
    return exp.EQ(this=found, expression=exp.Literal.string(":"))


# ---------------------------------------------------------------- parts of expressions


def _any_of(tests: Iterable[exp.Expr | None]) -> exp.Expr | None:
    found = [test for test in tests if test is not None]
    return exp.or_(*found) if found else None
