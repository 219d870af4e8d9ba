"""Which nodes of a statement may have met the value that the engine could not work with: it does not say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.graph.nodes import Check, Python, Read, Table, Union, Write
from penstock.graph.select import to_select
from penstock.structs import replace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.errors import DataError, Problem
    from penstock.graph import Graph, Node

_CODES: Final = frozenset({"ENG-310", "ENG-311", "ENG-312"})
_WAYS_OUT: Final = "the step `cast` rejects such a value, and `try_cast` in an expression makes it null"
_HIDDEN: Final = "what the engine said may quote a column that has labels."
# Nodes that compute nothing, or only what cannot fail.
_HARMLESS_NODES: Final = (Check, Python, Read, Table, Union, Write)
_HARMLESS: Final = (exp.TryCast, exp.Coalesce, exp.Case, exp.If, exp.Connector, exp.Predicate, exp.Count, exp.RowNumber)


def suspected(error: DataError, graph: Graph, target: str) -> DataError:
    """The error at the node that computes, where one alone does; else at the target, naming all that may be meant. One
    that has a place keeps it.
    """
    above = graph.upstream(target)
    if _has_labels(graph[name] for name in above):
        error.problems = tuple(map(_without_values, error.problems))
    if error.code not in _CODES or error.problems[0].at is not None:
        return error.placed(graph[target].at)
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


def _without_values(problem: Problem) -> Problem:
    """The engine quotes a value, and does not say of which column it is."""
    return replace(problem, detail=_HIDDEN) if problem.code in _CODES else problem


def _has_labels(nodes: Iterable[Node]) -> bool:
    return any(column.labels for node in nodes for column in node.schema or ())


def _computes(node: Node) -> bool:
    return not isinstance(node, _HARMLESS_NODES) and any(
        not isinstance(part, _HARMLESS) for part in to_select(node).find_all(exp.Func, exp.Binary)
    )
