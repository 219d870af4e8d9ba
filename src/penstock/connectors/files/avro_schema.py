"""Avro's schemas as columns: what each type is here, and the plain schema under which polars reads the same bytes.

The plain schema has the same binary layout and only the types that polars decodes exactly: enums and ints are longs
(their range is checked afterwards), maps are arrays of key and value, logical types are gone, nulls take no bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum, auto
from typing import TYPE_CHECKING, Final, NoReturn

from penstock.errors import DataError, PenstockError
from penstock.structs import Frozen, replace
from penstock.types import (
    BINARY,
    BOOLEAN,
    DATE,
    FLOAT32,
    FLOAT64,
    INT32,
    INT64,
    STRING,
    TIME,
    TIMESTAMP,
    TIMESTAMPTZ,
    UUID,
    Decimal,
    Field,
    List,
    Map,
    Schema,
    Struct,
    StructField,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.connectors.api import Json
    from penstock.types import LogicalType

_DEEPEST: Final = 50
_UUID_BYTES: Final = 16


class Stored(StrEnum):
    """How a value lies in the file, beyond what its logical type says."""

    AS_IS = auto()
    NULL = auto()
    ENUM = auto()
    DECIMAL = auto()
    UUID_TEXT = auto()
    UUID_BYTES = auto()
    MILLISECONDS = auto()
    MICROSECONDS = auto()
    NANOSECONDS = auto()
    LIST = auto()
    MAP = auto()
    RECORD = auto()


class Shape(Frozen):
    """One place of a schema. ``plain`` None: it takes no bytes, and stands in no plain schema. ``parts`` are an array's element, a map's value, or a record's fields by ``names``;
    ``symbols`` an enum's.
    """

    logical: LogicalType
    plain: Json
    stored: Stored = Stored.AS_IS
    nullable: bool = False
    names: tuple[str, ...] = ()
    parts: tuple[Shape, ...] = ()
    symbols: tuple[str, ...] = ()


_PRIMITIVES: Final[Mapping[str, tuple[LogicalType, str]]] = {
    "boolean": (BOOLEAN, "boolean"),
    "int": (INT32, "long"),
    "long": (INT64, "long"),
    "float": (FLOAT32, "float"),
    "double": (FLOAT64, "double"),
    "bytes": (BINARY, "bytes"),
    "string": (STRING, "string"),
}
_OF_NUMBERS: Final[Mapping[tuple[str, str], tuple[LogicalType, Stored]]] = {
    ("int", "date"): (DATE, Stored.AS_IS),
    ("int", "time-millis"): (TIME, Stored.MILLISECONDS),
    ("long", "time-micros"): (TIME, Stored.MICROSECONDS),
    ("long", "timestamp-millis"): (TIMESTAMPTZ, Stored.MILLISECONDS),
    ("long", "timestamp-micros"): (TIMESTAMPTZ, Stored.MICROSECONDS),
    ("long", "timestamp-nanos"): (TIMESTAMPTZ, Stored.NANOSECONDS),
    ("long", "local-timestamp-millis"): (TIMESTAMP, Stored.MILLISECONDS),
    ("long", "local-timestamp-micros"): (TIMESTAMP, Stored.MICROSECONDS),
    ("long", "local-timestamp-nanos"): (TIMESTAMP, Stored.NANOSECONDS),
}


def shape_of(schema: Json, *, named: str) -> Shape:
    """The shape of a file's records. ``named`` is the file, for messages.

    Raises DataError SRC-303: no record, a type that is not known, a union of more than null and one type, a record
    inside itself, nested deeper than 50; ConfigError DOC-404, DOC-410 for names that are impossible or repeat.
    """
    shape = _Resolver(named).shape(schema, _Place())
    if shape.stored is not Stored.RECORD or shape.nullable:
        _refuse(named, "", "its values are no records")
    return shape


def columns_of(shape: Shape) -> Schema:
    """The columns of a file's records."""
    pairs = zip(shape.names, shape.parts, strict=True)
    return Schema(tuple(Field(name, part.logical, part.nullable) for name, part in pairs))


class _Place(Frozen):
    """Where in a schema a type stands; ``space`` is the namespace of names without one."""

    path: str = ""
    depth: int = 0
    space: str = ""

    def inside(self, path: str, space: str | None = None) -> _Place:
        return _Place(path, self.depth + 1, self.space if space is None else space)


class _Resolver:
    """Knows the types that were named so far; a name stands for its type wherever it comes again."""

    def __init__(self, named: str) -> None:
        self._named = named
        self._known: dict[str, Shape | None] = {}
        self._made = 0

    def shape(self, schema: Json, at: _Place) -> Shape:
        if at.depth > _DEEPEST:
            _refuse(self._named, at.path, f"it is nested deeper than {_DEEPEST}")
        match schema:
            case str():
                return self._by_name(schema, at)
            case list():
                return self._union(schema, at)
            case Mapping():
                kind = schema.get("type")
                if isinstance(kind, str):
                    return self._complex(kind, schema, at)
                return self.shape(kind, at.inside(at.path))
        return _refuse(self._named, at.path, "a type is written in no known way")

    def _by_name(self, name: str, at: _Place) -> Shape:
        if name in _PRIMITIVES:
            logical, plain = _PRIMITIVES[name]
            return Shape(logical, plain)
        if name == "null":
            return Shape(STRING, None, Stored.NULL, nullable=True)
        full = _full_name(name, at.space)
        found = self._known.get(full) or self._known.get(name)
        if found is None:
            why = f'the record "{name}" stands inside itself' if full in self._known else f'no type is named "{name}"'
            _refuse(self._named, at.path, why)
        return found

    def _union(self, members: Sequence[Json], at: _Place) -> Shape:
        others = [member for member in members if member != "null"]
        if not others:  # the number of the member is written nevertheless
            return Shape(STRING, "long", Stored.NULL, nullable=True)
        if len(others) > 1 or len(members) > 2:  # noqa: PLR2004 -- null and one type
            _refuse(self._named, at.path, "it is a union of more than null and one type")
        shape = self.shape(others[0], at.inside(at.path))
        if len(members) == 1:  # polars takes unions with null only; the member's number is 0 either way
            return replace(shape, plain=[shape.plain, "null"])
        plain = [shape.plain if member != "null" else "null" for member in members]
        return replace(shape, plain=plain, nullable=True)

    def _complex(self, kind: str, schema: Mapping[str, Json], at: _Place) -> Shape:
        match kind, schema:
            case "array", {"items": items}:
                part = self._part(items, at.inside(f"{at.path}[]"))
                plain: Json = {"type": "array", "items": part.plain}
                if schema.get("logicalType") == "map" and _is_pair(part):
                    return self._pairs(part, plain)
                return Shape(List(part.logical, part.nullable), plain, Stored.LIST, parts=(part,))
            case "map", {"values": values}:
                return self._map(self._part(values, at.inside(f"{at.path}.value")))
            case (("record" | "error"), {"name": str() as name, "fields": list() as fields}):
                return self._record(_full_name(name, _space_of(schema, at.space)), fields, at)
            case "enum", {"name": str() as name, "symbols": list() as symbols}:
                shape = Shape(STRING, "long", Stored.ENUM, symbols=tuple(map(str, symbols)))
                return self._keep(name, schema, at=at, shape=shape)
            case "fixed", {"name": str() as name, "size": int() as size} if size > 0:
                return self._keep(name, schema, at=at, shape=self._fixed(size, schema))
            case _ if kind in _PRIMITIVES:
                return _annotated(kind, schema)
            case _:
                return self._by_name(kind, at)

    def _part(self, schema: Json, at: _Place) -> Shape:
        part = self.shape(schema, at)
        if part.stored is Stored.NULL:
            _refuse(self._named, at.path, "it holds nothing but nulls")
        return part

    def _map(self, value: Shape) -> Shape:
        fields: Json = [{"name": "key", "type": "string"}, {"name": "value", "type": value.plain}]
        plain: Json = {"type": "array", "items": {"type": "record", "name": self._new_name(), "fields": fields}}
        return Shape(
            Map(STRING, value.logical, value.nullable), plain, Stored.MAP, parts=(Shape(STRING, "string"), value)
        )

    def _pairs(self, pair: Shape, plain: Json) -> Shape:
        """A map whose keys are no strings, or may by its schema be null: an array of records."""
        key, value = pair.parts
        return Shape(Map(key.logical, value.logical, value.nullable), plain, Stored.MAP, parts=(key, value))

    def _record(self, full: str, fields: Sequence[Json], at: _Place) -> Shape:
        self._known[full] = None
        parts: dict[str, Shape] = {}
        for field in fields:
            match field:
                case {"name": str() as part, "type": kind} if part not in parts:
                    path = f"{at.path}.{part}" if at.path else part
                    parts[part] = self.shape(kind, at.inside(path, full.rpartition(".")[0]))
                case _:
                    _refuse(
                        self._named, at.path, f'a field of the record "{full}" has no type, or its name comes twice'
                    )
        held = [(part, shape) for part, shape in parts.items() if shape.plain is not None]
        if not held:
            _refuse(self._named, at.path, f'the record "{full}" has no fields that hold anything')
        listed: Json = [{"name": part, "type": shape.plain} for part, shape in held]
        plain: Json = {"type": "record", "name": self._new_name(), "fields": listed}
        logical = Struct(tuple(StructField(part, shape.logical, shape.nullable) for part, shape in parts.items()))
        made = Shape(logical, plain, Stored.RECORD, names=tuple(parts), parts=tuple(parts.values()))
        self._known[full] = made
        return made

    def _fixed(self, size: int, schema: Mapping[str, Json]) -> Shape:
        plain: Json = {"type": "fixed", "name": self._new_name(), "size": size}
        if schema.get("logicalType") == "uuid" and size == _UUID_BYTES:
            return Shape(UUID, plain, Stored.UUID_BYTES)
        number = _decimal(schema)
        return Shape(number, plain, Stored.DECIMAL) if number else Shape(BINARY, plain)

    def _keep(self, name: str, schema: Mapping[str, Json], *, at: _Place, shape: Shape) -> Shape:
        self._known[_full_name(name, _space_of(schema, at.space))] = shape
        return shape

    def _new_name(self) -> str:
        self._made += 1
        return f"t{self._made}"


def _is_pair(part: Shape) -> bool:
    return part.stored is Stored.RECORD and part.names == ("key", "value") and part.parts[0].stored is not Stored.NULL


def _annotated(kind: str, schema: Mapping[str, Json]) -> Shape:
    """A primitive with or without a logical type; one that is not known, or does not fit, is as if it were not there."""
    logical, plain = _PRIMITIVES[kind]
    said = str(schema.get("logicalType", ""))
    if (kind, said) in _OF_NUMBERS:
        meant, stored = _OF_NUMBERS[kind, said]
        return Shape(meant, plain, stored)
    if (kind, said) == ("string", "uuid"):
        return Shape(UUID, plain, Stored.UUID_TEXT)
    number = _decimal(schema) if kind == "bytes" else None
    return Shape(number, plain, Stored.DECIMAL) if number else Shape(logical, plain)


def _decimal(schema: Mapping[str, Json]) -> Decimal | None:
    match schema:
        case {"logicalType": "decimal", "precision": int() as precision}:
            scale = schema.get("scale", 0)
            try:
                return Decimal(precision, scale) if isinstance(scale, int) else None
            except (PenstockError, ValueError):
                return None
    return None


def _space_of(schema: Mapping[str, Json], space: str) -> str:
    said = schema.get("namespace")
    return said if isinstance(said, str) else space


def _full_name(name: str, space: str) -> str:
    return f"{space}.{name}" if space and "." not in name else name


def _refuse(named: str, path: str, why: str) -> NoReturn:
    where = f'"{path}" of "{named}"' if path else f'"{named}"'
    raise DataError("SRC-303", f"the Avro schema of {where} cannot be columns", detail=why)
