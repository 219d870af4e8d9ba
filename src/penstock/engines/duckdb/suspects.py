"""Which nodes of a statement may have met the value that the engine could not work with: it does not say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.graph.nodes import Check, Python, Read, Table, Union, Write
from penstock.graph.select import to_select

if TYPE_CHECKING:
    from penstock.errors import DataError
    from penstock.graph import Graph, Node

_CODES: Final = frozenset({"ENG-310", "ENG-311", "ENG-312"})
_WAYS_OUT: Final = "the step `cast` rejects such a value, and `try_cast` in an expression makes it null"
# Nodes that compute nothing, or only what cannot fail.
_HARMLESS_NODES: Final = (Check, Python, Read, Table, Union, Write)
_HARMLESS: Final = (exp.TryCast, exp.Coalesce, exp.Case, exp.If, exp.Connector, exp.Predicate, exp.Count, exp.RowNumber)


def suspected(error: DataError, graph: Graph, target: str) -> DataError:
    """The error at the node that computes, where one alone does; else at the target, naming all that may be meant. One
    that has a place keeps it.
    """
    if error.code not in _CODES or error.problems[0].at is not None:
        return error.placed(graph[target].at)
    above = graph.upstream(target)
    nodes = [node for node in graph.nodes if node.id in above and _computes(node)]
    names = " or ".join(f'"{node.id}"' for node in nodes)
    if names:
        error.problems = tuple(
            replace(
                problem,
                detail=f"{problem.detail or ''} It was met in {names}.".strip(),
                hint=_WAYS_OUT if problem.code == "ENG-310" else problem.hint,
            )
            for problem in error.problems
        )
    return error.placed((nodes[0] if len(nodes) == 1 else graph[target]).at)


def _computes(node: Node) -> bool:
    return not isinstance(node, _HARMLESS_NODES) and any(
        not isinstance(part, _HARMLESS) for part in to_select(node).find_all(exp.Func, exp.Binary)
    )
