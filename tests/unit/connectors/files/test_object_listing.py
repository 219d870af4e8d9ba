"""Which keys a pattern stands for: as folders have it."""

from __future__ import annotations

import glob
from typing import TYPE_CHECKING

import pytest

from penstock.connectors.files.object_listing import matches

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("a.csv", "ab.csv", ".a.csv", "in/a.csv", "in/deep/a.csv", "in/.hidden/a.csv", "in/x/y/z.csv", "b[1].csv")
PATTERNS = (
    "*.csv",
    "**/*.csv",
    "in/**/*.csv",
    "in/*/*.csv",
    "?.csv",
    "[ab]*.csv",
    "*/a.csv",
    "**",
    ".*.csv",
    "b[[]1].csv",
)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_matches_the_keys_that_it_would_match_in_a_folder(pattern: str, tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = glob.glob(pattern, root_dir=tmp_path, recursive=True)  # noqa: PTH207 -- the very rules are its own
    here = {name for name in found if (tmp_path / name).is_file()}
    assert {name for name in NAMES if matches(name.split("/"), pattern.split("/"))} == here
    assert here
