"""The guard of outgoing requests (security rule 4): a host is looked up once, every address of it is checked, and the
request connects to one of the checked addresses and to nothing else.
"""

from __future__ import annotations

import re
import threading
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final, assert_never

from penstock.connectors.http.addresses import Reach, carried, plain, standing
from penstock.connectors.http.urls import LARGEST_PORT, canonical_host
from penstock.errors import ConfigError
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.clock import Clock
    from penstock.connectors.http.addresses import IpAddress, IpNetwork
    from penstock.connectors.http.resolver import Resolver
    from penstock.connectors.http.urls import Url
    from penstock.connectors.resilience.cancel import Cancellation

_KEEP_SECONDS: Final = 60.0
_ENTRY: Final = re.compile(r"(\[[^\]]*\]|[^:/]+)(?::(\d{1,5}))?")


class AllowedHost(Frozen):
    """One entry of allow_private: a host's name or a network, at any port or at one."""

    name: str | None
    network: IpNetwork | None
    port: int | None

    def allows(self, host: str, port: int, *, address: IpAddress, reach: Reach) -> bool:
        if self.port not in (None, port):
            return False
        if self.network is not None:
            inner = carried(address)
            return address in self.network or (inner is not None and inner in self.network)
        return self.name == host and reach is Reach.PRIVATE


def parse_allowed(entry: str) -> AllowedHost:
    """``db.internal``, ``db.internal:8080``, ``10.0.0.0/8``, ``127.0.0.1:9000``, ``[::1]:9000``.

    Raises ValueError with what is expected.
    """
    text = entry.strip()
    try:
        if "/" in text or (text.count(":") > 1 and not text.startswith("[")):
            return AllowedHost(None, ip_network(text, strict=False), None)
        host, port = _host_and_port(text)
    except (ValueError, ConfigError):
        expected = "such as db.internal, 127.0.0.1:8080, 10.0.0.0/8"
        raise ValueError(f"{entry[:80]!a} is no host, host:port or network; {expected}") from None
    try:
        return AllowedHost(None, ip_network(plain(ip_address(host))), port)
    except ValueError:
        return AllowedHost(host, None, port)


def _host_and_port(text: str) -> tuple[str, int | None]:
    match = _ENTRY.fullmatch(text)
    if match is None or (match[2] and not 0 < int(match[2]) <= LARGEST_PORT):
        raise ValueError(text)
    return canonical_host(match[1]), int(match[2]) if match[2] else None


class Guard:
    """Says to which addresses a request for a URL may connect. Thread-safe.

    A host's checked addresses are kept for a minute, so that a thousand pages are one look-up; they are then looked up
    and checked again. Nothing else than the addresses returned here may be connected to.
    """

    def __init__(self, allowed: Iterable[AllowedHost], resolver: Resolver, clock: Clock) -> None:
        self._allowed = tuple(allowed)
        self._resolver = resolver
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, int], tuple[float, tuple[IpAddress, ...]]] = {}

    def admit(self, url: Url, timeout_seconds: float, cancellation: Cancellation) -> tuple[IpAddress, ...]:
        """The checked addresses of the URL's host, at least one.

        Raises ConfigError NET-103 where **any** address of it may not be connected to, and what the resolver raises.
        """
        key = (url.host, url.port)
        with self._lock:
            until, kept = self._kept.get(key, (0.0, ()))
        if kept and self._clock.monotonic() < until:
            return kept
        literal = url.address
        found = (
            (plain(literal),)
            if literal is not None
            else self._resolver.resolve(url.host, url.port, timeout_seconds, cancellation)
        )
        addresses = tuple(plain(address) for address in found)
        for address in addresses:
            self._check(url, address)
        with self._lock:
            self._kept[key] = (self._clock.monotonic() + _KEEP_SECONDS, addresses)
        return addresses

    def _check(self, url: Url, address: IpAddress) -> None:
        found = standing(address)
        match found.reach:
            case Reach.PUBLIC:
                return
            case Reach.PRIVATE | Reach.SPECIAL:
                if any(entry.allows(url.host, url.port, address=address, reach=found.reach) for entry in self._allowed):
                    return
            case Reach.NEVER:
                raise ConfigError("NET-103", _refusal(url, address, found.kind))
            case _:
                assert_never(found.reach)
        entry = url.host if found.reach is Reach.PRIVATE and url.address is None else str(address)
        raise ConfigError(
            "NET-103",
            _refusal(url, address, found.kind),
            hint=f'if it is meant, the connection says so: allow_private: ["{entry}"]',
        )


def _refusal(url: Url, address: IpAddress, kind: str) -> str:
    article = "an" if kind[0] in "aeiou" else "a"
    resolves = "is" if url.address is not None else f"resolves to {address},"
    return f'host "{url.host}" {resolves} {article} {kind} address, and such addresses are not called'
