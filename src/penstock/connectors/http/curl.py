"""The one door to libcurl: a single request to checked addresses, without redirects, within limits; its errors as ours.

| libcurl says | we raise |
|---|---|
| could not connect | TransientError NET-110 |
| operation timed out | TransientError NET-111 |
| reading, writing, framing, decoding failed; the server said nothing | TransientError NET-112 |
| peer's certificate not verified | ConfigError NET-113 |
| TLS handshake failed | TransientError NET-114 |
| our certificate, key or authorities not usable | ConfigError NET-117 |
| encoding not known | ConfigError NET-116 |
| ended by us | whatever ended it: NET-140, NET-115, NET-103, KeyboardInterrupt |
"""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from penstock.connectors.http.addresses import plain
from penstock.connectors.http.messages import Headers
from penstock.errors import ConfigError, InternalError, PenstockError, TransientError
from penstock.structs import Selective

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pycurl

    from penstock.connectors.http.addresses import IpAddress
    from penstock.connectors.http.limits import Limits
    from penstock.connectors.http.messages import Signing
    from penstock.connectors.http.urls import Url
    from penstock.connectors.resilience.cancel import Cancellation

_BUFFER_BYTES: Final = 512 * 1024
_USER_AGENT: Final = "penstock"
_MOST_IDLE: Final = 16


class TlsFiles(Selective):
    """Absolute paths; ``authorities`` None: those that certifi ships."""

    authorities: str | None = None
    certificate: str | None = None
    key: str | None = None
    key_password: str | None = None
    unprinted = frozenset({"key_password"})


class Outgoing(Selective):
    """One request as it goes out: every header, its body, and the only addresses that may be connected to."""

    method: str
    url: Url
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    addresses: tuple[IpAddress, ...]
    signing: Signing | None = None
    unprinted = frozenset({"headers", "body"})


class Incoming(Selective):
    """One answer, whatever its status; ``body`` is decompressed."""

    status: int
    headers: Headers
    body: bytes
    unprinted = frozenset({"body"})


class NotSentError(Exception):
    """Wraps an error of which it is known that the server saw nothing of the request."""

    def __init__(self, error: TransientError) -> None:
        super().__init__(error)
        self.error = error


def require() -> None:
    """ConfigError NET-141 where the optional dependencies are not installed."""
    try:
        import certifi  # noqa: F401
        import pycurl  # noqa: F401
    except ImportError as missing:
        raise ConfigError(
            "NET-141",
            "requests need optional dependencies that are not installed",
            detail=str(missing),
            hint="pip install 'penstock[rest]'",
        ) from None


class CurlTransport:
    """Sends requests over kept-alive connections. Thread-safe: each call uses a handle of its own, which keeps its
    connections for the next call.
    """

    def __init__(self, limits: Limits, tls: TlsFiles) -> None:
        require()
        self._limits = limits
        self._tls = tls
        self._lock = threading.Lock()
        self._idle: list[_Handle] = []
        self._closed = False

    def send(self, outgoing: Outgoing, timeout_seconds: float, cancellation: Cancellation) -> Incoming:
        """Blocks until the answer is there; within ``timeout_seconds``. Errors as the table above says.

        Raises NotSentError around a TransientError where the request certainly did not arrive.
        """
        cancellation.check()
        with self._handle() as handle, cancellation.breaker(handle.break_off):
            return handle.perform(outgoing, timeout_seconds, cancellation)

    def close(self) -> None:
        """Close all idle connections. Idempotent; calls under way end as they would."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for handle in idle:
            handle.close()

    @contextmanager
    def _handle(self) -> Iterator[_Handle]:
        with self._lock:
            handle = self._idle.pop() if self._idle else None
        handle = handle or _Handle(self._limits, self._tls)
        healthy = False
        try:
            yield handle
            healthy = True
        finally:
            with self._lock:
                kept = healthy and not self._closed and len(self._idle) < _MOST_IDLE
                if kept:
                    self._idle.append(handle)
            if not kept:
                handle.close()


class _Handle:
    """An easy handle and the sockets it has open; used by one thread at a time, broken off from any."""

    def __init__(self, limits: Limits, tls: TlsFiles) -> None:
        import pycurl

        self._curl = pycurl.Curl()
        self._limits = limits
        self._tls = tls
        self._sockets: list[socket.socket] = []
        self._is_set_up = False

    def break_off(self) -> None:
        """End what blocks on a socket of this handle, from another thread."""
        for opened in tuple(self._sockets):
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._curl.close()
        for opened in self._sockets:
            opened.close()
        self._sockets.clear()

    def perform(self, outgoing: Outgoing, timeout_seconds: float, cancellation: Cancellation) -> Incoming:
        import pycurl

        exchange = _Exchange(outgoing, self._limits, cancellation, self._open)
        curl = self._curl
        self._prepare(outgoing, timeout_seconds)
        exchange.attach(curl)
        try:
            curl.perform()
        except pycurl.error as error:
            if exchange.failure is not None:
                raise exchange.failure from None
            cancellation.check()
            raise self._translated(error, outgoing.url, exchange) from None
        if exchange.failure is not None:
            raise exchange.failure
        return exchange.incoming(curl.getinfo(pycurl.RESPONSE_CODE))

    def _open(self, family: int, kind: int, protocol: int) -> socket.socket:
        opened = socket.socket(family, kind, protocol)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sockets = [old for old in self._sockets if old.fileno() >= 0][-_MOST_IDLE:]
        self._sockets.append(opened)
        return opened

    def _prepare(self, outgoing: Outgoing, timeout_seconds: float) -> None:
        """A handle that has sent nothing but plain GETs keeps its settings; any other method leaves a fresh start."""
        import pycurl

        curl, url = self._curl, outgoing.url
        if not self._is_set_up:
            curl.reset()
            self._set_up()
        is_plain = outgoing.method == "GET" and outgoing.body is None and outgoing.signing is None
        self._is_set_up = is_plain
        if not is_plain:
            self._set_method(outgoing)
        if outgoing.signing is not None:
            self._sign(outgoing.signing)
        curl.setopt(pycurl.URL, url.reveal())
        curl.setopt(pycurl.RESOLVE, [_pin(url, outgoing.addresses)])
        curl.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, int(min(self._limits.connect_seconds, timeout_seconds) * 1000)))
        curl.setopt(pycurl.TIMEOUT_MS, max(1, int(timeout_seconds * 1000)))
        curl.setopt(pycurl.HTTPHEADER, [*(_header_line(*pair) for pair in outgoing.headers), "Expect:"])

    def _set_up(self) -> None:
        """What is the same for every request."""
        import pycurl

        curl = self._curl
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.FOLLOWLOCATION, 0)
        curl.setopt(pycurl.PROXY, "")
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.BUFFERSIZE, _BUFFER_BYTES)
        curl.setopt(pycurl.ACCEPT_ENCODING, "gzip, deflate")
        curl.setopt(pycurl.USERAGENT, _USER_AGENT)
        curl.setopt(pycurl.LOW_SPEED_LIMIT, 1)
        curl.setopt(pycurl.LOW_SPEED_TIME, self._limits.idle_seconds)
        self._set_tls()

    def _set_method(self, outgoing: Outgoing) -> None:
        import pycurl

        if outgoing.body is not None:
            self._curl.setopt(pycurl.POST, 1)
            self._curl.setopt(pycurl.POSTFIELDSIZE_LARGE, len(outgoing.body))
            self._curl.setopt(pycurl.POSTFIELDS, outgoing.body)
        if outgoing.method == "HEAD":
            self._curl.setopt(pycurl.NOBODY, 1)
        else:
            self._curl.setopt(pycurl.CUSTOMREQUEST, outgoing.method)

    def _sign(self, signing: Signing) -> None:
        import pycurl

        self._curl.setopt(pycurl.AWS_SIGV4, f"aws:amz:{signing.region}:{signing.service}")
        self._curl.setopt(pycurl.USERNAME, signing.key_id)
        self._curl.setopt(pycurl.PASSWORD, signing.key.reveal())

    def _set_tls(self) -> None:
        import certifi
        import pycurl

        curl, tls = self._curl, self._tls
        curl.setopt(pycurl.SSL_VERIFYPEER, 1)
        curl.setopt(pycurl.SSL_VERIFYHOST, 2)
        curl.setopt(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2)
        curl.setopt(pycurl.CAINFO, tls.authorities or certifi.where())
        if tls.certificate is not None:
            curl.setopt(pycurl.SSLCERT, tls.certificate)
            curl.setopt(pycurl.SSLKEY, tls.key or tls.certificate)
            if tls.key_password is not None:
                curl.setopt(pycurl.KEYPASSWD, tls.key_password)

    def _translated(self, error: pycurl.error, url: Url, exchange: _Exchange) -> PenstockError | NotSentError:
        import pycurl

        code = error.args[0]
        text = str(error.args[1])[:200] if len(error.args) > 1 else ""
        host = f'"{url.authority}"'
        if code in {pycurl.E_COULDNT_CONNECT, pycurl.E_COULDNT_RESOLVE_HOST}:
            return NotSentError(TransientError("NET-110", f"no connection to {host}", detail=text))
        if code == pycurl.E_OPERATION_TIMEOUTED:
            late = TransientError("NET-111", f"{host} did not answer in time", detail=_without_url(text, url))
            return late if exchange.connected(self._curl) else NotSentError(late)
        if code == pycurl.E_PEER_FAILED_VERIFICATION:
            hint = "an authority of your own is named in tls.ca_file"
            return ConfigError("NET-113", f"the certificate of {host} is not trusted", detail=text, hint=hint)
        if code in {pycurl.E_SSL_CACERT_BADFILE, pycurl.E_SSL_CERTPROBLEM, pycurl.E_SSL_ISSUER_ERROR} or (
            code == pycurl.E_BAD_FUNCTION_ARGUMENT and self._tls.certificate is not None
        ):
            return ConfigError("NET-117", "the TLS files of the connection are not usable", detail=_without_paths(text))
        if code in {pycurl.E_SSL_CONNECT_ERROR, pycurl.E_SSL_CIPHER}:
            return NotSentError(TransientError("NET-114", f"TLS with {host} failed", detail=text))
        if code == pycurl.E_BAD_CONTENT_ENCODING and "unrecognized" in text.lower():
            return ConfigError("NET-116", f"{host} compressed its answer in a way that is not supported", detail=text)
        if code in _BROKEN:
            return TransientError("NET-112", f"the connection to {host} broke", detail=_without_url(text, url))
        return InternalError("INT-900", f"libcurl failed with {code}: {_without_url(text, url)}")


# Codes of libcurl (curl.h); pycurl has no names for some of them. Read, write, framing, HTTP/2, decoding, early end.
_BROKEN: Final = frozenset({1, 8, 16, 18, 23, 26, 34, 52, 55, 56, 61, 80, 81, 88, 92, 95})


class _Exchange:
    """The callbacks of one request. A callback never lets an exception into libcurl: it keeps it and ends the transfer."""

    def __init__(
        self,
        outgoing: Outgoing,
        limits: Limits,
        cancellation: Cancellation,
        open_socket: Callable[[int, int, int], socket.socket],
    ) -> None:
        self.failure: BaseException | None = None
        self._outgoing = outgoing
        self._limits = limits
        self._cancellation = cancellation
        self._open_socket = open_socket
        self._parts: list[bytes] = []
        self._size = 0
        self._lines: list[bytes] = []
        self._header_size = 0

    def attach(self, curl: Any) -> None:
        import pycurl

        curl.setopt(pycurl.WRITEFUNCTION, self._on_body)
        curl.setopt(pycurl.HEADERFUNCTION, self._on_header)
        curl.setopt(pycurl.OPENSOCKETFUNCTION, self._on_open)
        curl.setopt(pycurl.NOPROGRESS, 0)
        curl.setopt(pycurl.XFERINFOFUNCTION, self._on_progress)

    def connected(self, curl: Any) -> bool:
        """Whether the connection stood, so that the request may have arrived."""
        import pycurl

        return bool(curl.getinfo(pycurl.PRETRANSFER_TIME) > 0)

    def incoming(self, status: int) -> Incoming:
        return Incoming(status, Headers(_header_pairs(self._lines)), b"".join(self._parts))

    def _on_body(self, part: bytes) -> int | None:
        self._size += len(part)
        if self._size > self._limits.max_response_bytes:
            self.failure = too_large(self._limits)
            return 0
        self._parts.append(part)
        return None

    def _on_header(self, line: bytes) -> int | None:
        self._header_size += len(line)
        if self._header_size > self._limits.max_header_bytes:
            self.failure = ConfigError("NET-115", "the headers of an answer are larger than 64 KiB")
            return 0
        if line.startswith(b"HTTP/"):
            self._lines.clear()  # an interim answer (1xx) was before
        else:
            self._lines.append(line)
        return None

    def _on_open(self, _purpose: int, address: Any) -> Any:
        import pycurl

        try:
            meant = plain(ip_address(address.addr[0]))
            if meant not in self._outgoing.addresses:
                raise InternalError("INT-900", f"libcurl wanted to connect to {meant}, which was not checked")
            return self._open_socket(address.family, address.socktype, address.protocol)
        except (PenstockError, OSError, ValueError) as error:
            self.failure = error if isinstance(error, PenstockError) else None
            return pycurl.SOCKET_BAD

    def _on_progress(self, *_: int) -> int:
        return 1 if self._cancellation.cancelled else 0


def too_large(limits: Limits) -> ConfigError:
    """NET-115, to be raised: the answer is larger than the connection allows."""
    return ConfigError(
        "NET-115",
        f"an answer is larger than {limits.max_response_bytes} bytes",
        hint="ask for smaller pages, or raise max_response_bytes of the connection",
    )


def _pin(url: Url, addresses: Sequence[IpAddress]) -> str:
    host = f"[{url.host}]" if ":" in url.host else url.host
    listed = ",".join(f"[{address}]" if address.version == 6 else str(address) for address in addresses)  # noqa: PLR2004 -- IPv6
    return f"{host}:{url.port}:{listed}"


def _header_line(name: str, value: str) -> bytes:
    """A header without a value ends in a semicolon there; one that ends in its colon would be left out."""
    return f"{name}: {value}".encode() if value else f"{name};".encode()


def _header_pairs(lines: Sequence[bytes]) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, colon, value = line.partition(b":")
        if colon:
            yield name.decode("latin-1").strip(), value.decode("utf-8", "replace").strip()


def _without_url(text: str, url: Url) -> str:
    return text.replace(url.reveal(), str(url))


def _without_paths(text: str) -> str:
    """What libcurl says before it quotes a file."""
    return text.partition("'")[0].partition(" file:")[0].strip()
