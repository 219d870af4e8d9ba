"""A full refresh under a document with other columns dies at any boundary: every table is the old one or the new one as a
whole, and the next run brings all of them to the new one.
"""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from epochs import completed, die, once
from systems import GOOD

from penstock.connectors.mariadb.sink import REBUILD_POINTS
from penstock.errors import ConfigError
from penstock.faults.points import Faults
from penstock.ledger.api import RunStatus

if TYPE_CHECKING:
    from epochs import System
    from systems import Reader, Table

CHANGES = {
    "      - filter: k % 3 <> 0\n": "      - filter: k % 3 <> 0\n      - derive: {v: v::varchar, next: k + 1}\n",
    'measures: {n: count(*), total: "sum(v)::decimal(18,2)"}': "measures: {n: count(*), most: max(next)}",
}


def other_columns(file: Path) -> None:
    """A column comes, one goes, one has another type."""
    text = file.read_text(encoding="utf-8")
    for old, new in CHANGES.items():
        assert old in text
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")


def old_and_new(name: str) -> tuple[Table, Table]:
    """What a table holds after one load of the first document, and after one of the second."""
    value = {number: Decimal(number) + Decimal("0.25") for number in GOOD}
    if name != "summed":
        rows = [(number, "abc"[number % 3], value[number]) for number in GOOD]
        return rows, [(*row, Decimal(row[0] + 1)) for row in rows]
    parts = {part: [number for number in GOOD if "abc"[number % 3] == part] for part in "bc"}
    return (
        [(part, len(found), sum(value[number] for number in found)) for part, found in parts.items()],
        [(part, len(found), Decimal(max(found) + 1)) for part, found in parts.items()],
    )


# Between these a folder that is listed may lack files of a commit that stands; the sink reads it whole.
PUBLISHING = {"files.committed", "files.old_removed", "files.part_placed", "files.placed"}


def load_both(system: System, folder: Path) -> Path:
    file = system.project(folder)
    completed(system, file)
    other_columns(file)
    return file


# All of whose state lies in the project and names no place outside of it.
COPIED = {"files", "sqlite", "duckdb", "delta"}


def walked(system: System) -> list[str]:
    """Of MariaDB those that only a change of columns passes: test_mariadb_rebuilding.py has them all, the long form MySQL's."""
    match system.name:
        case "mariadb":
            return [*REBUILD_POINTS]
        case "mysql":
            return [*sorted(system.points), *REBUILD_POINTS]
        case _:
            return sorted(system.points)


REFRESHED = pytest.mark.parametrize(
    "system",
    [
        *("files", "sqlite", "duckdb", "delta", "iceberg"),
        pytest.param("postgres", marks=pytest.mark.server),
        pytest.param("mariadb", marks=pytest.mark.server),
        pytest.param("mysql", marks=[pytest.mark.server, pytest.mark.long]),
        pytest.param("s3", marks=pytest.mark.server),
    ],
    indirect=True,
)


@REFRESHED
def test_a_full_refresh_gives_every_table_other_columns(system: System, read: Reader, tmp_path: Path) -> None:
    file = load_both(system, tmp_path / "p")
    with pytest.raises(ConfigError):
        once(system, file, Faults())
    result = once(system, file, Faults(), full_refresh=True)
    assert result.status is RunStatus.DONE, "\n".join(problem.render() for problem in result.problems)
    assert result.epochs[0].record.number == 1
    for name in ("appended", "merged", "summed"):
        assert read(tmp_path / "p", name) == old_and_new(name)[1]
    completed(system, file)
    assert len(read(tmp_path / "p", "appended")) == 2 * len(GOOD)
    assert read(tmp_path / "p", "merged") == old_and_new("merged")[1]


@REFRESHED
def test_a_refresh_that_dies_leaves_tables_that_are_old_or_new(system: System, read: Reader, tmp_path: Path) -> None:
    """At the points of the sinks; those of the run are walked by test_epoch_crashes.py."""
    names = ("appended", "merged", "summed")
    loaded = load_both(system, tmp_path / "loaded") if system.name in COPIED else None
    for point in walked(system):
        folder = tmp_path / point.replace(".", "_")
        if loaded is None:
            file = load_both(system, folder)
        else:
            file = Path(shutil.copytree(loaded.parent, folder, symlinks=True)) / loaded.name
        die(system, file, point, 1, "kill", full_refresh=True)
        for name in () if point in PUBLISHING else names:
            assert read(folder, name) in old_and_new(name), f"{name} after {point}"
        completed(system, file)
        for name in names:
            assert read(folder, name) == old_and_new(name)[1], f"{name} after {point}"
