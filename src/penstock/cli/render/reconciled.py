"""A table beside its source, for people: how many rows, which ranges differ, which keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from penstock.cli.output import printable
from penstock.cli.render.quality_markdown import cell, rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from penstock.service.reconciling import Example, KeyRange, Reconciled

_RANGES = ("keys from", "to before", "source", "target", "checksums")
_KEYS = ("what", "key", "source", "target", "values")
_NUMBERS = frozenset({"source", "target"})


def page(found: Sequence[Reconciled], *, every: bool) -> Iterator[RenderableType]:
    for place, one in enumerate(found):
        if place:
            yield ""
        style = "yellow" if one.differences else "green"
        yield Text.assemble((one.sink, "bold"), f"  against {one.against}  ", (verdict(one), style))
        yield Text("  ".join(_notes(one)), style="dim")
        shown = [item for item in one.ranges if every or not item.agrees]
        if shown:
            yield ""
            yield _table(_RANGES, map(_range_cells, shown))
        if one.examples:
            yield ""
            yield _table(_KEYS, map(_example_cells, one.examples))
        yield from (Text(line, style="dim") for line in _more(one))


def markdown(found: Sequence[Reconciled], *, every: bool) -> str:
    lines: list[str] = []
    for one in found:
        lines += [f"# {cell(one.sink)} against {cell(one.against)}: {cell(verdict(one))}", ""]
        lines += [*(f"- {cell(note)}" for note in _notes(one)), ""]
        shown = [item for item in one.ranges if every or not item.agrees]
        if shown:
            lines += [*rows(_RANGES, map(_range_cells, shown), _NUMBERS), ""]
        if one.examples:
            lines += [*rows(_KEYS, map(_example_cells, one.examples), _NUMBERS), ""]
        lines += [f"{cell(line)}" for line in _more(one)]
    return printable("\n".join([*lines, ""]))


def verdict(one: Reconciled) -> str:
    """In a few words."""
    again = f" + {one.replayed:,} repaired and sent again" if one.replayed else ""
    if not one.differences:
        how = f" ({one.source:,} of the source{again})" if again else ""
        return f"{one.target:,} rows, all alike{how}" if one.target else "no rows on either side"
    counts = [f"{total.keys:,} {kind.value}" for kind, total in one.totals.items() if kind.value != "newer"]
    return f"{', '.join(counts)}  ({one.source:,} rows in the source{again}, {one.target:,} in the target)"


def _notes(one: Reconciled) -> Iterator[str]:
    yield f"keys: {', '.join(one.keys)}" if one.keys else "no keys: rows are compared as wholes"
    agreeing = sum(1 for item in one.ranges if item.agrees)
    yield f"ranges: {agreeing} of {len(one.ranges)} alike"
    for name, why in one.left_out.items():
        yield f"not compared: {name} ({why})"
    newer = next((total for kind, total in one.totals.items() if kind.value == "newer"), None)
    if newer is not None:
        yield f"{newer.keys:,} keys have newer rows in the source that no run has loaded yet"
    refused = sum(one.rejected.values())
    if refused:
        yield f"{refused:,} rows of the source are rejected on the way"


def _more(one: Reconciled) -> Iterator[str]:
    for kind, total in one.totals.items():
        hidden = total.keys - sum(1 for example in one.examples if example.kind is kind)
        if hidden:
            yield f"and {hidden:,} more {kind.value}"


def _range_cells(item: KeyRange) -> tuple[str, ...]:
    same = "alike" if item.source.checksum == item.target.checksum else "differ"
    return (_key(item.low), _key(item.high), f"{item.source.rows:,}", f"{item.target.rows:,}", same)


def _key(key: tuple[str | None, ...] | None) -> str:
    return "" if key is None else ", ".join(_told(text) for text in key)


def _example_cells(example: Example) -> tuple[str, ...]:
    key = ", ".join(f"{name} {_told(text)}" for name, text in example.key.items())
    values = ", ".join(_value(name, *pair, example) for name, pair in example.values.items())
    return (example.kind.value, key, f"{example.source:,}", f"{example.target:,}", values)


def _value(name: str, one: str | None, other: str | None, example: Example) -> str:
    if not example.source or not example.target:
        return f"{name} {_told(one if example.source else other)}"
    return f"{name} {_told(one)} -> {_told(other)}" if one != other else f"{name} {_told(one)}"


def _told(text: str | None) -> str:
    return "null" if text is None else text


def _table(titles: Sequence[str], lines: Iterator[tuple[str, ...]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in titles:
        number = title in _NUMBERS
        table.add_column(title, justify="right" if number else "left", no_wrap=number, overflow="fold")
    for line in lines:
        table.add_row(*(Text(part) for part in line))
    return table
