"""URLs in one canonical form, so that what is checked is what is connected to.

Stricter than browsers: what two parsers may read in two ways is refused (user names, octal or decimal addresses, zone
ids, backslashes, white space), because such a URL is a mistake or an attack.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from urllib.parse import parse_qsl, quote, urljoin, urlsplit

from penstock.connectors.http.redact import shown_target
from penstock.errors import ConfigError
from penstock.secret import MASK
from penstock.structs import Frozen, replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.connectors.http.addresses import IpAddress

Scheme: TypeAlias = Literal["http", "https"]
_PORTS: Final[dict[Scheme, int]] = {"http": 80, "https": 443}
_LONGEST_URL: Final = 16 * 1024
_LONGEST_HOST: Final = 253
_NOT_IN_URLS: Final = re.compile(r"[\x00-\x20\x7f\\]")
LARGEST_PORT: Final = 65535
_AUTHORITY: Final = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*)(?::([0-9]{0,9}))?")
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC_LABEL: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
# RFC 3986: unreserved, reserved without "#[]", and "%" so that what is encoded stays as it is.
_SAFE_IN_TARGET: Final = "!$&'()*+,;=:@/?%-._~"


class Url(Frozen):
    """``host`` is lower-case ASCII (punycode) without a final dot, or an address without brackets; ``target`` is path
    and query, percent-encoded. ``hidden``: the whole URL came from a secret, so that only its host is shown.
    """

    scheme: Scheme
    host: str
    port: int
    target: str
    hidden: bool = False

    @property
    def origin(self) -> tuple[Scheme, str, int]:
        """Credentials belong to an origin and never leave it."""
        return (self.scheme, self.host, self.port)

    @property
    def address(self) -> IpAddress | None:
        """The address that the host is, None where it is a name."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def reveal(self) -> str:
        """The URL itself, for the driver; its query may hold secrets."""
        return f"{self.scheme}://{self.authority}{self.target}"

    def __str__(self) -> str:
        """The URL as it may be shown."""
        return f"{self.scheme}://{self.authority}{'/' + MASK if self.hidden else shown_target(self.target)}"

    __repr__ = __str__

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def shown_path(self) -> str:
        """The path as it may be shown."""
        return f"/{MASK}" if self.hidden else self.path

    def query_names(self) -> frozenset[str]:
        """The names in the query, percent-decoded."""
        return frozenset(name for name, _ in parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    def with_query(self, pairs: Sequence[tuple[str, str]]) -> Url:
        """These parameters after those that are there."""
        if not pairs:
            return self
        added = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
        path, _, query = self.target.partition("?")
        return replace(self, target=f"{path}?{query}&{added}" if query else f"{path}?{added}")


def parse_url(text: str, *, hidden: bool = False) -> Url:
    """The canonical form of an absolute URL; a fragment is dropped.

    Raises ConfigError NET-100 (form), NET-101 (scheme), NET-102 (host); no message shows a password or a query, nor
    anything of a hidden URL.
    """
    try:
        return _parse(text, hidden=hidden)
    except ConfigError as error:
        if not hidden:
            raise
        raise ConfigError(
            error.code, "a URL that came from a secret is not usable", hint=error.problems[0].hint
        ) from None


def _parse(text: str, *, hidden: bool) -> Url:
    if len(text) > _LONGEST_URL:
        raise ConfigError("NET-100", f"a URL is longer than {_LONGEST_URL} characters")
    if found := _NOT_IN_URLS.search(text):
        raise ConfigError(
            "NET-100",
            f'a URL has the character {found[0]!a} at position {found.start() + 1}: "{_before_query(text)}"',
            hint="write a space as %20; a URL has no backslashes or control characters",
        )
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise ConfigError("NET-100", f"not a URL: {_reason(error)}") from None
    scheme = _scheme(parts.scheme, text)
    if "@" in parts.netloc:
        hint = "credentials stand under auth, such as auth: {type: basic, ...}"
        raise ConfigError("NET-100", "a URL has a user name or password in it", hint=hint)
    split = _AUTHORITY.fullmatch(parts.netloc)
    if split is None or not 0 < int(split[2] or _PORTS[scheme]) <= LARGEST_PORT:
        raise ConfigError("NET-100", f"{parts.netloc[:80]!a} is no host with a port of 1 to {LARGEST_PORT}")
    port = int(split[2] or _PORTS[scheme])
    return Url(scheme, canonical_host(split[1]), port, _target(parts.path, parts.query), hidden)


def _scheme(written: str, text: str) -> Scheme:
    match written:
        case "http" | "https":
            return written
        case "":
            raise ConfigError("NET-101", f'"{_before_query(text)}" is no absolute URL: http:// or https:// is missing')
        case _:
            raise ConfigError("NET-101", f"a URL starts with http:// or https://, not with {written[:30]!a}")


def canonical_host(text: str) -> str:
    """Raises ConfigError NET-102 for a host that is neither a DNS name nor an address in its usual form."""
    if text.startswith("["):
        return _address_6(text)
    name = _ascii_host(text)
    name = name.removesuffix(".")
    labels = name.split(".")
    if _NUMERIC_LABEL.fullmatch(labels[-1]):
        try:
            return str(IPv4Address(name))
        except AddressValueError:
            hint = "an address is four decimal numbers without leading zeros, such as 192.0.2.10"
            raise ConfigError("NET-102", f'host "{name[:60]}" is no IPv4 address', hint=hint) from None
    if len(name) > _LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise ConfigError("NET-102", f"{text[:80]!a} is no host name")
    return name


def _address_6(text: str) -> str:
    try:
        address = IPv6Address(text[1:-1])
    except AddressValueError:
        address = None
    if address is None or address.scope_id is not None:
        raise ConfigError("NET-102", f"{text[:60]!a} is no IPv6 address; zone ids are not allowed")
    return str(address)


def _ascii_host(text: str) -> str:
    if not text:
        raise ConfigError("NET-102", "a URL has no host")
    if text.isascii():
        return text.lower()
    import idna

    try:
        return idna.encode(text, uts46=True, transitional=False).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        raise ConfigError("NET-102", f"{text[:80]!a} is no international host name") from None


def _target(path: str, query: str) -> str:
    target = quote(path or "/", safe=_SAFE_IN_TARGET)
    return f"{target}?{quote(query, safe=_SAFE_IN_TARGET)}" if query else target


def _before_query(text: str) -> str:
    """The beginning of a URL that is no URL, for a message: no query, no credentials, printable."""
    if "@" in text:
        return MASK
    return ascii(text.partition("?")[0][:120])[1:-1]


def _reason(error: ValueError) -> str:
    """The parser's words without the text that it quotes."""
    return re.sub(r"['\"].*['\"]", "it", str(error), flags=re.DOTALL)[:120]


def join(base: Url, path: str, *, hidden: bool = False) -> str:
    """The text of ``path`` below ``base``: appended to its path; a URL of its own where it is one.

    Raises ConfigError NET-100 for ``//host/…``, which would silently name another host; of a ``hidden`` path it shows
    nothing.
    """
    if path.startswith("//"):
        shown = MASK if hidden else _before_query(path)
        raise ConfigError("NET-100", f'path "{shown}" starts with "//", which names a host')
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", path):
        return path
    if not path:
        return base.reveal()
    base_path, _, base_query = base.reveal().partition("?")
    own_path, _, own_query = path.partition("?")
    query = "&".join(part for part in (base_query, own_query) if part)
    return f"{base_path.rstrip('/')}/{own_path.lstrip('/')}" + (f"?{query}" if query else "")


def follow(base: Url, reference: str) -> Url:
    """A link or a ``Location`` that the server gave, read as RFC 3986 reads it relative to ``base``.

    White space and other characters that servers forget to encode are encoded. Errors as :func:`parse_url`.
    """
    encoded = quote(reference.strip(), safe=_SAFE_IN_TARGET + "#[]\\")
    try:
        absolute = urljoin(base.reveal(), encoded)
    except ValueError as error:
        raise ConfigError("NET-100", f"the server sent on to what is no URL: {_reason(error)}") from None
    return parse_url(absolute, hidden=base.hidden)
