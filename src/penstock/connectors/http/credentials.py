"""Who we are to a service: what a request gets added so that the service knows, by kind of authentication."""

from __future__ import annotations

import base64
import json
import threading
from typing import TYPE_CHECKING, Final, Protocol, assert_never
from urllib.parse import quote, urlencode

from penstock.connectors.http.config import ApiKeyAuth, BasicAuth, BearerAuth, OAuth2Auth
from penstock.connectors.http.messages import Request, check_header
from penstock.errors import ConfigError
from penstock.fields import reveal
from penstock.secret import Secret
from penstock.structs import Frozen, field

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.clock import Clock
    from penstock.connectors.http.config import Auth
    from penstock.connectors.http.messages import Pairs, Response
    from penstock.connectors.http.redact import Redactor
    from penstock.connectors.resilience.cancel import Cancellation

_RENEW_SECONDS: Final = 60.0  # a token is renewed that long before it runs out, but never in its first half
_USUAL_LIFE_SECONDS: Final = 300.0  # where the server does not say how long a token lives (RFC 6749, 5.1: it should)
_MOST_TOKEN_BYTES: Final = 16 * 1024


class Proof(Frozen):
    """What is added to a request."""

    headers: Pairs = ()
    query: Pairs = ()


class Credentials(Protocol):
    """Thread-safe."""

    def proof(self, cancellation: Cancellation) -> Proof:
        """What proves who we are, now; may fetch it first."""
        ...

    def refused(self, proof: Proof) -> bool:
        """The server answered 401 to it; whether another :meth:`proof` may do better."""
        ...


class Fixed(Frozen):
    """The same proof for every request."""

    given: Proof = field(default_factory=Proof)

    def proof(self, cancellation: Cancellation) -> Proof:  # noqa: ARG002 -- nothing is waited for
        return self.given

    def refused(self, proof: Proof) -> bool:  # noqa: ARG002 -- it cannot be another
        return False


def credentials_of(
    auth: Auth | None, fetch: Callable[[Request, Cancellation], Response], *, redactor: Redactor, clock: Clock
) -> Credentials:
    """``fetch`` is used for OAuth 2 alone. Raises ConfigError NET-106 where a key or token cannot stand in a header."""
    match auth:
        case None:
            return Fixed()
        case ApiKeyAuth(place="query"):
            return Fixed(Proof(query=((auth.name, auth.value),)))
        case ApiKeyAuth():
            return Fixed(_header(auth.name, auth.value))
        case BasicAuth():
            encoded = _basic(reveal(auth.username), auth.password.reveal())
            redactor.add(encoded)
            return Fixed(_header("Authorization", Secret(f"Basic {encoded}")))
        case BearerAuth():
            return Fixed(_header("Authorization", Secret(f"Bearer {auth.token.reveal()}")))
        case OAuth2Auth():
            return ClientCredentials(auth, fetch, redactor, clock)
        case _:
            assert_never(auth)


def _header(name: str, value: Secret) -> Proof:
    check_header(name, value)
    return Proof(headers=((name, value),))


def _basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


class _Token(Frozen):
    proof: Proof
    renew_at: float


class ClientCredentials:
    """OAuth 2 client credentials (RFC 6749, 4.4): one token for all threads, fetched when first needed, again before it
    runs out, and once when the server refuses it.
    """

    def __init__(
        self,
        auth: OAuth2Auth,
        fetch: Callable[[Request, Cancellation], Response],
        redactor: Redactor,
        clock: Clock,
    ) -> None:
        self._auth = auth
        self._fetch = fetch
        self._redactor = redactor
        self._clock = clock
        self._lock = threading.Lock()
        self._token: _Token | None = None

    def proof(self, cancellation: Cancellation) -> Proof:
        """Raises ConfigError NET-130 where the server gives no token, and what the request for it raises."""
        with self._lock:
            if self._token is None or self._clock.monotonic() >= self._token.renew_at:
                self._token = self._ask(cancellation)
            return self._token.proof

    def refused(self, proof: Proof) -> bool:
        with self._lock:
            if self._token is not None and self._token.proof is proof:
                self._token = None
        return True

    def _ask(self, cancellation: Cancellation) -> _Token:
        asked_at = self._clock.monotonic()
        try:
            response = self._fetch(self._request(), cancellation)
        except ConfigError as error:
            if error.code not in {"NET-121", "NET-122", "NET-123"}:
                raise
            problem = error.problems[0]
            raise ConfigError(
                "NET-130", f"the token URL gives no token: {problem.message}", detail=problem.detail
            ) from None
        token, life = _token_of(response)
        self._redactor.add(token)
        proof = _header("Authorization", Secret(f"Bearer {token}"))
        return _Token(proof, asked_at + max(life - _RENEW_SECONDS, life / 2))

    def _request(self) -> Request:
        auth = self._auth
        form = {"grant_type": "client_credentials"}
        if auth.scopes:
            form["scope"] = " ".join(auth.scopes)
        if auth.audience is not None:
            form["audience"] = auth.audience
        form.update({name: reveal(value) for name, value in auth.parameters.items()})
        headers: list[tuple[str, str | Secret]] = [
            ("Accept", "application/json"),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ]
        client, secret = reveal(auth.client_id), auth.client_secret.reveal()
        if auth.client_in == "body":
            form |= {"client_id": client, "client_secret": secret}
        else:  # RFC 6749, 2.3.1: encoded as in a form before they are put together
            encoded = _basic(quote(client, safe=""), quote(secret, safe=""))
            self._redactor.add(encoded)
            headers.append(("Authorization", Secret(f"Basic {encoded}")))
        return Request(
            path=reveal(auth.token_url),
            method="POST",
            headers=tuple(headers),
            body=urlencode(form).encode(),
            repeatable=True,
            anonymous=True,
            hidden=isinstance(auth.token_url, Secret),
        )


def _token_of(response: Response) -> tuple[str, float]:
    """The token and how many seconds it lives. Raises ConfigError NET-130; no message shows what the server sent."""
    try:
        answer = json.loads(response.body) if len(response.body) <= _MOST_TOKEN_BYTES else None
    except (ValueError, RecursionError):
        answer = None
    match answer:
        case {"access_token": str() as token, **rest} if token:
            kind = rest.get("token_type", "bearer")
            if not (isinstance(kind, str) and kind.lower() == "bearer"):
                raise ConfigError("NET-130", "the token URL gives a token of another type than bearer")
            return token, _life(rest.get("expires_in"))
        case _:
            raise ConfigError("NET-130", "the token URL answered without an access token")


def _life(value: object) -> float:
    """Seconds; some servers write the number as text."""
    try:
        life = float(value) if isinstance(value, (int, float, str)) else _USUAL_LIFE_SECONDS
    except ValueError:
        return _USUAL_LIFE_SECONDS
    return life if 0 < life < float("inf") else _USUAL_LIFE_SECONDS
