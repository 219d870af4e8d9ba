"""``rejects``: rows that were set aside are grouped, looked at, tried with a repair, sent again once, or given up."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
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
    schema: {columns: {id: int64, shop: string, price: "decimal(10,2)?", at: date}}
transforms:
  clean:
    from: raw
    steps:
      - filter: shop <> 'closed'
      - derive: {cents: "(price * 100)::int64"}
    rules:
      - range: {column: price, min: 0, max: 100}
      - not_null: [shop]
sinks:
  out: {from: clean, type: sqlite, path: out.db, table: t, mode: append}
run: {memory: 256 MiB, threads: 1}
"""
ROWS = """\
id,shop,price,at
1,a,1.50,2024-01-01
2,b,"2,50",2024-01-02
3,b,many,2024-01-03
4,c,500,2024-01-03
5,c,"3,10",yesterday
"""
COMMA = "price = replace(price, ',', '.')"


@pytest.fixture
def shop(project: Path) -> Path:
    (project / FILE).write_text(DOCUMENT, encoding="utf-8")
    (project / "data" / "sold-1.csv").write_text(ROWS, encoding="utf-8")
    return project


def changed(shop: Path, *changes: tuple[str, str]) -> None:
    text = (shop / FILE).read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (shop / FILE).write_text(text, encoding="utf-8")


def sold(shop: Path, columns: str = "id, price", table: str = "t") -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(shop / "out.db")) as connection:
        return connection.execute(f"select {columns} from {table} order by 1").fetchall()


def groups(penstock: Callable[..., Said], *options: str) -> dict[str, int]:
    found = penstock("rejects", "list", *options, "--json").json["by_cause"]
    return {one["group"]: one["rows"] for one in found}


# ---------------------------------------------------------------- list, show


def test_a_group_is_told_with_the_run_that_rejected_it(penstock: Callable[..., Said], shop: Path) -> None:
    first = penstock("run", FILE, "--json").json["run_id"]
    (shop / "data" / "sold-2.csv").write_text("id,shop,price,at\n9,z,many,2024-01-09\n", encoding="utf-8")
    second = penstock("run", FILE, "--json").json["run_id"]
    assert penstock("rejects", "show", "raw/bad_value/at", "--json").json["run_id"] == first
    assert f"run {first}" in penstock("rejects", "show", "raw/bad_value/at").out
    assert penstock("rejects", "list", "--json").json["run_id"] == second


def test_groups_are_of_all_epochs_and_have_an_example(penstock: Callable[..., Said], shop: Path) -> None:
    penstock("run", FILE, "-q")
    (shop / "data" / "sold-2.csv").write_text("id,shop,price,at\n6,d,900,2024-01-04\n", encoding="utf-8")
    penstock("run", FILE, "-q")
    listed = penstock("rejects", "list")
    assert listed.out.splitlines()[0] == "shop, epochs 1, 2: 5 rows rejected for 6 reasons"
    assert groups(penstock) == {"raw/bad_value/price": 3, "clean.rules/range/price": 2, "raw/bad_value/at": 1}
    first = penstock("rejects", "list", "--json").json["by_cause"][1]
    assert (first["epochs"], first["example"]) == ([1, 2], '"price" is more than 100: 500.00')
    assert groups(penstock, "--node", "clean") == {"clean.rules/range/price": 2}


def test_what_is_shown_says_of_how_many(penstock: Callable[..., Said], shop: Path) -> None:
    penstock("run", FILE, "-q")
    one = penstock("rejects", "show", "raw/bad_value/at").out.splitlines()
    assert one[0].endswith(": 1 row rejected")  # of the group, not of the file that has others too
    assert "the first" not in one[-1]
    some = penstock("rejects", "show", "--rows", "2").out.splitlines()
    assert some[0].endswith(": 4 rows rejected for 5 reasons")
    assert some[-1] == "the first 2 of 4: --rows 4 shows all"
    found = penstock("rejects", "show", "--rows", "2", "--json").json
    assert (found["total"], len(found["records"])) == (4, 2)


def test_nothing_open_is_not_nothing_rejected(penstock: Callable[..., Said], shop: Path) -> None:
    assert penstock("rejects", "list", "--pipeline", "shop").out == 'no run of a pipeline "shop"\n'
    penstock("run", FILE, "-q")
    assert penstock("rejects", "list", "--pipeline", "shpo").out == 'no run of a pipeline "shpo"\n'
    for group in groups(penstock):
        penstock("rejects", "discard", group, "--reason", "test", "--pipeline", "shop")
    none_open = "nothing is open: --all shows what was replayed, discarded or read again since\n"
    assert penstock("rejects", "list").out == none_open
    assert penstock("rejects", "show", "--pipeline", "shop").out == none_open
    (shop / FILE).write_text(
        DOCUMENT.replace("pipeline: shop", "pipeline: other").replace("out.db", "other.db"), "utf-8"
    )
    (shop / "data" / "sold-1.csv").write_text("id,shop,price,at\n1,a,1.50,2024-01-01\n", encoding="utf-8")
    penstock("run", FILE, "-q")
    assert penstock("rejects", "list", "--pipeline", "other").out == "nothing was rejected\n"


def test_one_record_is_shown_with_its_whole_way(penstock: Callable[..., Said], shop: Path) -> None:
    penstock("run", FILE, "-q")
    shown = penstock("rejects", "show", "clean.rules/range/price", "--row", "1").out
    assert [" ".join(line.split()) for line in shown.splitlines()[1:]] == [
        "from data/sold-1.csv", "the source's row", "id 4", "shop c", "price 500.00", "at 2024-01-03", "as it came to the node",
        "id 4", "shop c", "price 500.00", "at 2024-01-03", "cents 50000",
        "rejected by clean.rules pipelines/shop.yml:9:3 in epoch 1 (kept)",
        'range: "price" is more than 100: 500.00 pipelines/shop.yml:15:9',
    ]  # fmt: skip
    record = penstock("rejects", "show", "raw/bad_value/at", "--row", "1").out
    assert "from data/sold-1.csv, record 6, byte " in record
    assert '5,c,"3,10",yesterday' in record
    assert "rejected by raw  pipelines/shop.yml:3:3" in record
    for form in ((), ("--json",)):
        beyond = penstock("rejects", "show", "raw/bad_value/price", "--row", "9", *form)
        assert beyond.code == 2
        assert "CLI-190" in beyond.out + beyond.err
        assert "there are 3" in beyond.out + beyond.err
    said = penstock("rejects", "show", "raw/bad_value/prize", "--json")
    assert (said.codes, said.json["problems"][0]["hint"]) == (["LED-140"], 'did you mean "raw/bad_value/price"?')


def test_a_file_that_was_altered_is_named_and_nothing_is_sent(penstock: Callable[..., Said], shop: Path) -> None:
    penstock("run", FILE, "-q")
    for file in (shop / ".penstock" / "rejects").rglob("*.parquet"):
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(bytes(content))
    assert penstock("rejects", "show", "--json").codes == ["LED-120"]
    for command in ("try", "replay"):
        assert penstock("rejects", command, FILE, "raw/bad_value/price", "--set", COMMA, "--json").codes == ["LED-120"]
    assert penstock("rejects", "discard", "raw/bad_value/price", "--reason", "gone", "--json").codes == ["LED-120"]
    assert groups(penstock)["raw/bad_value/price"] == 3, "how many there are is known without the file"
    assert len(sold(shop)) == 1


# ---------------------------------------------------------------- try


def test_a_repair_is_tried_and_nothing_is_written(penstock: Callable[..., Said], shop: Path) -> None:
    penstock("run", FILE, "-q")
    before = groups(penstock)
    tried = penstock("rejects", "try", FILE, "raw/bad_value/price", "--set", COMMA, "--json").json
    assert (tried["rows"], tried["saved"], tried["rejected"], tried["sinks"]) == (3, 1, 2, {"out": 1})
    assert sorted((one["cause"], one["column"]) for one in tried["by_cause"]) == [
        ("bad_value", "at"),
        ("bad_value", "price"),
    ]
    assert tried["examples"][0]["row"] == {"id": "3", "shop": "b", "price": "many", "at": "2024-01-03"}
    more = [COMMA, "at = case when at = 'yesterday' then '2024-01-05' else at end"]
    told = penstock("rejects", "try", FILE, "raw/bad_value/price", "--set", more[0], "--set", more[1]).out
    assert told.splitlines()[:2] == ["raw/bad_value/price: 2 of 3 rows would be saved", "  2 rows to out"]
    assert (groups(penstock), len(sold(shop))) == (before, 1)
    assert len(penstock("runs", "list", "--json").json["runs"]) == 1


def test_rows_that_a_filter_drops_then_are_told(penstock: Callable[..., Said], shop: Path) -> None:
    penstock("run", FILE, "-q")
    tried = penstock(
        "rejects", "try", FILE, "raw/bad_value/price", "--set", COMMA, "--set", "shop = 'closed'", "--json"
    )
    assert (tried.json["filtered"], tried.json["sinks"]) == (1, {"out": 0})


@pytest.mark.parametrize(
    ("repair", "code", "says"),
    [
        ("price", "CLI-114", "replace(price"),
        ("price = ", "CLI-114", "replace(price"),
        ("prise = 1", "CMP-203", 'did you mean "price"?'),
        ("price = replace(prise, ',', '.')", "CMP-203", 'did you mean "price"?'),
        ("price = replace(price, ',')", "CMP-206", ""),
        ("price = sum(price)", "CMP-208", ""),
        ("price = (select 1)", "CMP-240", ""),
        ("price = 1 +", "CMP-207", ""),
    ],
)
def test_a_repair_that_is_wrong_is_a_located_problem(
    penstock: Callable[..., Said], shop: Path, repair: str, code: str, says: str
) -> None:
    penstock("run", FILE, "-q")
    for command in ("try", "replay"):
        said = penstock("rejects", command, FILE, "raw/bad_value/price", "--set", repair, "--json")
        (problem,) = said.json["problems"]
        assert problem["code"] == code
        assert says in (problem["hint"] or "")
        assert problem["file"] == (None if code == "CLI-114" else "--set") or repair.startswith("prise")
    assert groups(penstock)["raw/bad_value/price"] == 3


# ---------------------------------------------------------------- replay


def test_a_group_is_sent_again_once(penstock: Callable[..., Said], shop: Path) -> None:
    penstock("run", FILE, "-q")
    done = penstock("rejects", "replay", FILE, "raw/bad_value/price", "--set", COMMA, "--json").json
    assert done["replay"] == {"group": "raw/bad_value/price", "rows": 3, "rejected": 2}
    assert [epoch["epoch"] for epoch in done["epochs"]] == [2]
    balance = done["balance"]["raw.rejected"]
    assert (balance["in"], balance["out"]) == (3, 3)
    assert sold(shop) == [(1, "1.50"), (2, "2.50")]
    again = penstock("rejects", "replay", FILE, "raw/bad_value/price", "--set", COMMA, "--json").json
    told = {"group": "raw/bad_value/price", "rows": 1, "rejected": 1}
    assert again["replay"] == told, "what is bad all the same, and no more"
    penstock("rejects", "discard", "raw/bad_value/price", "--reason", "no prices")
    again = penstock("rejects", "replay", FILE, "raw/bad_value/price", "--set", COMMA)
    assert (again.code, again.out) == (0, "nothing of raw/bad_value/price is open: nothing was sent\n")
    assert sold(shop) == [(1, "1.50"), (2, "2.50")]
    penstock("run", FILE, "-q")
    assert sold(shop) == [(1, "1.50"), (2, "2.50")]


def test_a_row_of_two_groups_is_sent_once(penstock: Callable[..., Said], shop: Path) -> None:
    penstock("run", FILE, "-q")
    repairs = ("--set", COMMA, "--set", "at = coalesce(try_cast(at as date), date '2024-01-05')")
    penstock("rejects", "replay", FILE, "raw/bad_value/price", *repairs)
    assert (5, "3.10") in sold(shop)
    assert "raw/bad_value/at" not in groups(penstock), "its only row was sent with the other group"
    assert penstock("rejects", "replay", FILE, "raw/bad_value/at", *repairs).out.startswith("nothing of")
    assert len(sold(shop)) == 3


def test_what_is_rejected_again_can_be_repaired_further(penstock: Callable[..., Said], shop: Path) -> None:
    """Each repair stands on the one before."""
    penstock("run", FILE, "-q")
    penstock("rejects", "replay", FILE, "raw/bad_value/price", "--set", COMMA)
    left = {
        "clean.rules/range/price": 1,
        "raw/bad_value/at": 1,
        "raw/bad_value/price": 1,
    }
    assert groups(penstock) == left
    penstock("rejects", "replay", FILE, "raw/bad_value/at", "--set", "at = '2024-01-05'")
    assert (5, "3.10") in sold(shop)
    penstock("rejects", "replay", FILE, "raw/bad_value/price", "--set", "price = '700'")
    assert groups(penstock) == {"clean.rules/range/price": 2}
    penstock("rejects", "replay", FILE, "clean.rules/range/price", "--set", "price = price / 10")
    assert groups(penstock) == {}
    assert sold(shop, "id, price, cents")[2:] == [(3, "70.00", 7000), (4, "50.00", 5000), (5, "3.10", 310)]


def test_a_row_that_a_rule_rejects_is_known_by_its_file_also_when_it_was_sent_again(
    penstock: Callable[..., Said], shop: Path
) -> None:
    run = penstock("run", FILE, "--json").json["run_id"]
    (shop / "data" / "sold-2.csv").write_text("id,shop,price,at\n6,d,900,2024-01-04\n", encoding="utf-8")
    penstock("run", FILE, "-q")

    def places(group: str) -> list[dict[str, object]]:
        return [one["position"] for one in penstock("rejects", "show", group, "--json").json["records"]]

    files = [str(shop / "data" / f"sold-{number}.csv") for number in (2, 1)]
    assert places("clean.rules/range/price") == [{"file": name} for name in files]
    (first,) = ({**place, "run": run} for place in places("raw/bad_value/price") if place["record"] == 6)
    penstock(
        "rejects",
        "replay",
        FILE,
        "raw/bad_value/price",
        "--set",
        "price = case price when 'many' then '700' else price end",
    )
    assert (places("raw/bad_value/at"), first in places("raw/bad_value/price")) == ([first], True)
    assert places("clean.rules/range/price")[0]["run"] == run
    assert places("clean.rules/range/price")[0]["file"] == files[1]
    assert places("clean.rules/range/price")[0]["record"] == 4
    penstock("rejects", "replay", FILE, "raw/bad_value/price", "--set", "shop = 'z'")
    assert first in places("raw/bad_value/price"), "the first origin, whatever was tried since"
    assert f"record 6, byte 98, run {run}" in penstock("rejects", "show", "raw/bad_value/at").out
    assert "penstock position" not in penstock("rejects", "show", "--json").out


@pytest.mark.long
def test_a_row_of_parquet_is_known_by_its_number(penstock: Callable[..., Said], shop: Path) -> None:
    changed(shop, ("type: csv\n    path: data/sold-*.csv", "type: parquet\n    path: data/*.parquet"))
    for number, prices in ((1, [1, 2, 300]), (2, [400, 5, 600])):
        rows = [{"id": place, "shop": "a", "price": price, "at": None} for place, price in enumerate(prices)]
        pq.write_table(pa.Table.from_pylist(rows), shop / "data" / f"{number}.parquet")
    changed(shop, ('price: "decimal(10,2)?", at: date', 'price: int64, at: "date?"'), ("    incremental: files\n", ""))
    penstock("run", FILE, "-q")
    shown = penstock("rejects", "show", "clean.rules/range/price", "--json").json["records"]
    found = sorted((one["position"]["file"][-9:], one["position"]["row"]) for one in shown)
    assert found == [("1.parquet", 3), ("2.parquet", 1), ("2.parquet", 3)]


def test_rows_that_are_sent_as_they_are_meet_the_document_as_it_is_now(
    penstock: Callable[..., Said], shop: Path
) -> None:
    penstock("run", FILE, "-q")
    changed(shop, ("max: 100", "max: 1000"))
    done = penstock("rejects", "replay", FILE, "clean.rules/range/price", "--json").json
    assert done["replay"]["rejected"] == 0
    assert (4, "500.00") in sold(shop)


def test_repaired_rows_may_come_as_a_file(penstock: Callable[..., Said], shop: Path) -> None:
    penstock("run", FILE, "-q")
    rows = [
        {"id": 3, "shop": "b", "price": "4.20", "at": "2024-01-03", "more": 1},
        {"id": 5, "shop": "c", "price": "x", "at": None},
    ]
    pq.write_table(pa.Table.from_pylist(rows), shop / "repaired.parquet")
    done = penstock("rejects", "replay", FILE, "raw/bad_value/price", "--file", "repaired.parquet", "--json").json
    assert done["replay"] == {"group": "raw/bad_value/price", "rows": 3, "rejected": 1}
    assert sold(shop) == [(1, "1.50"), (3, "4.20")]
    assert groups(penstock)["raw/bad_value/price"] == 1, "what is in the file, and is bad all the same"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--file", "no.parquet"), "RUN-140"),
        (("--file", "data/sold-1.csv"), "RUN-140"),
        (("--file", "lacking.parquet"), "CMP-230"),
        (("--file", "no.parquet", "--set", "price = '1'"), "CLI-115"),
    ],
)
def test_a_file_of_repaired_rows_that_is_none_is_a_problem(
    penstock: Callable[..., Said], shop: Path, options: tuple[str, ...], code: str
) -> None:
    pq.write_table(pa.table({"id": [1]}), shop / "lacking.parquet")
    penstock("run", FILE, "-q")
    said = penstock("rejects", "replay", FILE, "raw/bad_value/price", *options, "--json")
    assert said.codes[0] == code
    assert groups(penstock)["raw/bad_value/price"] == 3
    assert not list((shop / ".penstock").rglob("repaired-*"))


def test_records_that_never_became_rows_need_a_file(penstock: Callable[..., Said], shop: Path) -> None:
    (shop / "data" / "sold-1.csv").write_text("id,shop,price,at\n7,a\n", encoding="utf-8")
    penstock("run", FILE, "-q")
    said = penstock("rejects", "try", FILE, "raw/too_few_columns", "--set", "price = '1'", "--json")
    assert said.codes == ["CMP-392"]
    rows = [{"id": 7, "shop": "a", "price": None, "at": "2024-01-01"}]
    pq.write_table(pa.Table.from_pylist(rows), shop / "repaired.parquet")
    penstock("rejects", "replay", FILE, "raw/too_few_columns", "--file", "repaired.parquet")
    assert sold(shop) == [(7, None)]


def test_a_merge_respects_newer_rows(penstock: Callable[..., Said], shop: Path) -> None:
    merging = "mode: merge, keys: [id], order_by: at}"
    changed(shop, ("mode: append}", merging))
    penstock("run", FILE, "-q")
    newer = "id,shop,price,at\n2,b,9.00,2024-02-01\n"
    (shop / "data" / "sold-2.csv").write_text(newer, encoding="utf-8")
    penstock("run", FILE, "-q")
    done = penstock("rejects", "replay", FILE, "raw/bad_value/price", "--set", COMMA, "--json").json
    assert done["epochs"][0]["sinks"]["out"]["ignored_older"] == 1
    assert sold(shop) == [(1, "1.50"), (2, "9.00")]
    assert done["warnings"] == []


def test_a_merge_that_cannot_tell_what_is_newer_is_not_sent_old_rows(penstock: Callable[..., Said], shop: Path) -> None:
    """The second run has the row of the first one's reject anew, with another price."""
    changed(shop, ("mode: append}", "mode: merge, keys: [id]}"))
    penstock("run", FILE, "-q")
    (shop / "data" / "sold-2.csv").write_text("id,shop,price,at\n2,b,9.00,2024-02-01\n", encoding="utf-8")
    penstock("run", FILE, "-q")
    group = (FILE, "raw/bad_value/price", "--set", COMMA, "--json")
    tried = penstock("rejects", "try", *group)
    assert (tried.code, [problem["code"] for problem in tried.json["warnings"]]) == (0, ["RUN-142"])
    before = groups(penstock)
    refused = penstock("rejects", "replay", *group)
    assert (refused.code, refused.codes, refused.json["epochs"]) == (2, ["LED-143"], [])
    (problem,) = refused.json["problems"]
    assert "order_by" in problem["hint"]
    assert "--replace-newer" in problem["hint"]
    assert (sold(shop), groups(penstock)) == ([(1, "1.50"), (2, "9.00")], before)
    done = penstock("rejects", "replay", *group, "--replace-newer")
    assert (done.code, done.json["warnings"]) == (0, [])
    assert sold(shop) == [(1, "1.50"), (2, "2.50")]


def test_a_refused_file_of_repaired_rows_leaves_nothing(penstock: Callable[..., Said], shop: Path) -> None:
    changed(shop, ("mode: append}", "mode: merge, keys: [id]}"))
    penstock("run", FILE, "-q")
    rows = [{"id": 2, "shop": "b", "price": "2.50", "at": "2024-01-02"}]
    pq.write_table(pa.Table.from_pylist(rows), shop / "repaired.parquet")
    asked = (FILE, "raw/bad_value/price", "--file", "repaired.parquet", "--json")
    assert penstock("rejects", "replay", *asked).codes == ["LED-143"]
    assert not list((shop / ".penstock").rglob("repaired-*"))
    assert penstock("rejects", "replay", *asked, "--replace-newer").json["replay"]["rows"] == 3


def test_a_replay_that_was_allowed_is_finished_without_the_word(
    penstock: Callable[..., Said], shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What may replace newer rows was decided when it began."""
    changed(shop, ("mode: append}", "mode: merge, keys: [id]}"))
    penstock("run", FILE, "-q")
    with monkeypatch.context() as died:
        died.setenv("PENSTOCK_FAULTS", "run.committed@1=raise")
        asked = (FILE, "raw/bad_value/price", "--set", COMMA)
        assert penstock("rejects", "replay", *asked, "--replace-newer").code != 0
    assert penstock("run", FILE, "-q").code == 0
    assert sold(shop) == [(1, "1.50"), (2, "2.50")]
    assert groups(penstock)["raw/bad_value/price"] == 1, "what is no number is rejected again"


def test_a_merge_of_a_table_gets_no_old_rows(penstock: Callable[..., Said], shop: Path) -> None:
    """What is made of the table that keeps newer rows is made of these, and needs no order."""
    shops = "  shops: {from: totals, type: sqlite, path: out.db, table: shops, mode: merge, keys: [shop]}\n"
    total = "  totals: {from: out, steps: [{aggregate: {by: [shop], measures: {n: count(*)}}}]}\n"
    changed(
        shop,
        ("mode: append}\n", "mode: merge, keys: [id], order_by: at}\n" + shops),
        ("transforms:\n", "transforms:\n" + total),
    )
    penstock("run", FILE, "-q")
    tried = penstock("rejects", "try", FILE, "raw/bad_value/price", "--set", COMMA, "--json")
    assert tried.json["warnings"] == []
    assert penstock("rejects", "replay", FILE, "raw/bad_value/price", "--set", COMMA, "-q").code == 0
    assert sold(shop, "shop, n", "shops") == [("a", 1), ("b", 1)]


# ---------------------------------------------------------------- the rest of the graph


def test_only_what_lies_behind_the_node_gets_the_rows(penstock: Callable[..., Said], shop: Path) -> None:
    """What another sink has of the row it has already; other members of a union have nothing new."""
    more = "  all: {from: raw, type: sqlite, path: out.db, table: every, mode: append}\n"
    other = "transforms:\n  both: {from: [clean, raw_too]}\n  raw_too: {from: raw, steps: [derive: {cents: 0}]}\n"
    changed(
        shop,
        ("sinks:\n", f"sinks:\n{more}"),
        ("transforms:\n", other),
        ("{from: clean, type", "{from: both, type"),
    )
    penstock("run", FILE, "-q")
    before = (len(sold(shop, table="every")), len(sold(shop)))
    assert before == (2, 3)
    penstock("rejects", "replay", FILE, "clean.rules/range/price", "--set", "price = price / 10")
    assert (len(sold(shop, table="every")), len(sold(shop))) == (2, 4)
    assert (4, "50.00", 5000) in sold(shop, "id, price, cents")


def test_rows_are_joined_with_what_is_there_now(penstock: Callable[..., Said], shop: Path) -> None:
    (shop / "data" / "names.csv").write_text("shop,name\na,Ann\nb,Bob\n", encoding="utf-8")
    changed(
        shop,
        ("transforms:\n", "  names: {type: csv, path: data/names.csv}\ntransforms:\n"),
        ("sinks:\n", "  named: {from: clean, steps: [join: {to: names, on: [shop], add: [name]}]}\nsinks:\n"),
        ("{from: clean, type", "{from: named, type"),
    )
    penstock("run", FILE, "-q")
    (shop / "data" / "names.csv").write_text("shop,name\na,Ann\nb,Bea\n", encoding="utf-8")
    penstock("rejects", "replay", FILE, "raw/bad_value/price", "--set", COMMA)
    assert sold(shop, "id, name") == [(1, "Ann"), (2, "Bea")]


def test_a_table_that_is_made_of_the_sink_is_made_anew(penstock: Callable[..., Said], shop: Path) -> None:
    total = "  sums: {from: out, steps: [aggregate: {measures: {n: count(*)}}]}\n"
    changed(
        shop,
        (
            "sinks:\n",
            f"{total}sinks:\n  summed: {{from: sums, type: sqlite, path: out.db, table: s, mode: overwrite}}\n",
        ),
    )
    penstock("run", FILE, "-q")
    assert sold(shop, "n", "s") == [(1,)]
    assert penstock("rejects", "try", FILE, "raw/bad_value/price", "--set", COMMA, "--json").json["sinks"] == {"out": 1}
    penstock("rejects", "replay", FILE, "raw/bad_value/price", "--set", COMMA)
    assert sold(shop, "n", "s") == [(2,)]


REFUSED = {
    "a sink that each epoch replaces": (
        "CMP-391",
        ("mode: append}", "mode: overwrite}"),
        ("    incremental: files\n", ""),
    ),
    "an aggregate": (
        "CMP-390",
        ("sinks:\n", "  sums: {from: clean, steps: [aggregate: {by: [shop], measures: {n: count(*)}}]}\nsinks:\n"),
        ("{from: clean, type", "{from: sums, type"),
        ("    incremental: files\n", ""),
    ),
    "a join with what the row was made of": (
        "CMP-390",
        (
            "sinks:\n",
            "  pairs: {from: clean, steps: [join: {to: raw, kind: inner, on: [id], add: {again: shop}}]}\nsinks:\n",
        ),
        ("{from: clean, type", "{from: pairs, type"),
        ("    incremental: files\n", ""),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_needs_more_than_these_rows_is_refused(penstock: Callable[..., Said], shop: Path, name: str) -> None:
    code, *changes = REFUSED[name]
    changed(shop, *changes)
    assert penstock("run", FILE, "-q").code == 0
    before = sold(shop, "*")
    for command in ("try", "replay"):
        said = penstock("rejects", command, FILE, "clean.rules/range/price", "--set", "price = 1", "--json")
        assert (said.code, said.codes) == (2, [code])
        assert "run the pipeline" in said.json["problems"][0]["hint"]
    assert sold(shop, "*") == before


def test_rows_behind_a_step_that_needs_more_enter_at_the_node(penstock: Callable[..., Said], shop: Path) -> None:
    """What came before it was computed of all rows, and is not computed again."""
    counted = "    steps:\n      - window: {partition_by: [shop], columns: {sales: count(*)}}\n"
    changed(
        shop, ("    incremental: files\n", ""), ("    steps:\n", counted), ("mode: append", "mode: merge, keys: [id]")
    )
    penstock("run", FILE, "-q")
    repair = ("--set", "price = price / 10")
    tried = penstock("rejects", "try", FILE, "clean.rules/range/price", *repair, "--json").json
    assert (tried["from"], tried["saved"]) == ("node", 1)
    assert "is not computed again" in penstock("rejects", "try", FILE, "clean.rules/range/price", *repair).out
    penstock("rejects", "replay", FILE, "clean.rules/range/price", *repair, "--replace-newer")
    assert sold(shop, "id, price, cents, sales")[-1] == (4, "50.00", 50000, 1)
    assert penstock("rejects", "try", FILE, "raw/bad_value/price", "--set", COMMA, "--json").codes == ["CMP-390"]


def test_rows_of_a_key_that_was_ambiguous_are_sent_through_the_merge_again(
    penstock: Callable[..., Said], shop: Path
) -> None:
    changed(shop, ("mode: append}", "mode: merge, keys: [id]}"))
    (shop / "data" / "sold-1.csv").write_text(
        "id,shop,price,at\n1,a,1.50,2024-01-01\n2,b,2.00,2024-01-01\n2,b,3.00,2024-01-01\n", encoding="utf-8"
    )
    penstock("run", FILE, "-q")
    assert groups(penstock) == {"out.ambiguous_keys/ambiguous_key": 2}
    tried = penstock("rejects", "try", FILE, "out.ambiguous_keys/ambiguous_key", "--json").json
    assert (tried["saved"], tried["rejected"]) == (0, 2)
    repair = "id = case when price = 3 then 3 else id end"
    penstock("rejects", "replay", FILE, "out.ambiguous_keys/ambiguous_key", "--set", repair, "--replace-newer")
    assert sold(shop) == [(1, "1.50"), (2, "2.00"), (3, "3.00")]


def test_what_was_read_again_as_a_whole_is_not_sent_again(penstock: Callable[..., Said], shop: Path) -> None:
    """Each run of a source without `incremental` has all its rows: those that are still bad are rejected anew."""
    changed(shop, ("    incremental: files\n", ""), ("mode: append}", "mode: merge, keys: [id], order_by: at}"))
    penstock("run", FILE, "-q")
    (shop / "data" / "sold-1.csv").write_text(ROWS.replace('"2,50"', "2.75"), encoding="utf-8")
    penstock("run", FILE, "-q")
    assert groups(penstock)["raw/bad_value/price"] == 2
    assert groups(penstock, "--all")["raw/bad_value/price"] == 5
    penstock("rejects", "replay", FILE, "raw/bad_value/price", "--set", COMMA)
    assert sold(shop) == [(1, "1.50"), (2, "2.75")]
    penstock("run", FILE, "--full-refresh", "-q")
    assert penstock("rejects", "list", "--json").json["by_cause"][0]["epochs"] == [1]


# ---------------------------------------------------------------- discard


def test_rows_are_given_up_and_who_did_it_is_remembered(penstock: Callable[..., Said], shop: Path) -> None:
    penstock("run", FILE, "-q")
    given_up = penstock("rejects", "discard", "raw/bad_value/price", "--reason", "never sold", "--json").json
    assert (given_up["rows"], given_up["reason"]) == (3, "never sold")
    assert groups(penstock) == {"clean.rules/range/price": 1}
    assert penstock("rejects", "replay", FILE, "raw/bad_value/at").out.startswith("nothing of")
    again = penstock("rejects", "discard", "raw/bad_value/price", "--reason", "never sold")
    assert again.out == "nothing of raw/bad_value/price is open\n"
    (outcome,) = penstock("rejects", "list", "--all", "--json").json["outcomes"]
    assert outcome.pop("at")
    assert outcome == {
        "group": "raw/bad_value/price", "outcome": "discarded", "rows": 3, "epoch": None, "by": given_up["by"],
        "reason": "never sold",
    }  # fmt: skip
    assert f"3 rows discarded by {given_up['by']}" in penstock("rejects", "list", "--all").out
    assert groups(penstock, "--all")["raw/bad_value/price"] == 3
    assert penstock("rejects", "discard", "raw/bad", "--reason", "x", "--json").codes == ["LED-140"]


def test_a_group_that_several_pipelines_have_is_told_apart(penstock: Callable[..., Said], shop: Path) -> None:
    penstock("run", FILE, "-q")
    other = DOCUMENT.replace("pipeline: shop", "pipeline: other").replace("table: t", "table: o")
    (shop / "pipelines" / "other.yml").write_text(other, encoding="utf-8")
    penstock("run", "pipelines/other.yml", "-q")
    said = penstock("rejects", "discard", "raw/bad_value/price", "--reason", "x", "--json")
    assert said.codes == ["LED-141"]
    assert penstock("rejects", "list").out.startswith("other, ")
    given_up = penstock("rejects", "discard", "raw/bad_value/price", "--reason", "x", "--pipeline", "other", "--json")
    assert (given_up.json["pipeline"], given_up.json["rows"]) == ("other", 3)
    assert groups(penstock, "--pipeline", "shop")["raw/bad_value/price"] == 3
    assert penstock("rejects", "replay", FILE, "raw/bad_value/price", "--json").json["replay"]["rows"] == 3


def test_labelled_columns_stay_hidden(penstock: Callable[..., Said], shop: Path) -> None:
    changed(
        shop,
        ("    incremental: files\n", "    incremental: files\n    labels: {shop: [secret]}\n"),
        ("mode: append}", "mode: append, allow: [secret]}"),
    )
    (shop / "data" / "sold-1.csv").write_text(
        "id,shop,price,at\n1,hush,200,2024-01-01\n2,hush,x,2024-01-01\n", encoding="utf-8"
    )
    penstock("run", FILE, "-q")
    said = [
        penstock("rejects", "list", "--json"),
        penstock("rejects", "show", "--json"),
        penstock("rejects", "show", "raw/bad_value/price", "--row", "1"),
        penstock("rejects", "try", FILE, "clean.rules/range/price", "--json"),
        penstock("rejects", "try", FILE, "raw/bad_value/price", "--json"),
        penstock("rejects", "replay", FILE, "raw/bad_value/price"),
        penstock("rejects", "show", "--json"),
    ]
    assert all("hush" not in each.out + each.err for each in said)
    assert "hush" in penstock("rejects", "try", FILE, "clean.rules/range/price", "--allow", "secret", "--json").out


def test_values_come_back_as_they_were(penstock: Callable[..., Said], shop: Path) -> None:
    """Digits beyond a double, texts that look like JSON, nulls, quotes, lines, times with microseconds."""
    wide = '"decimal(38,10)"'
    (shop / FILE).write_text(
        DOCUMENT.replace('price: "decimal(10,2)?", at: date', f"price: {wide}, at: timestamp, n: int64, note: string?")
        .replace("range: {column: price, min: 0, max: 100}", "range: {column: id, min: 0, max: 100}")
        .replace('{cents: "(price * 100)::int64"}', "{t: price::string}"),
        encoding="utf-8",
    )
    note = '"{""a"": [1.50]} it\'s\nlines, ä"'
    (shop / "data" / "sold-1.csv").write_text(
        "id,shop,price,at,n,note\n"
        f"1000,a,1234567890123456789012345678.1234567891,2024-01-01 10:20:30.123456,9223372036854775807,{note}\n"
        "2000,a,0.1000000000,2024-01-01 00:00:00,-5,\n",
        encoding="utf-8",
    )
    penstock("run", FILE, "-q")
    assert groups(penstock) == {"clean.rules/range/id": 2}
    penstock("rejects", "replay", FILE, "clean.rules/range/id", "--set", "id = id // 1000")
    assert sold(shop, "id, t, at, n, note") == [
        (1, "1234567890123456789012345678.1234567891", "2024-01-01T10:20:30.123456", 2**63 - 1, '{"a": [1.50]} it\'s\nlines, ä'),
        (2, "0.1000000000", "2024-01-01T00:00:00.000000", -5, None),
    ]  # fmt: skip


def test_records_of_json_are_repaired_too(penstock: Callable[..., Said], shop: Path) -> None:
    changed(shop, ("type: csv\n    path: data/sold-*.csv", "type: json\n    path: data/sold-*.ndjson"))
    records = [
        {"id": 1, "shop": "a", "price": "1,25", "at": "2024-01-01"},
        {"id": 9007199254740993, "shop": "a\nb", "price": "x", "at": "2024-01-01"},
    ]
    (shop / "data" / "sold-1.ndjson").write_text("\n".join(map(json.dumps, records)) + "\n", encoding="utf-8")
    penstock("run", FILE, "-q")
    penstock("rejects", "replay", FILE, "raw/bad_value/price", "--set", COMMA)
    assert sold(shop) == [(1, "1.25")]
    penstock("rejects", "replay", FILE, "raw/bad_value/price", "--set", "price = '7'")
    assert sold(shop, "id, shop, price") == [(1, "a", "1.25"), (9007199254740993, "a\nb", "7.00")]


# ---------------------------------------------------------------- what a repair gets wrong


@pytest.mark.parametrize(
    ("repair", "code", "at", "hint"),
    [
        ("prize = 1", "CMP-203", 1, 'did you mean "price"?'),
        ("price = many", "CMP-203", 9, "a text is written 'many'"),
        ("price = abs(id, (price", "CMP-207", None, None),
        ("new = shop_name", "CMP-203", 1, None),
    ],
)
def test_a_mistake_in_a_repair_is_told_where_it_stands_and_not_of_yaml(
    repair: str, code: str, at: int | None, hint: str | None, *, penstock: Callable[..., Said], shop: Path
) -> None:
    if not (shop / ".penstock").exists():
        penstock("run", FILE, "-q")
    said = penstock("rejects", "try", FILE, "raw/bad_value/price", "--set", repair, "--json")
    (problem, *_) = said.json["problems"]
    assert (problem["code"], problem["file"], problem["hint"]) == (code, "--set", hint)
    assert at in {None, problem["column"]}
    assert "repaired" not in said.out


def test_a_crash_point_that_nothing_passes_is_told(
    penstock: Callable[..., Said], shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_FAULTS", "sqlite.comitted=raise")
    said = penstock("run", FILE)
    assert said.code == 0
    assert "FLT-121" in said.err
    assert 'did you mean "sqlite.committed"?' in said.err
