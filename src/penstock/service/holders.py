"""Who does something, as leases and audits name them."""

from __future__ import annotations

import getpass
import os
import socket


def caller() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}"


def holder_of(run_id: str) -> str:
    """What the lease of a run in this process says of who has it."""
    return f"{socket.gethostname()}/{os.getpid()}/{run_id}"


def run_of_holder(holder: str) -> str:
    return holder.rpartition("/")[2]
