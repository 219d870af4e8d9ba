"""A fresh project folder for every test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from iceberg_tables import Lake

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)
