"""Making sources of files over a folder, and reading them as the engine does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from penstock.connectors.api import Context, Contract, Files, Partition, ScanRequest, Source
from penstock.document.paths import Paths
from penstock.registry import find
from penstock.testing.clock import FakeClock
from penstock.testing.delivery import pull
from penstock.types import Schema

if TYPE_CHECKING:
    from pathlib import Path

PART = Partition()


def source(folder: Path, text: str, contract: dict[str, str] | None = None, **policies: Any) -> Source:
    """A source as a document writes it, its paths below ``folder``."""
    given = yaml.safe_load(text)
    descriptor = find("sources", given["type"])
    assert descriptor is not None
    scratch = folder / ".scratch"
    scratch.mkdir(exist_ok=True)
    held = Contract(Schema.of(contract), **policies) if contract is not None else None
    context = Context("s", Paths.of(folder).resolve, scratch, FakeClock(), held)
    made: Source = descriptor.make(descriptor.params.model_validate(given), context)
    return made


def columns(made: Source) -> dict[str, str]:
    return {column.name: str(column.type) for column in made.describe()}


def files(made: Source, *names: str) -> Files:
    scanned = made.scan(ScanRequest(PART, None, made.latest(PART), names or None))
    assert isinstance(scanned, Files)
    return scanned


def rows(made: Source, *names: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pull(made.scan(ScanRequest(PART, None, made.latest(PART), names or None)))[
        0
    ].to_pylist()
    return found
