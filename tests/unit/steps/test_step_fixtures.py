"""Golden texts: every file of tests/fixtures/steps and tests/fixtures/rules is a document, a border, and what compiling it gives.

``PENSTOCK_UPDATE_FIXTURES=1`` writes what compiling gives now into the files; look at the difference before you commit it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from harness import FIXTURES, compiled_text, fixture_parts

if TYPE_CHECKING:
    from pathlib import Path

_CASES = sorted([*FIXTURES.glob("steps/*/*.txt"), *FIXTURES.glob("rules/*.txt")])


def test_there_are_fixtures() -> None:
    assert _CASES


@pytest.mark.parametrize("path", _CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_document_compiles_to_the_expected_nodes(path: Path) -> None:
    text, expected = fixture_parts(path)
    found = compiled_text(text)
    if os.environ.get("PENSTOCK_UPDATE_FIXTURES") == "1":
        path.write_text(f"{text.rstrip()}\n=====\n{found}", encoding="utf-8")
    else:
        assert found == expected
