"""An epoch that is run again gives the rows that it gave before: its time and its chances are its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest
from epochs import completed, die, once
from systems import FILES

from penstock.faults.points import Faults
from penstock.ledger.api import RunStatus

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 300_000  # of several row groups, so that threads would share them
DOCUMENT = """
pipeline: chance
sources: {numbers: {type: parquet, path: numbers.parquet}}
transforms:
  drawn:
    from: numbers
    steps:
      - derive: {lot: random(), id: uuid(), at_time: now(), day: today(), aged: "age(timestamp '2020-01-01')::string"}
  first:
    from: drawn
    steps:
      - filter: lot < 0.5
      - derive: {own: random()}
  second: {sql: "select k, lot, id, at_time, current_timestamp as later, day, aged from drawn where at_time <= now() and lot < 0.5"}
sinks:
  one: {from: first, type: parquet, path: out/one, mode: append}
  two: {from: second, type: parquet, path: out/two, mode: append}
run: {memory: 512 MiB, threads: 2}
"""


def project(folder: Path) -> Path:
    folder.mkdir()
    duckdb.connect().execute(f"copy (select range as k from range({ROWS})) to '{folder}/numbers.parquet'")
    (folder / "chance.yml").write_text(DOCUMENT, encoding="utf-8")
    return folder / "chance.yml"


def drawn(folder: Path, name: str) -> list[tuple[object, ...]]:
    return (
        duckdb.connect()
        .execute(f"select k, lot, id, at_time::text, day, aged from '{folder}/out/{name}/*.parquet' order by all")
        .fetchall()
    )


def test_a_sink_that_comes_later_gets_the_time_and_the_chances_of_its_epoch(tmp_path: Path) -> None:
    """The other sink had the epoch before the crash: `id` and `lot` are computed twice, in two processes."""
    folder = tmp_path / "redone"
    file = project(folder)
    die(FILES, file, "run.committed", 1, "kill")
    (epoch,) = completed(FILES, file).epochs
    assert epoch.redone
    rows = drawn(folder, "one")
    assert len(rows) == len(drawn(folder, "two")) > 0
    assert rows == drawn(folder, "two")
    assert len({row[1] for row in rows}) > len(rows) * 0.99
    (told,) = (
        duckdb.connect()
        .execute(f"select distinct epoch_us(at_time), epoch_us(later), day from '{folder}/out/two/*.parquet'")
        .fetchall()
    )
    planned = round(epoch.record.planned_at.timestamp() * 1_000_000)
    assert told == (planned, planned, epoch.record.planned_at.date())


def test_another_epoch_has_other_chances_and_another_time(tmp_path: Path) -> None:
    folder = tmp_path / "next"
    file = project(folder)
    completed(FILES, file)
    completed(FILES, file)
    (found,) = (
        duckdb.connect()
        .execute(f"select count(distinct at_time), count(distinct id) = count(*) from '{folder}/out/one/*.parquet'")
        .fetchall()
    )
    assert found == (2, True)


# ---------------------------------------------------------------- what several sinks share, and could fall otherwise

_TIES = """
pipeline: ties
sources: {numbers: {type: parquet, path: numbers.parquet}}
transforms:
  some: {from: numbers, steps: [limit: 5000]}
  each: {sql: "select * from numbers qualify row_number() over (partition by g order by h) = 1"}
  sums: {from: numbers, steps: [aggregate: {by: [h], measures: {k: "sum(f)"}}]}
  odd: {from: numbers, steps: [python: {function: "draw:anew", schema: {k: float64}}]}
  one_per_key: {from: numbers, steps: [deduplicate: {keys: [g], order_by: h}]}
  numbered: {from: numbers, steps: [window: {partition_by: [g], order_by: h, columns: {n: row_number()}}]}
  sampled: {from: numbers, steps: [sample: {rows: 5000}]}
  late: {sql: "select k from $STEP where k not in (select k from one)"}
sinks:
  one: {from: $STEP, type: parquet, path: out/one, mode: append}
  two: {from: $STEP, type: parquet, path: out/two, mode: append}
  three: {from: late, type: parquet, path: out/three.parquet, mode: overwrite, allow_empty: true}
run: {memory: 512 MiB, threads: 2}
"""
_STEPS = ["some", "each", "sums", "odd", "one_per_key", "numbered", "sampled"]
_KEPT = {"some": "some.limit", "each": "each.sql", "sums": "sums.aggregate", "odd": "odd.python"}


def _ties(folder: Path, step: str) -> Path:
    folder.mkdir()
    rows = f"select range as k, range % 50 as g, range % 7 as h, random() * 1e9 as f from range({ROWS})"
    duckdb.connect().execute(f"copy ({rows}) to '{folder}/numbers.parquet' (row_group_size 2048)")
    (folder / "draw.py").write_text(
        "import os, pyarrow as pa\n\n\ndef anew(batch):\n"
        "    value = float(int.from_bytes(os.urandom(4)))\n"
        "    return pa.record_batch({'k': pa.array([value] * batch.num_rows, pa.float64())})\n",
        encoding="utf-8",
    )
    (folder / "ties.yml").write_text(_TIES.replace("$STEP", step), encoding="utf-8")
    return folder / "ties.yml"


def _held(folder: Path, name: str) -> list[tuple[object, ...]]:
    query = f"select * from '{folder}/out/{name}/*.parquet' order by all"
    return duckdb.connect().execute(query).fetchall()


@pytest.mark.parametrize("step", _STEPS)
def test_sinks_agree_on_rows_that_could_fall_otherwise(step: str, tmp_path: Path) -> None:
    """`one` had the epoch before the process died; `three`, of a later pass, finds no row that `one` lacks."""
    folder = tmp_path / "ties"
    file = _ties(folder, step)
    die(FILES, file, "run.committed", 1, "kill")
    (epoch,) = completed(FILES, file).epochs
    assert epoch.redone
    rows = _held(folder, "one")
    assert len(rows) == epoch.receipts["two"].rows > 0
    assert rows == _held(folder, "two")
    assert epoch.receipts["three"].rows == 0
    assert list(epoch.account.kept) == ([_KEPT[step]] if step in _KEPT else [])
    assert not [path for path in (folder / ".penstock" / "spool").rglob("*") if path.is_file()]


def test_a_fault_that_passes_does_not_compute_anew_what_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "ties"
    file = _ties(folder, "odd")
    (epoch,) = (result := once(FILES, file, Faults({("run.before_commit", 2): "lost"}))).epochs
    assert result.status is RunStatus.DONE
    assert not epoch.redone
    assert _held(folder, "one") == _held(folder, "two")


_ALL_KINDS = """
pipeline: kinds
sources: {t: {type: parquet, path: t.parquet}}
transforms:
  x: {sql: "select k, to_microseconds(k + 1) as apart, sum(k) over () * 1000000000000000000 as wide from t"}
  y: {from: x, steps: [sort: [k desc], limit: 3000]}
  z: {from: x, steps: [limit: 0]}
  seen: {from: y, steps: [derive: {us: "extract(microsecond from apart)::int64"}, drop: [apart]]}
  none: {from: z, steps: [drop: [apart]]}
sinks:
  one: {from: seen, type: csv, path: out/one.csv, mode: overwrite}
  two: {from: seen, type: csv, path: out/two.csv, mode: overwrite}
  three: {from: none, type: csv, path: out/three.csv, mode: overwrite, allow_empty: true}
  four: {from: none, type: csv, path: out/four.csv, mode: overwrite, allow_empty: true}
run: {memory: 512 MiB, threads: 2}
"""


def test_kept_rows_stay_as_they_were_and_in_their_order(tmp_path: Path) -> None:
    duckdb.connect().execute(f"copy (select range as k from range(5000)) to '{tmp_path}/t.parquet'")
    (tmp_path / "kinds.yml").write_text(_ALL_KINDS, encoding="utf-8")
    (epoch,) = completed(FILES, tmp_path / "kinds.yml").epochs
    assert list(epoch.account.kept) == ["x.sql", "y.limit", "z.limit"]
    wide = sum(range(5000)) * 10**18
    expected = ["k,wide,us", *(f"{k},{wide},{k + 1}" for k in range(4999, 1999, -1))]
    for name in ("one", "two"):
        assert (tmp_path / "out" / f"{name}.csv").read_text(encoding="utf-8").splitlines() == expected
    assert (tmp_path / "out" / "three.csv").read_text(encoding="utf-8").splitlines() == ["k,wide"]


@pytest.mark.parametrize("harm", ["altered", "gone"])
def test_kept_rows_that_were_harmed_are_not_used(harm: str, tmp_path: Path) -> None:
    file = _ties(tmp_path / "ties", "some")
    die(FILES, file, "run.committed", 1, "raise")
    (kept,) = (tmp_path / "ties" / ".penstock" / "spool").rglob("*.arrow")
    if harm == "gone":
        kept.unlink()
    else:
        kept.write_bytes(kept.read_bytes()[:-9] + b"x" * 9)
    stopped = once(FILES, file, Faults())
    assert [problem.code for problem in stopped.problems] == ["SRC-110"]
    assert '"some.limit"' in stopped.problems[0].message
