"""What a document gives a run is what the databases of its connectors get."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from penstock.service.opening import opened
from penstock.service.request import Request, Settings

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENT = """pipeline: copy
sources: {s: {type: csv, path: x.csv}}
sinks: {o: {from: s, type: csv, path: out}}
run: {memory: 256 MiB, threads: 1, temp: 1 GiB}
"""


@pytest.mark.parametrize("kind", ["sources", "sinks"])
def test_a_connector_gets_the_limits_of_the_document_and_a_folder_of_its_own(tmp_path: Path, kind: str) -> None:
    (tmp_path / "x.csv").write_text("a\n1\n", encoding="utf-8")
    (tmp_path / "p.yml").write_text(DOCUMENT, encoding="utf-8")
    with opened(Request(tmp_path / "p.yml", Settings({}))) as found:
        found.connect()
        made = next(iter(getattr(found, kind).values()))
        allowance = made._allowance if kind == "sinks" else made._context.allowance
        assert (allowance.memory_bytes, allowance.threads, allowance.spill_bytes) == (256 * 2**20, 1, 2**30)
        assert allowance.spill is not None
        assert allowance.spill.is_dir()
        assert found.scratch in allowance.spill.parents
