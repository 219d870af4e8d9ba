"""``penstock profile``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from penstock.cli import options
from penstock.cli.help import Command
from penstock.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.service.profiling import Profile
    from penstock.service.request import Settings


def register(app: typer.Typer) -> None:
    app.command(cls=Command)(profile)


def profile(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="The pipeline file.", show_default=False)] = None,
    node: Annotated[
        str | None, typer.Argument(metavar="NODE", help="A source, a transform, a step or a sink.", show_default=False)
    ] = None,
    *,
    path: Annotated[
        Path | None,
        typer.Option(metavar="F", help="A data file instead, or a pattern of several.", show_default=False),
    ] = None,
    format: Annotated[  # noqa: A002 -- the option's name
        Literal["text", "json", "html"], typer.Option("--format", help="How it is printed.")
    ] = "text",
    advise: Annotated[
        bool, typer.Option("--advise", help="Print rules that held for all rows, as a patch to the document.")
    ] = False,
    allow: options.Allow = None,
    param: options.Param = None,
    env: options.Env = None,
    allow_path: options.AllowPath = None,
    json: options.Json = False,
) -> int:
    """What the rows of a node or a file are like.

    Counts, nulls, distinct values, quantiles, patterns, correlations.

    All rows are read, once. Columns with labels show no values. Distinct counts above 1,000, quantiles, and which values
    are the most frequent are approximate. --format html prints one page that needs nothing else.
    """
    from penstock.cli.output import print_json, printable, show, write
    from penstock.cli.render import profile as render
    from penstock.cli.render.progress import told_to

    settings = options.settings_of(env, param, allow_path=allow_path)
    chosen: Literal["text", "json", "html"] = "json" if json else format
    with told_to(quiet=chosen != "text" or options.globals_of(context).quiet) as told:
        found = _profile(settings, file, node, path=path, allow=allow or (), told=told)
    match chosen:
        case "json":
            print_json(render.profile_json(found))
        case "html":
            from penstock.cli.render.profile_html import profile_html

            write(profile_html(found))
        case "text" if advise:
            write(printable(render.patch(found)))
        case "text":
            show(*render.profile_page(found))
    return 0


def _profile(
    settings: Settings,
    file: Path | None,
    node: str | None,
    *,
    path: Path | None,
    allow: list[str] | tuple[str, ...],
    told: Callable[[str], None],
) -> Profile:
    from penstock.service import profiling

    if path is not None and file is None:
        return profiling.profile_file(options.request_of(path, settings), told)
    if path is None and file is not None and node is not None:
        return profiling.profile(options.request_of(file, settings), node, allow, told)
    raise ConfigError(
        "CLI-132", "a node of a pipeline or a file is wanted", hint="`profile FILE NODE`, or `profile --path F`"
    )
