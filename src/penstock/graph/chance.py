"""What is left to chance: nodes that may give other rows, or rows in another order, when they are computed again over
the same input.

Two statements of one pass must agree, so that an engine computes such a node once (``is_left_to_chance``). Two sinks must
agree even where one of them gets the epoch a day later: what they share is then kept until the seal
(``kept_until_sealed``), unless the step has settled it (steps/ties.py), the epoch's seed has (random numbers), or the
order of rows alone is open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.graph.nodes import Aggregate, Explode, Filter, Join, Limit, Project, Python, Query, Read, Sort, Write
from penstock.types import FLOAT32, FLOAT64

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from penstock.graph.graph import Graph
    from penstock.graph.nodes import Column, Node

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
# Aggregates whose value is one of their arguments' values, or a count, or lies between two of them.
_EXACT: Final = (
    exp.Min,
    exp.Max,
    exp.Count,
    exp.CountIf,
    exp.Median,
    exp.PercentileCont,
    exp.PercentileDisc,
    exp.Quantile,
    exp.ArgMax,
    exp.ArgMin,
    exp.Mode,
    exp.Lag,
    exp.Lead,
    exp.NthValue,
    *_BY_ORDER,
)
_FLOATS: Final = frozenset({FLOAT32, FLOAT64})


def is_left_to_chance(node: Node) -> bool:
    """Whether two statements may give different rows: ties in an order, a LIMIT, the first of several, random()."""
    return isinstance(node, Limit) or any(map(_by_chance, _trees(node)))


def draws(node: Node) -> bool:
    """Whether the node draws random numbers."""
    return any(map(has_draw, _trees(node)))


def kept_until_sealed(graph: Graph) -> tuple[str, ...]:
    """In graph order, the nodes whose rows several sinks come from and that a second computation could give otherwise.
    What leads to such a node and to nothing else needs no keeping.
    """
    ends: dict[str, frozenset[str]] = {}
    kept: list[str] = []
    for node in reversed(graph.nodes):
        found = frozenset().union(*(ends[name] for name in graph.consumers[node.id]))
        if len(found) > 1 and _falls_anew(node):
            kept.append(node.id)
        ends[node.id] = frozenset({node.id}) if isinstance(node, Write) or node.id in kept else found
    return tuple(reversed(kept))


def with_kept(graph: Graph, kept: Collection[str]) -> Graph:
    """The graph in which these nodes are read from what was kept of them."""
    return graph.map(
        lambda node: Read(node.id, source=node.id, schema=node.schema, at=node.at) if node.id in kept else node
    )


def _falls_anew(node: Node) -> bool:
    match node:
        case Limit() | Python():
            return True
        case Query(query=query):
            return _by_chance(query) or (any(item.type in _FLOATS for item in node.schema or ()) and _adds(query))
        case Aggregate(measures=columns):
            return any(_adds(column.value) for column in _floats(node, columns))
        case Project(columns=columns):
            windows = (window for column in _floats(node, columns) for window in column.value.find_all(exp.Window))
            return any(_adds(window.this) and not _in_order(window) for window in windows)
        case _:
            return False


def _floats(node: Node, columns: Iterable[Column]) -> Iterator[Column]:
    types = {item.name: item.type for item in node.schema or ()}
    return (column for column in columns if types.get(column.name) in _FLOATS)


def _adds(tree: exp.Expr) -> bool:
    """Whether floats may be added in whatever order rows come: the last digits of a sum depend on it."""
    return any(
        isinstance(call, exp.Anonymous) or (isinstance(call, exp.AggFunc) and not isinstance(call, _EXACT))
        for call in tree.walk()
    )


def _in_order(window: exp.Window) -> bool:
    """Whether the frame's rows stand in an order without ties, as the step makes it (steps/window.py)."""
    spec = window.args.get("spec")
    return window.args.get("order") is not None and spec is not None and spec.text("kind").upper() == "ROWS"


def has_draw(tree: exp.Expr) -> bool:
    """Whether the expression draws random numbers."""
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
