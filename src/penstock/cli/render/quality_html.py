"""The quality report of a run as one page of HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.cli.render.page import document, text
from penstock.cli.render.quality import about, figures, per_cent, shown, subtitle, unseen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from penstock.service.quality import Dataset, Quality, RuleScore

_STYLE: Final = """
.head { margin-top: 1.5rem; display: flex; align-items: center; justify-content: space-between; gap: 1.5rem }
.head > div { min-width: 0 }
.ring { width: 7rem; height: 7rem; flex: none }
.ring circle { fill: none; stroke-width: 7; stroke: var(--track) }
.ring .value { stroke: currentColor; stroke-linecap: round }
.ring text { color: inherit; fill: currentColor; font-size: 15px; font-weight: 650; text-anchor: middle; font-variant-numeric: tabular-nums }
.scores { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem; list-style: none; margin: 1rem 0 0; padding: 0 }
.scores li { margin: 0; padding: .75rem 1rem }
.scores b { display: block; font-size: 1.3rem; line-height: 1.35; font-weight: 650; font-variant-numeric: tabular-nums }
.meter { display: block; height: 4px; border-radius: 2px; background: var(--track); margin-top: .35rem; overflow: hidden }
.meter i { display: block; height: 100%; border-radius: 2px; background: currentColor }
.runs { display: flex; align-items: end; gap: 1.25rem; justify-content: space-between }
.bars { flex: none } .bars rect { fill: currentColor } .bars .track { fill: var(--track) }
.title { display: flex; flex-wrap: wrap; align-items: baseline; gap: .1rem .6rem; margin-bottom: .5rem }
.rules tbody tr { border-top: 1px solid var(--line) }
.rules .rule, .rules .found { overflow-wrap: anywhere }
.rules .rule { min-width: 9rem; font-weight: 600 } .rules .rule small { display: block; font-weight: 400 }
.rules .score { min-width: 6rem } .rules .found { min-width: 14rem }
.rules .before { color: var(--accent) }
small { font-size: .8rem }
details { border-top: 1px solid var(--line); padding: .5rem 0 0; margin-top: .5rem }
summary { cursor: pointer; font-size: .85rem; overflow-wrap: anywhere }
.sample { margin-top: .4rem } .sample td, .sample th { border-bottom: 1px solid var(--line); padding: .3rem 1rem .3rem 0; max-width: 22rem; overflow-wrap: anywhere }
.sample td { font: .82rem/1.45 ui-monospace, "SF Mono", Menlo, Consolas, monospace; min-width: 4rem }
@media (max-width: 52rem) {
  .rules thead { display: none }
  .rules, .rules tbody, .rules tr, .rules td { display: block }
  .rules tr { padding: .6rem 0 }
  .rules td { display: flex; justify-content: space-between; gap: 1.5rem; padding: .1rem 0; text-align: right }
  .rules td::before { content: attr(data-title); color: var(--soft); flex: none; text-align: left; font-weight: 400 }
  .rules .rule { display: block; text-align: left; font-size: 1rem } .rules .rule::before { content: none } .rules td.none { display: none }
  .rules .meter { min-width: 5rem }
}
@media (max-width: 30rem) { .ring { width: 5rem; height: 5rem } .runs { display: block } .runs svg { margin-top: .5rem; max-width: 100% } }
"""
_BADLY: Final = 0.9
_RADIUS: Final = 42
_AROUND: Final = 2 * 3.14159265 * _RADIUS
_TITLES: Final = (
    ("rule", ""),
    ("dimension", ""),
    ("on failure", ""),
    ("weight", "number"),
    ("rows", "number"),
    ("violating", "number"),
    ("score", "number"),
    ("runs before", ""),
    ("found", ""),
)


def html(reports: Sequence[Quality]) -> str:
    """``reports`` of one pipeline, or of each table of a document with ``tables:``; those behind a line for each."""
    if len(reports) == 1:
        return document(f"Quality of {reports[0].pipeline}", _STYLE, _report(reports[0]))
    name = reports[0].pipeline.partition("/")[0]
    parts = [part for report in reports for part in _report(report)]
    return document(f"Quality of {name}", _STYLE, [_overview(reports), *parts])


def _report(report: Quality) -> list[str]:
    parts = [_head(report), _scores(report), _runs(report.history), _told(report)]
    parts += map(_dataset, report.datasets)
    if not report.datasets:
        parts.append('<div class="card empty">No source, transform or sink of this pipeline has rules.</div>')
    return parts


def _told(report: Quality) -> str:
    lines = "".join(f"<p class={'bad' if one.differences else 'good'}>{text(one)}</p>" for one in report.reconciled)
    lines += "".join(f"<p>{text(one)}</p>" for one in report.sent_again)
    return f'<div class="card">{lines}</div>' if lines else ""


def _overview(reports: Sequence[Quality]) -> str:
    """A line for each, the worst first."""
    ordered = sorted(reports, key=lambda report: (1 if report.score is None else report.score, report.pipeline))
    lines = "".join(
        f'<tr><td class="rule">{text(report.pipeline)}</td><td data-title="last run">{report.at:%Y-%m-%d %H:%M}</td>'
        f'<td class="number" data-title="rules">{len(report.rules):,}</td>'
        f'<td class="number score {mood(report.score)}" data-title="score"><span>{per_cent(report.score)}{_meter(report.score or 0)}</span></td></tr>'
        for report in ordered
    )
    head = '<th>pipeline</th><th>last run, UTC</th><th class="number">rules</th><th class="number">score</th>'
    table = f'<table class="rules"><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>'
    return (
        f'<section class="card"><div class="title"><h2>{len(reports):,} pipelines</h2></div>'
        f'<div class="wide">{table}</div></section>'
    )


def _head(report: Quality) -> str:
    words = subtitle(report).replace(", ", " · ")
    return (
        f'<header class="head"><div><p class="kind">Data quality</p><h1>{text(report.pipeline)}</h1>'
        f'<p class="soft">{text(words)}</p></div>{_ring(report.score)}</header>'
    )


def _ring(score: float | None) -> str:
    full = _AROUND * (score or 0)
    arc = (
        f'<circle class="value" cx="50" cy="50" r="{_RADIUS}" stroke-dasharray="{full:.1f} {_AROUND:.1f}" transform="rotate(-90 50 50)"/>'
        if score
        else ""
    )
    return (
        f'<svg class="ring {mood(score)}" viewBox="0 0 100 100" role="img" aria-label="all rules: {per_cent(score)}">'
        f'<circle cx="50" cy="50" r="{_RADIUS}"/>{arc}<text x="50" y="56">{per_cent(score)}</text></svg>'
    )


def _scores(report: Quality) -> str:
    items = "".join(
        f'<li class="card {mood(score)}"><span class="soft">{text(name)}</span><b>{per_cent(score)}</b>{_meter(score)}</li>'
        for name, score in report.dimensions.items()
    )
    return f'<ul class="scores">{items}</ul>' if items else ""


def _meter(score: float) -> str:
    return f'<span class="meter"><i style="width:{score * 100:.1f}%"></i></span>'


def _runs(history: Sequence[float]) -> str:
    if len(history) < 2:  # noqa: PLR2004 -- one bar is no curve
        return ""
    words = f"{len(history)} runs, from {per_cent(min(history))} to {per_cent(max(history))}; this one is the last"
    return (
        f'<div class="card runs"><div><h2>Runs</h2><p class="soft">{words}</p></div>'
        f'<span class="{mood(history[-1])}">{_bars(history, "score of the last runs", height=48, step=14)}</span></div>'
    )


def _bars(history: Sequence[float], label: str, *, height: int = 20, step: int = 6) -> str:
    """A bar for each score, oldest first; nothing where there is one only."""
    if len(history) < 2:  # noqa: PLR2004 -- as above
        return ""
    bars = []
    for place, score in enumerate(history):
        high = max(1, round(score * height))
        at = f'x="{place * step}" width="{step - 2}" rx="1"'
        bars.append(
            f'<rect class="track" {at} y="0" height="{height}"/><rect {at} y="{height - high}" height="{high}"/>'
        )
    told, width = ", ".join(map(per_cent, history)), len(history) * step
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return f'<svg class="bars" {size} role="img" aria-label="{text(label)}: {told}">{"".join(bars)}</svg>'


def _dataset(dataset: Dataset) -> str:
    head = "".join(f'<th class="{kind}">{title}</th>' for title, kind in _TITLES)
    rules = "".join(f"<tr>{''.join(_cells(rule))}</tr>" for rule in dataset.rules)
    samples = "".join(_samples(rule) for rule in dataset.rules if rule.samples)
    return (
        f'<section class="card"><div class="title"><h2>{text(dataset.name)}</h2>'
        f'<span class="pill {mood(dataset.score)}">{per_cent(dataset.score)}</span>'
        f'<span class="soft">{unseen(dataset)}</span></div>'
        f'<div class="wide"><table class="rules"><thead><tr>{head}</tr></thead><tbody>{rules}</tbody></table></div>'
        f"{samples}</section>"
    )


def _cells(rule: RuleScore) -> Iterator[str]:
    told = ": ".join(filter(None, (rule.kind if rule.kind != rule.rule else "", about(rule))))
    kind = f'<small class="soft">{text(told)}</small>' if told else ""
    yield f'<td class="rule">{text(rule.rule)}{kind}</td>'
    violating = f"{rule.violating:,}" if rule.violating is not None else ""
    on_fail = f'<span class="pill plain">{text(rule.on_fail)}</span>'
    score = f'<span class="{mood(rule.score)}">{per_cent(rule.score)}{_meter(rule.score)}</span>'
    said = (
        f'<span class="{mood(rule.score)}">{text(rule.said)}</span>' if rule.said is not None else text(figures(rule))
    )
    note = f'<small class="soft">{text(rule.note)}</small>' if rule.note and rule.said is None else ""
    cells = (
        ("dimension", "", text(rule.dimension)),
        ("on failure", "", on_fail),
        ("weight", "number", f"{rule.weight:g}"),
        ("rows", "number", f"{rule.rows:,}"),
        ("violating", "number", violating),
        ("score", "number score", score),
        ("runs before", "before", _bars(rule.history, "score in the last runs")),
        ("found", "found", f"<span>{said} {note}</span>" if said or note else ""),
    )
    for title, kind, inner in cells:
        yield f'<td class="{kind if inner else f"{kind} none"}" data-title="{title}">{inner}</td>'


def _samples(rule: RuleScore) -> str:
    names = list(dict.fromkeys(name for row in rule.samples for name in row))
    head = "".join(f"<th>{text(name)}</th>" for name in names)
    rows = "".join(f"<tr>{''.join(_sampled(row, name) for name in names)}</tr>" for row in rule.samples)
    many = f"{len(rule.samples)} of {rule.violating:,}" if rule.violating is not None else f"{len(rule.samples)}"
    words = f"Rows that violate {rule.rule}: {many}"
    return (
        f'<details><summary>{text(words)}</summary><div class="wide"><table class="sample">'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></details>"
    )


def _sampled(row: Mapping[str, object], name: str) -> str:
    value = row.get(name)
    return '<td class="soft">null</td>' if value is None else f"<td>{text(shown(value))}</td>"


def mood(score: float | None) -> str:
    if score is None or score >= 1:
        return "good"
    return "some" if score >= _BADLY else "bad"
