"""The quality report of a run for people: scores, and what each rule found."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from penstock.cli.render.rows import cell

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from penstock.service.quality import Dataset, Quality, RuleScore

_BARS: Final = "▁▂▃▄▅▆▇█"


def pages(reports: Sequence[Quality]) -> Iterator[RenderableType]:
    """Those of a document with ``tables:`` behind a line for each."""
    if len(reports) > 1:
        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("pipeline", overflow="fold")
        for title in ("quality", "rules"):
            table.add_column(title, justify="right", no_wrap=True)
        for report in sorted(reports, key=_worst_first):
            table.add_row(cell(report.pipeline), per_cent(report.score), f"{len(report.rules):,}")
        yield table
    for report in reports:
        if len(reports) > 1:
            yield ""
        yield from page(report)


def _worst_first(report: Quality) -> tuple[float, str]:
    return (1 if report.score is None else report.score, report.pipeline)


def page(found: Quality) -> Iterator[RenderableType]:
    yield Text.assemble(
        (found.pipeline, "bold"),
        f"  quality {per_cent(found.score)}  ",
        (subtitle(found), "dim"),
    )
    if found.dimensions:
        yield "  ".join(f"{name} {per_cent(score)}" for name, score in found.dimensions.items())
    if len(found.history) > 1:
        yield Text(f"{curve(found.history)}  the last {len(found.history)} runs", style="dim")
    for one in found.reconciled:
        yield Text(str(one), style="yellow" if one.differences else "")
    yield from map(str, found.sent_again)
    if not found.datasets:
        yield "no node of the pipeline has rules"
    for dataset in found.datasets:
        yield ""
        yield Text.assemble((dataset.name, "bold"), f"  {per_cent(dataset.score)}", (f"  {unseen(dataset)}", "dim"))
        yield _table(dataset.rules)
        for rule in dataset.rules:  # beneath: as a column it would leave a narrow terminal no room for the others
            if rule.about:
                yield Text(f"  {rule.rule}: {about(rule)}", style="dim")
        for rule in dataset.rules:
            yield from _samples(rule)


def subtitle(report: Quality) -> str:
    """Of which run it is."""
    what = "replay" if report.is_replay else "run"
    return f"{what} {report.run_id}, {report.at:%Y-%m-%d %H:%M} UTC"


def unseen(dataset: Dataset) -> str:
    """What no score counts; nothing where there is none."""
    if not dataset.unseen:
        return ""
    what = "1 row was" if dataset.unseen == 1 else f"{dataset.unseen:,} rows were"
    return f"{what} rejected before these rules"


def _table(rules: tuple[RuleScore, ...]) -> Table:
    """Without the columns that would say the same of every rule: nothing of the runs before, nothing found, one weight."""
    weighed = any(rule.weight != 1 for rule in rules)
    remembered = any(len(rule.history) > 1 for rule in rules)
    said = any(map(found, rules))
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("rule", overflow="fold")
    for title in ("dimension", "on_fail"):  # words of our own, short: a narrow terminal folds names and findings
        table.add_column(title, no_wrap=True)
    for title in (*(("weight",) if weighed else ()), "rows", "violating", "score"):
        table.add_column(title, justify="right", no_wrap=True)
    if remembered:
        table.add_column("before")
    if said:
        table.add_column("found", overflow="fold")
    for rule in rules:
        style = "yellow" if rule.score < 1 else ""
        table.add_row(
            rule.rule,
            rule.dimension,
            rule.on_fail,
            *([f"{rule.weight:g}"] if weighed else []),
            f"{rule.rows:,}",
            f"{rule.violating:,}" if rule.violating is not None else "",
            Text(per_cent(rule.score), style=style),
            *([curve(rule.history) if len(rule.history) > 1 else ""] if remembered else []),
            *([found(rule)] if said else []),
        )
    return table


def about(rule: RuleScore) -> str:
    """``price, min -50, max 500``: its columns by themselves, then what it holds them against."""
    return ", ".join(
        value if name in {"column", "columns", rule.kind} else f"{name} {value}" for name, value in rule.about.items()
    )


def per_cent(score: float | None) -> str:
    """``100 %`` is all that there is: what is a little less is not rounded up to it."""
    if score is None:
        return "-"
    return "100 %" if score == 1 else f"{min(score * 100, 99.99):.2f} %"


def curve(history: tuple[float, ...]) -> str:
    """A bar for each score, oldest first: the lowest one is 0, the highest 1."""
    return "".join(_BARS[min(int(score * len(_BARS)), len(_BARS) - 1)] for score in history)


def found(rule: RuleScore) -> str:
    """What is said of it, else its figures and what they are to be."""
    if rule.said is not None:
        return rule.said
    return "; ".join(filter(None, (figures(rule), rule.note)))


def figures(rule: RuleScore) -> str:
    """What it measured."""
    return ", ".join(f"{name} {_figure(value)}" for name, value in rule.measured.items())


def _figure(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "none"
    return f"{value:,.6g}" if isinstance(value, float) else f"{value:,}"


def shown(value: object) -> str:
    """A value of a sample: a text as it is, anything else as JSON writes it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _samples(rule: RuleScore) -> Iterator[RenderableType]:
    if not rule.samples:
        return
    yield ""
    yield Text(f"rows that violate {rule.rule}", style="dim")
    table = Table(box=None, pad_edge=False, header_style="dim")
    names = list(dict.fromkeys(name for row in rule.samples for name in row))
    for name in names:
        table.add_column(cell(name), overflow="fold")
    for row in rule.samples:
        table.add_row(*(cell(row.get(name)) for name in names))
    yield table
