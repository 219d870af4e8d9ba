"""``penstock run``."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from penstock.cli import options
from penstock.cli.help import Command
from penstock.cli.options import Told
from penstock.cli.output import INTERRUPTED, STOPPED
from penstock.errors import ConfigError, Problem
from penstock.structs import replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from penstock.events import Events
    from penstock.service.documents import DocumentResult, Faults, RunResult, RunStatus, Stop
    from penstock.service.request import Request

_FAIL_ON: Final = ("rejects", "warnings")
_NAMED: Final = 3  # pipelines that a problem names


def register(app: typer.Typer) -> None:
    app.command(cls=Command)(run)


def run(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Pipeline files.", show_default=False)],
    *,
    param: options.Param = None,
    env: options.Env = None,
    allow_path: options.AllowPath = None,
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Replace what the sinks hold, and begin a new history.")
    ] = False,
    begin: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="VALUE", help="Read again from this value of the cursor on.", show_default=False
        ),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--to", metavar="VALUE", help="Read again up to before this value.", show_default=False),
    ] = None,
    fail_on: Annotated[
        str | None,
        typer.Option(metavar="rejects,warnings", help="Exit with 1 where there are any.", show_default=False),
    ] = None,
    json: options.Json = False,
) -> int:
    """Settle what an earlier run left, run, show the balance sheet.

    Several files run one after the other; the first that fails ends it.
    """
    from penstock.cli.output import print_json, tell
    from penstock.cli.stopping import stoppable
    from penstock.service.documents import RunStatus, faults_of

    stops = _stops(fail_on)
    settings = options.settings_of(env, param, allow_path=allow_path)
    faults = faults_of(settings)
    chosen = options.globals_of(context)
    done: list[DocumentResult] = []
    code = 0
    with stoppable() as stop:
        for file in files:
            request = options.request_of(
                file, settings, reached=faults.reached, full_refresh=full_refresh, between=(begin, end)
            )
            result = _run(request, chosen, faults, stop, quiet=json or chosen.quiet)
            done.append(result)
            code = next(
                filter(None, (code, *(_code(each, stops) for each in result.results), ended_code(result.ended))), 0
            )
            if result.status is not RunStatus.DONE or stop.asked is not None:
                break
    left = files[len(done) :]
    tell([*_not_run(left), *faults.not_passed()])
    if left and stop.asked is not None:
        code = code or Told(INTERRUPTED if stop.asked.is_signal else STOPPED)
    if json:
        print_json(done[0].to_json() if len(files) == 1 else {"runs": [each.to_json() for each in done]})
    return code


def _run(request: Request, chosen: options.Globals, faults: Faults, stop: Stop, *, quiet: bool) -> DocumentResult:
    from penstock.service.documents import run_document

    events = chosen.events()
    with _progress(chosen, events):
        result = run_document(request, events=events, faults=faults, stop=stop)
    _tell(result, quiet=quiet)
    return result


def _not_run(names: Iterable[object]) -> list[Problem]:
    return [Problem("CLI-105", f'"{name}" was not run', severity="warning") for name in names]


def _stops(text: str | None) -> frozenset[str]:
    """Raises ConfigError CLI-102."""
    chosen = frozenset(filter(None, (part.strip() for part in (text or "").split(","))))
    unknown = sorted(chosen - set(_FAIL_ON))
    if unknown:
        raise ConfigError("CLI-102", f'"{unknown[0]}" is nothing to fail on', hint=f"there are {', '.join(_FAIL_ON)}")
    return chosen


def _code(result: RunResult, stops: frozenset[str]) -> int:
    from penstock.cli.output import write

    if result.error is not None:
        return result.error.exit_code
    if code := ended_code(result.status):
        return code
    found = [name for name, there in (("rejects", result.rejected), ("warnings", result.warnings)) if there]
    named = [name for name in found if name in stops]
    if named:
        write(f'"{result.pipeline}" has {" and ".join(named)}, on which it fails by --fail-on\n', sys.stderr)
    return 1 if named else 0


def ended_code(status: RunStatus) -> int:
    from penstock.service.documents import RunStatus

    match status:
        case RunStatus.INTERRUPTED:
            return Told(INTERRUPTED)
        case RunStatus.STOPPED:
            return Told(STOPPED)
        case _:
            return 0


def _progress(chosen: options.Globals, events: Events) -> AbstractContextManager[None]:
    if chosen.quiet or not sys.stderr.isatty():
        return nullcontext()
    from penstock.cli.render.progress import progress

    return progress(events)


def _tell(result: DocumentResult, *, quiet: bool) -> None:
    """Problems are told in any case; the balance sheet is for people who want it."""
    from penstock.cli.output import show, tell, write
    from penstock.cli.render.stops import ended_line

    tell([*_problems(result), *_not_run(result.not_run)])
    if not quiet:
        from penstock.cli.render.balance import balance_sheet
        from penstock.cli.render.family import overview

        show(*(overview(result) if result.of_tables else chain(*map(balance_sheet, result.results))))
    if line := ended_line(result):
        write(f"{line}\n", sys.stderr)


def _problems(result: DocumentResult) -> list[Problem]:
    """Warnings and errors, each once; over many tables with the pipelines that have it."""
    found: dict[Problem, list[str]] = {}
    for each in result.results:
        for problem in dict.fromkeys([*each.warnings, *each.problems]):
            found.setdefault(problem, []).append(each.pipeline or "")
    if not result.of_tables:
        return list(found)
    return [replace(problem, detail=_seen(problem.detail, names)) for problem, names in found.items()]


def _seen(detail: str | None, names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{detail or ''} seen in {', '.join(names[:_NAMED])}{more}.".lstrip()
