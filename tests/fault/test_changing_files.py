"""Files that others write to while they are read: the epoch fails before any commit, and the next run takes the new ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest
from epochs import completed, once
from systems import FILES

from penstock.faults.points import Faults
from penstock.ledger.api import RunStatus

if TYPE_CHECKING:
    from pathlib import Path

# The step is between the read and the sink, so what it does to the file is done in the midst of the pass.
DOCUMENT = """
pipeline: changing
sources: {{rows: {{type: {kind}, path: "rows.*"}}}}
transforms:
  passed: {{from: rows, steps: [python: {{function: "{module}:some", schema: {{k: int64}}}}]}}
sinks:
  kept: {{from: passed, type: parquet, path: out/kept, mode: append}}
run: {{memory: 256 MiB, threads: 1}}
"""
MEDDLING = """
import os
from pathlib import Path


def some(batch):
    here = Path(__file__).parent
    for file in [] if (here / "quiet").exists() else list(here.glob("rows.*")):
        {act}
    return batch
"""
ACTS = {
    "appended": "file.write_bytes(file.read_bytes() + b' ')",
    "rewritten": "file.write_bytes(file.read_bytes())",
    "replaced": "(here / 'new').write_bytes(file.read_bytes()); (here / 'new').rename(file)",
    "cut": "os.truncate(file, file.stat().st_size - 1)",
    "gone": "file.unlink()",
}


def _held(folder: Path) -> list[tuple[int]]:
    return duckdb.connect().execute(f"select k from '{folder}/out/kept/*.parquet' order by k").fetchall()


def _write(folder: Path, kind: str) -> None:
    duckdb.connect().execute(f"copy (select unnest([1, 2, 3]) as k) to '{folder}/rows.{kind}' (format {kind})")


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
@pytest.mark.parametrize("act", ACTS)
def test_a_file_that_changes_while_it_is_read_fails_the_epoch(kind: str, act: str, tmp_path: Path) -> None:
    file = tmp_path / "changing.yml"
    module = f"{act}_{kind}"  # a process takes each module from one folder only
    file.write_text(DOCUMENT.format(kind=kind, module=module), encoding="utf-8")
    (tmp_path / f"{module}.py").write_text(MEDDLING.format(act=ACTS[act]), encoding="utf-8")
    _write(tmp_path, kind)
    result = once(FILES, file, Faults())
    assert (result.status, [problem.code for problem in result.problems]) == (RunStatus.FAILED, ["SRC-110"])
    assert not list((tmp_path / "out").rglob("*.parquet"))
    (tmp_path / "quiet").touch()
    _write(tmp_path, kind)
    (epoch,) = completed(FILES, file).epochs
    assert (epoch.record.number, epoch.redone) == (1, False)
    assert _held(tmp_path) == [(1,), (2,), (3,)]
