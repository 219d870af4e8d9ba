"""Pipelines of documents that tests write as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.document.loader import load
from penstock.document.read import read
from penstock.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.document.models import Pipeline
    from penstock.document.read import Catalogue


def no_file(path: str) -> bytes:
    raise AssertionError(path)


def pipeline_of(
    text: str, *, catalogue: Catalogue, file: str = "test.yml", read_file: Callable[[str], bytes] = no_file
) -> Pipeline:
    """The document as one that is in order. Raises ConfigError with every problem that it has."""
    reading = read(load(text, file), file, catalogue=catalogue, read_file=read_file)
    if reading.problems or reading.pipeline is None:
        raise ConfigError.of(reading.problems)
    return reading.pipeline
