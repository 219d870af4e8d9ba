"""Hostile documents that several rooms of tests load, and what may come of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.document.loader import load
from penstock.errors import ConfigError

if TYPE_CHECKING:
    from penstock.document.tree import Node


def alias_bomb() -> str:
    """Nine levels of aliases, each nine of the one before."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True)]
    return "\n".join(lines)


def outcome(text: str | bytes, *, pure: bool) -> Node | None:
    """The tree, or None where the document is refused as it should be; any other exception fails the test."""
    try:
        return load(text, "p.yml", pure=pure)
    except ConfigError as error:
        refusal = error
    assert all(problem.code.startswith("DOC-1") for problem in refusal.problems)
    assert str(refusal)
    return None
