"""The command line: arguments in, a use case of ``penstock.service``, its answer rendered. No logic."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from penstock.cli import catalogue, inspecting, project, remembering, running
from penstock.cli.arguments import arranged, refused, wants_json
from penstock.cli.options import INTERRUPTED, Globals, LogFormat, LogLevel, Told
from penstock.errors import InternalError, PenstockError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

_YOUNG_OBJECTS: Final = 50_000  # looked through for cycles at a time: starting makes very many, which all stay

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


def _version(asked: bool) -> None:  # noqa: FBT001 -- the parser calls it so
    if asked:
        from penstock import __version__
        from penstock.cli.output import write

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


def main() -> None:
    """The entry point of the package. A signal that asks to end is an interrupt: 130, in a consistent state."""
    gc.set_threshold(_YOUNG_OBJECTS)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # whose search reads every installed distribution
    _prepare_streams()
    signal.signal(signal.SIGTERM, _end)
    code = execute(sys.argv[1:])
    if threading.active_count() > 1:
        _flush()
        raise SystemExit(code)
    # Nothing else runs here: to have the interpreter taken apart would be a tenth of a short run.
    atexit._run_exitfuncs()  # noqa: SLF001 -- what a user's python step may have asked for
    _flush()
    os._exit(code)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # whoever read has enough; the interpreter must not meet it again
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _end(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _prepare_streams() -> None:
    """A stream that is closed swallows what it gets; a character that a stream cannot carry is written as its escape."""
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 -- the process's own
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 -- the process's own
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def execute(arguments: Sequence[str]) -> int:
    """Runs one command; its exit code (document.md, The command line). A user's mistake never shows a traceback."""
    try:
        found = app(arranged(arguments), prog_name="penstock", standalone_mode=False)
    except KeyboardInterrupt:
        return _interrupted(arguments)
    except PenstockError as error:
        return _told(error, arguments)
    except SystemExit as stop:  # of shell completion; of help whose reader has enough
        found = 0 if isinstance(stop.__context__, BrokenPipeError) else stop.code
    except typer.Exit as stop:
        found = stop.exit_code
    except typer.Abort:
        found = INTERRUPTED
    except Exception as error:  # noqa: BLE001 -- the last border before the user
        return _of_parser(error, arguments) if hasattr(error, "format_message") else _of_ours(error, arguments)
    if found == INTERRUPTED and not isinstance(found, Told):
        return _interrupted(arguments)
    return found if isinstance(found, int) else 0


def _interrupted(arguments: Sequence[str]) -> int:
    from penstock.cli.output import print_json, write

    if wants_json(arguments):
        print_json({"ok": False, "status": "interrupted", "problems": []})
    write("interrupted; the state is consistent\n", sys.stderr)
    return INTERRUPTED


def _told(error: PenstockError, arguments: Sequence[str]) -> int:
    """With ``--json`` the problems are the one object on stdout as well."""
    from penstock.cli.output import print_json, tell

    tell(error.problems)
    if wants_json(arguments):
        print_json({"ok": False, "problems": [problem.to_json() for problem in error.problems]})
    return error.exit_code


def _of_parser(error: Exception, arguments: Sequence[str]) -> int:
    """A command group without a command shows its help, as it stands; anything else is a problem."""
    if type(error).__name__ == "NoArgsIsHelpError" and not wants_json(arguments):
        error.show()  # type: ignore[attr-defined]  # it has format_message, hence show
        return 2
    return _told(refused(error), arguments)


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
