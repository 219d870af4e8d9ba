"""What the file system refuses while a table is written, as our errors."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from penstock.disk import REFUSED
from penstock.errors import ConfigError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def touching(title: str, about: tuple[str, ...]) -> Iterator[None]:
    """Sorts OSError: ConfigError SNK-260 (the path, the rights), TransientError SNK-257 (the rest).

    ``title`` names the table, ``about`` the keys of the document that name its place.
    """
    try:
        yield
    except OSError as error:
        if error.errno in REFUSED:
            raise unwritable(title, error.strerror or str(error), about) from error
        raise TransientError("SNK-257", f"the file system refused to write {title}", detail=str(error)) from error


def unwritable(title: str, reason: str, about: tuple[str, ...]) -> ConfigError:
    """SNK-260, to be raised."""
    return ConfigError(
        "SNK-260",
        f"{title} cannot be written",
        detail=reason,
        hint="name another folder, or give whoever runs this the right to write there",
        about=about,
    )
