"""Texts and numbers."""

from __future__ import annotations

from typing import Final

_POWERS: Final = 15  # of ten, beyond which a double has no digit after the point
_CHARACTERS: Final = 0x110000
_SURROGATES: Final = range(0xD800, 0xE000)


def text(value: str) -> str:
    """Any text, as it is."""
    return value


def some_text(value: str) -> str:
    """A text that is not empty."""
    if not value:
        raise ValueError("an empty text does not mean the same on Spark")
    return value


def count(value: str) -> int:
    """A whole number from 1."""
    if not value.isdigit() or int(value) < 1:
        raise ValueError("only a whole number from 1 means the same on both engines")
    return int(value)


def size(value: str) -> int:
    """A whole number from 0."""
    if not value.isdigit():
        raise ValueError("only a whole number from 0 means the same on both engines")
    return int(value)


def power_of_ten(value: str) -> int:
    """10 to the power of a whole number from 0 to 15."""
    if not value.isdigit() or int(value) > _POWERS:
        raise ValueError(f"only a whole number from 0 to {_POWERS} is known to mean the same")
    return int(10 ** int(value))


def whole(value: str) -> int:
    """Any whole number."""
    if not value.removeprefix("-").isdigit():
        raise ValueError("only a whole number means the same on both engines")
    return int(value)


def below(value: str) -> int:
    """A number below zero, without its sign."""
    if not value.startswith("-") or not value[1:].isdigit() or int(value) == 0:
        raise ValueError("only a whole number means the same on both engines")
    return int(value[1:])


def character(value: str) -> str:
    """The character with this number."""
    if not value.isdigit() or not 0 < int(value) < _CHARACTERS or int(value) in _SURROGATES:
        raise ValueError("there is no character of this number")
    return chr(int(value))


def letters(value: str) -> str:
    """A pattern of LIKE whose letters are those from a to z, where case does not matter."""
    if not value.isascii():
        raise ValueError("characters beyond ASCII do not mean the same on Spark where case does not matter")
    return like(value)


def like(value: str) -> str:
    """A pattern of LIKE without an escape character: Spark has the backslash for one."""
    return value.replace("\\", "\\\\")
