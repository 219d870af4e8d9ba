"""Constants of expressions in Spark's words: each function takes the text of a DuckDB literal, and raises ValueError with
the reason where it cannot be said on Spark.
"""

from __future__ import annotations


def text(value: str) -> str:
    """Any text, as it is."""
    return value


def count(value: str) -> int:
    """A whole number from 1."""
    number = int(value)
    if number < 1:
        raise ValueError("only a whole number from 1 means the same on both engines")
    return number
