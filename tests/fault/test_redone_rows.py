"""An epoch that is run again gives the rows that it gave before: its time and its chances are its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
from epochs import completed, die
from systems import FILES

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
