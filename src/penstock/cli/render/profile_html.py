"""The profile of a node as one page of HTML with its plots as SVG: nothing is loaded, and no script runs in it. Every text
of the data goes through ``_text``.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from penstock.cli.output import printable
from penstock.cli.render.profile import HIDDEN, number, share

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from penstock.service.profiling import Bin, ColumnProfile, Correlation, Frequent, Profile

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2733; --soft: #66737f; --line: #dde3e8; --paper: #fff; --bar: #3b7ea1; --bad: #b3541e }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e9ee; --soft: #93a1ad; --line: #33404b; --paper: #161d24; --bar: #5fa8cc; --bad: #e0895a }
}
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto; max-width: 68rem; padding: 0 1rem }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere }
h2 { font-size: 1.05rem; margin: 0; overflow-wrap: anywhere }
.soft, th, svg text { color: var(--soft); fill: var(--soft) }
section { border-top: 1px solid var(--line); padding: 1rem 0; display: grid; grid-template-columns: 15rem 1fr 1fr; gap: 1rem 2rem; break-inside: avoid }
section > * { min-width: 0 }
@media (max-width: 50rem) { section { grid-template-columns: 1fr } }
table { border-collapse: collapse; font-size: .9rem; width: 100% }
td, th { padding: .1rem .8rem .1rem 0; text-align: left; font-weight: normal; vertical-align: top; overflow-wrap: anywhere }
td:last-child { text-align: right; font-variant-numeric: tabular-nums }
.bad { color: var(--bad) }
rect.bar { fill: var(--bar) }
svg { width: 100%; height: auto; display: block }
svg text { font-size: 11px }
.pairs { width: auto } .pairs td { text-align: right }
"""
_WIDTH, _HEIGHT = 360, 90  # of a histogram, in the units of its view box
_ROW = 20  # the height of a bar with its label


def profile_html(found: Profile) -> str:
    """A whole document."""
    title = _text(found.name)
    return "".join(
        (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Profile of {title}</title><style>{_STYLE}</style></head><body>\n",
            f"<h1>{title}</h1><p class=soft>{found.rows:,} rows, {len(found.columns):,} columns. Distinct counts with ~, ",
            "quantiles, and which values are the most frequent are approximate.</p>\n",
            *(_column(one, found.rows) for one in found.columns),
            *_pairs(found.correlations, found.correlated),
            "</body></html>\n",
        )
    )


def _text(value: object) -> str:
    return escape(printable(str(value)).replace("\n", "⏎"), quote=True)


def _column(one: ColumnProfile, rows: int) -> str:
    labels = "".join(f" [{_text(label)}]" for label in one.labels)
    head = f"<div><h2>{_text(one.name)}</h2><p class=soft>{_text(one.type)}{labels}</p></div>"
    plots = [_histogram(one), _bars(one.top, "most frequent"), _bars(one.patterns, "patterns")]
    return f"<section>{head}{_figures(one, rows)}<div>{''.join(plots)}</div></section>\n"


def _figures(one: ColumnProfile, rows: int) -> str:
    lines = [
        ("nulls", f"{one.nulls:,} ({share(one.nulls, rows)})"),
        ("distinct", f"{'' if one.is_exact else '~'}{one.distinct:,}"),
    ]
    lines += [
        (what, f"{many:,}")
        for what, many in (("NaN", one.nan), ("infinite", one.infinite), ("empty", one.empty))
        if many
    ]
    if one.is_hidden:
        lines.append(("values", HIDDEN))
    known = (("min", one.minimum), *((f"{item.share:.0%}", item.value) for item in one.quantiles), ("max", one.maximum))
    lines += [
        (what, number(value))
        for what, value in (*known, ("mean", one.mean), ("stddev", one.stddev))
        if value is not None
    ]
    if one.lengths is not None:
        shortest, mean, longest = one.lengths
        lines.append(("length", f"{shortest:,} to {longest:,}, {mean:.1f} on average"))
    cells = "".join(f"<tr><th>{what}</th><td>{_text(value)}</td></tr>" for what, value in lines)
    return f"<table>{cells}</table>"


# ---------------------------------------------------------------- plots


def _histogram(one: ColumnProfile) -> str:
    bins = one.histogram
    if not bins:
        return ""
    most, width = max(item.rows for item in bins) or 1, _WIDTH / len(bins)
    bars = "".join(_bin(item, place * width, width - 1, item.rows / most) for place, item in enumerate(bins))
    low, high = _text(number(bins[0].low)), _text(number(bins[-1].high))
    labels = f'<text x="0" y="{_HEIGHT + 14}">{low}</text><text x="{_WIDTH}" y="{_HEIGHT + 14}" text-anchor="end">{high}</text>'
    return f'<svg role="img" aria-label="histogram" viewBox="0 0 {_WIDTH} {_HEIGHT + 20}">{bars}{labels}</svg>'


def _bin(item: Bin, left: float, width: float, part: float) -> str:
    high = part * _HEIGHT
    told = _text(f"{number(item.low)} to {number(item.high)}: {item.rows:,} rows")
    return f'<rect class="bar" x="{left:.1f}" y="{_HEIGHT - high:.1f}" width="{width:.1f}" height="{high:.1f}"><title>{told}</title></rect>'


def _bars(items: Sequence[Frequent], what: str) -> str:
    if not items:
        return ""
    most = max(item.rows for item in items) or 1
    rows = "".join(_bar(item, place, item.rows / most) for place, item in enumerate(items))
    height = _ROW * len(items)
    return f'<p class=soft>{what}</p><svg role="img" aria-label="{what}" viewBox="0 0 {_WIDTH} {height}">{rows}</svg>'


_LABEL = 30  # characters that fit beside a bar


def _bar(item: Frequent, place: int, part: float) -> str:
    top, text = place * _ROW, item.value if len(item.value) <= _LABEL else f"{item.value[: _LABEL - 1]}…"
    bar = f'<rect class="bar" x="0" y="{top + 15}" width="{part * _WIDTH:.1f}" height="3"/>'
    label = f'<text x="0" y="{top + 11}">{_text(text or "(empty)")}<title>{_text(item.value)}</title></text>'
    return f'{bar}{label}<text x="{_WIDTH}" y="{top + 11}" text-anchor="end">{item.rows:,}</text>'


def _pairs(correlations: Sequence[Correlation], names: Sequence[str]) -> Iterator[str]:
    """A matrix, each pair in the shade of its strength."""
    if not correlations:
        return
    known = {frozenset((item.one, item.other)): item.value for item in correlations}
    head = "".join(f"<th>{_text(name)}</th>" for name in names)
    rows = "".join(
        f"<tr><th>{_text(one)}</th>{''.join(_pair(known.get(frozenset((one, other)))) for other in names)}</tr>"
        for one in names
    )
    yield f"<section style='display:block;overflow-x:auto'><h2>Correlations</h2><table class=pairs><tr><th></th>{head}</tr>{rows}</table></section>\n"


def _pair(value: float | None) -> str:
    if value is None:
        return "<td></td>"
    colour = "59,126,161" if value > 0 else "179,84,30"
    return f'<td style="background:rgba({colour},{abs(value) * 0.6:.2f})">{value:+.2f}</td>'
