"""Pipes that the engine reads and writes, made so that a hanging other end cannot hold it.

Who reads a pipe by its name (``/dev/fd/N``) is not woken by closing N: only by the end of the text. So the engine reads
from a pipe of ours, and a thread moves the bytes there (``splice``: without copying them).
"""

from __future__ import annotations

import fcntl
import os
import select
import threading
from contextlib import suppress
from typing import Final

_PIPE_BYTES: Final = 1 << 20
_DRAINED_BYTES: Final = 256 << 20  # at a time; then whoever called looks whether it was enough
_PAUSE_MS: Final = 20


class Pump:
    """Moves bytes from the descriptor ``source``, which it owns from now on, to ``read_end``, which its user reads.

    ``stop`` ends the text at once, from any thread; ``close`` closes every descriptor, ``source`` among them.
    """

    def __init__(self, source: int) -> None:
        self._source = source
        self.read_end, self._write_end = os.pipe()
        self._wake, self._waker = os.pipe()
        for descriptor in (source, self.read_end):
            with suppress(OSError):  # a limit of the system's
                fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._stopping = threading.Event()
        self._closed = False
        os.set_blocking(self._write_end, False)
        self._thread = threading.Thread(target=self._run, name="pipe", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Idempotent; does not wait."""
        if not self._stopping.is_set():
            self._stopping.set()
            os.write(self._waker, b"!")

    def close(self) -> None:
        """Idempotent. The producer finds its pipe broken if it has more to say."""
        if self._closed:
            return
        self._closed = True
        self.stop()
        self._thread.join()
        for descriptor in (self._source, self.read_end, self._wake, self._waker):
            with suppress(OSError):
                os.close(descriptor)

    def _run(self) -> None:
        try:
            while self._moved():
                pass
        finally:
            os.close(self._write_end)

    def _moved(self) -> bool:
        """Moves some bytes, when there are some and there is room; false at the end."""
        if not self._ready(reading=[self._source], writing=[]) or not self._ready(
            reading=[], writing=[self._write_end]
        ):
            return False
        try:
            return os.splice(self._source, self._write_end, _PIPE_BYTES) > 0
        except BlockingIOError:  # room for less than a page
            return True
        except BrokenPipeError:
            return False

    def _ready(self, *, reading: list[int], writing: list[int]) -> bool:
        """Waits; false where it was told to stop."""
        watch = select.poll()
        watch.register(self._wake, select.POLLIN)
        for descriptor in reading:
            watch.register(descriptor, select.POLLIN)
        for descriptor in writing:
            watch.register(descriptor, select.POLLOUT)
        watch.poll()
        return not self._stopping.is_set()


def drain(write_end: int) -> None:
    """Takes out of a pipe what its reader left there, and what comes after it without a pause, so that who is stuck
    writing to it gets on. Raises nothing.
    """
    with suppress(OSError):
        descriptor = os.open(f"/dev/fd/{write_end}", os.O_RDONLY | os.O_NONBLOCK)
        try:
            watch = select.poll()
            watch.register(descriptor, select.POLLIN)
            left = _DRAINED_BYTES
            while left > 0 and watch.poll(_PAUSE_MS):
                taken = len(os.read(descriptor, _PIPE_BYTES))
                left = left - taken if taken else 0
        finally:
            os.close(descriptor)
