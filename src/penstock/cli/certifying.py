"""``penstock certify``."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from penstock.cli import options
from penstock.cli.help import Command

_ROWS: Final = 10_000


def register(app: typer.Typer) -> None:
    app.command(cls=Command)(certify)


def certify(
    file: options.File,
    *,
    rows: Annotated[int, typer.Option("--rows", min=1, metavar="N", help="At most so many of each source.")] = _ROWS,
    every: Annotated[bool, typer.Option("--all", help="All rows.")] = False,
    allow: options.Allow = None,
    param: options.Param = None,
    env: options.Env = None,
    allow_path: options.AllowPath = None,
    json: options.Json = False,
) -> int:
    """Compare what DuckDB and Spark make of a pipeline's rows.

    What the sources hold now is read once and goes through both engines, node by node: rows as multisets, and all counts.
    Nothing is written. Columns with labels show no values. Exits with 1 where anything differs.
    """
    from penstock.cli.output import print_json, show
    from penstock.cli.render import certified as render
    from penstock.service.certifying import certify as certified

    settings = options.settings_of(env, param, allow_path=allow_path)
    found = certified(options.request_of(file, settings), most=None if every else rows, allow=allow or ())
    agrees = all(one.agrees for one in found)
    if json:
        print_json({"agrees": agrees, "pipelines": [one.to_json() for one in found]})
    else:
        show(*render.page(found))
    return 0 if agrees else 1
