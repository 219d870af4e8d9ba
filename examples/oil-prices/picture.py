"""The prices of Brent and WTI and their spread as one SVG, drawn from the serving table; no library needed."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

WIDTH, LEFT, RIGHT = 960, 56, 16
INK, FAINT = "#1f2933", "#d5dbe1"
BRENT, WTI, SPREAD = "#b4451f", "#1f6fb4", "#4a7c3a"


@dataclass(frozen=True)
class Line:
    name: str
    colour: str
    values: Sequence[float]


@dataclass(frozen=True)
class Panel:
    title: str
    top: int
    height: int
    lines: Sequence[Line]


def draw(database: Path, out: Path) -> Path:
    """Monthly means of EIA's spot prices; the file written."""
    query = """
        select substr(price_date, 1, 7) as month, avg(cast(brent_usd as real)), avg(cast(wti_usd as real)),
               avg(cast(spread_usd as real))
        from spread where publisher = 'EIA' group by month order by month
    """
    with sqlite3.connect(database) as connection:
        rows = connection.execute(query).fetchall()
    months = [date.fromisoformat(f"{month}-01") for month, *_ in rows]
    brent, wti, spread = (list(column) for column in zip(*(row[1:] for row in rows), strict=True))
    panels = [
        Panel("US dollars a barrel, monthly mean", 48, 300, [Line("Brent", BRENT, brent), Line("WTI", WTI, wti)]),
        Panel("Brent less WTI", 396, 120, [Line("spread", SPREAD, spread)]),
    ]
    parts = [panel_svg(panel, months) for panel in panels]
    size = f'width="{WIDTH}" height="552" viewBox="0 0 {WIDTH} 552"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12" fill="{INK}">'
    title = f'<text x="{LEFT}" y="24" font-size="16" font-weight="bold">Crude oil, {months[0].year} to {months[-1].year}</text>'
    out.write_text(
        "\n".join([head, f'<rect width="{WIDTH}" height="552" fill="white"/>', title, *parts, "</svg>\n"]),
        encoding="utf-8",
    )
    return out


def panel_svg(panel: Panel, months: Sequence[date]) -> str:
    every = [value for line in panel.lines for value in line.values]
    step = nice_step(max(every) - min(*every, 0))
    low, high = step * (min(*every, 0) // step), step * -(-max(every) // step)

    def y(value: float) -> float:
        return panel.top + panel.height * (high - value) / (high - low)

    def x(place: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * place / max(len(months) - 1, 1)

    parts = [f'<text x="{LEFT}" y="{panel.top - 8}" fill="#52606d">{escape(panel.title)}</text>']
    value = low
    while value <= high:
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="{FAINT}"/>'
        )
        parts.append(f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
        value += step
    for place, month in enumerate(months):
        if month.month == 1 and month.year % 5 == 0:
            parts.append(
                f'<text x="{x(place):.1f}" y="{panel.top + panel.height + 18}" text-anchor="middle">{month.year}</text>'
            )
    for number, line in enumerate(panel.lines):
        points = " ".join(f"{x(place):.1f},{y(value):.1f}" for place, value in enumerate(line.values))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{line.colour}" stroke-width="1.5"/>')
        parts.append(
            f'<text x="{WIDTH - RIGHT - 60}" y="{panel.top + 14 + 16 * number}" fill="{line.colour}">{escape(line.name)}</text>'
        )
    return "\n".join(parts)


def nice_step(span: float) -> float:
    """About five steps of 1, 2 or 5 times a power of ten."""
    power = 10.0
    while span / power < 5:
        power /= 10
    while span / power > 50:
        power *= 10
    return next(power * part for part in (1, 2, 5, 10) if span / (power * part) <= 6)
