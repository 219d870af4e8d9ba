"""Looking up host names, within a time."""

from __future__ import annotations

import socket
import threading
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, Protocol

from penstock.connectors.http.addresses import plain
from penstock.errors import ConfigError, TransientError

if TYPE_CHECKING:
    from penstock.connectors.http.addresses import IpAddress
    from penstock.connectors.resilience.cancel import Cancellation

_TICK_SECONDS: Final = 0.1
# The DNS says that there is no such name, or no address for it; anything else may pass.
_NO_SUCH_HOST: Final = frozenset(
    code for code in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None)) if code is not None
)


class Resolver(Protocol):
    """Turns names into addresses."""

    def resolve(
        self, host: str, port: int, timeout_seconds: float, cancellation: Cancellation
    ) -> tuple[IpAddress, ...]:
        """All addresses of the host, at least one, in the order of preference.

        Raises ConfigError NET-104 (no such host), TransientError NET-105 (no answer now), NET-140 (cancelled).
        """
        ...


class SystemResolver:
    """The machine's resolver: /etc/hosts, DNS, whatever is set up.

    The system's call cannot be ended, so it runs on a daemon thread that is left behind where it takes too long.
    """

    def resolve(
        self, host: str, port: int, timeout_seconds: float, cancellation: Cancellation
    ) -> tuple[IpAddress, ...]:
        answer: list[tuple[IpAddress, ...] | OSError] = []
        done = threading.Event()

        def ask() -> None:
            try:
                answer.append(_addresses(host, port))
            except (OSError, UnicodeError) as error:
                answer.append(error if isinstance(error, OSError) else OSError(str(error)))
            finally:
                done.set()

        threading.Thread(target=ask, name="penstock-resolver", daemon=True).start()
        left = timeout_seconds
        while not done.wait(min(_TICK_SECONDS, max(left, 0))):
            cancellation.check()
            left -= _TICK_SECONDS
            if left <= 0:
                raise TransientError("NET-105", f'looking up host "{host}" took longer than {timeout_seconds:g} s')
        return _found(host, answer[0])


def _addresses(host: str, port: int) -> tuple[IpAddress, ...]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(plain(ip_address(str(entry[4][0]))) for entry in found))


def _found(host: str, answer: tuple[IpAddress, ...] | OSError) -> tuple[IpAddress, ...]:
    match answer:
        case socket.gaierror(errno=code) if code in _NO_SUCH_HOST:
            raise ConfigError("NET-104", f'host "{host}" does not exist')
        case OSError():
            raise TransientError(
                "NET-105", f'host "{host}" could not be looked up', detail=str(answer.strerror or answer)
            )
        case ():
            raise ConfigError("NET-104", f'host "{host}" has no address')
        case _:
            return answer
