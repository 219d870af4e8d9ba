"""Rules about an age, where no value comes that has one: the newest value that they knew before is older by now.

Of a source that is read on from where it stood, an epoch without a row at such a rule's place, or no epoch at all, says that
nothing came: just what the rule is to tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from penstock.graph.nodes import Check, Column, TableRule
from penstock.structs import replace
from penstock.trees import call
from penstock.types.logical import DATE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from penstock.graph.graph import Graph
    from penstock.graph.history import Earlier


def aging_checks(graph: Graph) -> Sequence[Check]:
    """Those with a rule about an age over rows that are read on from where their source stood, in the graph's order."""
    parts = frozenset(read.id for read in graph.reads if read.incremental)
    return [
        node
        for node in graph.nodes
        if isinstance(node, Check)
        and any(rule.aging for rule in node.table_rules)
        and not parts.isdisjoint(graph.upstream(node.input))
    ]


def ages_at(moment: datetime, history: Sequence[Earlier], checks: Iterable[Check]) -> dict[tuple[str, str], float]:
    """By check and rule how old, in seconds, the newest value of these epochs is at the moment (UTC); of dates whole days
    count. Without those of which no epoch had a value.
    """
    found: dict[tuple[str, str], float] = {}
    for check in checks:
        for rule in check.table_rules:
            if not rule.aging:
                continue
            key = (check.id, rule.code, rule.measures[0].name)
            is_date = check.schema is not None and check.schema[rule.columns[0]].type == DATE
            ages = [
                one.figures[key] + _between(one.at, moment, is_date=is_date) for one in history if key in one.figures
            ]
            if ages:
                found[check.id, rule.code] = min(ages)
    return found


def _between(earlier: datetime, moment: datetime, *, is_date: bool) -> float:
    return ((moment.date() - earlier.date()) if is_date else (moment - earlier)).total_seconds()


def with_ages(graph: Graph, ages: Mapping[tuple[str, str], float]) -> Graph:
    """The graph whose rules go by these ages where no value comes."""

    def bound(node: Check, rule: TableRule) -> TableRule:
        age = ages.get((node.id, rule.code))
        if age is None:
            return rule
        (measure,) = rule.measures
        known = exp.Cast(this=exp.Literal.string(repr(float(age))), to=exp.DataType.build("double"))
        return replace(rule, measures=(Column(measure.name, call("coalesce", measure.value, known)),))

    def of(node: Check) -> Check:
        return replace(node, table_rules=tuple(bound(node, rule) for rule in node.table_rules))

    return graph.map(lambda node: of(node) if isinstance(node, Check) and node.table_rules else node)


__all__ = ["ages_at", "aging_checks", "with_ages"]
