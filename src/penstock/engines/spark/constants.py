"""Constants of expressions in Spark's words: each function takes the text of a DuckDB literal, and raises ValueError with
the reason where it cannot be said on Spark.
"""

from __future__ import annotations

import re


def text(value: str) -> str:
    """Any text, as it is."""
    return value


def count(value: str) -> int:
    """A whole number from 1."""
    number = int(value)
    if number < 1:
        raise ValueError("only a whole number from 1 means the same on both engines")
    return number


def separator(value: str) -> str:
    """The text between parts, as a pattern that finds it and nothing else."""
    if not value:
        raise ValueError("an empty separator is not known to mean the same")
    return re.escape(value)
