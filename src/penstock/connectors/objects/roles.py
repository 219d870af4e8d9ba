"""A role taken on with a connection's keys: temporary credentials from the token service (STS), renewed in time.

The request is AssumeRole of the AWS Security Token Service's API, version 2011-06-15, signed by libcurl.

| the service says | class and code |
|---|---|
| keys that are wrong or unknown | ConfigError NET-152 |
| temporary credentials, with which the role was to be taken on, that have run out | ConfigError NET-153 |
| anything else that is no credentials | ConfigError NET-180 |
"""

from __future__ import annotations

import re
import threading
from datetime import datetime, timedelta
from html import unescape
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from penstock.connectors.http.client import HttpClient
from penstock.connectors.http.config import HttpConnection
from penstock.connectors.http.messages import Request, Signing
from penstock.connectors.objects.config import S3Connection
from penstock.errors import ConfigError
from penstock.fields import reveal
from penstock.secret import Secret
from penstock.structs import Selective

if TYPE_CHECKING:
    from penstock.clock import Clock
    from penstock.connectors.http.messages import Response
    from penstock.connectors.objects.config import AssumedRole, ObjectConnection

_VERSION: Final = "2011-06-15"
_ANSWERS: Final = frozenset({400, 403})
_MOST_BYTES: Final = 1 << 20
# The driver asks for others five minutes before they run out: ours are newer by then.
_RENEW_BEFORE: Final = timedelta(minutes=7)
_KEYS: Final = frozenset(
    {"InvalidClientTokenId", "SignatureDoesNotMatch", "IncompleteSignature", "UnrecognizedClientException"}
)
_EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException"})


class TemporaryKeys(Selective):
    """What the token service gave, and until when it holds."""

    key_id: str
    key: Secret
    token: Secret
    expires_at: datetime
    uncompared = frozenset({"expires_at"})


class RoleSession:
    """Thread-safe. ``renew`` is called before requests, ``credential`` by the driver, on threads of its own."""

    def __init__(self, connection: S3Connection, role: AssumedRole, clock: Clock) -> None:
        self._connection = connection
        self._role = role
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: TemporaryKeys | None = None

    def renew(self) -> None:
        """Fetch credentials where there are none, or only for minutes yet.

        Raises ConfigError NET-141, NET-152, NET-153, NET-180 and what ``HttpClient.send`` does.
        """
        with self._lock:
            if self._keys is None or self._keys.expires_at - self._clock.now() < _RENEW_BEFORE:
                self._keys = self._fetched()

    def credential(self) -> dict[str, Any]:
        """As the driver takes it; asks nobody."""
        keys = self._keys
        assert keys is not None
        return {
            "access_key_id": keys.key_id,
            "secret_access_key": keys.key.reveal(),
            "token": keys.token.reveal(),
            "expires_at": keys.expires_at,
        }

    def _fetched(self) -> TemporaryKeys:
        told = self._connection
        client = HttpClient(
            HttpConnection(
                base_url=self._role.endpoint or f"https://sts.{told.region}.amazonaws.com",
                allow_private=told.allow_private,
                timeouts=told.timeouts,
                retries=told.retries,
                max_response_bytes=_MOST_BYTES,
                max_redirects=0,
            ),
            clock=self._clock,
        )
        try:
            answer = client.send(self._request())
        finally:
            client.close()
        return _read(answer, self._role)

    def _request(self) -> Request:
        told, role = self._connection, self._role
        asked = {
            "Action": "AssumeRole",
            "Version": _VERSION,
            "RoleArn": role.arn,
            "RoleSessionName": role.session_name,
            "DurationSeconds": str(int(role.duration.total_seconds())),
        }
        if role.external_id is not None:
            asked["ExternalId"] = reveal(role.external_id)
        assert told.access_key_id is not None
        assert told.secret_access_key is not None
        token = told.session_token
        return Request(
            path="/",
            method="POST",
            headers=(
                ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
                *([("X-Amz-Security-Token", token)] if token is not None else []),
            ),
            body=urlencode(asked).encode(),
            accept=_ANSWERS,
            repeatable=True,
            signing=Signing(told.region, "sts", reveal(told.access_key_id), told.secret_access_key),
        )


def role_of(connection: ObjectConnection, clock: Clock) -> RoleSession | None:
    """None where the connection's own credentials are used."""
    if not isinstance(connection, S3Connection) or connection.role is None:
        return None
    return RoleSession(connection, connection.role, clock)


def _read(answer: Response, role: AssumedRole) -> TemporaryKeys:
    text = answer.body.decode(errors="replace")
    parts = [_element(text, name) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")]
    if answer.status in _ANSWERS or not all(parts):
        raise _refusal(text, role)
    key_id, key, token, until = parts
    try:
        expires_at = datetime.fromisoformat(until)
    except ValueError:
        raise _refusal("", role) from None
    if expires_at.tzinfo is None:
        raise _refusal("", role)
    return TemporaryKeys(key_id, Secret(key), Secret(token), expires_at)


def _refusal(text: str, role: AssumedRole) -> ConfigError:
    code, message = _element(text, "Code"), _element(text, "Message")
    said = ": ".join(filter(None, (code, message.strip()[:300])))
    number, words, hint = (
        "NET-180",
        f'the role "{role.arn}" cannot be taken on',
        "check the role's trust policy, and external_id",
    )
    if code in _KEYS:
        number, words, hint = (
            "NET-152",
            "the token service does not know the credentials",
            "check the keys of the connection",
        )
    if code in _EXPIRED:
        number, words = "NET-153", "the token service no longer takes the credentials"
        hint = "renew the connection's temporary credentials"
    detail = f"the token service says: {said}" if said else "its answer holds no credentials"
    return ConfigError(number, words, detail=detail, hint=hint, about=("connection",))


def _element(text: str, name: str) -> str:
    found = re.search(rf"<{name}>([^<]{{1,8192}})</{name}>", text)
    return unescape(found[1]) if found else ""
