"""The catalogue: connectors, steps, errors, the JSON Schema of documents; all of it from the descriptors."""

from __future__ import annotations

import platform
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

from penstock import __version__, registry
from penstock.document.json_schema import document_schema
from penstock.errors import ConfigError, nearest
from penstock.errors.catalogue import CATALOGUE, ErrorCode
from penstock.registry import Descriptor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.registry import Group

__all__ = [
    "Descriptor",
    "Parameter",
    "component",
    "components",
    "error_code",
    "json_schema",
    "parameters_of",
    "to_json",
    "versions",
]
_LIBRARIES: Final = ("duckdb", "sqlglot", "pyarrow", "deltalake", "psycopg")


def versions() -> Mapping[str, str]:
    """Of Penstock, and of what it runs on, as far as it is installed."""
    found = {"penstock": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def json_schema() -> Mapping[str, Any]:
    """Of documents, with every component that is installed."""
    return document_schema([one for group in registry.GROUPS for one in registry.every(group)])


def components(*groups: Group) -> Sequence[Descriptor]:
    return [one for group in groups for one in registry.every(group)]


def component(name: str, *groups: Group) -> Sequence[Descriptor]:
    """A system may be a source and a sink. Raises ConfigError CLI-120 with the nearest name."""
    found = [one for group in groups if (one := registry.find(group, name)) is not None]
    if not found:
        near = nearest(name, [known for group in groups for known in registry.names(group)])
        raise ConfigError("CLI-120", f'there is no "{name}"', hint=f'did you mean "{near}"?' if near else None)
    return found


def error_code(code: str) -> ErrorCode:
    """Raises ConfigError CLI-120 with the nearest code."""
    found = CATALOGUE.get(code.upper())
    if found is None:
        near = nearest(code.upper(), CATALOGUE)
        raise ConfigError("CLI-120", f'there is no error "{code}"', hint=f'did you mean "{near}"?' if near else None)
    return found


@dataclass(frozen=True, slots=True)
class Parameter:
    """One row of a component's reference."""

    name: str
    type: str
    default: str
    required: bool
    description: str


def parameters_of(descriptor: Descriptor) -> Sequence[Parameter]:
    """In the order of its model, keys as a document writes them."""
    schema = descriptor.params.model_json_schema(by_alias=True)
    needed = set(schema.get("required", ()))
    found = []
    for name, field in schema.get("properties", {}).items():
        default = field.get("default")
        found.append(
            Parameter(
                name,
                _type(field, schema.get("$defs", {})),
                ""
                if default is None or default in ([], {})
                else str(default).lower()
                if isinstance(default, bool)
                else str(default),
                name in needed,
                str(field.get("description", "")),
            )
        )
    return found


def _type(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    if "$ref" in field:
        return _type(definitions.get(field["$ref"].rpartition("/")[2], {}), definitions)
    for key in ("anyOf", "oneOf", "allOf"):
        if key in field:
            parts = [_type(part, definitions) for part in field[key] if part.get("type") != "null"]
            return " or ".join(dict.fromkeys(parts)) or "null"
    if "enum" in field:
        return " | ".join(str(item) for item in field["enum"])
    if "const" in field:
        return str(field["const"])
    kind = field.get("type", "any")
    if isinstance(kind, list):
        return " or ".join(_type({**field, "type": one}, definitions) for one in kind if one != "null")
    if kind == "array":
        return f"list of {_type(field.get('items', {}), definitions)}"
    return {"object": "map"}.get(kind, str(kind))


def to_json(descriptor: Descriptor) -> dict[str, Any]:
    return {
        "name": descriptor.name,
        "group": descriptor.group,
        "summary": descriptor.summary,
        "capabilities": sorted(item.value for item in descriptor.capabilities),
        "modes": list(descriptor.modes),
        "extra": descriptor.extra,
        "parameters": [
            {
                "name": item.name,
                "type": item.type,
                "default": item.default or None,
                "required": item.required,
                "description": item.description,
            }
            for item in parameters_of(descriptor)
        ],
        "example": descriptor.example,
        "notes": list(descriptor.notes),
    }
