"""The profile of a node as one page of HTML with its plots as SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.cli.render.page import document, text
from penstock.cli.render.profile import HIDDEN, frequent, number, share, told

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from penstock.service.profiling import Bin, ColumnProfile, Correlation, Frequent, Profile

_STYLE: Final = """
.scores { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem; list-style: none; margin: 1rem 0 .75rem; padding: 0 }
.scores li { margin: 0; padding: .75rem 1rem }
.scores b { display: block; font-size: 1.3rem; line-height: 1.35; font-weight: 650; font-variant-numeric: tabular-nums }
section.column { display: grid; grid-template-columns: 12rem 13rem 1fr; gap: 1rem 2rem; align-items: start; break-inside: avoid }
section > * { min-width: 0 }
.tags { display: flex; flex-wrap: wrap; gap: .3rem; margin-top: .35rem } .tags .pill { white-space: normal; overflow-wrap: anywhere }
.pill.label { background: var(--some-back); color: var(--some) }
.meter { display: block; height: 4px; border-radius: 2px; background: var(--bad-back); margin: .8rem 0 .25rem; overflow: hidden }
.meter i { display: block; height: 100%; background: var(--good) }
.column small { font-size: .8rem }
.column table { font-size: .85rem } .column td, .column th { padding-top: .1rem; padding-bottom: .1rem; font-size: .85rem }
.column td { text-align: right; font-variant-numeric: tabular-nums; overflow-wrap: anywhere }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(15rem, 100%), 1fr)); gap: 1rem 2rem }
.plots svg { width: 100%; height: auto } .plots p { font-size: .78rem; margin-bottom: .35rem }
.plots text { font-size: 12px; font-variant-numeric: tabular-nums }
rect.bar { fill: var(--accent) } rect.behind { fill: var(--accent-back) } .plots .behind + text { fill: var(--ink) }
.pairs { width: auto; margin-top: .6rem } .pairs td { text-align: center; padding: .35rem .6rem; font-variant-numeric: tabular-nums; border: 2px solid var(--card); border-radius: .4rem }
.pairs th { max-width: 10rem; overflow: hidden; text-overflow: ellipsis; padding: .35rem .6rem .35rem 0 }
@media (max-width: 60rem) { section.column { grid-template-columns: 1fr 1fr } .plots { grid-column: 1 / -1 } }
@media (max-width: 34rem) { section.column { grid-template-columns: 1fr } }
"""
_WIDTH, _HEIGHT = 320, 96  # of a histogram, in the units of its view box
_ROW = 22  # the height of a bar with its label


def profile_html(found: Profile) -> str:
    """A whole document."""
    parts = [_head(found), *(_column(one, found.rows) for one in found.columns)]
    if not found.columns:
        parts.append('<div class="card empty">It has no columns.</div>')
    return document(f"Profile of {found.name}", _STYLE, [*parts, *_pairs(found.correlations, found.correlated)])


def _head(found: Profile) -> str:
    cells, nulls = found.rows * len(found.columns), sum(one.nulls for one in found.columns)
    figures = [
        ("rows", f"{found.rows:,}"),
        ("columns", f"{len(found.columns):,}"),
        ("nulls", share(nulls, cells)),
    ]
    if found.rejected:
        figures.append(("rejected, not looked at", f"{sum(found.rejected.values()):,}"))
    items = "".join(f'<li class="card"><span class="soft">{what}</span><b>{value}</b></li>' for what, value in figures)
    return (
        f'<p class="kind">Profile</p><h1>{text(found.name)}</h1><ul class="scores">{items}</ul>'
        '<p class="soft">Distinct counts with ~, quantiles, and which values are the most frequent are approximate.</p>'
    )


def _column(one: ColumnProfile, rows: int) -> str:
    labels = "".join(f'<span class="pill label">{text(label)}</span>' for label in one.labels)
    known = 100 * one.count / rows if rows else 100
    head = (
        f'<div><h2>{text(one.name)}</h2><p class="tags"><span class="pill plain">{text(one.type)}</span>{labels}</p>'
        f'<span class="meter"><i style="width:{known:.2f}%"></i></span>'
        f'<small class="soft">{_nulls(one, rows)}</small></div>'
    )
    plots = [_histogram(one), _bars(frequent(one), "most frequent"), _bars(one.patterns, "patterns")]
    return f'<section class="card column">{head}{_figures(one)}<div class="plots">{"".join(plots)}</div></section>'


def _nulls(one: ColumnProfile, rows: int) -> str:
    if not one.nulls:
        return "no nulls"
    return f"{one.nulls:,} {'null' if one.nulls == 1 else 'nulls'} ({share(one.nulls, rows)})"


def _figures(one: ColumnProfile) -> str:
    lines = [("distinct", f"{'' if one.is_exact else '~'}{one.distinct:,}")]
    lines += [
        (what, f"{many:,}")
        for what, many in (("NaN", one.nan), ("infinite", one.infinite), ("empty", one.empty))
        if many
    ]
    if one.is_hidden:
        lines.append(("values", HIDDEN))
    known = (("min", one.minimum), *((f"{item.share:.0%}", item.value) for item in one.quantiles), ("max", one.maximum))
    lines += [
        (what, told(one, value))
        for what, value in (*known, ("mean", one.mean), ("stddev", one.stddev))
        if value is not None
    ]
    if one.lengths is not None:
        shortest, mean, longest = one.lengths
        lines.append(("length", f"{shortest:,} to {longest:,}, {mean:.1f} on average"))
    cells = "".join(f"<tr><th>{what}</th><td>{text(value)}</td></tr>" for what, value in lines)
    return f"<table>{cells}</table>"


# ---------------------------------------------------------------- plots


def _histogram(one: ColumnProfile) -> str:
    bins = one.histogram
    if not bins:
        return ""
    most, width = max(item.rows for item in bins) or 1, _WIDTH / len(bins)
    bars = "".join(_bin(item, place * width, width - 1.5, item.rows / most) for place, item in enumerate(bins))
    low, high = text(number(bins[0].low)), text(number(bins[-1].high))
    labels = f'<text x="0" y="{_HEIGHT + 16}">{low}</text><text x="{_WIDTH}" y="{_HEIGHT + 16}" text-anchor="end">{high}</text>'
    plot = f'<svg role="img" aria-label="histogram" viewBox="0 0 {_WIDTH} {_HEIGHT + 20}">{bars}{labels}</svg>'
    return f'<div><p class="soft">distribution</p>{plot}</div>'


def _bin(item: Bin, left: float, width: float, part: float) -> str:
    high = max(part * _HEIGHT, 1.5 if item.rows else 0)
    told = text(f"{number(item.low)} to {number(item.high)}: {item.rows:,} rows")
    return f'<rect class="bar" x="{left:.1f}" y="{_HEIGHT - high:.1f}" width="{width:.1f}" height="{high:.1f}" rx="1"><title>{told}</title></rect>'


def _bars(items: Sequence[Frequent], what: str) -> str:
    if not items:
        return ""
    most = max(item.rows for item in items) or 1
    rows = "".join(_bar(item, place, item.rows / most) for place, item in enumerate(items))
    height = _ROW * len(items)
    plot = f'<svg role="img" aria-label="{what}" viewBox="0 0 {_WIDTH} {height}">{rows}</svg>'
    return f'<div><p class="soft">{what}</p>{plot}</div>'


_LABEL = 34  # characters that fit beside a number


def _bar(item: Frequent, place: int, part: float) -> str:
    top, shown = place * _ROW, item.value if len(item.value) <= _LABEL else f"{item.value[: _LABEL - 1]}…"
    bar = f'<rect class="behind" x="0" y="{top}" width="{max(part * _WIDTH, 2):.1f}" height="{_ROW - 3}" rx="3"/>'
    label = f'<text x="6" y="{top + 14}">{text(shown or "(empty)")}<title>{text(item.value)}</title></text>'
    return f'{bar}{label}<text x="{_WIDTH - 4}" y="{top + 14}" text-anchor="end">{item.rows:,}</text>'


def _pairs(correlations: Sequence[Correlation], names: Sequence[str]) -> Iterator[str]:
    """A matrix, each pair in the shade of its strength."""
    if not correlations:
        return
    known = {frozenset((item.one, item.other)): item.value for item in correlations}
    head = "".join(f"<th>{text(name)}</th>" for name in names)
    rows = "".join(
        f"<tr><th>{text(one)}</th>{''.join(_pair(known.get(frozenset((one, other)))) for other in names)}</tr>"
        for one in names
    )
    table = f'<table class="pairs"><tr><th></th>{head}</tr>{rows}</table>'
    yield f'<section class="card"><h2>Correlations</h2><div class="wide">{table}</div></section>'


def _pair(value: float | None) -> str:
    if value is None:
        return "<td></td>"
    colour = "59,126,161" if value > 0 else "190,90,30"
    return f'<td style="background:rgba({colour},{abs(value) * 0.55:.2f})">{value:+.2f}</td>'
