"""``penstock run``."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from penstock.cli import options
from penstock.errors import ConfigError

if TYPE_CHECKING:
    from penstock.events import Events
    from penstock.service.running import RunResult

_FAIL_ON: Final = ("rejects", "warnings")


def register(app: typer.Typer) -> None:
    app.command()(run)


def run(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Pipeline files.", show_default=False)],
    *,
    param: options.Param = None,
    env: options.Env = None,
    allow_path: options.AllowPath = None,
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Replace what the sinks hold, and begin a new history.")
    ] = False,
    fail_on: Annotated[
        str | None,
        typer.Option(metavar="rejects,warnings", help="Exit with 1 where there are any.", show_default=False),
    ] = None,
    json: options.Json = False,
) -> int:
    """Settle what an earlier run left, run, and show the balance sheet."""
    from penstock.cli.output import print_json, tell
    from penstock.faults.points import VARIABLE, parse_faults
    from penstock.service.running import run as run_pipeline

    stops = _stops(fail_on)
    settings = options.settings_of(env, param, allow_path)
    faults = parse_faults(os.environ.get(VARIABLE, ""))
    chosen = options.globals_of(context)
    results: list[RunResult] = []
    code = 0
    for file in files:
        events = chosen.events()
        request = options.request_of(file, settings, reached=faults.reached, full_refresh=full_refresh)
        with _progress(chosen, events):
            result = run_pipeline(request, events, faults)
        results.append(result)
        tell([*result.warnings, *result.problems])
        if not json and not chosen.quiet:
            _show(result)
        code = code or _code(result, stops)
        if result.error is not None:
            break
    if json:
        shown = [result.to_json() for result in results]
        print_json(shown[0] if len(files) == 1 else {"runs": shown})
    return code


def _stops(text: str | None) -> frozenset[str]:
    """Raises ConfigError CLI-102."""
    chosen = frozenset(filter(None, (part.strip() for part in (text or "").split(","))))
    unknown = sorted(chosen - set(_FAIL_ON))
    if unknown:
        raise ConfigError("CLI-102", f'"{unknown[0]}" is nothing to fail on', hint=f"there are {', '.join(_FAIL_ON)}")
    return chosen


def _code(result: RunResult, stops: frozenset[str]) -> int:
    if result.error is not None:
        return result.error.exit_code
    failed = ("rejects" in stops and result.rejected) or ("warnings" in stops and result.warnings)
    return 1 if failed else 0


def _progress(chosen: options.Globals, events: Events) -> AbstractContextManager[None]:
    if chosen.quiet or not sys.stderr.isatty():
        return nullcontext()
    from penstock.cli.render.progress import progress

    return progress(events)


def _show(result: RunResult) -> None:
    from penstock.cli.output import show
    from penstock.cli.render.balance import balance_sheet

    show(*balance_sheet(result))
