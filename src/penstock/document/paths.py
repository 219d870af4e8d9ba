"""Paths of a document: beneath the project, or beneath a root that somebody who may do so has named.

No ``..``, no link out of the root, and no other place of the machine: security.md, 5.
"""

from __future__ import annotations

import os
import re
import stat
from errno import ELOOP
from pathlib import Path
from typing import TYPE_CHECKING, Final

from penstock.errors import ConfigError
from penstock.structs import Frozen

if TYPE_CHECKING:
    from penstock.errors import Location

MAX_FILE_BYTES: Final = 1024 * 1024  # of a schema file

STATE: Final = ".penstock"

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_WITH_WILDCARD: Final = re.compile(rf"[^{re.escape(os.sep)}]*[*?\[][^{re.escape(os.sep)}]*")
_MAX_SHOWN: Final = 80
_MAX_CHARACTERS: Final = 4096
_ABOUT: Final = ("path",)  # the key of a source or sink that names a path


class Paths(Frozen):
    """``root`` is the project's folder; ``allowed`` are further roots: of `files` connections and of --allow-path.

    All of them are absolute and real: made by ``Paths.of``.
    """

    root: Path
    allowed: tuple[Path, ...] = ()

    @classmethod
    def of(cls, root: Path, allowed: tuple[Path, ...] = ()) -> Paths:
        """With every root as the system knows it, links followed; they need not exist."""
        return cls(_real(root), tuple(_real(path) for path in allowed))

    def resolve(self, text: str, at: Location | None = None) -> Path:
        """The absolute path that a document's path or pattern (``data/*.csv``) stands for; it need not exist.

        Of a pattern everything before its first wildcard is checked; pass what it matched through here as well: an
        absolute path is taken where it lies beneath a root.
        Raises ConfigError: DOC-230 not a path, DOC-231 with ``..``, DOC-232 beneath no root, DOC-233 out through a link,
        DOC-236 into the project's state folder.
        """
        self._check_form(text, at)
        path = Path(text)
        if not path.is_absolute():
            return self._inside(self.root / path, self.root, text=text, at=at)
        for root in (self.root, *self.allowed):
            if _is_beneath(str(path), root):
                return self._inside(path, root, text=text, at=at)
        real = _real(path)  # /tmp/project may be a link to /private/tmp/project
        for root in (self.root, *self.allowed):
            if _is_beneath(str(real), root):
                return self._inside(real, root, text=text, at=at)
        raise ConfigError(
            "DOC-232",
            f'the path "{_shorten(text)}" lies outside the project',
            at=at,
            about=_ABOUT,
            detail=f"the roots are {', '.join(str(root) for root in (self.root, *self.allowed))}.",
            hint="name its folder as the root of a `files` connection, or allow it with --allow-path",
        )

    def read(self, text: str, at: Location | None = None) -> bytes:
        """The content of a small file that a document names. Raises as ``resolve``, and DOC-234 where it cannot be read."""
        path = self.resolve(text, at)
        try:
            with path.open("rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            detail = f"{error.strerror}."
            raise ConfigError("DOC-234", f'cannot read "{_shorten(text)}"', at=at, detail=detail) from None
        if len(content) > MAX_FILE_BYTES:
            raise ConfigError("DOC-234", f'"{_shorten(text)}" is larger than {MAX_FILE_BYTES} bytes', at=at)
        return content

    def _check_form(self, text: str, at: Location | None) -> None:
        if not text or "\0" in text or len(text) > _MAX_CHARACTERS or text.isspace():
            raise ConfigError("DOC-230", f'"{_shorten(text)}" is not a path', at=at, about=_ABOUT)
        if _URL.match(text):
            raise ConfigError(
                "DOC-230",
                f'"{_shorten(text)}" is a URL',
                at=at,
                about=_ABOUT,
                detail="a path names a file of this machine.",
            )
        if ".." in Path(text).parts:
            raise ConfigError(
                "DOC-231",
                f'the path "{_shorten(text)}" goes up with ".."',
                at=at,
                about=_ABOUT,
                hint="write the path from the project's folder on, or from a root that is allowed",
            )

    def _inside(self, path: Path, root: Path, *, text: str, at: Location | None) -> Path:
        real = str(_real(_fixed_part(str(path))))
        if _leads_nowhere(real):
            raise ConfigError(
                "DOC-230",
                f'"{_shorten(text)}" is not a path',
                at=at,
                about=_ABOUT,
                detail="its links lead round in a circle.",
            )
        if not any(_is_beneath(real, allowed) for allowed in (root, self.root, *self.allowed)):
            raise ConfigError(
                "DOC-233",
                f'the path "{_shorten(text)}" leaves its root through a link',
                at=at,
                about=_ABOUT,
                detail=f"it leads out of {root}.",
            )
        if _is_beneath(real, self.root / STATE):
            raise ConfigError(
                "DOC-236",
                f'the path "{_shorten(text)}" leads to what Penstock keeps for itself',
                at=at,
                about=_ABOUT,
                detail=f"{STATE} holds the ledger, rejects and keys.",
            )
        return path


def _is_beneath(path: str, root: Path) -> bool:
    """Or the root itself. Both are absolute; text, for an epoch asks often, and pathlib takes its time."""
    base = str(root)
    return path == base or path.startswith(base if base.endswith(os.sep) else base + os.sep)


def _fixed_part(path: str) -> str:
    """What stands before the first part with a wildcard in it; a file that is really called so counts as fixed."""
    if os.path.lexists(path):
        return path
    for part in _WITH_WILDCARD.finditer(path):
        if not os.path.lexists(path[: part.end()]):
            return path[: part.start()]
    return path


def _leads_nowhere(real: str) -> bool:
    """Whether links of a path that were followed lead round in a circle. A name too long is no error here."""
    try:
        return stat.S_ISLNK(os.lstat(real).st_mode)
    except OSError as error:
        return error.errno == ELOOP


def _real(path: Path | str) -> Path:
    try:
        return Path(os.path.realpath(path))
    except (OSError, ValueError):  # a name too long for the system
        raise ConfigError("DOC-230", f'"{_shorten(str(path))}" is not a path') from None


def _shorten(text: str) -> str:
    shown = "".join(character if character.isprintable() else "?" for character in text)
    return shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}..."
