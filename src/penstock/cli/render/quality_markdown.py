"""The quality report as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.cli.output import printable
from penstock.cli.render.quality import found as found_by
from penstock.cli.render.quality import per_cent, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from penstock.service.quality import Quality, RuleScore

_TITLES: Final = ("rule", "dimension", "on_fail", "weight", "rows", "violating", "score", "found")
_NUMBERS: Final = frozenset({"weight", "rows", "violating", "score"})


def markdown(reports: Sequence[Quality]) -> str:
    return printable("\n".join(map(_report, reports)))


def _report(report: Quality) -> str:
    lines = [f"# Quality of {_cell(report.pipeline)}: {per_cent(report.score)}", "", _subtitle(report), ""]
    if report.dimensions:
        lines += _rows(("dimension", "score"), ((name, per_cent(score)) for name, score in report.dimensions.items()))
    for dataset in report.datasets:
        lines += ["", f"## {_cell(dataset.name)}: {per_cent(dataset.score)}", ""]
        lines += _rows(_TITLES, map(_cells, dataset.rules))
        for rule in dataset.rules:
            lines += _samples(rule)
    return "\n".join([*lines, ""])


def _samples(rule: RuleScore) -> list[str]:
    if not rule.samples:
        return []
    names = list(dict.fromkeys(name for row in rule.samples for name in row))
    cells = ([shown(row.get(name)) for name in names] for row in rule.samples)
    return ["", f"Rows that violate {_cell(rule.rule)}:", "", *_rows(names, cells)]


def _rows(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [titles, ["---:" if title in _NUMBERS else "---" for title in titles], *rows]
    return [f"| {' | '.join(map(_cell, line))} |" for line in lines]


def _cell(text: str) -> str:
    """Nothing in it ends a cell, or is markup."""
    plain = " ".join(text.split())
    return "".join(f"\\{mark}" if mark in "\\`*_[]<>|#" else mark for mark in plain)


def _cells(rule: RuleScore) -> tuple[str, ...]:
    violating = f"{rule.violating:,}" if rule.violating is not None else ""
    numbers = (f"{rule.weight:g}", f"{rule.rows:,}", violating, per_cent(rule.score))
    return (rule.rule, rule.dimension, rule.on_fail, *numbers, found_by(rule))


def _subtitle(report: Quality) -> str:
    return f"run {report.run_id}, {report.at:%Y-%m-%d %H:%M} UTC"
