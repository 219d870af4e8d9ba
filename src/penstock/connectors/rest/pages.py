"""What makes an answer a page: JSON in UTF-8, from its first to its last byte."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Final

from penstock.errors import DataError, blanked
from penstock.structs import Selective

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.connectors.http.messages import Headers, Response
    from penstock.connectors.http.urls import Url

_NO_CONTENT: Final = 204
_SHOWN: Final = 120
_SPACE: Final = b" \t\r\n"
_NOT_JSON: Final = ("text/html", "application/xhtml+xml", "text/xml", "application/xml", "text/csv")


class Page(Selective):
    """``number`` counts from 1 in the order of the listing; ``body`` is UTF-8, empty where the server had no content."""

    number: int
    body: bytes
    headers: Headers
    url: Url
    unprinted = frozenset({"body"})


def page_of(number: int, response: Response, redact: Callable[[str], str]) -> Page:
    """Raises DataError SRC-271, naming the page and showing its beginning without secrets."""
    if response.status == _NO_CONTENT:
        return Page(number, b"", response.headers, response.url)
    body = _in_utf8(number, response, redact)
    reason = _objection(body, response.headers)
    if reason is not None:
        raise not_json(number, reason, body=body, redact=redact)
    return Page(number, body, response.headers, response.url)


def not_json(number: int, reason: str, *, body: bytes, redact: Callable[[str], str]) -> DataError:
    """SRC-271, to be raised: the page is no JSON; shows its beginning, without secrets."""
    text = redact(body[: 16 * _SHOWN].decode("utf-8", "replace"))
    beginning = " ".join(blanked(text).split())[:_SHOWN]
    return DataError("SRC-271", f"page {number} {reason}", detail=f"it begins: {beginning}" if beginning else None)


def _in_utf8(number: int, response: Response, redact: Callable[[str], str]) -> bytes:
    """A charset that the server states is believed; without one it is UTF-8 (RFC 8259, 8.1)."""
    body, stated = response.body, _charset(response.headers)
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise not_json(number, "is UTF-16, not UTF-8", body=b"", redact=redact)
    if stated is not None:
        try:
            body = body.decode(stated).encode()
        except (UnicodeError, LookupError):
            raise not_json(
                number, f"is not {stated}, which the server says that it is", body=body, redact=redact
            ) from None
    elif not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as error:
            reason = f"is not UTF-8 at byte {error.start + 1}"
            raise not_json(number, reason, body=body, redact=redact) from None
    return body.removeprefix(codecs.BOM_UTF8)


def _charset(headers: Headers) -> str | None:
    """The charset that the content type states, unless it is UTF-8 or unknown here."""
    found = re.search(r'charset\s*=\s*"?([A-Za-z0-9._:-]+)', headers.get("Content-Type") or "", re.IGNORECASE)
    try:
        name = codecs.lookup(found[1]).name if found else "utf-8"
    except LookupError:
        return None
    return None if name in {"utf-8", "ascii"} else name


def _objection(body: bytes, headers: Headers) -> str | None:
    """Why this cannot be JSON, as far as its ends and its kind tell; the whole is parsed by the inspector."""
    kind = (headers.get("Content-Type") or "").partition(";")[0].strip().lower()
    stripped = body.strip(_SPACE) if body[:1] in _SPACE or body[-1:] in _SPACE else body
    if not stripped:
        return "is empty"
    if stripped[:1] not in {b"{", b"["}:
        return f"is {kind}, not JSON" if kind in _NOT_JSON else "is not JSON"
    if stripped[-1:] != (b"}" if stripped[:1] == b"{" else b"]"):
        return "is JSON that breaks off"
    return None


def strict_objection(body: bytes) -> str | None:
    """Why this is not JSON as RFC 8259 has it, which knows neither NaN nor a comma before a bracket."""
    import orjson

    try:
        orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return f"is not valid JSON at line {error.lineno}, column {error.colno}: {error.msg.partition(':')[0]}"
    return None
