"""Environments: maps laid over maps by key, and for every value of the outcome where it comes from."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Final

from penstock.document.template import text_of
from penstock.document.tree import Entry, Mapping, walk
from penstock.secret import MASK, Secret
from penstock.structs import Frozen, replace

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from collections.abc import Mapping as AbstractMapping

    from penstock.document.tree import Node, Path, Scalar, Value
    from penstock.errors import Location

DEFAULT: Final = "default"  # the environment of a run that names none

_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PASSWORD_IN_URL: Final = re.compile(r"(://[^/@\s:]*:)[^@/\s]+@")


class Layer(Frozen):
    """One map of settings, and the environment that it belongs to; None: it is part of the base."""

    node: Mapping
    environment: str | None = None


class Merged(Frozen):
    """What came of laying maps over each other; ``origins`` names the environment of the values that have one."""

    node: Mapping
    origins: AbstractMapping[Path, str]


class MergedValue(Frozen):
    """One value in force, for people: ``value`` as it would stand in a document, secrets as ``***``.

    ``path`` is such as ``connections.eia.base_url`` or ``sources.a.keys[0]``; ``at`` where it was written; ``environment``
    the one that gave it, None for the base; ``written`` the text with its placeholders, where it has any. ``at`` is None
    for what the caller gave (--param).
    """

    path: str
    value: str
    at: Location | None
    environment: str | None = None
    written: str | None = None


def merge(layers: Iterable[Layer], at: Location) -> Merged:
    """Later layers over earlier ones: maps by key, lists and single values as a whole. ``at`` is the whole's place.

    The layer of an environment is the last.
    """
    node, origins = Mapping({}, at), dict["Path", str]()
    for layer in layers:
        node = _lay_over(node, layer.node, path=(), environment=layer.environment, origins=origins)
    return Merged(node, origins)


def _lay_over(
    base: Mapping, over: Mapping, *, path: Path, environment: str | None, origins: dict[Path, str]
) -> Mapping:
    entries = dict(base.entries)
    for name, entry in over.entries.items():
        beneath = entries.get(name)
        if beneath is not None and isinstance(beneath.value, Mapping) and isinstance(entry.value, Mapping):
            value: Node = _lay_over(
                beneath.value, entry.value, path=(*path, name), environment=environment, origins=origins
            )
            entries[name] = Entry(beneath.key, value)
        else:
            entries[name] = entry
            _remember(entry.value, (*path, name), environment=environment, origins=origins)
    return Mapping(entries, base.at if base.entries else over.at)


def _remember(node: Node, path: Path, *, environment: str | None, origins: dict[Path, str]) -> None:
    if environment is not None:
        origins.update({(*path, *below): environment for below, _ in walk(node)})


def values_of(merged: Merged, *, hidden: Collection[Location] = ()) -> tuple[MergedValue, ...]:
    """Every value in the order of the maps. ``hidden`` are the places of values in fields declared secret."""
    return tuple(_values(merged, hidden))


def _values(merged: Merged, hidden: Collection[Location]) -> Iterator[MergedValue]:
    for path, scalar in walk(merged.node):
        yield MergedValue(
            _spell(path),
            MASK if scalar.at in hidden else _shown(scalar),
            replace(scalar.at, source=None),  # the line may hold a secret in the clear
            merged.origins.get(path),
            scalar.text if scalar.replacements and scalar.at not in hidden else None,
        )


def _shown(scalar: Scalar) -> str:
    match scalar.value:
        case str() as text:
            return json.dumps(_PASSWORD_IN_URL.sub(rf"\1{MASK}@", text), ensure_ascii=False)
        case float() as number if not math.isfinite(number):
            return ".nan" if math.isnan(number) else ".inf" if number > 0 else "-.inf"
        case value:
            return text_or_mask(value)


def text_or_mask(value: Value) -> str:
    """A value as text, a secret as ``***``."""
    return MASK if isinstance(value, Secret) else text_of(value)


def _spell(path: Path) -> str:
    parts = "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" if _PLAIN_KEY.fullmatch(part) else f"[{json.dumps(part)}]"
        for part in path
    )
    return parts.removeprefix(".")
