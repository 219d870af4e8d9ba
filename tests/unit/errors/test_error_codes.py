"""Every code that is raised stands in the catalogue, every code of the catalogue is raised, and a test names it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from penstock.errors import catalogue
from penstock.errors.catalogue import CATALOGUE, class_of

ROOT = Path(__file__).parents[3]
CODE = re.compile(r"\b[A-Z]{3}-\d{3}\b")
NUMBER = re.compile(r'["-](\d{3})"')
QUOTED = re.compile(r'"([A-Z]{3}-\d{3})"')


def _texts(folder: str, *endings: str) -> dict[Path, str]:
    files = [path for ending in endings for path in (ROOT / folder).rglob(f"*{ending}")]
    return {path: path.read_text(encoding="utf-8", errors="replace") for path in files}


def _raised() -> set[str]:
    own = Path(catalogue.__file__)
    found: set[str] = set()
    for path, text in _texts("src", ".py").items():
        if path == own:
            continue
        found |= set(QUOTED.findall(text)) | _composed(text)
    return found


def _composed(text: str) -> set[str]:
    """Codes of a table that a system's source, its sink and the ledger share: ``f"{area}-207"``."""
    if "area}-" not in text:
        return set()
    return {f"{area}-{number}" for area in ("SRC", "SNK", "LED") for number in NUMBER.findall(text)} & CATALOGUE.keys()


def test_every_code_that_is_raised_is_catalogued() -> None:
    assert sorted(_raised() - CATALOGUE.keys()) == []


def test_every_catalogued_code_is_raised() -> None:
    assert sorted(CATALOGUE.keys() - _raised()) == []


def test_every_code_is_triggered_by_a_test() -> None:
    this = Path(__file__)
    named = {
        code
        for folder in ("tests", "src/penstock/testing", "examples")
        for path, text in _texts(folder, ".py", ".txt").items()
        if path != this
        for code in {*CODE.findall(text), *_composed(text)}
    }
    assert sorted(CATALOGUE.keys() - named) == []


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_a_code_says_what_is_and_what_to_do(code: str) -> None:
    entry = CATALOGUE[code]
    assert CODE.fullmatch(entry.code)
    assert entry.title
    assert not entry.title.endswith(".")
    assert entry.text.endswith(".")
    assert class_of(code) == entry.error_class


def test_an_unknown_code_is_our_own_bug() -> None:
    assert class_of("XXX-000") == "InternalError"
