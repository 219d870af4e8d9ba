"""The project's encrypted secrets file, and the keys that open it: what ``penstock secrets`` works on."""

from __future__ import annotations

import re
from secrets import token_bytes
from typing import TYPE_CHECKING, Final

from penstock.document.envelope import (
    KEY_BYTES,
    MAX_SECRET_CHARACTERS,
    Key,
    OpenEnvelope,
    UnusableError,
    keys_of,
    new_envelope,
    open_envelope,
    read_envelope,
    spell_keys,
    write_envelope,
)
from penstock.document.private_files import alone, read_private, write_private
from penstock.errors import ConfigError, nearest
from penstock.structs import Mutable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from penstock.document.envelope import Envelope
    from penstock.secret import Secret

FILE: Final = "secrets.enc"  # in the project's folder: may be committed
KEY_FILE: Final = "secrets.key"  # in the project's state folder: never committed
KEY_VARIABLE: Final = "PENSTOCK_KEY"

_IMPOSSIBLE: Final = re.compile("[\0\ud800-\udfff]")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


class SecretsFile(Mutable):
    """``file`` and ``key_file`` need not exist; ``variables`` may hold the keys as PENSTOCK_KEY, which goes first.

    Of several keys, white space between them, the first writes and any of them opens. Reading keeps what it opened; a
    change is read anew, written in one act, and serialised over processes.
    """

    project: str
    file: Path
    key_file: Path
    variables: Mapping[str, str]
    random: Callable[[int], bytes] = token_bytes
    _opened: OpenEnvelope | None = None

    @classmethod
    def of(cls, root: Path, state: Path, project: str, variables: Mapping[str, str]) -> SecretsFile:
        return cls(project, root / FILE, state / KEY_FILE, variables)

    def names(self) -> tuple[str, ...]:
        """The names, sorted; needs no key. Raises ConfigError DOC-191 where the file is no secrets file."""
        envelope = self._envelope()
        return tuple(sorted(envelope.boxes)) if envelope is not None else ()

    def get(self, name: str) -> Secret | None:
        """The secret; None where there is no file or no such name.

        Raises ConfigError: DOC-191 no secrets file, DOC-192 altered or another project's, DOC-193 the key file may be
        read by others, DOC-194 there is no key, DOC-195 no key as written, DOC-196 another key.
        """
        if self._opened is None:
            envelope = self._envelope()
            if envelope is None or name not in envelope.boxes:
                return None
            self._opened = self._open(envelope, self._needed_keys())
        try:
            return self._opened.get(name)
        except UnusableError as error:
            raise self._altered(error) from None

    def put(self, name: str, secret: Secret) -> None:
        """Set or replace it; makes file and key where there are none. Raises as ``get``, and DOC-197 for name or text."""
        self._check(name, secret)
        with alone(self.key_file.with_suffix(".lock")):
            envelope = self._envelope()
            keys = self._keys() or self._new_keys(envelope)
            opened = self._open(envelope, keys) if envelope is not None else new_envelope(self.project, self.random)
            self._write(opened.put(name, secret), keys[0])

    def remove(self, name: str) -> None:
        """Raises as ``get``, and ConfigError DOC-190 where there is none of that name."""
        with alone(self.key_file.with_suffix(".lock")):
            envelope = self._envelope()
            if envelope is None or name not in envelope.boxes:
                near = nearest(name, self.names())
                raise ConfigError(
                    "DOC-190", f'there is no secret "{name}"', hint=f'did you mean "{near}"?' if near else None
                )
            keys = self._needed_keys()
            self._write(self._open(envelope, keys).without(name), keys[0])

    def rotate(self) -> Key:
        """Wrap the data key under the first of several keys, else under a new one; no secret is touched.

        The key file holds both keys from before the envelope is written until after it, so that a crash leaves nothing
        closed; the next call finishes what it cut short. Raises as ``get``, and ConfigError DOC-198 where there is no
        secrets file, or the variable holds one key only.
        """
        with alone(self.key_file.with_suffix(".lock")):
            envelope = self._envelope()
            if envelope is None:
                raise ConfigError("DOC-198", f'there is no "{self.file}" to rotate the key of')
            keys = self._needed_keys()
            opened = self._open(envelope, keys)
            if len(keys) == 1:
                keys = self._with_a_new_key(keys)
            self._write(opened, keys[0])
            if not self._key_text:
                self._write_keys(keys[:1])
            return keys[0]

    # ------------------------------------------------------------ inside

    def _envelope(self) -> Envelope | None:
        content = read_private(self.file, shared=True)
        if content is None:
            return None
        try:
            envelope = read_envelope(content)
        except UnusableError as error:
            raise ConfigError("DOC-191", f'"{self.file}" cannot be used', detail=f"{error}.") from None
        if envelope.project != self.project:
            raise ConfigError(
                "DOC-192",
                f'"{self.file}" belongs to the project "{envelope.project}", not to "{self.project}"',
                hint="set the secrets of this project anew; they are bound to its name",
            )
        return envelope

    def _open(self, envelope: Envelope, keys: Sequence[Key]) -> OpenEnvelope:
        key = next((key for key in keys if key.id == envelope.key_id), None)
        if key is None:
            raise ConfigError(
                "DOC-196",
                f'the key does not open "{self.file}"',
                detail=f"the file was written with the key {envelope.key_id}; at hand: "
                f"{', '.join(key.id for key in keys)}.",
                hint=self._with_its_key(),
            )
        try:
            return open_envelope(envelope, key, random=self.random)
        except UnusableError as error:
            raise self._altered(error) from None

    def _altered(self, error: UnusableError) -> ConfigError:
        return ConfigError("DOC-192", f'"{self.file}" cannot be trusted', detail=f"{error}.")

    def _write(self, opened: OpenEnvelope, key: Key) -> None:
        write_private(self.file, write_envelope(opened.close(key)))
        self._opened = opened

    @property
    def _key_text(self) -> str | None:
        """What the variable holds; where it is empty or not there, the key file is used."""
        return self.variables.get(KEY_VARIABLE) or None

    def _write_keys(self, keys: Sequence[Key]) -> None:
        write_private(self.key_file, spell_keys(keys).encode())

    def _keys(self) -> tuple[Key, ...]:
        if self._key_text:
            return keys_of(self._key_text, f"the variable {KEY_VARIABLE}")
        content = read_private(self.key_file)
        return keys_of(content.decode("ascii", "replace"), f'"{self.key_file}"') if content is not None else ()

    def _needed_keys(self) -> tuple[Key, ...]:
        keys = self._keys()
        if not keys:
            raise ConfigError(
                "DOC-194",
                f'there is no key for "{self.file}"',
                detail=f'neither the variable {KEY_VARIABLE} nor the file "{self.key_file}" is there.',
                hint=self._with_its_key(),
            )
        return keys

    def _with_its_key(self) -> str:
        return (
            f"set {KEY_VARIABLE} to the key that the file was written with, or put its key file back; where that key is "
            f"lost, remove {self.file.name} and set the secrets anew"
        )

    def _new_keys(self, envelope: Envelope | None) -> tuple[Key, ...]:
        if envelope is not None:
            return self._needed_keys()
        keys = (Key(self.random(KEY_BYTES)),)
        self._write_keys(keys)
        return keys

    def _with_a_new_key(self, keys: tuple[Key, ...]) -> tuple[Key, ...]:
        """The new one first, in the key file too."""
        if self._key_text:
            raise ConfigError(
                "DOC-198",
                f"the variable {KEY_VARIABLE} holds no new key",
                hint=f"put a new key before the old one, white space between them: {KEY_VARIABLE}='NEW OLD'; "
                f"`openssl rand -base64 {KEY_BYTES}` makes one",
            )
        both = (Key(self.random(KEY_BYTES)), *keys)
        self._write_keys(both)
        return both

    def _check(self, name: str, secret: Secret) -> None:
        if not _NAME.fullmatch(name):
            raise ConfigError("DOC-197", f'"{name}" is not a name of a secret', hint="use letters, digits and _")
        same = next((known for known in self.names() if known.lower() == name.lower() and known != name), None)
        if same is not None:
            raise ConfigError("DOC-197", f'"{name}" and "{same}" differ in case only', detail="variables have no case.")
        text = secret.reveal()
        if not text or len(text) > MAX_SECRET_CHARACTERS or _IMPOSSIBLE.search(text):
            raise ConfigError("DOC-197", f'the text of "{name}" is empty, too long, or holds a NUL or no valid Unicode')
