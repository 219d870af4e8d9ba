"""What a figure is compared with that rules measured in earlier epochs: the bounds which these set it.

A rule names the bounds by columns (``lowest``, ``highest``, ``told``) that an epoch gives their values, so that a redo of the
epoch decides as it did before. What has too little history has no bounds: nothing violates them, and a note says why.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, assert_never

from sqlglot import exp

from penstock.graph.nodes import EARLIER, Check, Method, TableRule
from penstock.structs import Frozen, replace
from penstock.trees import column

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from penstock.graph.graph import Graph
    from penstock.graph.nodes import Baseline
    from penstock.types import Schema

# By these the spread of a normal distribution is told from its median and its mean absolute deviation.
_OF_MEDIAN, _OF_MEAN = 1.4826, 1.2533
# Figures beyond this are made smaller, by a power of two, before they are added up and squared: none overflows.
_LARGE, _SMALLER = 2.0**400, 2.0**-600
_ROUNDING: Final = 1e-9  # of a figure: so little apart are two ways of adding up the same numbers


class Earlier(Frozen):
    """The figures of one sealed epoch, planned at ``at``: by the check's id, the rule's code and the measure."""

    at: datetime
    figures: Mapping[tuple[str, str, str], float]


class History(Frozen):
    """What an epoch can be compared with, newest first: the newest epochs, and those planned on the same weekday (UTC) as it."""

    newest: Sequence[Earlier] = ()
    of_weekday: Sequence[Earlier] = ()


class Expected(Frozen):
    """Where a figure lies that is like those before, ends included; None: not bounded at that end."""

    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.low is not None and self.high is not None:
            return f"between {self.low:,.6g} and {self.high:,.6g}"
        return f"at least {self.low:,.6g}" if self.low is not None else f"at most {self.high or 0:,.6g}"


def lowest(measure: str) -> exp.Column:
    """The least figure that is like those before; null where nothing is known."""
    return column(f"low {measure}", EARLIER)


def highest(measure: str) -> exp.Column:
    """The largest figure that is like those before; null where nothing is known."""
    return column(f"high {measure}", EARLIER)


def told(measure: str) -> exp.Column:
    """A text: what is expected of the figure, and by how many runs."""
    return column(f"told {measure}", EARLIER)


class Windows(Frozen):
    """How many of the newest epochs rules look at, and how many of those of the moment's weekday (UTC)."""

    newest: int = 0
    of_weekday: int = 0

    def __bool__(self) -> bool:
        return bool(self.newest or self.of_weekday)


def windows_of(graph: Graph) -> Windows:
    rules = (rule for node in graph.nodes if isinstance(node, Check) for rule in node.table_rules)
    found = [one for rule in rules for one in rule.baselines]
    seasonal = [one.window for one in found if one.method is Method.SEASONAL]
    return Windows(
        max((one.window for one in found if one.method is not Method.SEASONAL), default=0), max(seasonal, default=0)
    )


def with_history(graph: Graph, history: History | None) -> Graph:
    """The graph with what is expected of an epoch with this ``history``, as long as ``windows_of`` the graph says; None: it is
    like no epoch before it.
    """

    def bound(node: Check) -> Check:
        rules = tuple(_bound(node, rule, history) if rule.baselines else rule for rule in node.table_rules)
        return replace(node, table_rules=rules)

    return graph.map(lambda node: bound(node) if isinstance(node, Check) and node.table_rules else node)


def _bound(node: Check, rule: TableRule, history: History | None) -> TableRule:
    values: dict[str, exp.Expr] = {}
    notes: list[str] = []
    for one in rule.baselines:
        before = figures_before(one, (node.id, rule.code), history or History())
        expected = expected_by(one, before) if len(before) >= one.min_history else None
        many = f"{len(before)} runs"
        if expected is not None:
            values[lowest(one.measure).name] = _literal(expected.low)
            values[highest(one.measure).name] = _literal(expected.high)
            values[told(one.measure).name] = exp.Literal.string(f"{expected}, as in {many} before")
        if history is None:
            notes.append("info: not compared: an interval, or the first load of a source, is like no run before")
        elif expected is None:
            notes.append(f"info: {len(before)} of {one.min_history} runs of history for {one.measure}")
        elif not _is_hidden(rule, node.schema):
            notes.append(f"{one.measure} expected {expected}, as in {many} before")

    def of_earlier(tree: exp.Expr) -> exp.Expr:
        known = isinstance(tree, exp.Column) and tree.table == EARLIER
        return values[tree.name].copy() if known and tree.name in values else tree

    return replace(
        rule,
        violated=rule.violated.copy().transform(of_earlier),
        message=rule.message.copy().transform(of_earlier),
        note=", ".join(dict.fromkeys(notes)),
    )


def _is_hidden(rule: TableRule, schema: Schema | None) -> bool:
    return schema is None or any(schema[name].labels for name in rule.columns if name in schema)


def _literal(value: float | None) -> exp.Expr:
    text = exp.null() if value is None else exp.Literal.string(repr(value))
    return exp.Cast(this=text, to=exp.DataType.build("double"))


def figures_before(baseline: Baseline, rule: tuple[str, str], history: History) -> list[float]:
    """Those of the window, newest first."""
    key = (*rule, baseline.measure)
    epochs = history.of_weekday if baseline.method is Method.SEASONAL else history.newest
    return [epoch.figures[key] for epoch in epochs[: baseline.window] if key in epoch.figures]


def expected_by(baseline: Baseline, before: Sequence[float]) -> Expected:
    """The bounds that these figures, one at least, set the next one."""
    scale = _SMALLER if max(map(abs, before)) > _LARGE else 1.0
    figures = [figure * scale for figure in before]
    middle, spread = _middle_and_spread(baseline.method, figures)
    reach = baseline.sensitivity * spread
    low, high = middle - reach, middle + reach
    if baseline.method is Method.IQR:
        first, _, third = _quartiles(figures)
        low, high = first - reach, third + reach
    rounding = _ROUNDING * max(abs(low), abs(high))
    low, high = (low - rounding) / scale, (high + rounding) / scale
    match baseline.side:
        case "above":
            return Expected(None, high)
        case "below":
            return Expected(low, None)
        case "both":
            return Expected(low, high)


def _middle_and_spread(method: Method, before: Sequence[float]) -> tuple[float, float]:
    import statistics  # some milliseconds, which a run without such a rule has not to spend

    match method:
        case Method.ZSCORE:
            return statistics.fmean(before), statistics.stdev(before) if len(before) > 1 else 0.0
        case Method.MAD | Method.SEASONAL:
            middle = statistics.median(before)
            apart = [abs(figure - middle) for figure in before]
            # Where more than half are the same, the others still tell how far apart they lie.
            return middle, _OF_MEDIAN * statistics.median(apart) or _OF_MEAN * statistics.fmean(apart)
        case Method.IQR:
            first, middle, third = _quartiles(before)
            return middle, third - first
        case Method.DRIFT:
            middle = statistics.median(before)
            return middle, abs(middle)
    assert_never(method)


def _quartiles(before: Sequence[float]) -> tuple[float, float, float]:
    """By linear interpolation between the two figures beside each."""
    ordered = sorted(before)

    def at(share: float) -> float:
        place = share * (len(ordered) - 1)
        below = math.floor(place)
        above = min(below + 1, len(ordered) - 1)
        return ordered[below] + (place - below) * (ordered[above] - ordered[below])

    return at(0.25), at(0.5), at(0.75)


__all__ = [
    "Earlier",
    "Expected",
    "History",
    "Windows",
    "expected_by",
    "figures_before",
    "highest",
    "lowest",
    "told",
    "windows_of",
    "with_history",
]
