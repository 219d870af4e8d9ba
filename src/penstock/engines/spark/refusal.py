"""What is said of an expression that Spark does not run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Sequence


class Unportable(Frozen):
    """A part of an expression, as DuckDB writes it, that no proven lowering is known for, and why."""

    expression: str
    why: str


class UnportableError(Exception):
    """An expression cannot be run on Spark; ``parts`` are all that stand in the way."""

    def __init__(self, parts: Sequence[Unportable]) -> None:
        super().__init__("; ".join(f"{part.expression}: {part.why}" for part in parts))
        self.parts = tuple(dict.fromkeys(parts))
