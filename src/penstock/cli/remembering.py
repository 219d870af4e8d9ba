"""``penstock runs``, ``penstock rejects`` and ``penstock quality``: what the ledger remembers."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from penstock.cli import options

if TYPE_CHECKING:
    from penstock.service.remembering import Rejected

RunId = Annotated[
    str | None,
    typer.Option(
        "--run", metavar="ID", help="A run, or how its id begins; else the newest that has any.", show_default=False
    ),
]
Node = Annotated[
    str | None, typer.Option("--node", metavar="NAME", help="Only what this node rejected.", show_default=False)
]


def register(app: typer.Typer) -> None:
    runs = typer.Typer(help="History and state of runs.", no_args_is_help=True, rich_markup_mode=None)
    runs.command("list")(list_runs)
    runs.command("show")(show_run)
    app.add_typer(runs, name="runs")
    rejects = typer.Typer(
        help="The bad rows: grouped by cause, shown, exported.", no_args_is_help=True, rich_markup_mode=None
    )
    rejects.command("list")(list_rejects)
    rejects.command("show")(show_rejects)
    rejects.command("export")(export_rejects)
    app.add_typer(rejects, name="rejects")
    app.command()(quality)


def list_runs(
    *,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many, newest first.")] = 20,
    pipeline: Annotated[str | None, typer.Option(help="Only this pipeline.", show_default=False)] = None,
    project: options.Project = None,
    json: options.Json = False,
) -> int:
    """Runs of this project, newest first."""
    from penstock.cli.output import print_json, show
    from penstock.cli.render.as_json import run_json
    from penstock.service import remembering

    found = remembering.list_runs(options.settings_of(project=project), limit=limit, pipeline=pipeline)
    if json:
        print_json({"runs": [run_json(run) for run in found]})
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


def list_rejects(
    *, run: RunId = None, node: Node = None, project: options.Project = None, json: options.Json = False
) -> int:
    """Rejected rows grouped by node, cause and column."""
    from penstock.cli.output import print_json, show

    found = _rejects(run, node, project)
    if json:
        print_json(
            {
                "run_id": found.run_id,
                "total": found.total,
                "reasons": found.reasons,
                "by_cause": [one.to_json() for one in found.by_cause()],
            }
        )
    elif found.entries:
        from penstock.cli.render.history import causes_table, rejected_title

        show(rejected_title(found), causes_table(found))
    else:
        show("nothing was rejected")
    return 0


def show_rejects(
    *,
    run: RunId = None,
    node: Node = None,
    rows: Annotated[int, typer.Option("--rows", "-n", min=1, help="How many records.")] = 20,
    allow: options.Allow = None,
    project: options.Project = None,
    json: options.Json = False,
) -> int:
    """Rejected records: where each came from, what it was, and why. Columns with labels are masked."""
    from penstock.cli.output import print_json, show

    found = _rejects(run, node, project, allow)
    first = list(islice(found.records(), rows))
    if json:
        print_json({"run_id": found.run_id, "records": [record.to_json() for record in first]})
    elif first:
        from penstock.cli.render.history import records_page, rejected_title

        show(rejected_title(found), *records_page(first, found.root))
    else:
        show("nothing was rejected")
    return 0


def export_rejects(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write; it must not be there yet.")],
    *,
    format: Annotated[  # noqa: A002 -- the option's name
        Literal["json", "parquet"] | None,
        typer.Option("--format", help="json: one record per line; else by the file's ending.", show_default=False),
    ] = None,
    run: RunId = None,
    node: Node = None,
    allow: options.Allow = None,
    project: options.Project = None,
    json: options.Json = False,
) -> int:
    """Write rejected records to a file. Columns with labels are masked."""
    from penstock.cli.output import print_json, show
    from penstock.service.remembering import export

    found = _rejects(run, node, project, allow)
    written = export(found, out, format)
    if json:
        print_json({"run_id": found.run_id, "file": str(out), "records": written})
    else:
        show(f"{written:,} record{'' if written == 1 else 's'} written to {out}")
    return 0


def quality(
    file: options.File,
    *,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="ID", help="A run, or how its id begins; else the newest.", show_default=False),
    ] = None,
    format: Annotated[  # noqa: A002 -- the option's name
        Literal["text", "markdown", "html"], typer.Option("--format", help="How it is printed.")
    ] = "text",
    param: options.Param = None,
    env: options.Env = None,
    allow_path: options.AllowPath = None,
    json: options.Json = False,
) -> int:
    """What the rules of a pipeline found in a run, scored."""
    from penstock.cli.output import print_json, show, write
    from penstock.service.quality import quality as report_of

    settings = options.settings_of(env, param, allow_path=allow_path)
    found = report_of(options.request_of(file, settings), run)
    if json:
        print_json(found.to_json())
    elif format == "text":
        from penstock.cli.render.quality import page

        show(*page(found))
    else:
        from penstock.cli.render import quality_pages

        write(quality_pages.markdown(found) if format == "markdown" else quality_pages.html(found))
    return 0


def _rejects(run: str | None, node: str | None, project: Path | None, allow: list[str] | None = None) -> Rejected:
    from penstock.service import remembering

    return remembering.rejects(options.settings_of(project=project), run_id=run, node=node, allow=allow or ())
