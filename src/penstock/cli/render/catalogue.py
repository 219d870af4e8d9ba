"""The catalogue for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from penstock.service.describing import parameters_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from penstock.errors.catalogue import ErrorCode
    from penstock.service.describing import Descriptor


def components_table(found: Sequence[Descriptor]) -> Table:
    """One row per name: what it is, and whether it reads, writes, or both."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    by_name: dict[str, list[Descriptor]] = {}
    for item in found:
        by_name.setdefault(item.name, []).append(item)
    table.add_column("name", style="bold")
    table.add_column("is")
    table.add_column("does", overflow="fold")
    for name, items in sorted(by_name.items()):
        table.add_row(name, ", ".join(item.group.removesuffix("s") for item in items), items[0].summary)
    return table


def component_page(item: Descriptor) -> Iterator[RenderableType]:
    yield Text.assemble((item.name, "bold"), (f"  {item.group.removesuffix('s')}", "dim"))
    yield Padding(Text(item.summary), (0, 0, 1, 2))
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("parameter", style="bold", overflow="fold")
    table.add_column("type", overflow="fold")
    table.add_column("default", overflow="fold")
    table.add_column("meaning", overflow="fold")
    for parameter in parameters_of(item):
        table.add_row(
            parameter.name, parameter.type, "needed" if parameter.required else parameter.default, parameter.description
        )
    yield Padding(table, (0, 0, 1, 2))
    if item.capabilities:
        yield Padding(Text(f"can: {', '.join(sorted(one.value for one in item.capabilities))}"), (0, 0, 0, 2))
    if item.modes:
        yield Padding(Text(f"modes: {', '.join(item.modes)}"), (0, 0, 0, 2))
    if item.extra is not None:
        yield Padding(Text(f"needs: pip install 'penstock[{item.extra}]'"), (0, 0, 0, 2))
    if item.dimension is not None:
        yield Padding(Text(f"about: {item.dimension}"), (0, 0, 0, 2))
    for note in item.notes:
        yield Padding(Text(f"- {note}"), (0, 0, 0, 2))
    yield Padding(Syntax(item.example.strip(), "yaml", background_color="default", word_wrap=True), (1, 0, 1, 2))


def errors_table(found: Sequence[ErrorCode]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("code", style="bold")
    table.add_column("class")
    table.add_column("is", overflow="fold")
    for item in found:
        table.add_row(item.code, item.error_class, item.title)
    return table
