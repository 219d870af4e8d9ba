"""Which nodes of a pass are computed once, into a table, because two statements could give them different rows."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from penstock.graph.chance import draws, is_left_to_chance

if TYPE_CHECKING:
    from penstock.graph import Graph


def shared_by_chance(graph: Graph) -> tuple[str, ...]:
    """The nodes left to chance that more than one sink's rows come from, in graph order."""
    reached = [graph.upstream(write.id) for write in graph.writes]
    return tuple(
        node.id for node in graph.nodes if is_left_to_chance(node) and sum(node.id in nodes for nodes in reached) > 1
    )


def drawing(graph: Graph) -> tuple[str, ...]:
    """The nodes that draw random numbers, in graph order."""
    return tuple(node.id for node in graph.nodes if draws(node))


def seed_of(seed: str, node: str) -> float:
    """The node's own, in [0, 1): what other nodes of the statement or the pass draw does not matter."""
    digest = hashlib.sha256(f"{seed}/{node}".encode()).digest()
    return int.from_bytes(digest[:4]) / (1 << 32)
