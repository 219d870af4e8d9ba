"""A full refresh needs sinks that can replace what they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from penstock.clock import SystemClock
from penstock.document.assembly import Settings
from penstock.errors import ConfigError
from penstock.events import Events
from penstock.faults.points import Faults
from penstock.service.request import Request
from penstock.service.running import run

if TYPE_CHECKING:
    from pathlib import Path


def test_a_sink_that_replaces_nothing_refuses_a_full_refresh(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("k\n1\n", encoding="utf-8")
    file = tmp_path / "p.yml"
    file.write_text(
        "pipeline: p\n"
        "sources: {a: {type: csv, path: a.csv}}\n"
        "sinks: {web: {from: a, type: rest, connection: {base_url: 'http://127.0.0.1:1'}, path: /rows}}\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as caught:
        run(Request(file, Settings({}), SystemClock(), full_refresh=True), Events(), Faults())
    assert [problem.code for problem in caught.value.problems] == ["RUN-112"]
    assert not (tmp_path / ".penstock").exists()
