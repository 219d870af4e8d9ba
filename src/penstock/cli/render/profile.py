"""The profile of a node, as text and as JSON."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table
from rich.text import Text

from penstock.cli.render.hanging import Hanging
from penstock.cli.render.rows import cell
from penstock.structs import Frozen, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from penstock.service.advising import Advice
    from penstock.service.profiling import Bin, ColumnProfile, Frequent, Profile

_BARS: Final = "▁▂▃▄▅▆▇█"
_FREQUENT: Final = 5  # values of a line
_STRONG: Final = 0.3  # the weakest correlation that is shown
_PAIRS: Final = 10
_FIGURES: Final = ("nulls", "distinct", "min", "median", "max", "mean", "stddev")
_FLOATS: Final = frozenset({"float32", "float64"})
_ANY_WIDTH: Final = 10_000
HIDDEN: Final = "***"


def profile_page(found: Profile) -> Iterator[RenderableType]:
    yield Text.assemble((found.name, "bold"), f"  {found.rows:,} rows, {len(found.columns):,} columns")
    yield _Columns(found)
    strong = [item for item in found.correlations if abs(item.value) >= _STRONG][:_PAIRS]
    if strong:
        yield Text(f"correlated: {', '.join(f'{one.one} and {one.other} {one.value:+.2f}' for one in strong)}")
    if found.rejected:
        where = ", ".join(f"{rows:,} at {node}" for node, rows in found.rejected.items())
        yield Text(f"rejected, and not looked at: {where}", style="yellow")
    yield Text("~ is approximate; so are medians, and which values are the most frequent", style="dim")


class _Columns(Frozen):
    """A row of figures each, and a line each for what they have besides; where the terminal is too narrow for the table,
    a block each.
    """

    found: Profile

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns, rows = self.found.columns, self.found.rows
        table = _table(columns, rows)
        wanted = console.measure(table, options=options.update(width=_ANY_WIDTH)).maximum
        if wanted > options.max_width:
            yield from (line for one in columns for line in _block(one, rows))
            return
        yield table
        for one in columns:
            if parts := _values(one):
                yield Hanging(Text.assemble((cell(one.name).plain, "bold"), f": {'; '.join(parts)}"), indent=2)


def _table(columns: Sequence[ColumnProfile], rows: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("column", overflow="fold")
    table.add_column("type", overflow="fold")
    for title in _FIGURES:
        table.add_column(title, justify="right", overflow="fold")
    table.add_column("histogram", no_wrap=True)
    for one in columns:
        name, kind = Text(cell(one.name).plain, style="bold"), Text(_kind(one))
        table.add_row(name, kind, *_figures(one, rows), Text(_spark(one.histogram)))
    return table


def _block(one: ColumnProfile, rows: int) -> Iterator[RenderableType]:
    yield ""
    yield Hanging(Text.assemble((cell(one.name).plain, "bold"), f"  {_kind(one)}"))
    figures = zip(_FIGURES, _figures(one, rows), strict=True)
    told = [Text.assemble((f"{title} ", "dim"), value) for title, value in figures if value.plain]
    yield Hanging(Text("  ").append_text(Text(", ").join(told)))
    yield from (Hanging(Text(f"  {part}")) for part in _values(one))
    if one.histogram:
        yield Text(f"  {_spark(one.histogram)}")


def _kind(one: ColumnProfile) -> str:
    return " ".join((one.type, *(f"[{label}]" for label in one.labels)))


def _figures(one: ColumnProfile, rows: int) -> Iterator[Text]:
    """Those of ``_FIGURES``, empty where there is none."""
    yield Text(share(one.nulls, rows), style="yellow" if one.nulls else "dim")
    yield Text(f"{'' if one.is_exact else '~'}{one.distinct:,}")
    median = next((item.value for item in one.quantiles if item.share == 0.5), None)  # noqa: PLR2004 -- the half
    for value in (one.minimum, median, one.maximum, one.mean, one.stddev):
        yield (
            Text(HIDDEN, style="dim") if one.is_hidden else Text("" if value is None else cell(told(one, value)).plain)
        )


def _values(one: ColumnProfile) -> list[str]:
    """What a column has besides figures."""
    parts = [
        f"{rows:,} {what}"
        for what, rows in (("NaN", one.nan), ("infinite", one.infinite), ("empty", one.empty))
        if rows
    ]
    if one.lengths is not None:
        shortest, mean, longest = one.lengths
        parts.append(f"length {shortest:,} to {longest:,}, {mean:.1f} on average")
    if one.top:
        parts.append(f"most frequent {_listed(frequent(one))}")
    if one.patterns:
        parts.append(f"patterns {_listed(one.patterns)}")
    return parts


def _listed(items: Sequence[Frequent]) -> str:
    return ", ".join(f"{cell(item.value).plain} ({item.rows:,})" for item in items[:_FREQUENT])


def frequent(one: ColumnProfile) -> list[Frequent]:
    """The most frequent values of the column as people read them."""
    return [replace(item, value=told(one, item.value)) for item in one.top]


def share(part: int, rows: int) -> str:
    """``12.5 %``; small shares are not none."""
    if not part:
        return "0 %"
    percent = 100 * part / rows
    return f"{percent:.1f} %" if percent >= 0.1 else "<0.1 %"  # noqa: PLR2004 -- the least that one digit shows


def told(one: ColumnProfile, value: float | str) -> str:
    """A value of the column as people read it: of a float six digits, also where it comes as a text."""
    return number(float(value) if one.type in _FLOATS else value)


def number(value: float | str) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _spark(bins: Sequence[Bin]) -> str:
    most = max((one.rows for one in bins), default=0)
    return "".join(_BARS[-(-one.rows * (len(_BARS) - 1) // most)] if most else " " for one in bins)


# ---------------------------------------------------------------- rules that would have held

_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_NODE: Final = re.compile(r"[a-z][a-z0-9_]*")
_WORDS: Final = frozenset({"null", "true", "false"})


def patch(found: Profile) -> str:
    """YAML to be merged into the document; of a file what the source ``file`` would have."""
    if not found.advice or found.section is None:
        return f"# {found.rows:,} rows suggest no rule that is not there yet\n"
    name = found.name if _NODE.fullmatch(found.name) else "file"
    before = f", and of what {found.runs:,} runs wrote" if found.runs else ""
    lines = [
        f"# true of all {found.rows:,} rows{before}; widen what may grow",
        f"{found.section}:",
        *rules_of(name, found.advice),
    ]
    return "\n".join([*lines, ""])


def rules_of(name: str, advice: Sequence[Advice], said: Callable[[Advice], str] = lambda _: "") -> list[str]:
    """The lines of one node. ``said``: what stands behind a rule, as a comment."""
    return [f"  {name}:", "    rules:", *(line for item in advice for line in _lines(item, said(item)))]


def _lines(item: Advice, said: str) -> Iterator[str]:
    yield f"      - {_rule(item)}{f'  # {said}' if said else ''}"
    if item.of_epoch:
        yield "        scope: epoch"


def _rule(item: Advice) -> str:
    if item.params is None:
        return f"{item.rule}: {_yaml(list(item.columns))}"
    values = (
        f"{name}: {value if item.is_number and name != 'column' else _yaml(value)}"
        for name, value in item.params.items()
    )
    return f"{item.rule}: {{{', '.join(values)}}}"


def _yaml(value: str | list[str]) -> str:
    """A text is quoted where YAML would take it for something else; JSON's quoting is YAML's."""
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    is_plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
    return value if is_plain else json.dumps(value)


# ---------------------------------------------------------------- JSON


def profile_json(found: Profile) -> dict[str, Any]:
    return {
        "name": found.name,
        "rows": found.rows,
        "columns": [_column_json(one) for one in found.columns],
        "correlations": [{"one": item.one, "other": item.other, "value": item.value} for item in found.correlations],
        "correlated": list(found.correlated),
        "rejected": [{"node": node, "rows": rows} for node, rows in found.rejected.items()],
        "advice": advice_json(found.advice),
    }


def advice_json(advice: Sequence[Advice]) -> list[dict[str, Any]]:
    return [
        {
            "rule": item.rule,
            **(item.params or {"columns": list(item.columns)}),
            **({"scope": "epoch"} if item.of_epoch else {}),
        }
        for item in advice
    ]


def _column_json(one: ColumnProfile) -> dict[str, Any]:
    """What a hidden column has of values is not there at all."""
    known = {
        "name": one.name,
        "type": one.type,
        "labels": list(one.labels),
        "hidden": one.is_hidden,
        "count": one.count,
        "nulls": one.nulls,
        "distinct": one.distinct,
        "distinct_is_exact": one.is_exact,
        "nan": one.nan,
        "infinite": one.infinite,
    }
    if one.is_hidden:
        return known
    lengths = dict(zip(("min", "mean", "max"), one.lengths, strict=True)) if one.lengths is not None else None
    return known | {
        "empty": one.empty,
        "min": one.minimum,
        "max": one.maximum,
        "mean": one.mean,
        "stddev": one.stddev,
        "lengths": lengths,
        "quantiles": [{"share": item.share, "value": item.value} for item in one.quantiles],
        "top": [{"value": item.value, "rows": item.rows} for item in one.top],
        "patterns": [{"pattern": item.value, "rows": item.rows} for item in one.patterns],
        "histogram": [{"low": item.low, "high": item.high, "rows": item.rows} for item in one.histogram],
    }
