"""The encrypted form of a project's secrets: each under a data key, the data key under the project's key. AES-256-GCM.

What is authenticated: every box is bound to project, name and version; the wrapped data key is bound to project, key id
and a digest of all boxes, so that a box that is removed, exchanged or put back to an older one is found out. The
project's key can be changed without touching a box. Nonces are random, 96 bits, never used for a second message in
practice: a data key lives for as long as a file has fewer than 2**32 writes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from penstock.errors import ConfigError
from penstock.secret import Secret
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

KEY_BYTES: Final = 32
MAX_SECRET_CHARACTERS: Final = 64 * 1024
FORMAT: Final = "penstock secrets 1"

_NONCE_BYTES: Final = 12
_KEYS: Final = {"format", "project", "key_id", "data_key", "secrets"}


class UnusableError(Exception):
    """The text of it says why, and shows nothing of the content."""


class Box(Frozen):
    """One encrypted secret; ``version`` grows with each new text of that name."""

    version: int
    sealed: bytes


class Envelope(Frozen):
    """The file, read but not opened."""

    project: str
    key_id: str
    data_key: bytes
    boxes: Mapping[str, Box]


class Key(Frozen):
    """A project's key: 32 random bytes. Its id says nothing about it."""

    secret: bytes

    def __repr__(self) -> str:
        return f"Key({self.id})"

    @property
    def id(self) -> str:
        return hashlib.sha256(b"penstock key id\0" + self.secret).hexdigest()[:16]


def keys_of(text: str, origin: str) -> tuple[Key, ...]:
    """The keys that a text spells in base64, white space between them: one at least, in their order, none twice.

    Raises ConfigError DOC-195, which shows nothing of the text.
    """
    return tuple(dict.fromkeys(_key_of(word, origin) for word in text.split() or [""]))


def _key_of(word: str, origin: str) -> Key:
    try:
        raw = base64.b64decode(word.replace("-", "+").replace("_", "/"), validate=True)
    except ValueError:
        raw = b""
    if len(raw) != KEY_BYTES:
        raise ConfigError(
            "DOC-195",
            f"{origin} is not a key",
            detail=f"a key is {KEY_BYTES} bytes in base64.",
            hint="give the key that secrets.enc was written with; where there is none yet, `openssl rand -base64 32` makes one",
        )
    return Key(raw)


def spell_keys(keys: Iterable[Key]) -> str:
    """What ``keys_of`` reads, one a line."""
    return "".join(f"{base64.b64encode(key.secret).decode()}\n" for key in keys)


# ---------------------------------------------------------------- the file's form


def read_envelope(content: bytes) -> Envelope:
    """Raises UnusableError where this is not, or not all of, what ``write_envelope`` wrote."""
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        raise UnusableError("it is not complete, or was never a secrets file") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise UnusableError(f'it is not of the format "{FORMAT}"')
    try:
        return _envelope(data)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UnusableError("a part of it is missing or malformed") from None


def _envelope(data: dict[str, Any]) -> Envelope:
    if set(data) != _KEYS or not isinstance(data["project"], str) or not isinstance(data["key_id"], str):
        raise ValueError
    boxes = {name: Box(_version(item["version"]), _bytes(item["sealed"])) for name, item in data["secrets"].items()}
    return Envelope(data["project"], data["key_id"], _bytes(data["data_key"]), boxes)


def _version(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError
    return value


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def write_envelope(envelope: Envelope) -> bytes:
    """JSON, one line per secret, so that a version control shows which one changed."""
    data = {
        "format": FORMAT,
        "project": envelope.project,
        "key_id": envelope.key_id,
        "data_key": base64.b64encode(envelope.data_key).decode(),
        "secrets": {
            name: {"version": box.version, "sealed": base64.b64encode(box.sealed).decode()}
            for name, box in sorted(envelope.boxes.items())
        },
    }
    return json.dumps(data, indent=1).encode() + b"\n"


# ---------------------------------------------------------------- sealing and opening


class OpenEnvelope(Frozen):
    """An envelope with its data key at hand. ``random`` gives that many random bytes."""

    project: str
    data_key: bytes
    boxes: Mapping[str, Box]
    random: Callable[[int], bytes]

    def __repr__(self) -> str:
        return f"OpenEnvelope({self.project!r}, {sorted(self.boxes)})"

    def get(self, name: str) -> Secret | None:
        """Raises UnusableError where the box was altered."""
        box = self.boxes.get(name)
        if box is None:
            return None
        text = _unseal(self.data_key, box.sealed, _bound("secret", self.project, name, str(box.version)))
        return Secret(text.decode())

    def put(self, name: str, secret: Secret) -> OpenEnvelope:
        version = self.boxes[name].version + 1 if name in self.boxes else 1
        bound = _bound("secret", self.project, name, str(version))
        sealed = _seal(self.data_key, secret.reveal().encode(), bound=bound, random=self.random)
        return OpenEnvelope(self.project, self.data_key, {**self.boxes, name: Box(version, sealed)}, self.random)

    def without(self, name: str) -> OpenEnvelope:
        boxes = {known: box for known, box in self.boxes.items() if known != name}
        return OpenEnvelope(self.project, self.data_key, boxes, self.random)

    def close(self, key: Key) -> Envelope:
        """With the data key wrapped under ``key``: the one it was opened with, or a new one."""
        bound = _bound("data key", self.project, key.id, _digest(self.boxes))
        return Envelope(
            self.project, key.id, _seal(key.secret, self.data_key, bound=bound, random=self.random), self.boxes
        )


def new_envelope(project: str, random: Callable[[int], bytes]) -> OpenEnvelope:
    """Empty, with a data key of its own."""
    return OpenEnvelope(project, random(KEY_BYTES), {}, random)


def open_envelope(envelope: Envelope, key: Key, *, random: Callable[[int], bytes]) -> OpenEnvelope:
    """Raises UnusableError where anything was altered since it was closed with this key."""
    bound = _bound("data key", envelope.project, key.id, _digest(envelope.boxes))
    return OpenEnvelope(envelope.project, _unseal(key.secret, envelope.data_key, bound), envelope.boxes, random)


def _bound(*parts: str) -> bytes:
    return json.dumps(parts).encode()


def _digest(boxes: Mapping[str, Box]) -> str:
    listed = [[name, box.version, base64.b64encode(box.sealed).decode()] for name, box in sorted(boxes.items())]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def _seal(key: bytes, text: bytes, *, bound: bytes, random: Callable[[int], bytes]) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = random(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, text, bound)


def _unseal(key: bytes, sealed: bytes, bound: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound)
    except (InvalidTag, ValueError):
        raise UnusableError("it was altered after it was written") from None
