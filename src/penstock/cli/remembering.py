"""``penstock runs`` and ``penstock quality``: what the ledger remembers."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from penstock.cli import options
from penstock.cli.help import Command


def register(app: typer.Typer) -> None:
    runs = typer.Typer(help="History and state of runs.", no_args_is_help=True, rich_markup_mode=None)
    runs.command("list", cls=Command)(list_runs)
    runs.command("show", cls=Command)(show_run)
    runs.command("stop", cls=Command)(stop_runs)
    app.add_typer(runs, name="runs")
    app.command(cls=Command)(quality)


def list_runs(
    *,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="NUMBER", min=1, help="How many, newest first.")] = 20,
    pipeline: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this pipeline.", show_default=False)
    ] = None,
    project: options.Project = None,
    json: options.Json = False,
) -> int:
    """Runs of this project, newest first."""
    from penstock.cli.output import print_json, show
    from penstock.cli.render.as_json import run_json
    from penstock.service import remembering

    found = remembering.list_runs(options.settings_of(project=project), limit=limit, pipeline=pipeline)
    if json:
        print_json({"runs": [run_json(each.run, each.stop) for each in found]})
    elif found:
        from penstock.cli.render.history import runs_table

        show(runs_table(found))
    else:
        show("nothing has been run yet" if pipeline is None else f'no run of a pipeline "{pipeline}"')
    return 0


def show_run(
    run_id: Annotated[
        str | None,
        typer.Argument(metavar="RUN_ID", help="An id, or how it begins; else the newest.", show_default=False),
    ] = None,
    *,
    project: options.Project = None,
    json: options.Json = False,
) -> int:
    """One run: its epochs, receipts and balance."""
    from penstock.cli.output import print_json, show
    from penstock.cli.render.as_json import details_json
    from penstock.service import remembering

    details = remembering.show_run(options.settings_of(project=project), run_id)
    if json:
        print_json(details_json(details))
    else:
        from penstock.cli.render.history import details_page

        show(*details_page(details))
    return 0


def stop_runs(
    named: Annotated[str, typer.Argument(metavar="FILE|PIPELINE", help="A pipeline, or its file.", show_default=False)],
    *,
    grace: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION", help="What its epoch is given to end in; else the document's.", show_default=False
        ),
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="Abort its epoch at once.")] = False,
    env: options.Env = None,
    project: options.Project = None,
    json: options.Json = False,
) -> int:
    """Ask a run to end, wherever it runs, and wait until it has.

    The epoch that is at work is finished if it can within the grace, else aborted; the state is consistent either way.
    """
    from penstock.cli.output import print_json, show
    from penstock.cli.render.stops import stopped_page
    from penstock.service import stopping

    allowed = stopping.grace_of(grace, now=now)
    result = stopping.stop(options.settings_of(env, project=project), named, grace=allowed)
    if json:
        print_json(result.to_json())
    else:
        show(*stopped_page(result))
    return 0


def quality(
    context: typer.Context,
    file: options.File,
    *,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="ID", help="A run, or how its id begins; else the newest.", show_default=False),
    ] = None,
    format: Annotated[  # noqa: A002 -- the option's name
        Literal["text", "markdown", "html"], typer.Option("--format", help="How it is printed.")
    ] = "text",
    advise: Annotated[
        bool, typer.Option("--advise", help="Print rules that held in all runs, as a patch to the document.")
    ] = False,
    from_history: Annotated[
        bool, typer.Option("--from-history", help="Advise by what runs left in the ledger alone; no row is read.")
    ] = False,
    param: options.Param = None,
    env: options.Env = None,
    allow_path: options.AllowPath = None,
    json: options.Json = False,
) -> int:
    """What the rules of a pipeline found in a run, scored.

    --advise prints rules that would have held in all runs, as a patch to the document: by the figures that runs left in the
    ledger, and by what the sinks' tables hold now, which are read once. With --from-history no row is read, and less is
    advised: `unique` never.
    """
    from penstock.cli.output import print_json, printable, show, write
    from penstock.service.quality import quality as report_of

    settings = options.settings_of(env, param, allow_path=allow_path)
    if advise or from_history:
        from penstock.cli.render import advice
        from penstock.cli.render.progress import told_to
        from penstock.service.suggesting import suggested

        with told_to(quiet=json or options.globals_of(context).quiet) as told:
            rules = suggested(options.request_of(file, settings), reads=not from_history, told=told)
        if json:
            print_json(advice.to_json(rules))
        else:
            write(printable(advice.patch(rules)))
        return 0
    found = report_of(options.request_of(file, settings), run)
    if json:
        print_json(found.to_json(lambda report: report.to_json()))
    elif format == "text":
        from penstock.cli.render.quality import pages

        show(*pages(found.answers))
    elif format == "markdown":
        from penstock.cli.render.quality_markdown import markdown

        write(markdown(found.answers))
    else:
        from penstock.cli.render.quality_html import html

        write(html(found.answers))
    return 0
