"""How fsspec's requests leave this machine: to checked addresses, with nothing of the machine's own, and answers judged.

Left to itself the driver takes proxies and passwords from the environment, follows redirects anywhere, waits for ever, and
takes an error's text for a file's content.
"""

from __future__ import annotations

import ssl
import threading
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Final

import requests
from requests.adapters import HTTPAdapter

from penstock.connectors.hdfs.answers import RemoteError
from penstock.connectors.http.urls import parse_url
from penstock.connectors.resilience.cancel import Cancellation

if TYPE_CHECKING:
    from penstock.connectors.http.guard import Guard
    from penstock.connectors.http.urls import Url

_REFUSED: Final = 400


class GuardedSession(requests.Session):
    """Thread-safe, as it keeps no cookies. ``request`` raises RemoteError for a refusal, what ``Guard.admit`` does for a
    host that is not called, and the driver's exceptions where no answer comes.
    """

    def __init__(self, guard: Guard, *, connect_seconds: float, idle_seconds: float, connections: int) -> None:
        super().__init__()
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        self.verify = ssl.get_default_verify_paths().cafile or True
        self._timeout = (connect_seconds, idle_seconds)
        for scheme in ("http://", "https://"):
            self.mount(scheme, _CheckedAddresses(guard, connect_seconds, connections))

    def request(self, method: str, url: str | bytes, *args: Any, **options: Any) -> requests.Response:
        options |= {"timeout": self._timeout, "allow_redirects": False}
        answer = super().request(method, url, *args, **options)
        if answer.status_code >= _REFUSED:
            raise RemoteError.of(answer.status_code, answer.content)
        return answer


class _CheckedAddresses(HTTPAdapter):
    """Connects to an address that the guard has checked, and not to what the name has become by then."""

    def __init__(self, guard: Guard, connect_seconds: float, connections: int) -> None:
        super().__init__(pool_maxsize=connections)
        self._guard = guard
        self._connect_seconds = connect_seconds
        self._chosen = threading.local()

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        url = parse_url(request.url or "")
        request.headers["Host"] = url.authority
        *others, last = self._guard.admit(url, self._connect_seconds, Cancellation())
        for address in others:
            try:
                return self._to(url, str(address), request, *args, **options)
            except requests.ConnectionError as error:
                if not _never_connected(error):
                    raise
        return self._to(url, str(last), request, *args, **options)

    def _to(
        self, url: Url, address: str, request: requests.PreparedRequest, *args: Any, **options: Any
    ) -> requests.Response:
        self._chosen.host, self._chosen.address = url.host, address
        return super().send(request, *args, **options)

    def build_connection_pool_key_attributes(self, *args: Any, **options: Any) -> Any:
        host, pool = super().build_connection_pool_key_attributes(*args, **options)
        if host["scheme"] == "https":
            pool |= {"server_hostname": self._chosen.host, "assert_hostname": self._chosen.host}
        return {**host, "host": self._chosen.address}, pool


def _never_connected(error: requests.ConnectionError) -> bool:
    from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError

    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    return isinstance(reason, (ConnectTimeoutError, NewConnectionError))
