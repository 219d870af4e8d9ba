"""What the driver's exceptions mean, in one table.

| what happened | class and code |
|---|---|
| no such bucket or container | ConfigError NET-151 |
| keys that are wrong, unknown or missing | ConfigError NET-152 |
| temporary credentials that have run out | ConfigError NET-153 |
| a right is missing | ConfigError NET-154 |
| the bucket is another region's | ConfigError NET-181 |
| any other refusal | ConfigError NET-155 |
| not reachable, cut off, busy, 5xx, asked to slow down | TransientError NET-156 |

What the store says is shown by its code and message alone: the rest holds signatures.
"""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Final

from penstock.errors import ConfigError, TransientError
from penstock.secret import MASK
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from penstock.errors import PenstockError

_STATUS: Final = re.compile(r"non-2xx status code: (\d{3})")
_CODE: Final = re.compile(r"<Code>([A-Za-z0-9.]{1,80})</Code>")
_MESSAGE: Final = re.compile(r"<Message>([^<]{1,300})", re.DOTALL)
_GCS_MESSAGE: Final = re.compile(r'"message": "([^"]{1,300})"')
_REASON: Final = re.compile(r"HTTP error: ([a-z ]{1,80})")
_NOWHERE: Final = "redirect without LOCATION"  # how a store of another region answers
_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504, 509})
_AGAIN_CODES: Final = frozenset(
    {"SlowDown", "RequestTimeout", "InternalError", "ServerBusy", "OperationAborted", "ConditionalRequestConflict"}
)


class _Refusal(Frozen):
    code: str
    words: str
    hint: str | None = None

    def error(self, store: str, doing: str, detail: str | None) -> ConfigError:
        message = f'the store "{store}" {self.words} while {doing}'
        return ConfigError(self.code, message, detail=detail, hint=self.hint, about=("connection",))


_BUCKET: Final = _Refusal("NET-151", "is not there", "check the bucket or container of the connection, or create it")
_KEYS: Final = _Refusal("NET-152", "does not know the credentials", "check the keys of the connection")
_EXPIRED: Final = _Refusal("NET-153", "no longer takes the credentials", "renew the connection's temporary credentials")
_RIGHT: Final = _Refusal("NET-154", "does not give a right that is needed")
_REGION: Final = _Refusal("NET-181", "lies in another region", "state the bucket's region in the connection")
_OTHER: Final = _Refusal("NET-155", "refuses a request")

_BY_CODE: Final[Mapping[str, _Refusal]] = {
    **dict.fromkeys(("NoSuchBucket", "ContainerNotFound"), _BUCKET),
    **dict.fromkeys(
        ("InvalidAccessKeyId", "SignatureDoesNotMatch", "AuthenticationFailed", "InvalidToken", "AuthFailure"), _KEYS
    ),
    **dict.fromkeys(
        ("AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"), _REGION
    ),
    **dict.fromkeys(("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"), _EXPIRED),
}
_BY_STATUS: Final = {401: _KEYS, 403: _RIGHT}


def classified(error: Exception, *, store: str, doing: str, hidden: Iterable[str] = ()) -> PenstockError:
    """What to raise for an exception of the driver that is none of the answers that its caller reckons with; ``hidden`` are
    texts that no message may show.
    """
    text = str(error).partition("\n\nDebug source")[0]
    status, code = _STATUS.search(text), _CODE.search(text)
    number = int(status[1]) if status else 0
    detail = _said(text)
    for secret in hidden if detail else ():
        detail = (detail or "").replace(secret, MASK)
    if _NOWHERE in text:
        return _REGION.error(store, doing, None)
    if not status or number in _AGAIN or (code and code[1] in _AGAIN_CODES):
        return TransientError("NET-156", f'the store "{store}" did not answer while {doing}', detail=detail)
    refusal = _BY_CODE.get(code[1] if code else "") or _BY_STATUS.get(number, _OTHER)
    return refusal.error(store, doing, detail)


def is_no_bucket(error: Exception) -> bool:
    """Of an object that is not there: whether the bucket is what is missing."""
    code = _CODE.search(str(error))
    return code is not None and _BY_CODE.get(code[1]) is _BUCKET


def _said(text: str) -> str | None:
    """Of Azure's messages the first line: the others name the request."""
    code = _CODE.search(text)
    message = _MESSAGE.search(text) or _GCS_MESSAGE.search(text)
    parts = [code[1] if code else "", message[1].strip().splitlines()[0] if message else ""]
    said = unescape(": ".join(filter(None, parts)))
    if said:
        return f"the store says: {said}"
    reason = _REASON.search(text)
    return reason[1] if reason else None
