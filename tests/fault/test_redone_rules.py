"""A rule that looks at earlier runs decides an epoch that is run again as it did before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from begun import begun
from epochs import completed, die
from systems import FILES

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.ledger.api import RuleResult

DOCUMENT = """
pipeline: watched
sources: {rows: {type: csv, path: rows.csv, schema: {columns: {k: int64}}}}
sinks:
  one: {from: rows, type: parquet, path: out/one, mode: append}
  two:
    from: rows
    rules: [{anomaly: {metric: row_count, min_history: 2}}]
    type: parquet
    path: out/two
    mode: append
run: {memory: 256 MiB, threads: 1}
"""


def watched(folder: Path) -> Path:
    folder.mkdir()
    (folder / "watched.yml").write_text(DOCUMENT, encoding="utf-8")
    for rows in (10, 12, 14):
        put(folder, rows)
        completed(FILES, folder / "watched.yml")
    put(folder, 13)
    return folder / "watched.yml"


def put(folder: Path, rows: int) -> None:
    (folder / "rows.csv").write_text("k\n" + "".join(f"{number}\n" for number in range(rows)), encoding="utf-8")


def decided(file: Path) -> list[RuleResult]:
    """What the rule found in each sealed epoch, oldest first."""
    with begun(file) as around:
        history = around.ledger.history(around.key, limit=10)
    return [rule for _, entries in reversed(history) for entry in entries for rule in entry.rules]


def test_a_redone_epoch_has_the_history_that_it_had(tmp_path: Path) -> None:
    plain, file = watched(tmp_path / "plain"), watched(tmp_path / "redone")
    completed(FILES, plain)
    die(FILES, file, "run.committed", 1, "kill")
    (epoch,) = completed(FILES, file).epochs
    assert epoch.redone
    assert decided(file) == decided(plain)
    assert decided(file)[-1].note == "row_count expected between 1.6218 and 22.3782, as in 3 runs before"
