"""What WebHDFS answers where it does not do what it is asked, and what that means, in one table.

| what happened | class and code |
|---|---|
| there is no WebHDFS at the address | ConfigError NET-171 |
| a token that is wrong or has run out, a user that is not believed | ConfigError NET-172 |
| a right is missing | ConfigError NET-173 |
| any other refusal | ConfigError NET-174 |
| not reachable, cut off, 5xx, on standby, in safe mode | TransientError NET-175 |
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from penstock.errors import ConfigError, TransientError
from penstock.secret import MASK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.errors import PenstockError

NOT_THERE: Final = "FileNotFoundException"
TAKEN: Final = "FileAlreadyExistsException"
NOT_EMPTY: Final = "PathIsNotEmptyDirectoryException"
_STRANGERS: Final = frozenset({"SecurityException", "InvalidToken", "AuthenticationException", "TokenExpiredException"})
_RIGHTS: Final = frozenset({"AccessControlException", "AuthorizationException"})
_AGAIN: Final = frozenset(
    {
        "AlreadyBeingCreatedException",
        "ConnectException",
        "FileNotFoundException",  # where nobody reckons with it: what is being written was removed
        "IOException",  # whatever has no name of its own, such as that no datanode is at hand
        "LeaseExpiredException",
        "RecoveryInProgressException",
        "RetriableException",
        "SafeModeException",
        "SocketTimeoutException",
        "StandbyException",
    }
)
_UNAUTHORIZED: Final = 401
_NOT_FOUND: Final = 404
_BUSY: Final = frozenset({408, 429})
_OF_THE_SERVER: Final = 500
_LONGEST: Final = 300
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f]+")


class RemoteError(Exception):
    """An answer of a status above 399; ``name`` is the exception that the server names, "" where it names none."""

    def __init__(self, status: int, name: str = "", message: str = "") -> None:
        super().__init__(status, name, message)
        self.status = status
        self.name = name
        self.message = message

    @classmethod
    def of(cls, status: int, body: bytes) -> RemoteError:
        try:
            told = json.loads(body)["RemoteException"]
            return cls(status, str(told["exception"]), str(told["message"]))
        except (ValueError, KeyError, TypeError):
            return cls(status)

    @property
    def may_pass(self) -> bool:
        return self.name in _AGAIN or self.status in _BUSY or self.status >= _OF_THE_SERVER


def classified(error: RemoteError, *, place: str, doing: str, hidden: Iterable[str] = ()) -> PenstockError:
    """What to raise for an answer that its caller does not reckon with; ``hidden`` are texts that no message may show."""
    detail = _said(error, hidden)
    if error.may_pass:
        return unanswered(place, doing, detail)
    code, words, hint = "NET-174", "refuses a request", None
    if not error.name and error.status == _NOT_FOUND:
        code, words, hint = "NET-171", "has no WebHDFS", "check the endpoint of the connection, and dfs.webhdfs.enabled"
    elif error.name in _STRANGERS or error.status == _UNAUTHORIZED:
        code, words, hint = (
            "NET-172",
            "does not take the credentials",
            "check the connection's user, or renew its token",
        )
    elif error.name in _RIGHTS:
        code, words = "NET-173", "does not give a right that is needed"
    return ConfigError(code, f'"{place}" {words} while {doing}', detail=detail, hint=hint, about=("connection",))


def unanswered(place: str, doing: str, detail: str | None) -> TransientError:
    return TransientError("NET-175", f'"{place}" did not answer while {doing}', detail=detail)


def _said(error: RemoteError, hidden: Iterable[str]) -> str:
    """The first line: the others are where in the server it happened."""
    message = _UNPRINTABLE.sub(" ", error.message.strip().partition("\n")[0])
    for secret in hidden:
        message = message.replace(secret, MASK)
    said = ": ".join(filter(None, (error.name, message[:_LONGEST])))
    return f"it says: {said}" if said else f"its answer has the status {error.status}"
