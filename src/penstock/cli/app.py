"""The command line: arguments in, a use case of ``penstock.service``, its answer rendered. No logic."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli import (
    catalogue,
    certifying,
    inspecting,
    profiling,
    project,
    reconciling,
    rejecting,
    remembering,
    running,
    spark,
    testing,
    torturing,
)
from penstock.cli.arguments import arranged, refused, wants_json
from penstock.cli.options import Globals, LogFormat, LogLevel, Told
from penstock.cli.output import INTERRUPTED, interrupted, print_json, tell, write
from penstock.errors import InternalError, PenstockError, TransientError
from penstock.errors.shortages import shortage_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from penstock.cli.signals import Ending

app = typer.Typer(
    name="penstock",
    help="Compiled, balanced, exactly-once data pipelines from one document.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _part in (
    project,
    inspecting,
    profiling,
    testing,
    torturing,
    running,
    remembering,
    reconciling,
    rejecting,
    certifying,
    spark,
    catalogue,
):
    _part.register(app)


def _version(asked: bool) -> None:  # noqa: FBT001 -- the parser calls it so
    if asked:
        from penstock import __version__

        write(f"penstock {__version__}\n")
        raise typer.Exit


@app.callback(epilog="These options, and --json, may stand behind a command as well.")
def before(
    context: typer.Context,
    log_level: Annotated[LogLevel, typer.Option(help="The least that is logged, to stderr.")] = "warning",
    log_format: Annotated[LogFormat, typer.Option(help="How a log line looks.")] = "text",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")] = False,  # noqa: FBT002 -- a flag
    version: Annotated[  # noqa: ARG001, FBT002 -- a flag that its callback answers
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    context.obj = Globals(log_level, log_format, quiet)


def execute(arguments: Sequence[str], ending: Ending | None = None) -> int:
    """Runs one command; its exit code (document.md, The command line). A user's mistake never shows a traceback.

    ``ending``: what listens to signals; whatever fails once one has asked to end, failed by that.
    """
    try:
        return _executed(arguments, ending)
    except TransientError as error:  # CLI-113: what was to be told; from now on stdout swallows it
        return _told(error, arguments)


def _executed(arguments: Sequence[str], ending: Ending | None) -> int:
    try:
        found = app(arranged(arguments), prog_name="penstock", standalone_mode=False)
    except KeyboardInterrupt:
        return interrupted(arguments)
    except PenstockError as error:
        return _told(error, arguments)
    except SystemExit as stop:  # of shell completion
        found = stop.code
    except typer.Exit as stop:
        found = stop.exit_code
    except typer.Abort:
        found = INTERRUPTED
    except Exception as error:  # noqa: BLE001 -- the last border before the user
        if ending is not None and ending.asked:
            return interrupted(arguments)
        return _of_parser(error, arguments) if hasattr(error, "format_message") else _of_ours(error, arguments)
    if found == INTERRUPTED and not isinstance(found, Told):
        return interrupted(arguments)
    return found if isinstance(found, int) else 0


def _told(error: PenstockError, arguments: Sequence[str]) -> int:
    """With ``--json`` the problems are the one object on stdout as well."""
    tell(error.problems)
    if wants_json(arguments):
        print_json({"ok": False, "problems": [problem.to_json() for problem in error.problems]})
    return error.exit_code


def _of_parser(error: Exception, arguments: Sequence[str]) -> int:
    """A command group without a command shows its help, as it stands; anything else is a problem."""
    if type(error).__name__ == "NoArgsIsHelpError" and not wants_json(arguments):
        error.show()  # type: ignore[attr-defined]  # it has format_message, hence show
        return 2
    return _told(refused(error, _pipelines), arguments)


def _pipelines() -> Sequence[Path]:
    """Those of the project, none where there is no project or nothing to be read of it."""
    from penstock.cli.options import settings_of
    from penstock.service.validating import pipeline_files

    try:
        return pipeline_files(settings_of())
    except PenstockError:
        return ()


def _of_ours(error: Exception, arguments: Sequence[str]) -> int:
    """A shortage of the machine, or our bug: one problem for people; the traceback only where PENSTOCK_DEBUG asks for it."""
    if os.environ.get("PENSTOCK_DEBUG"):
        raise error
    shortage = shortage_of(error)
    if shortage is not None:
        return _told(shortage, arguments)
    told = InternalError(
        "INT-901",
        "Penstock failed in a way that it should not",
        detail=f"{type(error).__name__}: {error}",
        hint="please report it; PENSTOCK_DEBUG=1 shows where it happened",
    )
    return _told(told, arguments)
