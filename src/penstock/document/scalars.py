"""What a plain scalar means: the core schema of YAML 1.2.2 (chapter 10.3), nothing more.

``NO``, ``yes`` and ``on`` are texts, ``010`` is ten, ``0o10`` is eight, ``1_000`` and ``12:30`` are texts, and so is a
date: the field that takes it knows its type.
"""

from __future__ import annotations

import math
import re
from typing import Final

MAX_NUMBER_CHARACTERS: Final = 1000

_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"true", "True", "TRUE"})
_FALSE: Final = frozenset({"false", "False", "FALSE"})
_INTEGER: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITY: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)")
_NAN: Final = frozenset({".nan", ".NaN", ".NAN"})


class NumberRangeError(ValueError):
    """A number too long, or too large for a float; the text of the error says which."""


def typed(text: str) -> bool | int | float | str | None:
    """The value of an unquoted text. Raises NumberRangeError; anything that is no other type is text."""
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        return _float(text)
    if _INFINITY.fullmatch(text):
        return -math.inf if text[0] == "-" else math.inf
    return math.nan if text in _NAN else text


def _integer(text: str) -> int:
    _bound(text)
    match text[:2]:
        case "0o":
            return int(text, 8)
        case "0x":
            return int(text, 16)
        case _:
            return int(text)


def _float(text: str) -> float:
    _bound(text)
    value = float(text)
    if math.isinf(value):
        raise NumberRangeError("is larger than a float64 can hold")
    return value


def _bound(text: str) -> None:
    if len(text) > MAX_NUMBER_CHARACTERS:
        raise NumberRangeError(f"has {len(text)} characters; a number has at most {MAX_NUMBER_CHARACTERS}")
