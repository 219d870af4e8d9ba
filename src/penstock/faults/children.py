"""Processes that are to be killed, frozen and woken: started from one that has imported much and opened nothing, so that a
start takes a fraction of what a new interpreter takes. Linux, as ``/proc`` is read.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.context import BaseContext
    from multiprocessing.process import BaseProcess

KILLED: Final = -signal.SIGKILL
_LOOK_S: Final = 0.002
_GRACE_S: Final = 10.0  # for a killed process to be gone: one that waits for a disk may take its time


class Children:
    """Starts processes. ``modules`` are imported before the first of them, by the process that all are forked from: modules
    alone, for the threads of a driver that was used survive no fork. None: each process is a new interpreter, as where it
    is not known yet which modules are worth it.
    """

    def __init__(self, modules: Sequence[str] | None) -> None:
        self._context: BaseContext
        if modules is None:
            self._context = multiprocessing.get_context("spawn")
        else:
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(list(modules))
            self._context = context

    def start(self, call: Callable[..., None], *args: Any, **named: Any) -> Child:
        """``call`` and what it is given are importable and can be pickled; it runs to its end with no handler and no
        clean-up after it.
        """
        process: BaseProcess = self._context.Process(  # type: ignore[attr-defined]  # every context has it
            target=_called, args=(call, args, named), daemon=True
        )
        process.start()
        return Child(process)


def _called(call: Callable[..., None], args: tuple[Any, ...], named: dict[str, Any]) -> None:
    """Drivers that abort at an interpreter's end have no say in how the process ended."""
    call(*args, **named)
    os._exit(0)


class Child:
    """One process."""

    def __init__(self, process: BaseProcess) -> None:
        self._process = process
        self.pid: int = process.pid or 0

    @property
    def is_alive(self) -> bool:
        return self._process.is_alive()

    @property
    def is_frozen(self) -> bool:
        """Whether it stands still until somebody wakes it."""
        with suppress(OSError, IndexError):
            stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii", errors="replace")
            return stat.rpartition(")")[2].split()[0] == "T"
        return False

    def join(self, seconds: float) -> int | None:
        """Its exit code, the number of the signal that killed it negative; None: it goes on."""
        self._process.join(seconds)
        return self._process.exitcode

    def frozen_within(self, seconds: float) -> bool:
        """Waits until it stands still; False where it ended, or goes on that long."""
        for _ in range(round(seconds / _LOOK_S)):
            if self.is_frozen or not self.is_alive:
                break
            self._process.join(_LOOK_S)
        return self.is_frozen

    def kill(self) -> int | None:
        """As a power cut: no handler runs. Waits until it is gone; its exit code."""
        self._process.kill()
        return self.join(_GRACE_S)

    def freeze(self) -> None:
        self._send(signal.SIGSTOP)

    def wake(self) -> None:
        self._send(signal.SIGCONT)

    def _send(self, what: signal.Signals) -> None:
        if self._process.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, what)
