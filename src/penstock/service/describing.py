"""The catalogue: connectors, steps, rules, errors, the JSON Schema of documents; all of it from the descriptors."""

from __future__ import annotations

import platform
from contextlib import suppress
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter

from penstock import __version__, registry
from penstock.document.json_schema import document_schema
from penstock.document.uses import BESIDE_A_RULE
from penstock.errors import ConfigError, nearest
from penstock.errors.catalogue import CATALOGUE, ErrorCode
from penstock.fields import DURATION, SHARE, SIZE, duration_text, in_largest_unit
from penstock.registry import Descriptor
from penstock.structs import Frozen, replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from penstock.registry import Group

    Schema = Mapping[str, Any]

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
    """All of these groups, by group and name; imports their modules."""
    return [one for group in groups for one in registry.every(group)]


def component(name: str, *groups: Group) -> Sequence[Descriptor]:
    """A system may be a source and a sink. Raises ConfigError CLI-120 with the nearest name."""
    found = [one for group in groups if (one := registry.find(group, name)) is not None]
    if not found:
        near = nearest(name, [known for group in groups for known in registry.names(group)])
        kind, command = ("connector", "connectors") if len(groups) > 1 else (groups[0].removesuffix("s"), groups[0])
        hint = f'did you mean "{near}"?' if near else f"`penstock {command}` lists them all"
        raise ConfigError("CLI-120", f'there is no {kind} "{name}"', hint=hint)
    return found


def error_code(code: str) -> ErrorCode:
    """Raises ConfigError CLI-120 with the nearest code."""
    found = CATALOGUE.get(code.upper())
    if found is None:
        near = nearest(code.upper(), CATALOGUE)
        raise ConfigError("CLI-120", f'there is no error "{code}"', hint=f'did you mean "{near}"?' if near else None)
    return found


class Parameter(Frozen):
    """One row of a component's reference. ``name`` is the way to it: ``connection.host``, of each item of a list
    ``tables[].keys``, where the map says by its ``type`` what it is ``auth(basic).username``.
    """

    name: str
    type: str
    default: str
    required: bool
    description: str


def parameters_of(descriptor: Descriptor) -> Sequence[Parameter]:
    """In the order of its model, each followed by what stands inside it, keys as a document writes them; of the modes
    only those that the component knows. What every rule has stands behind its own.
    """
    schema = descriptor.params.model_json_schema(by_alias=True)
    found = list(_parameters("", schema, schema.get("$defs", {})))
    if descriptor.group == "rules":
        found.sort(key=lambda item: item.name in BESIDE_A_RULE)
    if not descriptor.modes:
        return found
    return [replace(item, type=" | ".join(descriptor.modes)) if item.name == "mode" else item for item in found]


def _parameters(prefix: str, schema: Schema, definitions: Schema) -> Iterator[Parameter]:
    needed = set(schema.get("required", ()))
    for name, field in schema.get("properties", {}).items():
        kind = _type(field, definitions)
        default = _default(field.get("default"), kind)
        about = {**(_defined(field["$ref"], definitions) if "$ref" in field else {}), **field}
        yield Parameter(f"{prefix}{name}", kind, default, name in needed, str(about.get("description", "")))
        yield from _inside(f"{prefix}{name}", field, definitions)


def _inside(name: str, field: Schema, definitions: Schema) -> Iterator[Parameter]:
    """What stands in a parameter that is a map of settings, a choice of such maps, or a list of them."""
    members: Schema = field.get("discriminator", {}).get("mapping", {})
    for kind, reference in members.items():
        member = _defined(reference, definitions)
        yield Parameter(f"{name}({kind})", "map", "", False, str(member.get("description", "")))
        keys = {key: value for key, value in member.get("properties", {}).items() if key != "type"}
        yield from _parameters(f"{name}({kind}).", {**member, "properties": keys}, definitions)
    if "$ref" in field:
        yield from _parameters(f"{name}.", _defined(field["$ref"], definitions), definitions)
    elif not members:
        for part in (*field.get("anyOf", ()), *field.get("allOf", ())):
            yield from _inside(name, part, definitions)
        if isinstance(field.get("items"), dict):
            yield from _inside(f"{name}[]", field["items"], definitions)


def _defined(reference: str, definitions: Schema) -> Schema:
    found: Schema = definitions[reference.rpartition("/")[2]]
    return found


def _default(value: object, kind: str) -> str:
    """As a document would write it; nothing for an empty one, and for a secret."""
    match value:
        case None | [] | {} | "":
            return ""
        case bool():
            return str(value).lower()
        case str() if kind == "secret":
            return ""
        case str() if kind == DURATION:
            return duration_text(TypeAdapter(timedelta).validate_python(value))
        case int() if kind == SIZE:
            return in_largest_unit(value, (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024), ("B", 1)))
        case _:
            return str(value)


def _type(field: Schema, definitions: Schema) -> str:
    if "$ref" in field:
        return _type(_defined(field["$ref"], definitions), definitions)
    if field.get("title") in {DURATION, SHARE, SIZE}:
        return str(field["title"])
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
    if field.get("writeOnly"):
        return "secret"
    return {"object": "map"}.get(kind, str(kind))


def to_json(descriptor: Descriptor) -> dict[str, Any]:
    """A descriptor as ``connectors --json``, ``steps --json`` and ``rules --json`` print it."""
    return {
        "name": descriptor.name,
        "group": descriptor.group,
        "summary": descriptor.summary,
        "capabilities": sorted(item.value for item in descriptor.capabilities),
        "modes": list(descriptor.modes),
        "extra": descriptor.extra,
        "dimension": descriptor.dimension,
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
