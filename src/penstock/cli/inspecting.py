"""``penstock validate``, ``plan``, ``preview``, ``lineage``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from penstock.cli import options
from penstock.cli.help import Command


def register(app: typer.Typer) -> None:
    for command in (validate, plan, preview, lineage):
        app.command(cls=Command)(command)


def validate(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE", help="Pipeline files; else the project's.", show_default=False),
    ] = None,
    *,
    param: options.Param = None,
    env: options.Env = None,
    allow_path: options.AllowPath = None,
    connect: Annotated[bool, typer.Option("--connect", help="Ask the systems as well.")] = False,
    show_merged: Annotated[
        bool, typer.Option("--show-merged", help="Print every value in force with its origin.")
    ] = False,
    engine: Annotated[
        Literal["duckdb", "spark"],
        typer.Option("--engine", help="Also say what this engine does not run; DuckDB runs everything."),
    ] = "duckdb",
    json: options.Json = False,
) -> int:
    """Everything that is wrong with a document, before a row moves."""
    from penstock.cli.output import print_json, show, tell
    from penstock.service import validating

    settings = options.settings_of(env, param, allow_path=allow_path)
    chosen = files or validating.pipeline_files(settings)
    results = {
        file: validating.validate(options.request_of(file, settings), connect=connect, engine=engine) for file in chosen
    }
    ok = all(result.ok for result in results.values())
    code = validating.worst(results.values())
    told = validating.told_once(tuple(results.values()))
    if json:
        found = [problem.to_json() for problems in told for problem in problems]
        values = {str(file): [value.to_json() for value in result.values] for file, result in results.items()}
        print_json({"ok": ok, "problems": found} | ({"values": values} if show_merged else {}))
        return code
    for (file, result), problems in zip(results.items(), told, strict=True):
        tell(problems)
        if show_merged:
            show(*(f"{value.path} = {value.value}  ({value.origin})" for value in result.values))
        if result.ok:
            show(f"{file}: ok")
    return code


def plan(
    file: options.File,
    *,
    param: options.Param = None,
    env: options.Env = None,
    allow_path: options.AllowPath = None,
    sql: Annotated[bool, typer.Option("--sql", help="Print the statement per node, for DuckDB and for Spark.")] = False,
    json: options.Json = False,
) -> int:
    """What a run will do, and under which guarantee."""
    from penstock.cli.output import print_json, show, tell
    from penstock.service import inspecting

    explained = inspecting.plan(options.request_of(file, options.settings_of(env, param, allow_path=allow_path)))
    if json:
        print_json(explained.to_json(inspecting.Explained.to_json))
        return 0
    from penstock.cli.render.plan import plan_page

    for number, each in enumerate(explained):
        tell(each.warnings)
        show(*([""] if number else []), *plan_page(each, sql=sql))
    return 0


def preview(
    file: options.File,
    node: Annotated[
        str, typer.Argument(metavar="NODE", help="A source, a transform, a step (transform.step) or a sink.")
    ],
    *,
    rows: Annotated[int, typer.Option("--rows", "-n", metavar="NUMBER", min=1, max=10_000, help="How many rows.")] = 10,
    allow: options.Allow = None,
    param: options.Param = None,
    env: options.Env = None,
    allow_path: options.AllowPath = None,
    json: options.Json = False,
) -> int:
    """The first rows of any node; nothing is written. Columns with labels are masked."""
    from penstock.cli.output import print_json, show, write
    from penstock.cli.render.as_json import columns_json, rows_json
    from penstock.service import inspecting

    request = options.request_of(file, options.settings_of(env, param, allow_path=allow_path))
    found = inspecting.preview(request, node, rows=rows, allow=allow or ())
    if json:
        rejected = [{"node": name, "rows": many} for name, many in found.rejected.items()]
        print_json({"node": node, "columns": columns_json(found), "rows": rows_json(found), "rejected": rejected})
    else:
        from penstock.cli.render.rows import rejected_line, rows_table

        show(rows_table(found))
        if found.rejected:
            write(rejected_line(found), sys.stderr)
    return 0


def lineage(
    file: options.File,
    *,
    column: Annotated[
        str | None, typer.Option("--column", metavar="NODE.COLUMN", help="Only this column.", show_default=False)
    ] = None,
    format: Annotated[  # noqa: A002 -- the option's name
        Literal["text", "mermaid", "openlineage", "json"], typer.Option("--format", help="How it is printed.")
    ] = "text",
    offline: Annotated[bool, typer.Option("--offline", help="Ask no system.")] = False,
    param: options.Param = None,
    env: options.Env = None,
    allow_path: options.AllowPath = None,
    json: options.Json = False,
) -> int:
    """Where every column comes from, and what decides its rows."""
    from penstock.cli.output import print_json, show, write
    from penstock.cli.render import lineage as render
    from penstock.service import inspecting

    request = options.request_of(file, options.settings_of(env, param, allow_path=allow_path))
    traced = inspecting.lineage(request, column=column, connect=not offline)
    match "json" if json else format:
        case "json":
            print_json(traced.to_json(inspecting.Traced.to_json))
        case "mermaid":
            write("".join(render.mermaid(each) + "\n" for each in traced))
        case "openlineage":
            now = request.clock.now()
            print_json(traced.to_json(lambda each: render.openlineage(each, now)))
        case _:
            show(*(line for each in traced for line in render.text(each)))
    return 0
