"""What a status of HTTP means for a request: an answer, a reason to try again, or an error; and how long to wait."""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from penstock.connectors.resilience.retry import Again
from penstock.connectors.resilience.settings import Failure
from penstock.errors import ConfigError, FatalError, TransientError, blanked

if TYPE_CHECKING:
    from datetime import datetime

    from penstock.connectors.http.curl import Incoming
    from penstock.connectors.http.messages import Headers, Request
    from penstock.connectors.http.redact import Redactor
    from penstock.connectors.http.urls import Url
    from penstock.errors import PenstockError

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
# RFC 9110: the server did not take the request up, so that it may be sent again whatever it does.
_NOT_TAKEN_UP: Final = frozenset({425, 429, 503})
_AGAIN: Final = _NOT_TAKEN_UP | {408, 500, 502, 504, 507, 509, 520, 521, 522, 523, 524, 529, 598, 599}
_REFUSED: Final = frozenset({401, 403, 407})
_NOTHING_THERE: Final = frozenset({404, 410})
_SHOWN_BYTES: Final = 2048
_SHOWN_CHARACTERS: Final = 300


def is_answer(status: int, request: Request) -> bool:
    """Whether the status is what the request hopes for: 2xx, or one that it names itself."""
    return 200 <= status < 300 or status in request.accept  # noqa: PLR2004 -- HTTP's own numbers


def judge(
    incoming: Incoming, request: Request, *, url: Url, now: datetime, redactor: Redactor
) -> Again | PenstockError:
    """What to make of an answer that is none: Again, or the error to raise."""
    status = incoming.status
    asked = retry_after_seconds(incoming.headers, now)
    message = f'"{url.authority}" answered {_named(status)} to {request.method} {redactor(url.shown_path)}'
    detail = said(incoming, redactor)
    if status in _AGAIN or (status in _REFUSED and asked is not None):
        if status not in _NOT_TAKEN_UP and status not in _REFUSED and not request.may_repeat:
            return FatalError("NET-124", f"{message}; whether it took effect is not known", detail=detail)
        failure = Failure.BUSY if status in _NOT_TAKEN_UP or status in _REFUSED else Failure.ERROR
        return Again(TransientError("NET-120", message, detail=detail), asked, failure)
    if status in _REFUSED:
        return ConfigError("NET-121", message, detail=detail, hint=_REFUSED_HINT if status == _UNAUTHORIZED else None)
    if status in _NOTHING_THERE:
        return ConfigError("NET-122", message, detail=detail, about=("path",))
    if 400 <= status < 500:  # noqa: PLR2004 -- HTTP's own numbers
        return ConfigError("NET-123", message, detail=detail)
    return ConfigError("NET-125", message, detail=detail)


_UNAUTHORIZED: Final = 401
_REFUSED_HINT: Final = "look at auth of the connection: its kind, its place, its secret"


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def retry_after_seconds(headers: Headers, now: datetime) -> float | None:
    """The wait that the server asks for (RFC 9110, 10.2.3: seconds, or a date), at least 0; None where it asks for none
    that can be read.
    """
    text = (headers.get("Retry-After") or "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds())


def said(incoming: Incoming, redactor: Redactor) -> str | None:
    """The beginning of what the server says about its error, printable and without secrets."""
    text = redactor(incoming.body[:_SHOWN_BYTES].decode("utf-8", "replace"))
    text = re.sub(r"(?s)<(script|style)\b.*?</\1>|<[^>]*>", " ", text) if "<" in text else text
    text = " ".join(blanked(text).split())
    return f"the server says: {text[:_SHOWN_CHARACTERS]}" if text else None
