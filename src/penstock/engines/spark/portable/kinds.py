"""What the allow-list calls sets of types."""

from __future__ import annotations

import re
from typing import Final

from penstock.types import Decimal, Kind, List, LogicalType, Map, Primitive, Struct

_OF_64_BITS: Final = 18  # digits of a decimal that DuckDB keeps in a number of 64 bits; of more in one of 128
EXACT_AS_DOUBLE: Final = 15  # digits of a decimal that both engines turn into the same double

_SIGNED: Final = frozenset({Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64})
_UNSIGNED: Final = frozenset({Kind.UINT8, Kind.UINT16, Kind.UINT32, Kind.UINT64})
_PRIMITIVE: Final[dict[str, frozenset[Kind]]] = {
    "int": _SIGNED,
    "uint": _UNSIGNED,
    "float": frozenset({Kind.FLOAT32, Kind.FLOAT64}),
    **{kind.value: frozenset({kind}) for kind in Kind},
}
_NESTED: Final[dict[str, type]] = {"decimal": Decimal, "list": List, "map": Map, "struct": Struct}
_UNIONS: Final[dict[str, tuple[str, ...]]] = {
    "number": ("int", "decimal", "float"),
    "exact": ("int", "decimal"),
    "moment": ("date", "timestamp", "timestamptz"),
    "simple": (*(kind.value for kind in Kind if kind is not Kind.INTERVAL), "decimal"),
}


_WORDS: Final[dict[str, str]] = {
    "int": "integer",
    "uint": "unsigned integer",
    "exact": "integer or decimal",
    "moment": "date or timestamp",
    "simple": "anything but a list, map, struct or interval",
    "short_decimal": "decimal of up to 15 digits",
    "split_decimal": "decimal of up to 18 digits",
    "huge_decimal": "decimal of more than 18 digits",
    "any": "anything",
}


def in_words(name: str) -> str:
    """What a set is called on a page for people."""
    said = [
        f"{part[:4]} of {in_words(part[5:-1])}" if part.startswith("list<") else _WORDS.get(part, part)
        for part in _parts(name)
    ]
    return " or ".join(dict.fromkeys(said))


def is_kind(logical: LogicalType, name: str) -> bool:
    """Whether a type is in a set, or in one of several with ``|`` between them; ``any`` is every type; ``list<x>`` a list
    whose elements are, ``map<x>`` a map whose keys are; ``short_decimal`` a decimal that becomes the same double on both
    engines, ``split_decimal`` and ``huge_decimal`` one of up to 18 or
    of more that does if its parts before and after the point are added.
    """
    return any(_is_one(logical, part.strip()) for part in _parts(name))


def _parts(name: str) -> list[str]:
    """What stands between the ``|`` that are within no ``<`` and ``>``."""
    return re.split(r"\|(?![^<]*>)", name)


def _is_huge(logical: Decimal) -> bool:
    return logical.precision > _OF_64_BITS


def _is_one(logical: LogicalType, name: str) -> bool:
    if name == "any":
        return True
    if name.startswith("list<"):
        return isinstance(logical, List) and is_kind(logical.element, name[5:-1])
    if name == "short_decimal":
        return isinstance(logical, Decimal) and logical.precision <= EXACT_AS_DOUBLE
    if name in {"split_decimal", "huge_decimal"}:
        return (
            isinstance(logical, Decimal)
            and logical.scale <= EXACT_AS_DOUBLE
            and _is_huge(logical) == (name == "huge_decimal")
        )
    if name.startswith("map<"):
        return isinstance(logical, Map) and is_kind(logical.key, name[4:-1])
    if name in _UNIONS:
        return any(_is_one(logical, part) for part in _UNIONS[name])
    if name in _NESTED:
        return isinstance(logical, _NESTED[name])
    return isinstance(logical, Primitive) and logical.kind in _PRIMITIVE[name]
