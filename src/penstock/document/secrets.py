"""Where ``${secret.X}`` comes from: the environment, then the project's encrypted file, then its plain 0600 file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from penstock.document.private_files import read_private
from penstock.errors import ConfigError, Problem
from penstock.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from penstock.document.secrets_file import SecretsFile

PREFIX: Final = "PENSTOCK_SECRET_"
PLAIN_FILE: Final = "secrets.yml"  # in the project's state folder

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class Secrets:
    """A project's secrets, looked up when asked for and not before; a file is read once.

    ``variables`` are those of the process, ``encrypted`` the project's encrypted file, ``plain`` the path of a file that
    holds ``NAME: text`` lines and that nobody but its owner may read.
    """

    def __init__(
        self, variables: Mapping[str, str], encrypted: SecretsFile | None = None, plain: Path | None = None
    ) -> None:
        self._variables = variables
        self._encrypted = encrypted
        self._plain = plain
        self._plain_texts: dict[str, str] | None = None

    def get(self, name: str) -> Secret | None:
        """The secret; None where no place has it. An empty variable counts as not set.

        Raises ConfigError DOC-191 to DOC-197 where a file that is there cannot be used.
        """
        text = self._variables.get(PREFIX + name.upper())
        if text:
            if _SURROGATE.search(text):
                raise ConfigError("DOC-191", f'the variable "{PREFIX}{name.upper()}" is not text in UTF-8')
            return Secret(text)
        found = self._encrypted.get(name) if self._encrypted is not None else None
        if found is not None:
            return found
        text = self._plain_file().get(name)
        return Secret(text) if text is not None else None

    def names(self) -> Collection[str]:
        """Every name there is, sorted; those of variables in lower case."""
        found = {key.removeprefix(PREFIX).lower() for key, text in self._variables.items() if _is_secret(key, text)}
        if self._encrypted is not None:
            found.update(self._encrypted.names())
        return sorted(found | self._plain_file().keys())

    def _plain_file(self) -> dict[str, str]:
        if self._plain_texts is None:
            self._plain_texts = _read_plain(self._plain) if self._plain is not None else {}
        return self._plain_texts


def _is_secret(key: str, text: str) -> bool:
    return bool(text) and key.startswith(PREFIX) and len(key) > len(PREFIX)


def _read_plain(path: Path) -> dict[str, str]:
    """Names and texts. No problem shows a line of this file."""
    from penstock.document.loader import load
    from penstock.document.tree import Mapping, Scalar

    content = read_private(path)
    if content is None or not content.strip():
        return {}
    try:
        tree = load(content, str(path))
    except ConfigError as error:
        raise _unusable(path, error.problems[0]) from None
    if not isinstance(tree, Mapping):
        raise ConfigError("DOC-191", f'the secrets file "{path}" is no map of names to texts')
    texts: dict[str, str] = {}
    for name, entry in tree.entries.items():
        if not isinstance(entry.value, Scalar) or entry.value.value is None:
            raise ConfigError("DOC-191", f'the secrets file "{path}" has no text for "{name}"')
        texts[name] = entry.value.text
    return texts


def _unusable(path: Path, problem: Problem) -> ConfigError:
    where = f" in line {problem.at.line}" if problem.at is not None else ""
    return ConfigError("DOC-191", f'the secrets file "{path}" is not valid YAML{where}', detail=f"{problem.code}.")
