"""Pieces of a JSON Schema: made looser for placeholders, told in a document's own form, and each written once."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

SchemaPiece: TypeAlias = dict[str, Any]  # a schema in the making; what leaves the room is Json

_SCALARS: Final = {"integer", "number", "boolean"}
ABOUT: Final[tuple[str, ...]] = ("title", "description", "default", "examples", "writeOnly")
_SHARED_CHARACTERS: Final = 150  # from which on a piece that stands twice becomes a definition
_ISO_DURATION: Final = re.compile(r"-?P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")


def reference(name: str) -> SchemaPiece:
    return {"$ref": f"#/$defs/{name}"}


def needed(names: Iterable[str], definitions: Mapping[str, SchemaPiece]) -> set[str]:
    """These names and those of everything that they refer to, however far."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(_referred(definitions[name]))
    return found


def _referred(schema: Any) -> Iterator[str]:
    match schema:
        case dict():
            if isinstance(schema.get("$ref"), str):
                yield schema["$ref"].removeprefix("#/$defs/")
            for item in schema.values():
                yield from _referred(item)
        case list():
            for item in schema:
                yield from _referred(item)


def loosened(schema: SchemaPiece) -> SchemaPiece:
    """With a placeholder wherever a number, a truth value, or one of several words stands; in a document's own form."""
    made = _mapped({key: value for key, value in schema.items() if key not in {"title", "discriminator"}}, loosened)
    if "enum" in made and "null" in made["enum"] and None not in made["enum"]:
        made["enum"] = [*made["enum"], None]  # YAML reads the word as null itself
        made.pop("type", None)
    if made.get("writeOnly"):
        made.pop("default", None)
    if isinstance(made.get("default"), str) and "pattern" in made:
        made["default"] = _duration(made["default"])
    if _needs_placeholder(made):
        about = {key: made.pop(key) for key in ABOUT if key in made}
        return {**about, "anyOf": [made, reference("placeholder")]}
    return made


def _needs_placeholder(schema: SchemaPiece) -> bool:
    kinds = schema.get("type", ())
    kinds = [kinds] if isinstance(kinds, str) else kinds
    restricted = any(key in schema for key in ("enum", "pattern", "format"))
    return restricted or (bool(_SCALARS.intersection(kinds)) and "string" not in kinds)


def _mapped(schema: SchemaPiece, change: Callable[[SchemaPiece], SchemaPiece]) -> SchemaPiece:
    """A copy with every schema directly inside it changed."""
    return {key: _mapped_part(key, value, change) for key, value in schema.items()}


def _mapped_part(key: str, value: Any, change: Callable[[SchemaPiece], SchemaPiece]) -> Any:
    match key, value:
        case (("properties" | "patternProperties"), dict()):
            return {name: change(item) for name, item in value.items()}
        case (("items" | "additionalProperties" | "propertyNames" | "not" | "if" | "then" | "else"), dict()):
            return change(value)
        case (("anyOf" | "oneOf" | "allOf" | "prefixItems"), list()):
            return [change(item) for item in value]
        case _:
            return value


def shared(definitions: Mapping[str, SchemaPiece]) -> dict[str, SchemaPiece]:
    """The same, with every larger piece that stands twice as a definition of its own."""
    counts = Counter[str]()
    names: dict[str, str] = {}
    made: dict[str, SchemaPiece] = {}

    def count(schema: SchemaPiece) -> SchemaPiece:
        counts[json.dumps(schema)] += 1
        return _mapped(schema, count)

    def share(schema: SchemaPiece) -> SchemaPiece:
        text = json.dumps(schema)
        if counts[text] < 2 or len(text) < _SHARED_CHARACTERS:  # noqa: PLR2004 -- twice
            return _mapped(schema, share)
        if text not in names:
            names[text] = f"shared.{len(names) + 1}"
            made[names[text]] = _mapped(schema, share)
        return reference(names[text])

    for schema in definitions.values():
        _mapped(schema, count)
    return {name: _mapped(schema, share) for name, schema in definitions.items()} | made


def _duration(text: str) -> str:
    """Pydantic writes ISO 8601 (``PT90S``), a document ``90 s``."""
    match = _ISO_DURATION.fullmatch(text)
    if match is None:
        return text
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        if total >= length and total % length == 0:
            return f"{int(total // length)} {unit}"
    return f"{total * 1000:g} ms"
