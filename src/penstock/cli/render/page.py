"""What all pages of HTML share: one file that needs nothing else, in light and dark, on paper and on a small screen. Nothing is
loaded, and no script runs in it. Every text of the data goes through ``text``.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from penstock.cli.output import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

_STYLE: Final = """
:root {
  color-scheme: light dark;
  --paper: #f4f6f8; --card: #fff; --ink: #15202b; --soft: #5b6977; --line: #e1e7ec; --track: #e8edf1;
  --accent: #2b6f9e; --good: #1d7a4c; --some: #9a6209; --bad: #b2382e;
  --good-back: #e3f3ea; --some-back: #fbf0dc; --bad-back: #fbe7e5; --accent-back: #e3eef6;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #0f151b; --card: #171f27; --ink: #e5ebf0; --soft: #96a5b3; --line: #293440; --track: #26313c;
    --accent: #6db3e0; --good: #5cc590; --some: #e3ad50; --bad: #f0857a;
    --good-back: #16332a; --some-back: #3a2e15; --bad-back: #40201f; --accent-back: #183042;
  }
}
* { box-sizing: border-box }
body {
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; color: var(--ink);
  background: var(--paper); margin: 0 auto; max-width: 76rem; padding: 2rem 1.25rem 3rem;
}
h1 { font-size: 1.7rem; line-height: 1.2; font-weight: 650; letter-spacing: -.015em; margin: 0; overflow-wrap: anywhere }
h2 { font-size: 1.1rem; line-height: 1.3; font-weight: 650; margin: 0; overflow-wrap: anywhere }
p { margin: 0 }
code { font: .88em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace }
.kind { color: var(--accent); font-size: .75rem; font-weight: 650; letter-spacing: .09em; text-transform: uppercase }
.soft, th, svg text { color: var(--soft); fill: var(--soft) }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1.1rem 1.25rem; margin-top: 1rem }
.wide { overflow-x: auto; overscroll-behavior-x: contain }
.good { color: var(--good) } .some { color: var(--some) } .bad { color: var(--bad) }
.pill { border-radius: 1rem; padding: .1rem .6rem; font-size: .8rem; font-weight: 600; white-space: nowrap; font-variant-numeric: tabular-nums }
.pill.good { background: var(--good-back) } .pill.some { background: var(--some-back) } .pill.bad { background: var(--bad-back) }
.pill.plain { background: var(--track); color: var(--soft); font-weight: 500 }
.empty { text-align: center; color: var(--soft); padding: 3rem 1rem }
table { border-collapse: collapse; font-size: .9rem; width: 100% }
th { font-weight: 500; font-size: .78rem; text-align: left; white-space: nowrap }
td, th { padding: .4rem 1rem .4rem 0; vertical-align: top }
td:last-child, th:last-child { padding-right: 0 }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
svg { display: block }
@media print { body { background: none; max-width: none; padding: 0 } .card { break-inside: avoid } }
"""


def document(title: str, style: str, parts: Iterable[str]) -> str:
    """A whole document; ``style`` is what this page has besides."""
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{text(title)}</title><style>{_STYLE}{style}</style></head><body>",
            *parts,
            "</body></html>\n",
        )
    )


def text(value: object) -> str:
    """No markup, nothing that moves a cursor or turns the direction of writing, and one line."""
    return escape(printable(str(value)).replace("\n", "⏎"), quote=True)


__all__ = ["document", "text"]
