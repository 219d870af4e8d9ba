"""A contract that stands in a file: an Avro schema (``.avsc``) or a JSON Schema (``.schema.json``) of one row.

Sources: Avro 1.12 specification (records, unions with null, named types, logical types); JSON Schema 2020-12 (object,
properties, required, type, format, $ref within the file, anyOf and oneOf with null). What JSON Schema says beyond these
is any JSON value. What either says of the values beyond their types is not enforced, and a warning names it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from penstock.errors import ConfigError, Problem
from penstock.structs import replace
from penstock.types import Field, Schema
from penstock.types.logical import (
    BINARY,
    BOOLEAN,
    DATE,
    FLOAT32,
    FLOAT64,
    INT32,
    INT64,
    INTERVAL,
    JSON,
    STRING,
    TIME,
    TIMESTAMP,
    TIMESTAMPTZ,
    UUID,
    Decimal,
    List,
    LogicalType,
    Map,
    Struct,
    StructField,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from penstock.errors import Location

_Made = TypeVar("_Made")
# A type, and whether null may stand there.
_Place: TypeAlias = tuple[LogicalType, bool]

_AVRO: Final[dict[str, LogicalType]] = {
    "null": STRING, "boolean": BOOLEAN, "int": INT32, "long": INT64, "float": FLOAT32, "double": FLOAT64,
    "bytes": BINARY, "string": STRING,
}  # fmt: skip
_AVRO_LOGICAL: Final[dict[str, LogicalType]] = {
    "date": DATE, "time-millis": TIME, "time-micros": TIME, "timestamp-millis": TIMESTAMPTZ,
    "timestamp-micros": TIMESTAMPTZ, "timestamp-nanos": TIMESTAMPTZ, "local-timestamp-millis": TIMESTAMP,
    "local-timestamp-micros": TIMESTAMP, "local-timestamp-nanos": TIMESTAMP, "uuid": UUID, "duration": INTERVAL,
}  # fmt: skip
_AVRO_NAMED: Final = ("record", "enum", "fixed")
_JSON: Final = {"string": STRING, "integer": INT64, "number": FLOAT64, "boolean": BOOLEAN}
_JSON_OTHERS: Final = ("null", "array", "object")
_JSON_FORMATS: Final = {"date": DATE, "date-time": TIMESTAMPTZ, "time": TIME, "uuid": UUID}
# What JSON Schema (2020-12, applicators and validation) demands of values beyond their types.
_JSON_RULES: Final = frozenset({
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern",
    "enum", "const", "minItems", "maxItems", "uniqueItems", "contains", "minProperties", "maxProperties", "propertyNames",
    "dependentRequired", "not", "if", "allOf",
})  # fmt: skip
# Types that are spoken of by name multiply: a file of a few lines may stand for any number of them.
_MOST_PLACES: Final = 20_000


def read_schema_file(
    path: str, read_file: Callable[[str], bytes], at: Location | None
) -> tuple[Schema, tuple[Problem, ...]]:
    """The columns of one row, and warnings: DOC-222 where the file says more than is enforced. ``read_file`` gives the bytes by the document's path.

    Raises ConfigError DOC-221 where the file is no such schema, or says what Penstock has no type for, DOC-402 to
    DOC-404 and DOC-410 of its types and names, and what ``read_file`` raises.
    """
    try:
        content = json.loads(read_file(path), object_pairs_hook=_without_repeats)
        reader = _reader(path)
        columns = reader.columns(content)
        schema = Schema(tuple(Field(name, kind, nullable=nullable) for name, (kind, nullable) in columns))
        return schema, tuple(_not_enforced(path, tuple(reader.rules), at))
    except RecursionError:
        raise ConfigError("DOC-221", f'the schema file "{path}" nests too deeply', at=at) from None
    except ValueError as error:
        raise ConfigError("DOC-221", f'the schema file "{path}" is not JSON', at=at, detail=str(error)[:200]) from None
    except ConfigError as error:  # which knows the file, and not who names it
        raise ConfigError.of(replace(problem, at=problem.at or at) for problem in error.problems) from None


def _not_enforced(path: str, rules: Sequence[str], at: Location | None) -> Iterator[Problem]:
    if rules:
        yield Problem(
            "DOC-222",
            f'the schema file "{path}" has rules that are not enforced',
            at=at,
            detail=f"of its columns only types and nulls are checked, not {', '.join(rules)}.",
            hint="test such values in a step where they matter, such as `filter`",
            severity="warning",
        )


def _without_repeats(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'the key "{repeated}" stands twice in one object')
    return found


def _reader(path: str) -> _Avro | _JsonSchema:
    if path.endswith(".avsc"):
        return _Avro(path)
    if path.endswith(".json"):
        return _JsonSchema(path)
    raise _Reader(path).refused("its name ends neither in .avsc nor in .schema.json")


class _Reader:
    def __init__(self, path: str) -> None:
        self.path = path
        self.places = 0
        self.open: list[str] = []  # the named types that are being read, the outermost first
        self.rules: dict[str, None] = {}  # what is said of values and not enforced, in the order of the file

    def refused(self, why: str) -> ConfigError:
        return ConfigError("DOC-221", f'the schema file "{self.path}" cannot be used', detail=f"{why}.")

    def count(self) -> None:
        self.places += 1
        if self.places > _MOST_PLACES:
            raise self.refused(f"it stands for more than {_MOST_PLACES:,} types")


def _struct(fields: Sequence[tuple[str, _Place]]) -> Struct:
    return Struct(tuple(StructField(name, kind, nullable) for name, (kind, nullable) in fields))


class _Avro(_Reader):
    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.named: dict[str, tuple[dict[str, Any], str]] = {}  # each with the namespace that it stands in

    def columns(self, content: object) -> list[tuple[str, _Place]]:
        if not isinstance(content, dict) or content.get("type") != "record":
            raise self.refused("its outermost type is no record")
        return self.within(content, "", self.fields)

    def within(self, kind: dict[str, Any], space: str, read: Callable[[dict[str, Any], str], _Made]) -> _Made:
        """What ``read`` makes of a named type and the namespace inside it; its name is known from here on."""
        name = kind.get("name")
        if not isinstance(name, str):
            return read(kind, space)
        full = _full_name(name, str(kind.get("namespace") or space))
        self.named[full] = (kind, space)
        self.open.append(full)
        made = read(kind, full.rpartition(".")[0])
        self.open.pop()
        return made

    def fields(self, record: Mapping[str, Any], space: str) -> list[tuple[str, _Place]]:
        fields = record.get("fields")
        if not isinstance(fields, list) or not fields:
            raise self.refused("a record has no fields")
        found = []
        for item in fields:
            if not isinstance(item, dict) or not isinstance(item.get("name"), str) or "type" not in item:
                raise self.refused("a field has no name or no type")
            found.append((item["name"], self.place(item["type"], space)))
        return found

    def place(self, kind: Any, space: str) -> _Place:
        self.count()
        match kind:
            case list():
                others = [part for part in kind if part != "null"]
                if len(others) != 1:
                    raise self.refused("a union of several types besides null has no column type")
                inner, nullable = self.place(others[0], space)
                return inner, nullable or "null" in kind
            case str() if kind in _AVRO:
                return _AVRO[kind], kind == "null"
            case str():
                return self.reference(kind, space), False
            case {"type": str() as name} if name in _AVRO_NAMED:
                return self.within(kind, space, self.of_map), False
            case {"type": list() | dict() as inner}:
                return self.place(inner, space)
            case dict():
                return self.of_map(kind, space), kind.get("type") == "null"
            case _:
                raise self.refused(f"the Avro type {json.dumps(kind)[:100]} has no column type")

    def reference(self, name: str, space: str) -> LogicalType:
        full = next((one for one in (_full_name(name, space), name) if one in self.named), None)
        if full is None:
            raise self.refused(f'the Avro type "{name[:100]}" has no column type, and no type before it has that name')
        if full in self.open:
            raise self.refused(f'the record "{full[:100]}" holds itself, and a column ends somewhere')
        kind, outside = self.named[full]
        return self.within(kind, outside, self.of_map)

    def of_map(self, kind: dict[str, Any], space: str) -> LogicalType:
        match kind:
            case {"logicalType": "decimal", "precision": precision} if kind.get("type") in ("bytes", "fixed"):
                return self.decimal(precision, kind.get("scale", 0))
            case {"logicalType": str() as logical} if logical in _AVRO_LOGICAL:
                return _AVRO_LOGICAL[logical]
            case {"type": "array", "items": items}:
                return List(*self.place(items, space))
            case {"type": "map", "values": values}:
                return Map(STRING, *self.place(values, space))
            case {"type": "record"}:
                return _struct(self.fields(kind, space))
            case {"type": "enum"}:
                self.rules["enum"] = None
                return STRING
            case {"type": "fixed"}:
                self.rules["fixed"] = None
                return BINARY
            case {"type": str() as name} if name not in ("array", "map"):
                return self.place(name, space)[0]
            case _:
                raise self.refused(f"the Avro type {json.dumps(kind)[:100]} has no column type")

    def decimal(self, precision: object, scale: object) -> Decimal:
        if type(precision) is not int or type(scale) is not int:
            raise self.refused("precision and scale of a decimal are whole numbers")
        return Decimal(precision, scale)


def _full_name(name: str, space: str) -> str:
    return name if "." in name or not space else f"{space}.{name}"


class _JsonSchema(_Reader):
    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.content: object = None

    def columns(self, content: object) -> list[tuple[str, _Place]]:
        self.content = content
        seen: set[str] = set()
        while isinstance(content, dict) and "properties" not in content and "$ref" in content:
            pointer = str(content["$ref"])
            content = None if pointer in seen else self.resolved(pointer)
            seen.add(pointer)
        if not isinstance(content, dict):
            raise self.refused("it is no JSON Schema of an object")
        return self.properties(content)

    def properties(self, content: Mapping[str, Any]) -> list[tuple[str, _Place]]:
        properties, required = content.get("properties"), content.get("required", [])
        if not isinstance(properties, dict) or not properties or not isinstance(required, list):
            raise self.refused("an object has no properties")
        found = []
        for name, kind in properties.items():
            inner, nullable = self.place(kind)
            found.append((name, (inner, nullable or name not in required)))
        return found

    def place(self, kind: Any) -> _Place:
        self.count()
        self.rules |= dict.fromkeys(key for key in kind if key in _JSON_RULES) if isinstance(kind, dict) else {}
        match kind:
            case {"$ref": str() as pointer}:
                return self.referred(pointer)
            case {"anyOf": list() as options} | {"oneOf": list() as options} if "type" not in kind:
                others = [option for option in options if option != {"type": "null"}]
                inner, nullable = self.place(others[0]) if len(others) == 1 else (JSON, False)
                return inner, nullable or len(others) < len(options)
            case {"type": list() as kinds}:
                others = [part for part in kinds if part != "null"]
                inner = self.place({**kind, "type": others[0]})[0] if len(others) == 1 else JSON
                return inner, "null" in kinds
            case bool():
                return JSON, False
            case dict():
                return self.one(kind), kind == {"type": "null"}
            case _:
                raise self.refused("a property's schema is no object")

    def one(self, kind: dict[str, Any]) -> LogicalType:
        match kind:
            case {"type": "string", "format": str() as form} if form in _JSON_FORMATS:
                return _JSON_FORMATS[form]
            case {"type": str() as name} if name in _JSON:
                return _JSON[name]
            case {"type": "array", "items": items}:
                return List(*self.place(items))
            case {"type": "object", "properties": dict() as properties} if properties:
                return _struct(self.properties(kind))
            case {"type": name} if name not in _JSON_OTHERS:
                raise self.refused(f"JSON Schema has no type {json.dumps(name)[:100]}")
            case {"enum": list() as values} if all(isinstance(value, str) for value in values):
                return STRING
            case _:
                return JSON

    def referred(self, pointer: str) -> _Place:
        """What holds itself has no end, and is any JSON value."""
        target = self.resolved(pointer)
        if pointer in self.open or target is self.content:
            return JSON, False
        self.open.append(pointer)
        place = self.place(target)
        self.open.pop()
        return place

    def resolved(self, pointer: str) -> Any:
        """What a JSON pointer (RFC 6901) of this file leads to."""
        if not pointer.startswith("#"):
            raise self.refused(f'the $ref "{pointer[:100]}" leads out of the file')
        found: Any = self.content
        for step in pointer.removeprefix("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, dict) or name not in found:
                raise self.refused(f'the $ref "{pointer[:100]}" leads nowhere')
            found = found[name]
        return found
