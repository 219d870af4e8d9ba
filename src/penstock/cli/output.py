"""Where output goes: people's to the terminal, progress and problems to stderr, one JSON object to stdout."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from typing import TYPE_CHECKING, Final, TextIO

from penstock.cli.arguments import wants_json
from penstock.cli.signals import answer_stands

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from penstock.errors import Problem

INTERRUPTED: Final = 130
STOPPED: Final = 4
_UNBOUNDED: Final = 10_000  # columns of a pipe: nothing is folded or cut there
_CONTROL: Final = re.compile("[\x7f-\x9f]")  # JSON leaves these as they are; some terminals obey them


def printable(text: str) -> str:
    """Nothing in it moves a cursor, sets a colour, or turns the direction of writing: data may hold anything."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "\N{REPLACEMENT CHARACTER}" for letter in text)


def show(*what: RenderableType) -> None:
    """For people, to stdout; NO_COLOR and a pipe give plain text."""
    _show(sys.stdout, what)


def tell(problems: Iterable[Problem]) -> None:
    """Errors and warnings in the form of style.md, to stderr."""
    problems = list(problems)
    if not problems:
        return
    from rich.text import Text

    shown = []
    for problem in problems:
        text = Text(problem.render().expandtabs(4) + "\n", no_wrap=True, overflow="ignore")
        first = text.plain.split(":", 1)[0]
        text.stylize("bold yellow" if problem.severity == "warning" else "bold red", 0, len(first))
        shown.append(text)
    _show(sys.stderr, shown, soft_wrap=True)


def print_json(value: object) -> None:
    """One JSON object and a line end, to stdout; texts as they are where the stream can carry them."""
    answer_stands()
    unicode = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "") == "utf8"
    text = json.dumps(value, ensure_ascii=not unicode, default=str, indent=2 if sys.stdout.isatty() else None)
    write(_CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")


def interrupted(arguments: Sequence[str]) -> int:
    """What an interrupted command says, where it has not said anything by itself; its exit code."""
    answer_stands()
    if wants_json(arguments):
        print_json({"ok": False, "status": "interrupted", "problems": []})
    write("interrupted; the state is consistent\n", sys.stderr)
    return INTERRUPTED


def write(text: str, stream: TextIO | None = None) -> None:
    """To stdout, at once. Raises TransientError CLI-113 (``streams``)."""
    stream = stream or sys.stdout
    stream.write(text)
    stream.flush()


class _Safe:
    """A renderable of which only printable characters come through; styles stay."""

    def __init__(self, item: RenderableType) -> None:
        self._item = item

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.segment import Segment

        for segment in console.render(self._item, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)


def _show(stream: TextIO, what: Iterable[RenderableType], *, soft_wrap: bool = False) -> None:
    from rich.console import Console

    if stream.isatty():
        console = Console(file=stream, highlight=False, markup=False)
        for item in what:
            console.print(_Safe(_plain(item)), soft_wrap=soft_wrap)
        return
    width = os.environ.get("COLUMNS", "")
    buffer = io.StringIO()
    console = Console(
        file=buffer,
        highlight=False,
        markup=False,
        color_system=None,
        force_terminal=False,
        width=int(width) if width.isdecimal() and int(width) else _UNBOUNDED,
    )
    for item in what:
        console.print(_Safe(_plain(item)), soft_wrap=soft_wrap)
    write("".join(f"{line.rstrip()}\n" for line in buffer.getvalue().splitlines()), stream)


def _plain(item: RenderableType) -> RenderableType:
    """Brackets in a text are brackets, never markup."""
    from rich.text import Text

    return Text(item) if isinstance(item, str) else item
