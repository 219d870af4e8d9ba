"""Keeping secrets out of messages: by the value where it is known, by the parameter's name where it is not."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus, unquote_plus

from penstock.secret import MASK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.secret import Secret

# Shorter texts occur by chance, and to blank them would rather tell than hide them.
_SHORTEST: Final = 4
_TELLING_PARTS: Final = (
    "accesskey", "apikey", "appkey", "assertion", "credential", "jwt", "passphrase", "passwd", "password", "privatekey",
    "pwd", "secret", "session", "sharedkey", "signature", "subscriptionkey", "token",
)  # fmt: skip
_TELLING_NAMES: Final = frozenset({"auth", "authorization", "code", "cookie", "key", "pass", "sid", "sig"})
_SEPARATORS: Final = re.compile(r"[^a-z0-9]+")


def tells_a_secret(name: str) -> bool:
    """Whether a parameter or header of that name usually holds a secret.

    >>> [tells_a_secret(name) for name in ("api_key", "X-Auth-Token", "country_code", "page")]
    [True, True, False, False]
    """
    flat = _SEPARATORS.sub("", name.lower())
    return flat in _TELLING_NAMES or any(part in flat for part in _TELLING_PARTS)


def shown_target(target: str) -> str:
    """A path and query with the values of telling parameters blanked."""
    path, mark, query = target.partition("?")
    if not mark:
        return target
    return path + "?" + "&".join(_shown_parameter(part) for part in query.split("&"))


def _shown_parameter(part: str) -> str:
    name, equals, _ = part.partition("=")
    return f"{name}={MASK}" if equals and tells_a_secret(unquote_plus(name)) else part


class Redactor:
    """Replaces every known secret, and its usual encodings, by ``***``. Grows as secrets are used; thread-safe."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: tuple[str, ...] = ()
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        if len(secret) < _SHORTEST or secret in self._forms:
            return
        forms = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), json.dumps(secret)[1:-1]}
        # Longest first, so that no part of one remains; one assignment, so that readers need no lock.
        self._forms = tuple(sorted({*self._forms, *forms}, key=len, reverse=True))

    def hide(self, secret: Secret) -> None:
        """With the secrets within it."""
        for text in secret.hidden():
            self.add(text)

    def __call__(self, text: str) -> str:
        for form in self._forms:
            text = text.replace(form, MASK)
        return text
