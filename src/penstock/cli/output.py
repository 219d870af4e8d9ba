"""Where output goes: people's to the terminal, progress and problems to stderr, one JSON object to stdout."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console, RenderableType

    from penstock.errors import Problem


def stdout() -> Console:
    from rich.console import Console

    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def stderr() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def show(*what: RenderableType) -> None:
    """For people; NO_COLOR and a pipe give plain text."""
    console = stdout()
    for item in what:
        console.print(item)


def print_json(value: object) -> None:
    """One JSON object and a line end; texts as they are."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=_plain, indent=2 if sys.stdout.isatty() else None))
    sys.stdout.write("\n")
    sys.stdout.flush()


def _plain(value: Any) -> str:
    return str(value)


def tell(problems: Iterable[Problem]) -> None:
    """Errors and warnings in the form of style.md, to stderr."""
    from rich.text import Text

    console = stderr()
    for problem in problems:
        text = Text(problem.render())
        first = text.plain.split(":", 1)[0]
        text.stylize("bold yellow" if problem.severity == "warning" else "bold red", 0, len(first))
        console.print(text, soft_wrap=True)
        console.print()
