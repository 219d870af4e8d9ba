"""A JSON Schema as conditions in SQL on a JSON value: what of the 2020-12 draft a column can be held to without a row loop.

Source: JSON Schema Validation and Core, draft 2020-12; JSON Pointer, RFC 6901.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.structs import Frozen, replace
from penstock.trees import call, is_null, texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.errors import Location

_NUMBERS: Final = ("BIGINT", "UBIGINT", "HUGEINT", "UHUGEINT", "DOUBLE")
# The types of JSON Schema, as DuckDB's json_type calls them.
_TYPES: Final = {
    "object": ("OBJECT",),
    "array": ("ARRAY",),
    "string": ("VARCHAR",),
    "boolean": ("BOOLEAN",),
    "null": ("NULL",),
    "number": _NUMBERS,
    "integer": _NUMBERS[:-1],
}
_SAYS_NOTHING: Final = frozenset(
    {"$schema", "$id", "$comment", "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"}
)
_BOUNDS: Final[dict[str, tuple[type[exp.Binary], str]]] = {
    "minimum": (exp.LT, "is less than"),
    "maximum": (exp.GT, "is more than"),
    "exclusiveMinimum": (exp.LTE, "is not above"),
    "exclusiveMaximum": (exp.GTE, "is not below"),
}
# The kind of value that has a size, the function that gives it, and what is said of one that is too small or too large.
_SIZES: Final[dict[str, tuple[str, type[exp.Binary], str]]] = {
    "minLength": ("VARCHAR", exp.LT, "has fewer characters than"),
    "maxLength": ("VARCHAR", exp.GT, "has more characters than"),
    "minItems": ("ARRAY", exp.LT, "has fewer elements than"),
    "maxItems": ("ARRAY", exp.GT, "has more elements than"),
    "minProperties": ("OBJECT", exp.LT, "has fewer members than"),
    "maxProperties": ("OBJECT", exp.GT, "has more members than"),
}


class UnsupportedError(Exception):
    """A keyword, or a value of one, that is not asked of a column."""

    def __init__(self, message: str, at: Location | None) -> None:
        super().__init__(message)
        self.at = at


class Condition(Frozen):
    """``broken`` true: the value breaks the schema, and ``told`` says how; null and false: not in this."""

    broken: exp.Expr
    told: str


class _Place(Frozen):
    """The value at a JSON pointer of ``base``; ``named``: what people call it. Missing, it has no type."""

    base: exp.Expr
    pointer: str = ""
    named: str = "it"
    depth: int = 0  # of the lambdas around it

    @property
    def _arguments(self) -> list[exp.Expr]:
        return [self.base, *([exp.Literal.string(self.pointer)] if self.pointer else [])]

    def is_(self, *types: str) -> exp.Expr:
        kinds = [exp.Literal.string(name) for name in types]
        return exp.In(this=call("json_type", *self._arguments), expressions=kinds)

    @property
    def is_missing(self) -> exp.Expr:
        return is_null(call("json_type", *self._arguments))

    @property
    def value(self) -> exp.Expr:
        return call("json_extract", *self._arguments) if self.pointer else self.base

    @property
    def text(self) -> exp.Expr:
        return call("json_extract_string", self.base, exp.Literal.string(self.pointer or "$"))

    @property
    def number(self) -> exp.Expr:
        number = exp.TryCast(this=self.text, to=exp.DataType.build("double"))
        return exp.Case(ifs=[exp.If(this=self.is_(*_NUMBERS), true=number)])

    @property
    def keys(self) -> exp.Expr:
        return call("json_keys", *self._arguments)

    def size(self, kind: str) -> exp.Expr:
        match kind:
            case "VARCHAR":
                return call("length", self.text)
            case "ARRAY":
                return call("json_array_length", *self._arguments)
            case _:
                return call("len", self.keys)

    def member(self, key: str) -> _Place:
        pointer = f"{self.pointer}/{key.replace('~', '~0').replace('/', '~1')}"
        named = f"{'' if self.named == 'it' else self.named}/{key}"
        return replace(self, pointer=pointer, named=named)


def conditions(schema: object, value: exp.Expr, check_pattern: Callable[[str], None]) -> Iterator[Condition]:
    """What the schema asks of ``value``, which is JSON. Raises UnsupportedError; ``check_pattern`` raises what it will."""
    yield from _Reader(check_pattern).of(schema, _Place(value), None)


class _Reader(Frozen):
    check_pattern: Callable[[str], None]

    def of(self, schema: object, place: _Place, at: Location | None) -> Iterator[Condition]:
        match schema:
            case True:
                return
            case False:
                yield Condition(exp.not_(place.is_missing), f"{place.named} is not allowed")
            case Mapping():
                for keyword, asked in schema.items():
                    if keyword not in _SAYS_NOTHING:
                        yield from self._keyword(str(keyword), asked, schema, place=place, at=_at(keyword) or at)
            case _:
                raise UnsupportedError(f"{place.named}: a JSON Schema is a map, true or false", at)

    def _keyword(
        self, keyword: str, asked: object, beside: Mapping[object, object], *, place: _Place, at: Location | None
    ) -> Iterator[Condition]:
        match keyword, asked:
            case "required", [*names] if all(isinstance(name, str) for name in names):
                for member in (place.member(str(name)) for name in names):
                    yield Condition(exp.and_(place.is_("OBJECT"), member.is_missing), f"{member.named} is missing")
            case "properties", Mapping():
                for name, schema in asked.items():
                    for found in self.of(schema, place.member(str(name)), _at(name) or at):
                        yield replace(found, broken=exp.and_(place.is_("OBJECT"), found.broken))
            case "additionalProperties", bool():
                if not asked:
                    yield _only(place, beside.get("properties", {}))
            case "items", _:
                yield from self._items(asked, place, at)
            case "allOf", [_, *_]:
                for schema in asked:
                    yield from self.of(schema, place, at)
            case "anyOf" | "oneOf", [_, *_]:
                yield self._several(keyword, list(asked), place, at)
            case "not", _:
                fits = exp.and_(exp.not_(place.is_missing), exp.not_(self._broken(asked, place, at)))
                yield Condition(fits, f"{place.named} is what it must not be")
            case _:
                yield self._asserted(keyword, asked, place, at)

    def _asserted(self, keyword: str, asked: object, place: _Place, at: Location | None) -> Condition:
        """What is asked of a value by itself."""
        match keyword, asked:
            case "type", str() | [_, *_]:
                return self._type([asked] if isinstance(asked, str) else list(asked), place, at)
            case "enum", [_, *_]:
                equal = exp.or_(*(_equals(place, item, at) for item in asked))
                return Condition(exp.not_(equal), f"{place.named} is not one of the values")
            case "const", _:
                return Condition(exp.not_(_equals(place, asked, at)), f"{place.named} is not the value")
            case "pattern", str():
                self.check_pattern(asked)
                matches = call("regexp_matches", place.text, exp.Literal.string(asked))
                return Condition(exp.and_(place.is_("VARCHAR"), exp.not_(matches)), f"{place.named} has another form")
            case _ if keyword in _BOUNDS and isinstance(asked, int | float) and not isinstance(asked, bool):
                comparison, words = _BOUNDS[keyword]
                return Condition(
                    comparison(this=place.number, expression=_double(asked)), f"{place.named} {words} {asked}"
                )
            case _ if keyword in _SIZES and isinstance(asked, int) and not isinstance(asked, bool) and asked >= 0:
                kind, comparison, words = _SIZES[keyword]
                size = comparison(this=place.size(kind), expression=exp.Literal.number(asked))
                return Condition(exp.and_(place.is_(kind), size), f"{place.named} {words} {asked}")
            case _ if keyword in _KNOWN:
                raise UnsupportedError(f'"{keyword}" takes another value than {str(asked)[:60]}', at)
            case _:
                raise UnsupportedError(f'the keyword "{keyword[:60]}" is not supported', at)

    def _type(self, names: list[object], place: _Place, at: Location | None) -> Condition:
        unknown = [name for name in names if name not in _TYPES]
        if unknown:
            raise UnsupportedError(f'"type" is one of {", ".join(_TYPES)}, or a list of them', at)
        right = [place.is_(*dict.fromkeys(kind for name in names for kind in _TYPES[str(name)]))]
        if "integer" in names and "number" not in names:
            whole = exp.EQ(this=place.number, expression=exp.Floor(this=place.number))
            right.append(exp.and_(place.is_("DOUBLE"), whole))
        return Condition(exp.not_(exp.or_(*right)), f"{place.named} is no {' or '.join(map(str, names))}")

    def _items(self, schema: object, place: _Place, at: Location | None) -> Iterator[Condition]:
        """One condition for all elements, of which the first that is broken need not be known."""
        name = f"element{place.depth}"
        element = _Place(exp.column(name), named="an element", depth=place.depth + 1)
        elements = call("json_extract", place.value, exp.Literal.string("$[*]"))
        for found in self.of(schema, element, at):
            broken = exp.func("coalesce", found.broken, exp.false())
            bad = call("list_filter", elements, exp.Lambda(this=broken, expressions=[exp.to_identifier(name)]))
            some = exp.GT(this=call("len", bad), expression=exp.Literal.number(0))
            yield Condition(exp.and_(place.is_("ARRAY"), some), f"{place.named}: {found.told}")

    def _several(self, keyword: str, schemas: list[object], place: _Place, at: Location | None) -> Condition:
        broken = [self._broken(schema, place, at) for schema in schemas]
        if keyword == "anyOf":
            return Condition(exp.and_(*broken), f"{place.named} is none of what it may be")
        fitting: exp.Expr = exp.Literal.number(0)
        for one in broken:
            fits = exp.Case(ifs=[exp.If(this=one, true=exp.Literal.number(0))], default=exp.Literal.number(1))
            fitting = exp.Add(this=fitting, expression=fits)
        wrong = exp.NEQ(this=exp.Paren(this=fitting), expression=exp.Literal.number(1))
        told = f"{place.named} is not exactly one of what it may be"
        return Condition(exp.and_(exp.not_(place.is_missing), wrong), told)

    def _broken(self, schema: object, place: _Place, at: Location | None) -> exp.Expr:
        """Whether the value breaks the schema in anything: never null."""
        found = [item.broken for item in self.of(schema, place, at)]
        return exp.func("coalesce", exp.or_(*found), exp.false()) if found else exp.false()


_KNOWN: Final = frozenset(
    {
        *("type", "enum", "required", "properties", "additionalProperties", "pattern", "allOf", "anyOf", "oneOf"),
        *_BOUNDS,
        *_SIZES,
    }
)


def _only(place: _Place, properties: object) -> Condition:
    names = list(map(str, properties)) if isinstance(properties, Mapping) else []
    known = exp.Cast(this=texts(names), to=exp.DataType.build("text[]", dialect="duckdb"))
    others = exp.not_(call("list_has_all", known, place.keys))
    return Condition(exp.and_(place.is_("OBJECT"), others), f"{place.named} has a member that its schema does not name")


def _equals(place: _Place, value: object, at: Location | None) -> exp.Expr:
    """Whether it is this value of the schema; numbers by their size, ``1.0`` is ``1``."""
    match value:
        case None:
            return place.is_("NULL")
        case bool():
            same = exp.EQ(this=place.text, expression=exp.Literal.string(str(value).lower()))
            return exp.and_(place.is_("BOOLEAN"), same)
        case int() | float():
            return exp.and_(place.is_(*_NUMBERS), exp.EQ(this=place.number, expression=_double(value)))
        case str():
            return exp.and_(place.is_("VARCHAR"), exp.EQ(this=place.text, expression=exp.Literal.string(str(value))))
        case _:
            raise UnsupportedError("a value is compared that is an object or an array", at)


def _double(value: float) -> exp.Expr:
    return exp.Cast(this=exp.Literal.string(repr(value)), to=exp.DataType.build("double"))


def _at(text: object) -> Location | None:
    return getattr(text, "at", None)
