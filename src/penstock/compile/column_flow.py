"""What is said of where the values of a node's columns come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from penstock.structs import Frozen, field

if TYPE_CHECKING:
    from collections.abc import Mapping

Place: TypeAlias = tuple[str, str]  # a node's id and one of its columns


class Flow(Frozen):
    """``values``: per output column the input columns its value is made of; ``orders``: per output column those that
    only decide (a window's partition and order); ``rows``: those that decide which rows there are.
    """

    values: Mapping[str, frozenset[Place]] = field(default_factory=dict)
    orders: Mapping[str, frozenset[Place]] = field(default_factory=dict)
    rows: frozenset[Place] = frozenset()
