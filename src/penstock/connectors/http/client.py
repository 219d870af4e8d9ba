"""The one HTTP client of all connectors: guarded, limited, authenticated, retried, redacted."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from penstock.connectors.http.config import ApiKeyAuth, BasicAuth, BearerAuth, HttpConnection, OAuth2Auth
from penstock.connectors.http.credentials import Proof, credentials_of
from penstock.connectors.http.curl import CurlTransport, Incoming, NotSentError, Outgoing, TlsFiles
from penstock.connectors.http.guard import Guard, parse_allowed
from penstock.connectors.http.limits import Limits
from penstock.connectors.http.messages import Request, Response, check_header
from penstock.connectors.http.redact import Redactor
from penstock.connectors.http.redirects import next_hop
from penstock.connectors.http.resolver import Resolver, SystemResolver
from penstock.connectors.http.statuses import REDIRECTS, is_answer, judge
from penstock.connectors.http.urls import Url, join, parse_url
from penstock.connectors.resilience.cancel import Cancellation
from penstock.connectors.resilience.rate_limit import Rate
from penstock.connectors.resilience.retry import Again
from penstock.connectors.resilience.settings import Failure
from penstock.connectors.resilience.ward import Ward, Wards
from penstock.errors import ConfigError, FatalError, PenstockError, Problem, TransientError
from penstock.fields import reveal
from penstock.secret import Secret
from penstock.structs import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from random import Random

    from penstock.clock import Clock
    from penstock.connectors.api import Context
    from penstock.connectors.http.messages import Pairs

_UNAUTHORIZED: Final = 401
_FULL: Final = "NET-161"  # the bulkhead: nothing was sent
_FAILURES: Final = {
    "NET-105": Failure.UNREACHABLE,
    "NET-110": Failure.UNREACHABLE,
    "NET-111": Failure.TIMEOUT,
    "NET-112": Failure.BROKEN,
    "NET-114": Failure.UNREACHABLE,
    "NET-161": Failure.BUSY,
}


class HttpClient:
    """Sends requests to one service. Thread-safe; every method may block, and ``cancel`` ends what blocks.

    ``resolve`` turns a path of the document into an absolute one (certificates). Clients of equal connections that are given
    the same ``wards`` share their breaker, rate and bulkhead. ``close`` is idempotent.
    """

    def __init__(
        self,
        connection: HttpConnection,
        *,
        clock: Clock,
        resolve: Callable[[str], Path] = Path,
        resolver: Resolver | None = None,
        random: Random | None = None,
        wards: Wards | None = None,
    ) -> None:
        self.redact = Redactor(_secrets_of(connection))
        self._connection = connection
        self._clock = clock
        self._base = parse_url(reveal(connection.base_url), hidden=isinstance(connection.base_url, Secret))
        self._limits = _limits_of(connection)
        self._ward = (wards or Wards()).of(connection, lambda: _ward_of(connection, self._base, clock, random))
        self._guard = Guard(map(parse_allowed, connection.allow_private), resolver or SystemResolver(), clock)
        self._transport = CurlTransport(self._limits, _tls_files(connection, resolve))
        self._credentials = credentials_of(connection.auth, self.send, redactor=self.redact, clock=clock)
        self._cancellation = Cancellation()

    @classmethod
    def of(cls, connection: HttpConnection, context: Context) -> HttpClient:
        """The client of a connector."""
        return cls(connection, clock=context.clock, resolve=context.resolve, wards=context.wards)

    @property
    def base(self) -> Url:
        """The connection's ``base_url``."""
        return self._base

    def url_of(self, request: Request) -> Url:
        """Where the request goes, without the connection's own query and credentials. Errors as ``parse_url``."""
        url = _url_below(self._base, request.path, request.hidden)
        for _, value in request.query:
            if isinstance(value, Secret):
                self.redact.hide(value)
        return url.with_query([(name, reveal(value)) for name, value in request.query])

    def send(self, request: Request, cancellation: Cancellation | None = None) -> Response:
        """The answer to a request, after retries, waits and redirects.

        Credentials, headers and query of the connection go to the origin of its base URL and to no other. Raises the
        codes NET-100 to NET-141; every message is free of secrets. A request that may not be repeated and may have
        arrived ends in FatalError NET-124.
        """
        with self._cancellation.child() as scope, (cancellation or Cancellation()).breaker(scope.cancel):
            try:
                return self._ward.call(
                    lambda _: self._attempt(request, scope), sleep=lambda seconds: scope.sleep(seconds, self._clock)
                )
            except PenstockError as error:
                raise self._redacted(error) from None

    def cancel(self) -> None:
        """End all requests, now and later, with TransientError NET-140. From any thread."""
        self._cancellation.cancel()

    def close(self) -> None:
        self._transport.close()

    # ------------------------------------------------------------ one attempt

    def _attempt(self, request: Request, scope: Cancellation) -> Response | Again:
        self._ward.limiter.acquire(lambda seconds: scope.sleep(seconds, self._clock))
        proof = Proof() if request.anonymous else self._credentials.proof(scope)
        outcome = self._exchange(request, proof, scope)
        if isinstance(outcome, Incoming) and not request.anonymous and self._credentials.refused(proof):
            outcome = self._exchange(request, self._credentials.proof(scope), scope)
        if isinstance(outcome, Incoming):
            raise self._judged(outcome, request, self.url_of(request))
        if isinstance(outcome, Again) and outcome.after_seconds:
            self._ward.limiter.pause(min(outcome.after_seconds, self._ward.policy.longest_asked_wait_seconds))
        return outcome

    def _exchange(self, request: Request, proof: Proof, scope: Cancellation) -> Response | Again | Incoming:
        """One request with its redirects; an Incoming only for 401."""
        deadline = self._clock.monotonic() + self._limits.total_seconds
        url = self.url_of(request)
        visited: list[Url] = []
        while True:
            incoming = self._once(
                request, url, proof=proof, left_seconds=deadline - self._clock.monotonic(), scope=scope
            )
            if isinstance(incoming, Again):
                return incoming
            if is_answer(incoming.status, request):
                return Response(incoming.status, incoming.headers, url, incoming.body)
            if incoming.status in REDIRECTS:
                visited.append(url)
                url, request = next_hop(
                    url, request, incoming=incoming, visited=visited, max_redirects=self._limits.max_redirects
                )
                continue
            if incoming.status == _UNAUTHORIZED and "Retry-After" not in incoming.headers:
                return incoming
            judged = judge(incoming, request, url=url, now=self._clock.now(), redactor=self.redact)
            if isinstance(judged, Again):
                return judged
            raise judged

    def _judged(self, incoming: Incoming, request: Request, url: Url) -> PenstockError:
        judged = judge(incoming, request, url=url, now=self._clock.now(), redactor=self.redact)
        assert not isinstance(judged, Again)
        return judged

    def _once(
        self, request: Request, url: Url, *, proof: Proof, left_seconds: float, scope: Cancellation
    ) -> Incoming | Again:
        try:
            addresses = self._guard.admit(url, self._limits.connect_seconds, scope)
        except TransientError as error:
            return _again_or_raise(error, scope)
        trusted = not request.anonymous and url.origin == self._base.origin
        headers = self._headers(request, proof if trusted else Proof(), trusted=trusted)
        target = self._with_query(url, proof) if trusted else url
        signing = request.signing if trusted else None
        outgoing = Outgoing(request.method, target, headers, request.body, addresses, signing)
        try:
            with self._ward.slot(lambda seconds: scope.sleep(seconds, self._clock)):
                return self._transport.send(outgoing, max(left_seconds, 0.001), scope)
        except NotSentError as unsent:
            return _again_or_raise(unsent.error, scope)
        except TransientError as error:
            scope.check()
            if request.may_repeat or error.code == _FULL:
                return _again(error)
            problem = error.problems[0]
            message = f"{problem.message}; whether {request.method} {url.shown_path} took effect is not known"
            raise FatalError("NET-124", message, detail=problem.detail) from None

    def _headers(self, request: Request, proof: Proof, *, trusted: bool) -> tuple[tuple[str, str], ...]:
        pairs: list[tuple[str, str | Secret]] = list(request.headers)
        if trusted:
            stated = {name.lower() for name, _ in pairs}
            pairs += [pair for pair in self._connection.headers.items() if pair[0].lower() not in stated]
            proving = {name.lower() for name, _ in proof.headers}
            pairs = [pair for pair in pairs if pair[0].lower() not in proving] + list(proof.headers)
        for name, value in pairs:
            check_header(name, value)
            if isinstance(value, Secret):
                self.redact.hide(value)
        return tuple((name, reveal(value)) for name, value in pairs)

    def _with_query(self, url: Url, proof: Proof) -> Url:
        """With the connection's parameters and key, where the URL does not have them already (a link may)."""
        stated = url.query_names()
        pairs = [pair for pair in (*_flat(self._connection.query), *proof.query) if pair[0] not in stated]
        return url.with_query([(name, reveal(value)) for name, value in pairs])

    def _redacted(self, error: PenstockError) -> PenstockError:
        error.problems = tuple(_redacted(problem, self.redact) for problem in error.problems)
        error.args = (error.problems[0].code, error.problems[0].message)
        return error


@lru_cache(maxsize=256)
def _url_below(base: Url, path: str, hidden: bool) -> Url:  # noqa: FBT001 -- a key of the cache
    """A thousand pages differ in their query alone."""
    return parse_url(join(base, path, hidden=hidden), hidden=base.hidden or hidden)


def _again_or_raise(error: TransientError, scope: Cancellation) -> Again:
    """What failed on the way may be tried again, but not what we ended ourselves."""
    scope.check()
    return _again(error)


def _again(error: TransientError) -> Again:
    return Again(error, failure=_FAILURES.get(error.code))


def _redacted(problem: Problem, redact: Redactor) -> Problem:
    return replace(
        problem,
        message=redact(problem.message),
        detail=redact(problem.detail) if problem.detail else None,
        hint=redact(problem.hint) if problem.hint else None,
    )


def _flat(query: dict[str, str | Secret | list[str | Secret]]) -> Pairs:
    pairs: list[tuple[str, str | Secret]] = []
    for name, value in query.items():
        pairs += [(name, item) for item in value] if isinstance(value, list) else [(name, value)]
    return tuple(pairs)


def _secrets_of(connection: HttpConnection) -> Iterable[str]:
    values = [connection.base_url, *connection.headers.values(), *(value for _, value in _flat(connection.query))]
    yield from (text for value in values if isinstance(value, Secret) for text in value.hidden())
    match connection.auth:
        case ApiKeyAuth(value=key):
            yield from key.hidden()
        case BasicAuth(password=password):
            yield from password.hidden()
        case BearerAuth(token=token):
            yield from token.hidden()
        case OAuth2Auth() as auth:
            yield from auth.client_secret.hidden()
            more = (*auth.parameters.values(), auth.token_url)
            yield from (text for value in more if isinstance(value, Secret) for text in value.hidden())
        case None:
            return


def _limits_of(connection: HttpConnection) -> Limits:
    timeouts = connection.timeouts
    return Limits(
        connect_seconds=timeouts.connect.total_seconds(),
        idle_seconds=max(1, -int(-timeouts.idle.total_seconds() // 1)),
        total_seconds=timeouts.total.total_seconds(),
        max_response_bytes=connection.max_response_bytes,
        max_redirects=connection.max_redirects,
    )


def _ward_of(connection: HttpConnection, base: Url, clock: Clock, random: Random | None) -> Ward:
    return Ward(base.authority, connection, clock=clock, rate=_rate_of(connection), random=random)


def _rate_of(connection: HttpConnection) -> Rate | None:
    limit = connection.rate_limit
    return Rate(limit.requests, limit.per.total_seconds(), limit.burst) if limit else None


def _tls_files(connection: HttpConnection, resolve: Callable[[str], Path]) -> TlsFiles:
    """Raises ConfigError NET-117 for a file that is not there."""
    tls = connection.tls

    def absolute(given: str | None) -> str | None:
        if given is None:
            return None
        path = resolve(given)
        if not path.is_file():
            raise ConfigError("NET-117", f'there is no file "{given}", which tls of the connection names')
        return str(path)

    password = tls.key_password.reveal() if tls.key_password else None
    return TlsFiles(absolute(tls.ca_file), absolute(tls.cert_file), absolute(tls.key_file), password)
