"""``penstock spark jars``: what it says of a folder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Said

MAVEN = """#!/bin/sh
for argument in "$@"; do case $argument in -DoutputDirectory=*) folder=${argument#*=};; esac; done
mkdir -p "$folder" && head -c 3000000 /dev/zero > "$folder/delta.jar"
"""


@pytest.fixture
def maven(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = project / "bin" / "mvn"
    program.parent.mkdir()
    program.write_text(MAVEN, encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)


def test_it_fetches_once_and_says_so(maven: None, penstock: Callable[..., Said]) -> None:
    first = penstock("spark", "jars", "--out", "jars")
    assert (first.code, first.out, first.err) == (0, 'fetched into "jars": 1 jars, 3 MB\n', "")
    assert penstock("spark", "jars", "--out", "jars").out == '"jars" is complete: 1 jars, 3 MB\n'
    told = penstock("spark", "jars", "--out", "jars", "--json").json
    assert told == {"folder": "jars", "jars": 1, "bytes": 3_000_000, "fetched": False}


def test_without_a_folder_it_fills_the_one_that_sessions_find(
    maven: None, penstock: Callable[..., Said], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(project))
    told = penstock("spark", "jars", "--json").json
    assert told["fetched"]
    assert told["folder"].startswith(f"{project}/.cache/penstock/spark-jars-4.1-")


def test_a_folder_with_other_files_is_refused(maven: None, penstock: Callable[..., Said]) -> None:
    said = penstock("spark", "jars", "--out", "data", "--json")
    assert (said.code, said.codes) == (2, ["ENG-409"])
