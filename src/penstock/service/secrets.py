"""``secrets``: what a project keeps encrypted. Values go in and never come out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.document.assembly import project_of, secrets_of
from penstock.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.document.secrets_file import SecretsFile
    from penstock.service.request import Settings


def names(settings: Settings) -> Sequence[str]:
    """Sorted; needs no key. Raises ConfigError DOC-191 where the file is no secrets file."""
    return _file(settings).names()


def keep(settings: Settings, name: str, value: str) -> None:
    """Raises ConfigError DOC-19x."""
    _file(settings).put(name, Secret(value))


def forget(settings: Settings, name: str) -> None:
    """Raises ConfigError DOC-19x, with the nearest name where there is none of that name."""
    _file(settings).remove(name)


def rotate(settings: Settings) -> str:
    """Put the file under another key; its id. Raises ConfigError DOC-19x."""
    return _file(settings).rotate().id


def _file(settings: Settings) -> SecretsFile:
    return secrets_of(project_of(None, settings), settings.variables)
