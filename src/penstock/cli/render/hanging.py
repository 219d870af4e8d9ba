"""A line whose further lines stand under it, indented, where the terminal is too narrow for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from penstock.structs import Frozen

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult


class Hanging(Frozen):
    """One line; what does not fit goes on ``indent`` columns from the left."""

    line: Text
    indent: int = 4

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(options.max_width - self.indent, 1)
        for place, part in enumerate(self.line.wrap(console, width)):
            yield Text.assemble(" " * self.indent if place else "", part)
