"""Requests as callers state them, answers as callers get them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from penstock.errors import ConfigError
from penstock.secret import Secret
from penstock.structs import Frozen, Selective

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from penstock.connectors.http.urls import Url

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_IN_VALUES: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# What the transport itself sets, or what would let a header speak for another message or another hop.
OWN_HEADERS: Final = frozenset(
    {"accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "proxy-authorization"}
    | {"proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
IDEMPOTENT_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})

Pairs = tuple[tuple[str, str | Secret], ...]


class Headers:
    """Header fields in the order they came, looked up without regard to case.

    >>> headers = Headers([("Link", "<a>"), ("link", "<b>")])
    >>> headers.get("LINK"), headers.all("link")
    ('<a>', ('<a>', '<b>'))
    """

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._pairs = tuple(pairs)

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of that name."""
        wanted = name.lower()
        return next((value for key, value in self._pairs if key.lower() == wanted), default)

    def all(self, name: str) -> tuple[str, ...]:
        wanted = name.lower()
        return tuple(value for key, value in self._pairs if key.lower() == wanted)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)


class Signing(Frozen):
    """Signature Version 4 of Amazon's services, made by libcurl when the request goes out."""

    region: str
    service: str
    key_id: str
    key: Secret


class Request(Selective):
    """``path`` is below the connection's base URL, or a whole URL (a link that the server gave).

    ``query`` and ``headers`` stand before those of the connection with the same name. ``accept``: statuses that are an
    answer here and not an error, besides 2xx. ``repeatable``: whether sending it twice is as good as once; None: by its
    method, or that it has an Idempotency-Key. ``anonymous``: without the connection's credentials, headers and query.
    ``hidden``: the path came from a secret and is not shown. ``signing``: how it is signed, redirects are not.
    """

    path: str = ""
    method: str = "GET"
    query: Pairs = ()
    headers: Pairs = ()
    body: bytes | None = None
    accept: frozenset[int] = frozenset()
    repeatable: bool | None = None
    anonymous: bool = False
    hidden: bool = False
    signing: Signing | None = None
    unprinted = frozenset({"body"})

    @property
    def may_repeat(self) -> bool:
        if self.repeatable is not None:
            return self.repeatable
        keyed = any(name.lower() == "idempotency-key" for name, _ in self.headers)
        return keyed or self.method in IDEMPOTENT_METHODS


class Response(Selective):
    """An answer that is no error, its body decompressed. ``url`` is where it came from after redirects."""

    status: int
    headers: Headers
    url: Url
    body: bytes = b""
    unprinted = frozenset({"body"})


def check_header(name: str, value: str | Secret) -> None:
    """Raises ConfigError NET-106 for a header that cannot be sent or that is not the caller's to set.

    A value is never shown: it may be a credential.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError("NET-106", f"{name[:60]!a} is no header name")
    if name.lower() in OWN_HEADERS:
        raise ConfigError("NET-106", f'header "{name}" is set by Penstock itself')
    text = value.reveal() if isinstance(value, Secret) else value
    if _NOT_IN_VALUES.search(text):
        raise ConfigError(
            "NET-106", f'the value of header "{name}" has a line break or another control character in it'
        )
    if not _encodable(text):
        raise ConfigError("NET-106", f'the value of header "{name}" is broken Unicode')


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
