"""Where a request goes on to when the server sends it on, and when it does not go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.connectors.http.urls import follow
from penstock.errors import ConfigError
from penstock.structs import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.connectors.http.curl import Incoming
    from penstock.connectors.http.messages import Request
    from penstock.connectors.http.urls import Url

_SEE_OTHER: Final = 303
_KEEP_METHOD: Final = frozenset({307, 308})
_SAFE: Final = frozenset({"GET", "HEAD"})


def next_hop(
    url: Url, request: Request, *, incoming: Incoming, visited: Sequence[Url], max_redirects: int
) -> tuple[Url, Request]:
    """The next URL and the request as it goes there.

    Raises ConfigError NET-107 (too many, a circle), NET-108 (it would lose its body or method, hand data to another
    host, or there is no place to go), NET-101 (from https to http), NET-100, NET-102 (no usable URL).
    """
    location = incoming.headers.get("Location")
    if not location:
        raise ConfigError("NET-108", f'"{url.authority}" answered {incoming.status} without saying where to go')
    target = follow(url, location)
    if url.scheme == "https" and target.scheme == "http":
        raise ConfigError("NET-101", f'"{url.authority}" sends the request on from https to http')
    onward = _onward(url, target, request=request, status=incoming.status)
    if target in visited and onward.method == request.method:
        raise ConfigError("NET-107", f'"{url.authority}" sends the request in a circle')
    if len(visited) > max_redirects:
        raise ConfigError("NET-107", f'"{url.authority}" sends the request on more than {max_redirects} times')
    return target, onward


def _onward(url: Url, target: Url, *, request: Request, status: int) -> Request:
    if request.method not in _SAFE and status == _SEE_OTHER:
        request = replace(request, method="GET", body=None)
    if request.method in _SAFE:
        leaves = target.origin != url.origin
        return replace(request, headers=_harmless(request)) if leaves else request
    if status not in _KEEP_METHOD:
        raise ConfigError(
            "NET-108",
            f'"{url.authority}" answered {status} to {request.method}, which would lose its body',
            hint="use the address that the server sends on to",
        )
    if target.origin != url.origin:
        raise ConfigError("NET-108", f'"{url.authority}" sends the body of {request.method} on to another origin')
    return request


def _harmless(request: Request) -> tuple[tuple[str, str], ...]:
    """The headers that say nothing about us: a request's own headers may hold credentials."""
    return tuple(
        (name, value)
        for name, value in request.headers
        if name.lower() in {"accept", "accept-language"} and isinstance(value, str)
    )
