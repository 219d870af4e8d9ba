"""What a CSV dialect may be made of, whether it is read or written."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Final

from penstock.fields import AlsoCalled

ALSO_DELIMITER: Final = AlsoCalled(("separator", "sep", "field_separator"))
# The parts that DuckDB's strptime knows; those of one or two digits may have a "-" for no leading zero.
_PART: Final = re.compile(r"%(-?[dHIjmMSy]|[aAbBcfgGhnpTuUVwWxXYzZ%])")


def check_characters(**given: str | None) -> None:
    """Raises ValueError where one of the characters, by the names of their keys, cannot serve, or two are the same."""
    for name, text in given.items():
        if text and (not text.isascii() or text in "\r\n\x00"):
            raise ValueError(f"{name} takes one ASCII character, but no line break and no NUL")
    for (one, text), (other, same) in combinations(given.items(), 2):
        if text and text == same:
            raise ValueError(f"{one} and {other} are the same character")


def check_time_format(text: str) -> None:
    """Raises ValueError where the text is no pattern of strptime."""
    rest, parts = _PART.subn("", text)
    strange = rest.find("%")
    if strange >= 0:
        raise ValueError(f'takes a pattern such as %d.%m.%Y, and "{rest[strange : strange + 2]}" is no part of one')
    if not parts:
        raise ValueError("takes a pattern such as %d.%m.%Y, and has none of its parts")
