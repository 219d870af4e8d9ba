"""The process: its signals, its streams, one command, its exit code. What is heavy is imported when signals are heard."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Final

from penstock.cli import streams
from penstock.cli.signals import ENDING, Ending, answer_stands

if TYPE_CHECKING:
    from collections.abc import Sequence

_YOUNG_OBJECTS: Final = 200_000  # looked through for cycles at a time: a start makes 120,000, which all stay


def main() -> None:
    """The entry point of the package. A signal that asks to end is an interrupt: 130, in a consistent state."""
    ending = Ending()
    ending.listen()
    gc.set_threshold(_YOUNG_OBJECTS)
    streams.prepare()
    _leave(_code(sys.argv[1:], ending))


def _code(arguments: Sequence[str], ending: Ending) -> int:
    try:
        from penstock.cli.app import execute

        return execute(arguments, ending)
    except BaseException:
        if not ending.asked:
            raise
        from penstock.cli.output import interrupted

        return interrupted(arguments)


def _leave(code: int) -> None:
    """Ends the process. Where nothing else runs, the interpreter is not taken apart: a tenth of a short run."""
    answer_stands()
    if threading.active_count() > 1:
        for number in ENDING:  # it may have to wait for them
            signal.signal(number, signal.SIG_DFL)
        streams.flush()
        raise SystemExit(code)
    atexit._run_exitfuncs()  # noqa: SLF001 -- what a user's python step may have asked for
    streams.flush()
    os._exit(code)
