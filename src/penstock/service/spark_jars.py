"""The use case of ``penstock spark jars``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.engines.spark import jars

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.engines.spark.jars import Fetched


def fetch_jars(folder: Path | None) -> Fetched:
    """Into ``folder``, else where sessions look by themselves (``jars.fetch``)."""
    return jars.fetch(jars.default_folder() if folder is None else folder)
