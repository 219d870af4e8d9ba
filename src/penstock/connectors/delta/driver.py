"""The one door to deltalake: its import, and its exceptions as ours.

| deltalake raises | we raise |
|---|---|
| TableNotFoundError | ConfigError SRC-250, or None from :func:`find` |
| a panic, where the path has a character that it cannot take | ConfigError SRC-257, before it is asked |
| any other panic while a table is opened | ConfigError SRC-251 |
| DeltaProtocolError | ConfigError SRC-253 |
| CommitFailedError | nothing: ``commit`` reads the marker and decides |
| DeltaError, ValueError while a table is opened | ConfigError SRC-251 |
| any of them while it is written | TransientError SNK-256, unless the marker says that it worked |
| OSError | ConfigError SNK-260 where the path or the rights to it are wrong, else TransientError SNK-257 |
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from penstock.connectors.lake.touching import touching as touched
from penstock.connectors.lake.touching import unwritable
from penstock.errors import ConfigError, PenstockError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from deltalake import DeltaTable

    from penstock.connectors.delta.places import Place

_ABOUT: Final = ("path",)
# In a table's path: deltalake panics, or looks somewhere else.
_UNOPENABLE: Final = frozenset("[]|^%\\") | {chr(code) for code in (*range(32), 127)}


def require() -> None:
    """ConfigError SRC-256 where the optional dependency is not installed."""
    try:
        import deltalake  # noqa: F401
    except ImportError as missing:
        raise ConfigError(
            "SRC-256",
            "Delta tables need the optional dependencies that are not installed",
            detail=str(missing),
            hint="pip install 'penstock[delta]'",
        ) from None


def find(place: Place, version: int | None = None) -> DeltaTable | None:
    """A new handle on the table's newest version, or on ``version``; None where there is no table.

    Raises ConfigError SRC-251 (the log cannot be read), SRC-253 (it needs a feature that deltalake lacks), SRC-257.
    """
    require()
    _check_path(place.root)
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    try:
        with opening(place.name):
            if not place.look():
                return None
            return DeltaTable(place.root, version=version)
    except TableNotFoundError:
        return None


def _check_path(root: Path) -> None:
    found = sorted(_UNOPENABLE & set(str(root)))
    if found:
        raise ConfigError(
            "SRC-257",
            f"the path of a Delta table has the character {found[0]!r}, which the Delta library cannot take",
            detail=f"the path is {str(root)!r}",
            hint="name the folder otherwise",
        )


@contextmanager
def opening(name: str) -> Iterator[None]:
    """Classifies what deltalake raises while a table is opened; TableNotFoundError passes."""
    from deltalake.exceptions import DeltaError, DeltaProtocolError, TableNotFoundError

    try:
        yield
    except (TableNotFoundError, PenstockError):
        raise
    except DeltaProtocolError as error:
        raise ConfigError("SRC-253", f'the Delta table "{name}" cannot be read', detail=brief(error)) from None
    except (DeltaError, ValueError, OSError) as error:
        raise ConfigError(
            "SRC-251", f'the log of the Delta table "{name}" cannot be read', detail=brief(error)
        ) from None
    except BaseException as error:
        if not _is_panic(error):
            raise
        raise ConfigError(
            "SRC-251", f'the log of the Delta table "{name}" cannot be read', detail=brief(error)
        ) from None


def touching(shown: Path | str) -> AbstractContextManager[None]:
    """As ``lake.touching``, of the table that is shown so."""
    return touched(_titled(shown), _ABOUT)


def check_writable_folders(root: Path) -> None:
    """ConfigError SNK-260 where the table's folder, or that of its log, is there and is none, or may not be written."""
    for folder in (root, root / "_delta_log"):
        if not folder.exists():
            continue
        if not folder.is_dir():
            raise unwritable(_titled(root), f'"{folder}" is no folder', _ABOUT)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise unwritable(_titled(root), f'"{folder}" may not be written', _ABOUT)


def _titled(shown: Path | str) -> str:
    return f'the Delta table "{shown}"'


def is_failure(error: BaseException) -> bool:
    """Whether deltalake says by it that a write did not work, or that it does not know."""
    from deltalake.exceptions import DeltaError

    return isinstance(error, (DeltaError, ValueError, OSError)) or _is_panic(error)


def _is_panic(error: BaseException) -> bool:
    """What deltalake raises where it finds a bug of its own; it is no Exception, and not exported."""
    return type(error).__name__ == "PanicException"


def brief(error: BaseException) -> str:
    """The first line: what follows is the library's own backtrace."""
    return str(error).strip().split("\n", 1)[0][:500]
