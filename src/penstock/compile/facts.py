"""What compiling may know of the world: gathered by the service, handed in, never asked for by a pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlglot import exp

    from penstock.types import Schema


def _takes_nothing(_source: str, _predicate: exp.Expr) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Facts:
    """``sources``: columns of each source as it stands now. ``targets``: columns of each sink's table, None or absent
    where there is none yet. ``recorded``: what the ledger has as the contract of a source without one.
    ``takes(source, predicate)``: whether the source's read applies exactly this conjunct.
    """

    sources: Mapping[str, Schema] = field(default_factory=dict)
    targets: Mapping[str, Schema | None] = field(default_factory=dict)
    recorded: Mapping[str, Schema] = field(default_factory=dict)
    takes: Callable[[str, exp.Expr], bool] = _takes_nothing
