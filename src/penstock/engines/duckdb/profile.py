"""Exact rows per node from DuckDB's profile: tags that its filters carry, and the optimizers that would move them.

A tag is a filter whose condition calls a volatile builtin over a constant text. Being volatile it is never folded, moved
into a scan or proved away; being over a constant it costs half a nanosecond per row. The profile shows the text with
the operator, and the operator's rows out are the node's. Which optimizers break this was found case by case: each one
in ``DISABLED_OPTIMIZERS`` but the precautions makes a test of this module fail when it is on.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.errors import InternalError
from penstock.structs import Frozen
from penstock.trees import call, conjuncts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Near kin of those below, though no case was found.
PRECAUTIONS: Final = (
    "late_materialization",
    "outer_join_simplification",
    "cte_filter_pusher",
    "row_group_pruner",
    "partial_aggregate_pushdown",
    "window_self_join",
)
DISABLED_OPTIMIZERS: Final = (
    "filter_pushdown",
    "filter_pullup",
    "join_filter_pushdown",
    "join_order",
    "top_n",  # its dynamic filter reaches into the scan of an ORDER BY with LIMIT
    "join_elimination",
    "statistics_propagation",  # adds what it knows of a join's other side to the tagged filters
    *PRECAUTIONS,
)

_PREFIX: Final = "penstock:"
# The whole call: a user's own text may hold the prefix, but its quotes are doubled.
_TAG: Final = re.compile(rf"vector_type\('{re.escape(_PREFIX)}(\w+)'\)")


def tag_condition(condition: exp.Expr | None, tag: str) -> exp.Expr:
    """A condition that counts the rows it lets pass under ``tag``; None lets all pass.

    Each conjunct carries the tag by itself, so that a cheap one still spares the rows it refuses the costly ones.
    """
    if condition is None:
        return _always(tag)
    parts = [part.copy() for part in conjuncts(condition)]
    tagged = [exp.Case(ifs=[exp.If(this=_always(tag), true=exp.Paren(this=part))]) for part in parts]
    return exp.and_(*tagged, copy=False)


def _always(tag: str) -> exp.Expr:
    volatile = call("vector_type", exp.Literal.string(_PREFIX + tag))
    return exp.NEQ(this=volatile, expression=exp.Literal.string(""))


class Profile(Frozen):
    """``rows``: out of each tagged filter that ran. ``is_pruned``: whether the planner proved a part empty, which then did
    not run.
    """

    rows: Mapping[str, int]
    is_pruned: bool


def read_profile(text: str) -> Profile:
    """``text`` is the JSON that DuckDB gives after the statement. Raises InternalError INT-900 where a tag was merged with
    another, or stands twice: then a count would be wrong.
    """
    rows: dict[str, int] = {}
    is_pruned = False
    for operator in _operators(json.loads(text)):
        kind = str(operator.get("type", "")).upper()
        is_pruned = is_pruned or "EMPTY_RESULT" in kind
        found = set(_TAG.findall(_text(operator.get("extra_info")))) if "FILTER" in kind else set()
        if len(found) > 1:
            raise InternalError("INT-900", f"the engine merged the nodes {', '.join(sorted(found))}")
        for tag in found:
            if tag in rows:
                raise InternalError("INT-900", f'the engine ran the node "{tag}" twice')
            rows[tag] = int(str(operator["intermediate_rows"]))
    return Profile(rows, is_pruned)


def _operators(node: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    todo: list[Mapping[str, object]] = [node]
    while todo:
        current = todo.pop()
        yield current
        for below in (current.get("operator"), current.get("children")):  # the root has "operator"
            if isinstance(below, list):
                todo.extend(below)


def _text(info: object) -> str:
    match info:
        case str():
            return info
        case list():
            return " ".join(_text(item) for item in info)
        case dict():
            return " ".join(_text(item) for item in info.values())
        case _:
            return ""
