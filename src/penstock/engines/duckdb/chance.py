"""Nodes whose rows may differ from one statement to the next over the same input: what they keep is left to chance.

Whoever needs their rows in two statements computes them once, into a table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.graph.nodes import Aggregate, Explode, Filter, Join, Limit, Project, Query

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
_NAMED: Final = frozenset({"gen_random_uuid", "uuidv4", "uuidv7", "arbitrary", "list", "arg_min", "arg_max", "mode"})


def is_left_to_chance(node: Node) -> bool:
    """Whether two statements may give different rows: ties in an order, a LIMIT, the first of several, random()."""
    return isinstance(node, Limit) or any(map(_by_chance, _trees(node)))


def shared_by_chance(graph: Graph) -> tuple[str, ...]:
    """Those nodes that more than one sink's rows come from, in graph order."""
    reached = [graph.upstream(write.id) for write in graph.writes]
    return tuple(
        node.id for node in graph.nodes if is_left_to_chance(node) and sum(node.id in nodes for nodes in reached) > 1
    )


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
