"""``penstock test``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli import options
from penstock.cli.help import Command
from penstock.errors import ConfigError

if TYPE_CHECKING:
    from penstock.service.mutating import Mutated
    from penstock.service.testing import Tested


def register(app: typer.Typer) -> None:
    app.command("test", cls=Command)(check)


def check(
    context: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE", help="Pipeline files; else the project's.", show_default=False),
    ] = None,
    *,
    chosen: Annotated[
        str, typer.Option("-k", metavar="TEXT", help="Only tests with this in their names.", show_default=False)
    ] = "",
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Tell what no test sees: of nodes, rules, filters and CASE.")
    ] = False,
    min_coverage: Annotated[
        float | None,
        typer.Option(metavar="PERCENT", min=0, max=100, help="Exit with 1 where less is seen.", show_default=False),
    ] = None,
    mutate: Annotated[
        bool, typer.Option("--mutate", help="Change the pipeline's logic bit by bit; list what no test notices.")
    ] = False,
    seconds: Annotated[float, typer.Option(metavar="NUMBER", min=0, help="How long --mutate goes on.")] = 60,
    param: options.Param = None,
    env: options.Env = None,
    allow_path: options.AllowPath = None,
    json: options.Json = False,
) -> int:
    """Run the tests of a document, over rows in memory.

    No system is asked and nothing is written. Exits with 1 where a test fails. --mutate needs tests that pass.
    """
    from penstock.cli.output import print_json, show
    from penstock.cli.render.progress import told_to
    from penstock.cli.render.tests import tested_json, tests_page
    from penstock.service import mutating, testing, validating

    settings = options.settings_of(env, param, allow_path=allow_path)
    covers = coverage or min_coverage is not None
    found: dict[Path, Tested] = {}
    changed: dict[Path, Mutated] = {}
    with told_to(quiet=json or options.globals_of(context).quiet) as told:
        for file in files or validating.pipeline_files(settings):
            request = options.request_of(file, settings)
            found[file] = testing.check(request, chosen=chosen, covers=covers, told=told)
            if mutate and found[file].passed:
                changed[file] = mutating.mutate(request, chosen=chosen, seconds=seconds, told=told)
    if chosen and not any(tested.trials for tested in found.values()):
        raise ConfigError("CLI-130", f'no test has "{chosen}" in its name')
    passed = all(tested.passed and tested.covers(min_coverage) for tested in found.values())
    if json:
        answers = [tested_json(tested, changed.get(file)) for file, tested in found.items()]
        print_json({"passed": passed, "pipelines": answers})
    else:
        show(*tests_page(found, changed, least=min_coverage))
    return 0 if passed else 1
