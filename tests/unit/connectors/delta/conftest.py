"""Tables made by deltalake itself, and a project folder to keep them in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from penstock.connectors.api import Context
from penstock.testing.clock import FakeClock

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def context(tmp_path: Path) -> Context:
    scratch = tmp_path / ".scratch"
    scratch.mkdir()
    return Context("lake", lambda path: tmp_path / path, scratch, FakeClock(datetime(2024, 1, 1, tzinfo=UTC)))
