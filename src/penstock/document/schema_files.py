"""A contract that stands in a file: an Avro schema (``.avsc``) or a JSON Schema (``.schema.json``) of one row.

Sources: Avro 1.12 specification (records, unions with null, logical types); JSON Schema 2020-12 (object, properties,
required, type, format).
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from penstock.errors import ConfigError
from penstock.types import Field, Schema, parse_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from penstock.errors import Location

_AVRO: Final = {
    "null": "string", "boolean": "boolean", "int": "int32", "long": "int64", "float": "float32", "double": "float64",
    "bytes": "binary", "string": "string",
}  # fmt: skip
_AVRO_LOGICAL: Final = {
    "date": "date", "time-millis": "time", "time-micros": "time", "timestamp-millis": "timestamptz",
    "timestamp-micros": "timestamptz", "timestamp-nanos": "timestamptz", "local-timestamp-millis": "timestamp",
    "local-timestamp-micros": "timestamp", "local-timestamp-nanos": "timestamp", "uuid": "uuid", "duration": "interval",
}  # fmt: skip
_JSON: Final = {"string": "string", "integer": "int64", "number": "float64", "boolean": "boolean"}
_LONGEST: Final = 100_000  # characters of a column's type
_JSON_FORMATS: Final = {"date": "date", "date-time": "timestamptz", "time": "time", "uuid": "uuid"}


def read_schema_file(path: str, read_file: Callable[[str], bytes], at: Location | None) -> Schema:
    """The columns of one row. ``read_file`` gives the bytes by the document's path.

    Raises ConfigError DOC-221 where the file is no such schema, or says what Penstock has no type for, and what
    ``read_file`` raises.
    """
    try:
        content = json.loads(_content(path, read_file, at))
    except (ValueError, RecursionError) as error:
        raise ConfigError("DOC-221", f'the schema file "{path}" is not JSON', at=at, detail=str(error)[:200]) from None
    reader = _Reader(path, at)
    if path.endswith(".avsc"):
        return reader.avro(content)
    if path.endswith(".json"):
        return reader.json_schema(content)
    raise reader.refuse("its name ends neither in .avsc nor in .schema.json")


def _content(path: str, read_file: Callable[[str], bytes], at: Location | None) -> bytes:
    try:
        return read_file(path)
    except ConfigError as error:  # which knows the file, and not who names it
        raise ConfigError.of(replace(problem, at=problem.at or at) for problem in error.problems) from None


class _Reader:
    def __init__(self, path: str, at: Location | None) -> None:
        self.path = path
        self.at = at
        self._named: dict[str, str] = {}  # column types by the name or the reference that stands for them
        self._json_root: Mapping[str, Any] = {}

    def refuse(self, why: str) -> ConfigError:
        return ConfigError("DOC-221", f'the schema file "{self.path}" cannot be used', at=self.at, detail=f"{why}.")

    def schema(self, columns: Sequence[tuple[str, str]]) -> Schema:
        try:
            fields = []
            for name, text in columns:
                kind, nullable = parse_type(text, at=self.at)
                fields.append(Field(name, kind, nullable=nullable))
            return Schema(tuple(fields))
        except ConfigError as error:  # of a name, or of two that are the same
            raise ConfigError.of(replace(problem, at=self.at) for problem in error.problems) from None

    def bounded(self, text: str) -> str:
        """A name within a name within a name could grow without end."""
        if len(text) > _LONGEST:
            raise self.refuse("the type of a column is too long")
        return text

    # ------------------------------------------------------------ Avro

    def avro(self, content: object) -> Schema:
        if not isinstance(content, dict) or content.get("type") != "record":
            raise self.refuse("its outermost type is no record")
        return self.schema(self.avro_fields(content))

    def avro_fields(self, record: Mapping[str, Any]) -> list[tuple[str, str]]:
        fields = record.get("fields")
        if not isinstance(fields, list) or not fields:
            raise self.refuse("a record has no fields")
        found = []
        for item in fields:
            if not isinstance(item, dict) or not isinstance(item.get("name"), str) or "type" not in item:
                raise self.refuse("a field has no name or no type")
            found.append((item["name"], self.avro_type(item["type"])))
        return found

    def avro_type(self, kind: Any) -> str:
        text = self._avro_type(kind)
        if isinstance(kind, dict) and isinstance(kind.get("name"), str):
            self._named[_last(kind["name"])] = self.bounded(text)
        return text

    def _avro_type(self, kind: Any) -> str:
        match kind:
            case list():
                others = [part for part in kind if part != "null"]
                if len(others) != 1:
                    raise self.refuse("a union of several types besides null has no column type")
                return self.avro_type(others[0]).removesuffix("?") + ("?" if "null" in kind else "")
            case str() if kind in _AVRO:
                return _AVRO[kind]
            case str() if _last(kind) in self._named:
                return self._named[_last(kind)]
            case {"logicalType": "decimal", "precision": int() as precision}:
                return f"decimal({precision},{kind.get('scale', 0)})"
            case {"logicalType": str() as logical} if logical in _AVRO_LOGICAL:
                return _AVRO_LOGICAL[logical]
            case {"type": "array", "items": items}:
                return f"list<{self.avro_type(items)}>"
            case {"type": "map", "values": values}:
                return f"map<string, {self.avro_type(values)}>"
            case {"type": "record"}:
                inner = ", ".join(f"{_quoted(name)}: {text}" for name, text in self.avro_fields(kind))
                return f"struct<{inner}>"
            case {"type": "enum"}:
                return "string"
            case {"type": "fixed"}:
                return "binary"
            case {"type": inner}:
                return self.avro_type(inner)
            case _:
                raise self.refuse(f"the Avro type {json.dumps(kind)[:100]} has no column type")

    # ------------------------------------------------------------ JSON Schema

    def json_schema(self, content: object) -> Schema:
        if not isinstance(content, dict):
            raise self.refuse("it is no JSON Schema of an object")
        self._json_root = content
        reference = content.get("$ref")
        return self.schema(self.properties(self.target(reference) if isinstance(reference, str) else content))

    def properties(self, content: Mapping[str, Any]) -> list[tuple[str, str]]:
        properties, required = content.get("properties"), content.get("required", [])
        if not isinstance(properties, dict) or not properties or not isinstance(required, list):
            raise self.refuse("an object has no properties")
        return [(name, self.optional(kind, required=name in required)) for name, kind in properties.items()]

    def optional(self, kind: Any, *, required: bool) -> str:
        text = self.json_type(kind)
        return text if required or text.endswith("?") else f"{text}?"

    def target(self, reference: str) -> Any:
        """What a JSON pointer (RFC 6901) of this file leads to."""
        found: Any = self._json_root
        for part in reference.removeprefix("#/").split("/"):
            found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
        if found is None:
            raise self.refuse(f"{reference} leads nowhere")
        return found

    def referred_type(self, reference: str) -> str:
        """The type; json where the reference leads into another file or back to itself."""
        if reference not in self._named:
            self._named[reference] = "json"
            if reference.startswith("#/"):
                self._named[reference] = self.bounded(self.json_type(self.target(reference)))
        return self._named[reference]

    def json_type(self, kind: Any) -> str:
        match kind:
            case {"$ref": str() as reference}:
                return self.referred_type(reference)
            case {"anyOf": list() as kinds} | {"oneOf": list() as kinds}:
                others = [part for part in kinds if part != {"type": "null"}]
                text = self.json_type(others[0]) if len(others) == 1 else "json"
                return text.removesuffix("?") + "?" if len(others) < len(kinds) else text
            case {"type": list() as kinds}:
                others = [part for part in kinds if part != "null"]
                if len(others) != 1:
                    return "json" + ("?" if "null" in kinds else "")
                return self.json_type({**kind, "type": others[0]}) + ("?" if "null" in kinds else "")
            case {"type": "string", "format": str() as form} if form in _JSON_FORMATS:
                return _JSON_FORMATS[form]
            case {"type": str() as name} if name in _JSON:
                return _JSON[name]
            case {"type": "array", "items": items}:
                return f"list<{self.json_type(items)}>"
            case {"type": "object", "properties": dict()}:
                inner = ", ".join(f"{_quoted(name)}: {text}" for name, text in self.properties(kind))
                return f"struct<{inner}>"
            case {"enum": list() as values} if all(isinstance(value, str) for value in values):
                return "string"
            case dict() | bool():
                return "json"
            case _:
                raise self.refuse("a property's schema is no object")


def _last(name: str) -> str:
    """A name of Avro without its namespace."""
    return name.rpartition(".")[2]


def _quoted(name: str) -> str:
    return json.dumps(name) if not name.isidentifier() else name
