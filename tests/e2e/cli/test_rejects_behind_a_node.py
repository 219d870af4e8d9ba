"""``rejects replay``: what of the graph gets the rows, and what more than these rows would be needed for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from shop_of_rejects import COMMA, FILE, ROWS, changed, groups, sold

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Said


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
