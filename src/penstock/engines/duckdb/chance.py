"""Nodes whose rows may differ from one statement to the next over the same input: what they keep is left to chance.

Whoever needs their rows in two statements computes them once, into a table.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.graph.nodes import Aggregate, Explode, Filter, Join, Limit, Project, Query, Sort

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.graph import Graph, Node

_BY_ORDER: Final = (exp.First, exp.Last, exp.AnyValue, exp.ArrayAgg, exp.GroupConcat, exp.FirstValue, exp.LastValue)
_CHANCE: Final = (
    exp.Limit,
    exp.Offset,
    exp.Fetch,
    exp.TableSample,
    exp.Window,
    exp.Rand,
    exp.Randn,
    exp.Uuid,
    *_BY_ORDER,
)
_DRAWN: Final = frozenset({"gen_random_uuid", "uuidv4"})
_NAMED: Final = _DRAWN | {"arbitrary", "list", "arg_min", "arg_max", "mode"}


def is_left_to_chance(node: Node) -> bool:
    """Whether two statements may give different rows: ties in an order, a LIMIT, the first of several, random()."""
    return isinstance(node, Limit) or any(map(_by_chance, _trees(node)))


def shared_by_chance(graph: Graph) -> tuple[str, ...]:
    """Those nodes that more than one sink's rows come from, in graph order."""
    reached = [graph.upstream(write.id) for write in graph.writes]
    return tuple(
        node.id for node in graph.nodes if is_left_to_chance(node) and sum(node.id in nodes for nodes in reached) > 1
    )


def drawing(graph: Graph) -> tuple[str, ...]:
    """The nodes that draw random numbers, in graph order."""
    return tuple(node.id for node in graph.nodes if any(map(_draws, _trees(node))))


def seed_of(seed: str, node: str) -> float:
    """The node's own, in [0, 1): what other nodes of the statement or the pass draw does not matter."""
    digest = hashlib.sha256(f"{seed}/{node}".encode()).digest()
    return int.from_bytes(digest[:4]) / (1 << 32)


def _draws(tree: exp.Expr) -> bool:
    calls = (call.name.lower() for call in tree.find_all(exp.Anonymous))
    return tree.find(exp.Rand, exp.Uuid) is not None or not _DRAWN.isdisjoint(calls)


def _trees(node: Node) -> Iterator[exp.Expr]:
    match node:
        case Project() | Join():
            yield from (column.value for column in node.columns)
        case Filter():
            yield node.condition
        case Aggregate():
            yield from (column.value for column in (*node.by, *node.measures))
        case Explode():
            yield node.value
        case Sort():
            yield from (key.value for key in node.keys)
        case Query():
            yield node.query
        case _:
            return


def _by_chance(tree: exp.Expr) -> bool:
    if tree.find(*_CHANCE) is not None:
        return True
    if any(call.name.lower() in _NAMED for call in tree.find_all(exp.Anonymous)):
        return True
    return any(found.args.get("on") is not None for found in tree.find_all(exp.Distinct))
