"""Where Spark runs: which masters there are, and whether one answers. Asked before anything is started, since Spark itself
goes on asking for minutes.
"""

from __future__ import annotations

import re
import socket
from typing import Final

from penstock.errors import ConfigError, TransientError

CONNECT: Final = "sc://"
STANDALONE: Final = "spark://"
_ANSWER_S: Final = 3.0
_PORT_OF_CONNECT: Final = 15002
_ADDRESS: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]@]+)(?::(\d{1,5}))?")
_LOOPBACK: Final = re.compile(r"localhost|127\.\d+\.\d+\.\d+|\[?::1\]?")

Address = tuple[str, int]


def is_connect(master: str | None) -> bool:
    return master is not None and master.startswith(CONNECT)


def is_here(master: str | None) -> bool:
    """Whether the workers run on this machine, and so can take its Python."""
    if master is None or not master.startswith((CONNECT, STANDALONE)):
        return master is None or master.startswith("local")
    return all(_LOOPBACK.fullmatch(host) for host, _ in addresses(master))


def addresses(master: str) -> tuple[Address, ...]:
    """Of ``spark://a:7077,b:7077`` or ``sc://a:15002/;...``; none for any other kind, which asks its own servers.

    What stands behind the address of ``sc://`` may hold a token: no message shows it. Raises ConfigError ENG-410.
    """
    if master.startswith(STANDALONE):
        return tuple(_address(one, master, None) for one in master.removeprefix(STANDALONE).split(","))
    if master.startswith(CONNECT):
        place = re.split("[/;]", master.removeprefix(CONNECT), maxsplit=1)[0]
        return (_address(place, CONNECT + place, _PORT_OF_CONNECT),)
    return ()


def _address(text: str, shown: str, port: int | None) -> Address:
    found = _ADDRESS.fullmatch(text)
    told = int(found[2]) if found is not None and found[2] else port
    if found is None or told is None or not 0 < told < 2**16:
        raise ConfigError(
            "ENG-410",
            f'"{shown.rpartition("@")[2]}" is no address of a Spark master',
            hint="write spark://HOST:PORT, or sc://HOST:PORT for Spark Connect",
        )
    return found[1].strip("[]"), told


def check_answers(master: str) -> None:
    """Returns within seconds. Raises ConfigError ENG-410, TransientError ENG-403 where no address takes a connection."""
    refusals = []
    for host, port in addresses(master):
        try:
            socket.create_connection((host, port), timeout=_ANSWER_S).close()
        except OSError as error:
            refusals.append(f"{host}:{port}: {error.strerror or error}")
        else:
            return
    if refusals:
        raise TransientError(
            "ENG-403",
            f'no Spark answers at "{", ".join(refusal.partition(": ")[0] for refusal in refusals)}"',
            detail="; ".join(refusals),
            hint="start it, or name another master",
        )
