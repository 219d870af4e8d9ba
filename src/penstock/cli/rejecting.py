"""``penstock rejects``: the rows that were set aside, and what becomes of them."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from penstock.cli import options
from penstock.cli.help import Command

if TYPE_CHECKING:
    from penstock.errors import ConfigError
    from penstock.service.rejected import Rejected
    from penstock.service.replaying import Asked

RunId = Annotated[
    str | None,
    typer.Option(
        "--run", metavar="ID", help="All that this run rejected: its id, or its beginning.", show_default=False
    ),
]
Node = Annotated[
    str | None, typer.Option("--node", metavar="NAME", help="Only what this node rejected.", show_default=False)
]
Pipeline = Annotated[
    str | None,
    typer.Option(
        "--pipeline", metavar="NAME", help="Of this pipeline; else the one that rejected last.", show_default=False
    ),
]
Every = Annotated[bool, typer.Option("--all", help="Also what was replayed, discarded or read again since.")]
Group = Annotated[str, typer.Argument(metavar="GROUP", help="A group, as `list` names it.", show_default=False)]
MaybeGroup = Annotated[
    str | None, typer.Argument(metavar="GROUP", help="Only this group, as `list` names it.", show_default=False)
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="COLUMN=EXPRESSION", help="Give a column of these rows another value.", show_default=False
    ),
]
Table = Annotated[
    str | None,
    typer.Option("--pipeline", metavar="NAME", help="Which table's, where several have the group.", show_default=False),
]


def register(app: typer.Typer) -> None:
    rejects = typer.Typer(
        help="The bad rows: grouped by cause, shown, repaired, sent again.", no_args_is_help=True, rich_markup_mode=None
    )
    rejects.command("list", cls=Command)(list_rejects)
    rejects.command("show", cls=Command)(show_rejects)
    rejects.command("export", cls=Command)(export_rejects)
    rejects.command("try", cls=Command)(try_rejects)
    rejects.command("replay", cls=Command)(replay_rejects)
    rejects.command("discard", cls=Command)(discard_rejects)
    app.add_typer(rejects, name="rejects")


def list_rejects(
    *,
    run: RunId = None,
    pipeline: Pipeline = None,
    node: Node = None,
    every: Every = False,
    allow: options.Allow = None,
    project: options.Project = None,
    json: options.Json = False,
) -> int:
    """Rejected rows that are open, grouped by node, cause and column."""
    from penstock.cli.output import print_json, show

    found = _rejects(project, run=run, pipeline=pipeline, node=node, every=every, allow=allow)
    if json:
        from penstock.cli.render.rejects import list_json

        print_json(list_json(found))
    elif found.entries:
        from penstock.cli.render.rejects import list_page

        show(*list_page(found))
    else:
        show(_nothing(found, pipeline))
    return 0


def show_rejects(
    group: MaybeGroup = None,
    *,
    row: Annotated[
        int | None,
        typer.Option(
            "--row", metavar="NUMBER", min=1, help="The whole way of one record, by its place.", show_default=False
        ),
    ] = None,
    run: RunId = None,
    pipeline: Pipeline = None,
    node: Node = None,
    every: Every = False,
    rows: Annotated[int, typer.Option("--rows", "-n", metavar="NUMBER", min=1, help="How many records.")] = 20,
    allow: options.Allow = None,
    project: options.Project = None,
    json: options.Json = False,
) -> int:
    """Rejected records: where each came from, what it was, and why. Columns with labels are masked."""
    from penstock.cli.output import print_json, show

    found = _rejects(project, run=run, pipeline=pipeline, node=node, every=every, allow=allow, group=group)
    begin = row - 1 if row is not None else 0
    chosen = list(islice(found.records(), begin, begin + (rows if row is None else 1)))
    if row is not None and not chosen:
        raise _no_row(row, sum(1 for _ in found.records()))
    if json:
        records = [record.to_json() for record in chosen]
        print_json({"run_id": found.run_id, "total": found.total, "records": records})
    elif chosen:
        from penstock.cli.render.rejects import record_page, records_page, title

        page = records_page(chosen, found.root) if row is None else record_page(chosen[0], found.root)
        show(title(found), *page)
        if row is None and len(chosen) < found.total:
            show(f"the first {len(chosen):,} of {found.total:,}: --rows {found.total} shows all")
    else:
        show(_nothing(found, pipeline))
    return 0


def _nothing(found: Rejected, pipeline: str | None) -> str:
    from penstock.service.rejected import Absence

    return f'no run of a pipeline "{pipeline}"' if found.absence is Absence.NO_RUN else found.absence.value


def _no_row(row: int, records: int) -> ConfigError:
    from penstock.errors import ConfigError

    there = f"there {'is' if records == 1 else 'are'} {records:,}" if records else "nothing was rejected"
    return ConfigError("CLI-190", f"there is no record {row:,}", detail=f"{there}.")


def export_rejects(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write; it must not be there yet.")],
    *,
    format: Annotated[  # noqa: A002 -- the option's name
        Literal["json", "parquet"] | None,
        typer.Option("--format", help="json: one record per line; else by the file's ending.", show_default=False),
    ] = None,
    run: RunId = None,
    pipeline: Pipeline = None,
    node: Node = None,
    every: Every = False,
    allow: options.Allow = None,
    project: options.Project = None,
    json: options.Json = False,
) -> int:
    """Write rejected records to a file. Columns with labels are masked."""
    from penstock.cli.output import print_json, show
    from penstock.service.rejected import export

    found = _rejects(project, run=run, pipeline=pipeline, node=node, every=every, allow=allow)
    written = export(found, out, format)
    if json:
        print_json({"run_id": found.run_id, "file": str(out), "records": written})
    else:
        show(f"{written:,} record{'' if written == 1 else 's'} written to {out}")
    return 0


def try_rejects(
    file: options.File,
    group: Group,
    *,
    sets: Sets = None,
    pipeline: Table = None,
    param: options.Param = None,
    env: options.Env = None,
    allow: options.Allow = None,
    allow_path: options.AllowPath = None,
    json: options.Json = False,
) -> int:
    """What a repair would save of a group; nothing is written."""
    from penstock.cli.output import print_json, show, tell
    from penstock.service.replaying import try_group

    request = options.request_of(file, options.settings_of(env, param, allow_path=allow_path))
    tried = try_group(request, _asked(group, sets, None, pipeline), allow=allow or ())
    tell(tried.warnings)
    if json:
        print_json(tried.to_json())
    else:
        from penstock.cli.render.rejects import tried_page

        show(*tried_page(tried))
    return 0


def replay_rejects(
    context: typer.Context,
    file: options.File,
    group: Group,
    *,
    sets: Sets = None,
    repaired: Annotated[
        Path | None,
        typer.Option("--file", metavar="PARQUET", help="Rows that stand in place of the group's.", show_default=False),
    ] = None,
    replace_newer: Annotated[
        bool,
        typer.Option("--replace-newer", help="Send them also where a merge without `order_by` may have newer rows."),
    ] = False,
    pipeline: Table = None,
    param: options.Param = None,
    env: options.Env = None,
    allow_path: options.AllowPath = None,
    json: options.Json = False,
) -> int:
    """Send the rows of a group again, repaired or as they are.

    They are an epoch of their own, which every sink has once, whatever happens. A merge leaves its newer rows alone: where
    it has no `order_by` to know them by, the rows are sent with --replace-newer alone.
    """
    from penstock.cli.output import print_json, show, tell
    from penstock.cli.running import ended_code
    from penstock.cli.stopping import stoppable
    from penstock.service.documents import RunStatus, faults_of
    from penstock.service.replaying import replay

    settings = options.settings_of(env, param, allow_path=allow_path)
    faults = faults_of(settings)
    request = options.request_of(file, settings, reached=faults.reached)
    events = options.globals_of(context).events()
    asked = _asked(group, sets, repaired, pipeline, replaces_newer=replace_newer)
    with stoppable() as stop:
        done = replay(request, asked, events=events, faults=faults, stop=stop)
    tell([*done.run.warnings, *done.run.problems, *faults.not_passed()])
    if json:
        print_json(done.to_json())
    elif done.run.status is RunStatus.DONE:
        from penstock.cli.render.rejects import replay_page

        show(*replay_page(done))
    return done.run.error.exit_code if done.run.error is not None else ended_code(done.run.status)


def discard_rejects(
    group: Group,
    *,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why they are given up.", show_default=False)],
    pipeline: Table = None,
    project: options.Project = None,
    json: options.Json = False,
) -> int:
    """Give up the rows of a group.

    They are never sent again; who did it, when and why is remembered.
    """
    from penstock.cli.output import print_json, show
    from penstock.service.replaying import discard

    done = discard(options.settings_of(project=project), group, reason, pipeline=pipeline)
    if json:
        print_json(done.to_json())
    elif done.rows:
        show(f"{done.rows:,} row{'' if done.rows == 1 else 's'} of {done.group} discarded")
        show(
            "  a source without `incremental:` is read as a whole: the next run rejects them again unless it is mended"
        )
    else:
        show(f"nothing of {done.group} is open")
    return 0


def _asked(
    group: str, sets: list[str] | None, repaired: Path | None, pipeline: str | None, *, replaces_newer: bool = False
) -> Asked:
    """Raises ConfigError CLI-115."""
    from penstock.errors import ConfigError
    from penstock.service.replaying import Asked

    if sets and repaired is not None:
        raise ConfigError("CLI-115", "rows are repaired by --set, or replaced by --file", hint="give one of them")
    return Asked(group, tuple(sets or ()), repaired, pipeline, replaces_newer)


def _rejects(
    project: Path | None,
    *,
    run: str | None,
    pipeline: str | None,
    node: str | None,
    every: bool,
    allow: list[str] | None,
    group: str | None = None,
) -> Rejected:
    from penstock.service.rejected import rejects

    found = rejects(
        options.settings_of(project=project), run_id=run, pipeline=pipeline, node=node, every=every, allow=allow or ()
    )
    return found if group is None else found.only(group)
