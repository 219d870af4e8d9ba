"""``rejects replay``: rows are sent again once, as they are, repaired, or from a file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shop_of_rejects import COMMA, DOCUMENT, FILE, changed, groups, sold

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Said


def test_a_group_is_sent_again_once(penstock: Callable[..., Said], shop: Path) -> None:
    penstock("run", FILE, "-q")
    done = penstock("rejects", "replay", FILE, "raw/bad_value/price", "--set", COMMA, "--json").json
    assert done["replay"] == {"group": "raw/bad_value/price", "rows": 3, "given": None, "rejected": 2, "read_whole": []}
    assert [epoch["epoch"] for epoch in done["epochs"]] == [2]
    balance = done["balance"]["raw.rejected"]
    assert (balance["in"], balance["out"]) == (3, 3)
    assert sold(shop) == [(1, "1.50"), (2, "2.50")]
    again = penstock("rejects", "replay", FILE, "raw/bad_value/price", "--set", COMMA, "--json").json
    told = {"group": "raw/bad_value/price", "rows": 1, "given": None, "rejected": 1, "read_whole": []}
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
    assert done["replay"] == {"group": "raw/bad_value/price", "rows": 3, "given": 2, "rejected": 1, "read_whole": []}
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
    assert not [one for one in said.json["problems"] if ".." in (one["detail"] or "") or "rrno" in str(one)]
    assert groups(penstock)["raw/bad_value/price"] == 3
    assert not list((shop / ".penstock").rglob("repaired-*"))


def test_a_file_of_fewer_rows_than_the_group_is_told(penstock: Callable[..., Said], shop: Path) -> None:
    penstock("run", FILE, "-q")
    rows = [{"id": 3, "shop": "b", "price": "4.20", "at": "2024-01-03"}]
    pq.write_table(pa.Table.from_pylist(rows), shop / "repaired.parquet")
    told = penstock("rejects", "replay", FILE, "raw/bad_value/price", "--file", "repaired.parquet").out
    assert told.splitlines()[0] == "raw/bad_value/price: 3 rows replaced by 1 of the file, 0 rejected again"


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
