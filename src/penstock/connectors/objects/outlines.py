"""How much of an object tells what it is: asked of a source of files before anything of it is copied as a whole."""

from __future__ import annotations

from typing import NamedTuple


class Outline(NamedTuple):
    """So many bytes of the beginning and of the end."""

    head: int
    tail: int = 0
