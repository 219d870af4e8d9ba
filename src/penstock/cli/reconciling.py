"""``penstock reconcile``."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from penstock.cli import options
from penstock.cli.help import Command


def register(app: typer.Typer) -> None:
    app.command(cls=Command)(reconcile)


def reconcile(
    context: typer.Context,
    file: options.File,
    sink: Annotated[
        str | None,
        typer.Argument(metavar="SINK", help="A sink; else every one that says `reconcile:`.", show_default=False),
    ] = None,
    *,
    format: Annotated[  # noqa: A002 -- the option's name
        Literal["text", "markdown"], typer.Option("--format", help="How it is printed.")
    ] = "text",
    every: Annotated[bool, typer.Option("--all", help="Show the ranges of keys that agree, too.")] = False,
    allow: options.Allow = None,
    param: options.Param = None,
    env: options.Env = None,
    allow_path: options.AllowPath = None,
    json: options.Json = False,
) -> int:
    """Compare a sink's table with what its source gives.

    Rows are counted and summed up by ranges of keys; where a range differs its keys are told: missing, extra, repeated,
    differing. Nothing is written. Columns with labels show no values. Exits with 1 where anything differs.
    """
    from penstock.cli.output import print_json, show, tell, write
    from penstock.cli.render import reconciled as render
    from penstock.cli.render.progress import told_to
    from penstock.service.reconciling import reconcile as reconciled

    settings = options.settings_of(env, param, allow_path=allow_path)
    quiet = json or format != "text" or options.globals_of(context).quiet
    with told_to(quiet=quiet) as told:
        found = reconciled(options.request_of(file, settings), sink, allow=allow or (), told=told)
    tell(problem for one in found for problem in one.warnings)
    if json:
        print_json({"agrees": not any(one.differences for one in found), "sinks": [one.to_json() for one in found]})
    elif format == "markdown":
        write(render.markdown(found, every=every))
    else:
        show(*render.page(found, every=every))
    return 1 if any(one.differences for one in found) else 0
