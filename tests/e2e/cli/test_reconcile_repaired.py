"""``reconcile`` after rejected rows were repaired and sent again: what replays put into a table is expected there."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Said

FILE = "pipelines/shop.yml"
DOCUMENT = """\
pipeline: shop
sources:
  raw:
    type: csv
    path: data/sold-*.csv
    incremental: files
    schema: {columns: {id: int64, price: "decimal(10,2)?", at: date}}
transforms:
  clean: {from: raw, rules: [{range: {column: price, min: 0, max: 100}}]}
sinks:
  out: {from: clean, type: sqlite, path: out.db, table: t, MODE}
run: {memory: 256 MiB, threads: 1}
"""
APPEND = "mode: append, reconcile: {keys: [id], on_difference: fail}"
MERGE = "mode: merge, keys: [id], reconcile: {on_difference: fail}"
COMMA = "price = replace(price, ',', '.')"
PRICE, RANGE = "raw/bad_value/price", "clean.rules/range/price"


@pytest.fixture
def begun(penstock: Callable[..., Said], project: Path) -> Callable[[str], None]:
    """Runs that pipeline over one good row, one with a comma and one that is too dear, and sends the two again."""

    def begin(mode: str) -> None:
        (project / FILE).write_text(DOCUMENT.replace("MODE", mode), encoding="utf-8")
        lay(project, 1, '1,1.50,2024-01-01\n2,"2,50",2024-01-02\n3,500,2024-01-03')
        assert penstock("run", FILE).code == 0
        for group, repair in ((PRICE, COMMA), (RANGE, "price = price / 10")):
            assert penstock("rejects", "replay", FILE, group, "--set", repair, "--replace-newer").code == 0

    return begin


def lay(project: Path, number: int, rows: str) -> None:
    (project / "data" / f"sold-{number}.csv").write_text(f"id,price,at\n{rows}\n", encoding="utf-8")


def change(project: Path, *statements: str) -> None:
    with closing(sqlite3.connect(project / "out.db")) as database, database:
        for statement in statements:
            database.execute(statement)


def told(penstock: Callable[..., Said]) -> dict[str, Any]:
    said = penstock("reconcile", FILE, "out", "--json")
    (found,) = said.json["sinks"]
    assert said.code == (0 if found["agrees"] else 1)
    assert isinstance(found, dict)
    return found


def numbers(found: dict[str, Any]) -> tuple[int, int, int]:
    return (found["rows"]["source"], found["replayed"], found["rows"]["target"])


@pytest.mark.parametrize("mode", [APPEND, MERGE])
def test_repaired_rows_are_expected_and_later_runs_are_well(
    mode: str, penstock: Callable[..., Said], project: Path, begun: Callable[[str], None]
) -> None:
    begun(mode)
    found = told(penstock)
    assert (found["agrees"], *numbers(found)) == (True, 1, 2, 3)
    assert "3 rows, all alike (1 of the source + 2 repaired and sent again)" in penstock("reconcile", FILE).out
    lay(project, 2, "4,4.00,2024-01-04")
    said = penstock("run", FILE, "--json")
    assert said.code == 0, said.out
    assert said.json["reconciled"][0]["replayed"] == 2
    assert numbers(told(penstock)) == (2, 2, 4)


@pytest.mark.parametrize("mode", [pytest.param(APPEND, marks=pytest.mark.long), MERGE])
def test_a_repaired_row_that_is_lost_or_changed_is_told(
    mode: str, penstock: Callable[..., Said], project: Path, begun: Callable[[str], None]
) -> None:
    begun(mode)
    change(project, "delete from t where id = 2", "update t set price = '9.99' where id = 3")
    found = told(penstock)
    assert {one["key"]["id"]: one["kind"] for one in found["examples"]} == {"2": "missing", "3": "differing"}
    assert found["examples"][1]["values"] == {"price": {"source": "50.00", "target": "9.99"}}
    assert numbers(found) == (1, 2, 2)


@pytest.mark.long
def test_rows_without_keys_are_expected_as_often_as_they_were_sent(
    penstock: Callable[..., Said], project: Path, begun: Callable[[str], None]
) -> None:
    begun("mode: append, reconcile: {}")
    assert numbers(told(penstock)) == (1, 2, 3)
    change(project, "insert into t select * from t where id = 2")
    (one,) = told(penstock)["examples"]
    assert (one["kind"], one["source_rows"], one["target_rows"]) == ("repeated", 1, 2)
    assert one["values"]["price"] == {"source": "2.50", "target": "2.50"}


def test_a_repaired_row_that_the_source_has_mended_since(
    penstock: Callable[..., Said], project: Path, begun: Callable[[str], None]
) -> None:
    """The table holds what came last; what was repaired and what was mended are both right, and nothing else is."""
    begun(MERGE)
    lay(project, 2, "2,2.75,2024-02-01")
    assert penstock("run", FILE).code == 0
    found = told(penstock)
    assert (found["agrees"], *numbers(found)) == (True, 2, 1, 3)
    change(project, "update t set price = '2.50', at = '2024-01-02' where id = 2")
    assert told(penstock)["agrees"], "so does it stand where the replay came last"
    change(project, "update t set price = '2.60' where id = 2")
    (one,) = told(penstock)["examples"]
    assert (one["kind"], one["values"]["price"]) == ("differing", {"source": "2.75", "target": "2.60"})


@pytest.mark.long
def test_a_repair_that_was_repaired_counts_once(
    penstock: Callable[..., Said], project: Path, begun: Callable[[str], None]
) -> None:
    begun(MERGE)
    lay(project, 2, '2,"2,60",2024-02-01')
    assert penstock("run", FILE).code == 0
    assert penstock("rejects", "replay", FILE, PRICE, "--set", COMMA, "--replace-newer").code == 0
    assert (told(penstock)["agrees"], *numbers(told(penstock))) == (True, 1, 2, 3)
    change(project, "delete from t where id = 2")
    assert told(penstock)["differences"] == {"missing": {"keys": 1, "source_rows": 1, "target_rows": 0}}


@pytest.mark.long
def test_beside_the_source_itself_a_repaired_row_stands_for_the_bad_one(
    penstock: Callable[..., Said], begun: Callable[[str], None]
) -> None:
    begun("mode: append, reconcile: {against: raw, keys: [id]}")
    found = told(penstock)
    assert (found["agrees"], *numbers(found)) == (True, 2, 1, 3)


@pytest.mark.long
def test_rows_of_a_repaired_file_are_expected(penstock: Callable[..., Said], project: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (project / FILE).write_text(DOCUMENT.replace("MODE", APPEND), encoding="utf-8")
    lay(project, 1, '1,1.50,2024-01-01\n2,"2,50",2024-01-02')
    assert penstock("run", FILE).code == 0
    pq.write_table(pa.table({"id": ["2", "7"], "price": ["2.50", "7"], "at": ["2024-01-02"] * 2}), "mended.parquet")
    said = penstock("rejects", "replay", FILE, PRICE, "--file", "mended.parquet", "--json")
    assert said.code == 0, said.out
    assert (told(penstock)["agrees"], *numbers(told(penstock))) == (True, 1, 2, 3)


@pytest.mark.long
def test_what_can_no_longer_be_made_once_more_is_told(
    penstock: Callable[..., Said], project: Path, begun: Callable[[str], None]
) -> None:
    begun(APPEND)
    for file in (project / ".penstock" / "rejects").rglob("*raw*.parquet"):
        file.unlink()
    found = told(penstock)
    assert [one["code"] for one in found["warnings"]] == ["RUN-170"]
    assert found["differences"] == {"extra": {"keys": 1, "source_rows": 0, "target_rows": 1}}


@pytest.mark.long
def test_after_a_full_refresh_the_replays_before_it_count_no_more(
    penstock: Callable[..., Said], begun: Callable[[str], None]
) -> None:
    begun(APPEND)
    assert penstock("run", FILE, "--full-refresh").code == 0
    assert (told(penstock)["agrees"], *numbers(told(penstock))) == (True, 1, 0, 1)


@pytest.mark.long
def test_a_table_that_is_made_of_the_repaired_one_has_no_repairs_of_its_own(
    penstock: Callable[..., Said], project: Path
) -> None:
    document = DOCUMENT.replace("MODE", MERGE).replace(
        "run:", "  sums: {from: totals, type: sqlite, path: sums.db, table: s, mode: overwrite, reconcile: {}}\nrun:"
    )
    document = document.replace(
        "sinks:\n", "  totals: {from: out, steps: [{aggregate: {by: [at], measures: {sold: sum(price)}}}]}\nsinks:\n"
    )
    (project / FILE).write_text(document, encoding="utf-8")
    lay(project, 1, '1,1.50,2024-01-01\n2,"2,50",2024-01-02')
    assert penstock("run", FILE).code == 0
    assert penstock("rejects", "replay", FILE, PRICE, "--set", COMMA, "--replace-newer").code == 0
    said = penstock("reconcile", FILE, "--json")
    assert [(one["sink"], one["agrees"], *numbers(one)) for one in said.json["sinks"]] == [
        ("out", True, 1, 1, 2),
        ("sums", True, 2, 0, 2),
    ]
