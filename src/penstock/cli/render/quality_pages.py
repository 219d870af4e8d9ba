"""The quality report as a document: Markdown, and one HTML page that needs nothing else."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from penstock.cli.output import printable
from penstock.cli.render.quality import found as found_by
from penstock.cli.render.quality import per_cent

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from penstock.service.quality import Dataset, Quality, RuleScore

_TITLES: Final = ("rule", "dimension", "on_fail", "weight", "rows", "violating", "score", "found")
_STYLE: Final = """
:root { color-scheme: light dark; --good: #2a7d4f; --some: #b7791f; --bad: #b83232; --line: #8884; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
.dim { opacity: .7; }
.scores { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1rem 0; padding: 0; list-style: none; }
.scores li { border: 1px solid var(--line); border-radius: .5rem; padding: .5rem .9rem; }
.scores b { display: block; font-size: 1.3rem; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .6rem; text-align: left; vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.good { color: var(--good); } .some { color: var(--some); } .bad { color: var(--bad); }
svg { vertical-align: middle; } svg rect { fill: currentColor; }
"""
_NUMBERS: Final = frozenset({"weight", "rows", "violating", "score"})
_BADLY: Final = 0.9
_HEIGHT, _STEP = 24, 6  # of a bar, in pixels


def markdown(report: Quality) -> str:
    lines = [f"# Quality of {cell(report.pipeline)}: {per_cent(report.score)}", "", _subtitle(report), ""]
    if report.dimensions:
        lines += rows(("dimension", "score"), ((name, per_cent(score)) for name, score in report.dimensions.items()))
    lines += ["", *(f"- {cell(str(one))}" for one in report.reconciled)] if report.reconciled else []
    for dataset in report.datasets:
        lines += ["", f"## {cell(dataset.name)}: {per_cent(dataset.score)}", ""]
        lines += rows(_TITLES, map(_cells, dataset.rules))
    return printable("\n".join([*lines, ""]))


def rows(titles: Sequence[str], cells: Iterable[Sequence[str]], numbers: Collection[str] = _NUMBERS) -> list[str]:
    """A table of Markdown; the columns of ``numbers`` stand to the right."""
    lines = [titles, ["---:" if title in numbers else "---" for title in titles], *cells]
    return [f"| {' | '.join(map(cell, line))} |" for line in lines]


def cell(text: str) -> str:
    """Nothing in it ends a cell, or is markup."""
    plain = " ".join(text.split())
    return "".join(f"\\{mark}" if mark in "\\`*_[]<>|#" else mark for mark in plain)


def _cells(rule: RuleScore) -> tuple[str, ...]:
    violating = f"{rule.violating:,}" if rule.violating is not None else ""
    numbers = (f"{rule.weight:g}", f"{rule.rows:,}", violating, per_cent(rule.score))
    return (rule.rule, rule.dimension, rule.on_fail, *numbers, found_by(rule))


def _subtitle(report: Quality) -> str:
    return f"run {report.run_id}, {report.at:%Y-%m-%d %H:%M} UTC"


def html(report: Quality) -> str:
    scores = [("all rules", report.score), *report.dimensions.items()]
    items = "".join(f"<li>{escape(name)}<b class={_mood(score)}>{per_cent(score)}</b></li>" for name, score in scores)
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Quality of {escape(report.pipeline)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>Quality of {escape(report.pipeline)}</h1>",
        f'<p class="dim">{escape(_subtitle(report))} {_bars(report.history, "score of the last runs")}</p>',
        f'<ul class="scores">{items}</ul>',
        *(f"<p class={'bad' if one.differences else 'good'}>{escape(str(one))}</p>" for one in report.reconciled),
        *map(_section, report.datasets),
        "</body></html>",
    ]
    return printable("\n".join([*parts, ""]))


def _section(dataset: Dataset) -> str:
    head = "".join(_tagged("th", title, title) for title in (*_TITLES, "before"))
    body = "".join(
        f"<tr class={_mood(rule.score)}>"
        + "".join(_tagged("td", title, text) for title, text in zip(_TITLES, _cells(rule), strict=True))
        + f"<td>{_bars(rule.history, 'score in the last runs')}</td></tr>"
        for rule in dataset.rules
    )
    title = f"<h2>{escape(dataset.name)} <span class={_mood(dataset.score)}>{per_cent(dataset.score)}</span></h2>"
    table = f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    return f"<section>{title}{table}</section>"


def _tagged(tag: str, title: str, text: str) -> str:
    kind = " class=number" if title in _NUMBERS else ""
    return f"<{tag}{kind}>{escape(text)}</{tag}>"


def _mood(score: float | None) -> str:
    if score is None or score >= 1:
        return "good"
    return "some" if score >= _BADLY else "bad"


def _bars(history: Sequence[float], label: str) -> str:
    """A bar for each score, oldest first; nothing where there is one only."""
    if len(history) < 2:  # noqa: PLR2004 -- one bar is no curve
        return ""
    bars = "".join(
        f'<rect x="{place * _STEP}" y="{_HEIGHT - height}" width="{_STEP - 1}" height="{height}"/>'
        for place, height in enumerate(max(1, round(score * _HEIGHT)) for score in history)
    )
    width = len(history) * _STEP
    told = ", ".join(map(per_cent, history))
    return f'<svg width="{width}" height="{_HEIGHT}" role="img" aria-label="{escape(label)}: {told}">{bars}</svg>'
