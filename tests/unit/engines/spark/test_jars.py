"""The folder of jars: filled once, as a whole or not at all, and never over what somebody else keeps there."""

from __future__ import annotations

import json
import os
import shutil
import xml.etree.ElementTree as ET
from importlib.util import find_spec
from pathlib import Path

import pytest

from penstock.engines.spark import jars
from penstock.engines.spark.jars import MANIFEST, POM, fetch, is_complete
from penstock.engines.spark.session import SparkSettings, _jars
from penstock.errors import ConfigError, PenstockError, TransientError

MAVEN = """#!/bin/sh
for argument in "$@"; do case $argument in -DoutputDirectory=*) folder=${argument#*=};; esac; done
"""
FILLS = (
    MAVEN
    + 'mkdir -p "$folder" && printf delta > "$folder/delta.jar" && printf ice > "$folder/iceberg.jar"\necho x >> "$0.calls"\n'
)
FAILS = MAVEN + 'mkdir -p "$folder" && printf half > "$folder/delta.jar"\necho "[ERROR] no such host" && exit 1\n'
EMPTY = MAVEN + 'mkdir -p "$folder"\n'


@pytest.fixture
def maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for Maven on the PATH; its text is set by the test."""
    program = tmp_path / "bin" / "mvn"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    return acts(program, FILLS)


def acts(program: Path, text: str) -> Path:
    program.write_text(text, encoding="utf-8")
    program.chmod(0o755)
    return program


def refused(folder: Path) -> PenstockError:
    with pytest.raises(PenstockError) as found:
        fetch(folder)
    return found.value


def test_a_folder_is_filled_once(maven: Path, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "jars"
    first = fetch(folder)
    assert (first.jars, first.total_bytes, first.new) == (2, 8, True)
    assert is_complete(folder)
    second = fetch(folder)
    assert (second.jars, second.total_bytes, second.new) == (2, 8, False)
    assert maven.with_name("mvn.calls").read_text() == "x\n"
    assert sorted(path.name for path in folder.parent.iterdir()) == ["jars"]


@pytest.mark.parametrize("harm", ["gone", "cut", "another version", "torn note"])
def test_what_is_not_complete_is_filled_anew(maven: Path, tmp_path: Path, harm: str) -> None:
    folder = tmp_path / "jars"
    fetch(folder)
    note = folder / MANIFEST
    match harm:
        case "gone":
            (folder / "delta.jar").unlink()
        case "cut":
            (folder / "delta.jar").write_bytes(b"de")
        case "another version":
            note.write_text(json.dumps(json.loads(note.read_text()) | {"pom": "0"}))
            (folder / "delta-of-before.jar").write_bytes(b"old")
        case _:
            note.write_text(note.read_text()[:20])
    assert not is_complete(folder)
    assert fetch(folder).new
    assert is_complete(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["delta.jar", "iceberg.jar", MANIFEST]


def test_an_empty_folder_is_filled_and_one_with_other_files_is_left(maven: Path, tmp_path: Path) -> None:
    folder = tmp_path / "jars"
    folder.mkdir()
    assert fetch(folder).new
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    error = refused(other)
    assert isinstance(error, ConfigError)
    assert (error.code, error.problems[0].detail) == ("ENG-409", "it holds other files.")
    assert (other / "thesis.txt").read_text() == "mine"


def test_a_folder_cannot_be_written(maven: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file" / "jars", Path("/proc/jars")):
        assert refused(folder).code == "ENG-409"


def test_there_is_no_maven(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    error = refused(tmp_path / "jars")
    assert isinstance(error, ConfigError)
    assert error.code == "ENG-407"


@pytest.mark.parametrize(("text", "told"), [(FAILS, "[ERROR] no such host"), (EMPTY, "it ended with 0")])
def test_maven_fails_and_leaves_what_was_there(maven: Path, tmp_path: Path, text: str, told: str) -> None:
    folder = tmp_path / "jars"
    fetch(folder)
    (folder / "delta.jar").unlink()
    acts(maven, text)
    error = refused(folder)
    assert isinstance(error, TransientError)
    assert error.code == "ENG-408"
    assert told in (error.problems[0].detail or "")
    assert [path.name for path in folder.glob("*.jar")] == ["iceberg.jar"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "jars"]


def test_another_process_was_faster(maven: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its jars may be in use already."""
    folder = tmp_path / "jars"
    put = jars._put
    theirs = []

    def late(made: Path, into: Path, aside: Path) -> None:
        shutil.copytree(made, into)
        theirs.append(into.stat().st_ino)
        put(made, into, aside)

    monkeypatch.setattr(jars, "_put", late)
    assert fetch(folder).jars == 2
    assert theirs == [folder.stat().st_ino]


def test_sessions_look_into_the_default_folder_where_it_is_complete(
    maven: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert _jars(SparkSettings()) == ()
    fetch(jars.default_folder())
    assert [Path(path).name for path in _jars(SparkSettings())] == ["delta.jar", "iceberg.jar"]
    (jars.default_folder() / "delta.jar").unlink()
    assert _jars(SparkSettings()) == ()


def artifact(name: str) -> str:
    return name.rpartition("-")[0]


def test_nothing_is_fetched_that_pyspark_carries() -> None:
    """Two versions of a library on one class path are a lottery."""
    space = {"m": "http://maven.apache.org/POM/4.0.0"}
    named = [one.text or "" for one in ET.parse(POM).iterfind(".//m:dependency/m:artifactId", space)]
    spec = find_spec("pyspark")
    assert spec is not None
    assert spec.origin is not None
    carried = {artifact(path.stem) for path in (Path(spec.origin).parent / "jars").glob("*.jar")}
    assert len(carried) > 100
    assert len(named) > 10
    assert set(named) & carried == set()
    # Each names all that it brings: Maven is told to follow nothing.
    exclusions = ET.parse(POM).findall(".//m:dependency/m:exclusions/m:exclusion", space)
    assert len(exclusions) == len(named)


def test_the_folder_is_named_after_the_versions() -> None:
    text = POM.read_text(encoding="utf-8")
    for version in ("4.4.0", "1.12.0"):
        assert f">{version}<" in text
        assert version in jars.default_folder().name
