"""The processes of servers for tests: who runs them, how they end, and where they listen."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import signal

_STOP_TIMEOUT_S: Final = 30.0


def end(process: subprocess.Popen[bytes] | None, signum: signal.Signals) -> None:
    """With the signal; killed where it does not end by it. None, or one that has ended, is left alone."""
    if process is None or process.poll() is not None:
        return
    process.send_signal(signum)
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def with_us(command: list[str]) -> list[str]:
    """The command, ended by the kernel with our process."""
    setpriv = shutil.which("setpriv")
    return list(command) if setpriv is None else [setpriv, "--pdeathsig", "KILL", *command]


def free_port() -> int:
    """Of loopback: free now, and perhaps another's the next moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def give_to(account: str | None, folder: Path) -> None:
    """The folder is the account's; None: it stays ours."""
    if account is not None:
        shutil.chown(folder, account, account)
        folder.chmod(0o755)  # the test process must reach the socket and the log


def as_account(account: str | None, command: list[str]) -> list[str]:
    """The command under that account, ended by the kernel (SIGQUIT: at once, without a checkpoint) with our process."""
    switch = [] if account is None else [f"--reuid={account}", f"--regid={account}", "--clear-groups"]
    setpriv = shutil.which("setpriv")
    return list(command) if setpriv is None else [setpriv, *switch, "--pdeathsig", "QUIT", *command]


def output_of(command: list[str]) -> str:
    """What it prints. Raises RuntimeError with its complaint where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", timeout=120)  # noqa: S603 -- the servers' own programs
    if done.returncode != 0:
        raise RuntimeError(f"{Path(command[0]).name} failed: {done.stderr.strip()}")
    return done.stdout
