"""``penstock spark jars``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from penstock.cli import options
from penstock.cli.help import Command


def register(app: typer.Typer) -> None:
    of_spark = typer.Typer(rich_markup_mode=None, help="What the engine on Apache Spark needs.", no_args_is_help=True)
    of_spark.command(cls=Command)(jars)
    of_spark.callback()(_of_spark)
    app.add_typer(of_spark, name="spark")


def _of_spark() -> None:
    """What the engine on Apache Spark needs."""


def jars(
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="The folder; else one that sessions find.", show_default=False),
    ] = None,
    json: options.Json = False,
) -> int:
    """Fetch the jars of Delta, Iceberg and databases through Maven.

    A folder that has them all is left as it is.
    """
    from penstock.cli.output import print_json, show
    from penstock.service.spark_jars import fetch_jars

    found = fetch_jars(out)
    if json:
        print_json({"folder": str(found.folder), "jars": found.jars, "bytes": found.total_bytes, "fetched": found.new})
    else:
        told = f"{found.jars} jars, {found.total_bytes / 1e6:.0f} MB"
        show(f'fetched into "{found.folder}": {told}' if found.new else f'"{found.folder}" is complete: {told}')
    return 0
