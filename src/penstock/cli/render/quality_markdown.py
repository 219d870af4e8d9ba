"""The quality report as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.cli.output import printable
from penstock.cli.render.quality import about, per_cent, shown, subtitle, unseen
from penstock.cli.render.quality import found as found_by

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from penstock.service.quality import Quality, RuleScore

_TITLES: Final = ("rule", "about", "dimension", "on_fail", "weight", "rows", "violating", "score", "found")
_NUMBERS: Final = frozenset({"weight", "rows", "violating", "score"})


def markdown(reports: Sequence[Quality]) -> str:
    return printable("\n".join(map(_report, reports)))


def _report(report: Quality) -> str:
    lines = [f"# Quality of {cell(report.pipeline)}: {per_cent(report.score)}", "", subtitle(report), ""]
    if report.dimensions:
        lines += rows(("dimension", "score"), ((name, per_cent(score)) for name, score in report.dimensions.items()))
    told = [*map(str, report.reconciled), *map(str, report.sent_again)]
    lines += ["", *(f"- {cell(one)}" for one in told)] if told else []
    for dataset in report.datasets:
        lines += ["", f"## {cell(dataset.name)}: {per_cent(dataset.score)}", ""]
        lines += [f"{unseen(dataset)}.", ""] if dataset.unseen else []
        lines += rows(_TITLES, map(_cells, dataset.rules))
        for rule in dataset.rules:
            lines += _samples(rule)
    return "\n".join([*lines, ""])


def _samples(rule: RuleScore) -> list[str]:
    if not rule.samples:
        return []
    names = list(dict.fromkeys(name for row in rule.samples for name in row))
    cells = ([shown(row.get(name)) for name in names] for row in rule.samples)
    return ["", f"Rows that violate {cell(rule.rule)}:", "", *rows(names, cells)]


def rows(titles: Sequence[str], cells: Iterable[Sequence[str]], numbers: Collection[str] = _NUMBERS) -> list[str]:
    """A table of Markdown; the columns of ``numbers`` stand to the right."""
    lines = [titles, ["---:" if title in numbers else "---" for title in titles], *cells]
    return [f"| {' | '.join(map(cell, line))} |" for line in lines]


def cell(text: str) -> str:
    """Nothing in it ends a cell, or is markup."""
    plain = " ".join(text.split())
    escaped = "".join(f"\\{mark}" if mark in "\\`*_[]<|#" else mark for mark in plain)
    return f"\\{escaped}" if escaped.startswith(">") else escaped  # elsewhere it quotes nothing, and ends no tag


def _cells(rule: RuleScore) -> tuple[str, ...]:
    violating = f"{rule.violating:,}" if rule.violating is not None else ""
    numbers = (f"{rule.weight:g}", f"{rule.rows:,}", violating, per_cent(rule.score))
    return (rule.rule, about(rule), rule.dimension, rule.on_fail, *numbers, found_by(rule))
