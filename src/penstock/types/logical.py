"""The logical types of a document: what a column may hold, whatever system or engine holds it.

``str(type)`` is the document's spelling and :func:`penstock.types.parse_type` its exact inverse. Nullability belongs to
the place, not to the type: a column, a struct's field, a list's element and a map's value say whether null may stand
there, and ``?`` marks it (``list<string?>?`` is a nullable list of nullable strings). A map's key is never null.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias, assert_never

from penstock.errors import ConfigError
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH: Final = 32
MAX_PRECISION: Final = 38

_ASCII_LOWER: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


class Kind(StrEnum):
    """The types without parameters, by their name in a document.

    ``timestamp`` is a local date and time without a zone, ``timestamptz`` an instant; both count microseconds, and so
    does ``time``. ``interval`` is months, days and microseconds, kept apart. ``json`` is text that holds one JSON value.
    """

    STRING = "string"
    BOOLEAN = "boolean"
    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    UINT8 = "uint8"
    UINT16 = "uint16"
    UINT32 = "uint32"
    UINT64 = "uint64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    DATE = "date"
    TIME = "time"
    TIMESTAMP = "timestamp"
    TIMESTAMPTZ = "timestamptz"
    INTERVAL = "interval"
    UUID = "uuid"
    BINARY = "binary"
    JSON = "json"


class Primitive(Frozen):
    """A type without parameters."""

    kind: Kind

    def __str__(self) -> str:
        return self.kind.value


class Decimal(Frozen):
    """An exact number of at most ``precision`` digits, ``scale`` of them after the point.

    Raises ConfigError DOC-402 unless 1 <= precision <= 38 and 0 <= scale <= precision.
    """

    precision: int
    scale: int

    def __post_init__(self) -> None:
        if not 1 <= self.precision <= MAX_PRECISION:
            raise ConfigError(
                "DOC-402",
                f"a decimal of {self.precision} digits is out of range",
                hint=f"the first number is the count of all digits, 1 to {MAX_PRECISION}",
            )
        if not 0 <= self.scale <= self.precision:
            raise ConfigError(
                "DOC-402",
                f"a decimal of {self.precision} digits cannot have {self.scale} of them after the point",
                hint=f"the second number is the count of digits after the point, here 0 to {self.precision}",
            )

    def __str__(self) -> str:
        return f"decimal({self.precision},{self.scale})"


class List(Frozen):
    """Values of one type in order. Raises ConfigError DOC-403 where types nest deeper than 32 levels."""

    element: LogicalType
    element_nullable: bool = True

    def __post_init__(self) -> None:
        _check_depth(self)

    def __str__(self) -> str:
        return f"list<{spell(self.element, nullable=self.element_nullable)}>"


class Map(Frozen):
    """Values by key; keys are never null. Raises ConfigError DOC-403 where types nest deeper than 32 levels."""

    key: LogicalType
    value: LogicalType
    value_nullable: bool = True

    def __post_init__(self) -> None:
        _check_depth(self)

    def __str__(self) -> str:
        return f"map<{self.key},{spell(self.value, nullable=self.value_nullable)}>"


class StructField(Frozen):
    """One named part of a struct. Raises ConfigError DOC-404 where nothing can carry that name."""

    name: str
    type: LogicalType
    nullable: bool = True

    def __post_init__(self) -> None:
        check_name(self.name, of="a struct's field")

    def __str__(self) -> str:
        return f"{quote_name(self.name)}: {spell(self.type, nullable=self.nullable)}"


class Struct(Frozen):
    """Named values in order, at least one, names unique (they may differ in case only).

    Raises ConfigError DOC-404 where names repeat or none is there, DOC-403 where types nest deeper than 32 levels.
    """

    fields: tuple[StructField, ...]

    def __post_init__(self) -> None:
        if not self.fields:
            raise ConfigError("DOC-404", "a struct without fields holds nothing", hint="name at least one field")
        repeated = first_repeated(field.name for field in self.fields)
        if repeated is not None:
            raise ConfigError("DOC-404", f'the struct has two fields named "{repeated}"')
        _check_depth(self)

    def __str__(self) -> str:
        return f"struct<{', '.join(str(field) for field in self.fields)}>"


LogicalType: TypeAlias = Primitive | Decimal | List | Map | Struct

STRING: Final = Primitive(Kind.STRING)
BOOLEAN: Final = Primitive(Kind.BOOLEAN)
INT8: Final = Primitive(Kind.INT8)
INT16: Final = Primitive(Kind.INT16)
INT32: Final = Primitive(Kind.INT32)
INT64: Final = Primitive(Kind.INT64)
UINT8: Final = Primitive(Kind.UINT8)
UINT16: Final = Primitive(Kind.UINT16)
UINT32: Final = Primitive(Kind.UINT32)
UINT64: Final = Primitive(Kind.UINT64)
FLOAT32: Final = Primitive(Kind.FLOAT32)
FLOAT64: Final = Primitive(Kind.FLOAT64)
DATE: Final = Primitive(Kind.DATE)
TIME: Final = Primitive(Kind.TIME)
TIMESTAMP: Final = Primitive(Kind.TIMESTAMP)
TIMESTAMPTZ: Final = Primitive(Kind.TIMESTAMPTZ)
INTERVAL: Final = Primitive(Kind.INTERVAL)
UUID: Final = Primitive(Kind.UUID)
BINARY: Final = Primitive(Kind.BINARY)
JSON: Final = Primitive(Kind.JSON)


def spell(logical: LogicalType, *, nullable: bool) -> str:
    """The document's spelling of a type at a place: ``int64`` or ``int64?``."""
    return f"{logical}?" if nullable else str(logical)


def quote_name(name: str) -> str:
    """A struct field's name as it stands in a type: bare where it is an ASCII identifier, else in double quotes."""
    if name.isascii() and name.isidentifier():
        return name
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def children(logical: LogicalType) -> tuple[LogicalType, ...]:
    """The types directly inside: none, the element, key and value, or the fields' types."""
    match logical:
        case Primitive() | Decimal():
            return ()
        case List():
            return (logical.element,)
        case Map():
            return (logical.key, logical.value)
        case Struct():
            return tuple(field.type for field in logical.fields)
        case _:
            assert_never(logical)


def depth(logical: LogicalType) -> int:
    """1 for a type with nothing inside."""
    return 1 + max((depth(child) for child in children(logical)), default=0)


def relaxed(logical: LogicalType) -> LogicalType:
    """The type with every nested place nullable: all that an engine without nested constraints can promise."""
    match logical:
        case Primitive() | Decimal():
            return logical
        case List():
            return List(relaxed(logical.element))
        case Map():
            return Map(relaxed(logical.key), relaxed(logical.value))
        case Struct():
            return Struct(tuple(StructField(field.name, relaxed(field.type)) for field in logical.fields))
        case _:
            assert_never(logical)


def check_name(name: str, *, of: str) -> None:
    """ConfigError DOC-404 for a name that Arrow's and DuckDB's interfaces cut off or cannot encode."""
    if not name:
        raise ConfigError("DOC-404", f"the name of {of} is empty")
    if "\0" in name:
        raise ConfigError("DOC-404", f"the name of {of}, {name!r}, contains a NUL character")
    if any("\ud800" <= character <= "\udfff" for character in name):
        raise ConfigError("DOC-404", f"the name of {of}, {name!r}, contains half of a surrogate pair")


def fold_case(name: str) -> str:
    """The name as DuckDB and SQLite compare names: ASCII letters in lower case, all others as they are."""
    return name.translate(_ASCII_LOWER)


def first_repeated(names: Iterator[str]) -> str | None:
    """The first name that stands a second time."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _check_depth(logical: LogicalType) -> None:
    if depth(logical) > MAX_DEPTH:
        raise ConfigError("DOC-403", f"the type nests deeper than {MAX_DEPTH} levels")
