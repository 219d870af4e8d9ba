"""``penstock torture``."""

from __future__ import annotations

from typing import Annotated

import typer

from penstock.cli import options
from penstock.cli.help import Command
from penstock.errors import ConfigError


def register(app: typer.Typer) -> None:
    app.command(cls=Command)(torture)


def torture(
    context: typer.Context,
    file: options.File,
    *,
    lasting: Annotated[
        str, typer.Option("--for", metavar="TIME", help="How long; crash points come first, then chance.")
    ] = "2 min",
    trials: Annotated[
        int | None, typer.Option(metavar="NUMBER", min=1, help="No more trials than this.", show_default=False)
    ] = None,
    chosen: Annotated[
        str, typer.Option("-k", metavar="TEXT", help="Only crash points with this in their names.", show_default=False)
    ] = "",
    seed: Annotated[
        int | None,
        typer.Option(metavar="NUMBER", help="What chance is drawn from; else a new one.", show_default=False),
    ] = None,
    param: options.Param = None,
    env: options.Env = None,
    allow_path: options.AllowPath = None,
    json: options.Json = False,
) -> int:
    """Kill, freeze and cut off runs over scratch sinks.

    Each trial is followed by a run that completes; its rows are compared with those of undisturbed runs. Real sinks, ledger
    and rejects are not touched. Exits with 1 where what the pipeline guarantees was broken.
    """
    from penstock.cli.output import print_json, show
    from penstock.cli.render.progress import told_to
    from penstock.cli.render.torture import torture_page, tortured_json
    from penstock.service import torturing

    try:
        seconds = torturing.seconds_of(lasting)
    except ValueError as error:
        raise ConfigError("CLI-140", f'"{lasting}" is no time', detail=f"--for {error}.") from None
    request = options.request_of(file, options.settings_of(env, param, allow_path=allow_path))
    with told_to(quiet=json or options.globals_of(context).quiet) as told:
        bounds = torturing.Bounds(seconds, trials, chosen)
        found = torturing.torture(request, bounds, seed=torturing.new_seed() if seed is None else seed, told=told)
    if json:
        print_json(tortured_json(found))
    else:
        show(*torture_page(found))
    return 0 if found.holds else 1
