"""The command line: arguments in, a use case of ``penstock.service``, its answer rendered. No logic."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from penstock.cli import catalogue, inspecting, project, remembering, running
from penstock.cli.options import Globals, LogFormat, LogLevel
from penstock.errors import InternalError, PenstockError

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERRUPTED: Final = 130

app = typer.Typer(
    name="penstock",
    help="Compiled, balanced, exactly-once data pipelines from one document.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _part in (project, inspecting, running, remembering, catalogue):
    _part.register(app)


@app.callback()
def before(
    context: typer.Context,
    log_level: Annotated[LogLevel, typer.Option(help="The least that is logged, to stderr.")] = "warning",
    log_format: Annotated[LogFormat, typer.Option(help="How a log line looks.")] = "text",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")] = False,  # noqa: FBT002 -- a flag
) -> None:
    context.obj = Globals(log_level, log_format, quiet)


def main() -> None:
    """The entry point of the package."""
    raise SystemExit(execute(sys.argv[1:]))


def execute(arguments: Sequence[str]) -> int:
    """Runs one command; its exit code (document.md, The command line). A user's mistake never shows a traceback."""
    try:
        found = app(list(arguments), standalone_mode=False)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the state is consistent\n")
        return INTERRUPTED
    except PenstockError as error:
        return _told(error, arguments)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read has enough
        return 0
    except typer.Exit as stop:
        return int(stop.exit_code)
    except typer.Abort:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 -- the last border before the user
        return _of_arguments(error) if hasattr(error, "format_message") else _of_ours(error, arguments)
    return found if isinstance(found, int) else 0


def _told(error: PenstockError, arguments: Sequence[str]) -> int:
    """With ``--json`` the problems are the one object on stdout as well."""
    from penstock.cli.output import print_json, tell

    if "--json" in arguments:
        print_json({"ok": False, "problems": [problem.to_json() for problem in error.problems]})
    tell(error.problems)
    return error.exit_code


def _of_arguments(error: Exception) -> int:
    """What the parser of arguments says, in its own form, with code 2."""
    error.show()  # type: ignore[attr-defined]  # it has format_message, hence show
    return 2


def _of_ours(error: Exception, arguments: Sequence[str]) -> int:
    """Our bug: one problem for people; the traceback only where PENSTOCK_DEBUG asks for it."""
    if os.environ.get("PENSTOCK_DEBUG"):
        raise error
    told = InternalError(
        "INT-901",
        "Penstock failed in a way that it should not",
        detail=f"{type(error).__name__}: {error}",
        hint="please report it; PENSTOCK_DEBUG=1 shows where it happened",
    )
    return _told(told, arguments)
