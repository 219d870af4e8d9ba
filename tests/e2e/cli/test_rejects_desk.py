"""``rejects list``, ``show``, ``discard``: rows that were set aside are grouped, looked at, or given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shop_of_rejects import COMMA, DOCUMENT, FILE, changed, groups, sold

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Said


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


def test_of_a_source_that_is_read_whole_it_is_said_that_it_has_the_bad_rows_still(
    penstock: Callable[..., Said], shop: Path
) -> None:
    whole = DOCUMENT.replace("    incremental: files\n", "").replace("mode: append", "mode: merge, keys: [id]")
    (shop / FILE).write_text(whole, encoding="utf-8")
    penstock("run", FILE, "-q")
    sent = penstock("rejects", "replay", FILE, "raw/bad_value/price", "--set", COMMA, "--replace-newer")
    assert sent.code == 0, sent.err
    assert "raw is read as a whole: the next run reads these records as they stand there" in sent.out
    told = penstock("rejects", "discard", "raw/bad_value/at", "--reason", "x").out
    assert "a source without `incremental:` is read as a whole" in told


def test_a_group_that_was_read_again_since_is_one_of_which_nothing_is_open(
    penstock: Callable[..., Said], shop: Path
) -> None:
    whole = DOCUMENT.replace("    incremental: files\n", "").replace("mode: append", "mode: overwrite")
    (shop / FILE).write_text(whole, encoding="utf-8")
    penstock("run", FILE, "-q")
    for file in (shop / "data").glob("sold-*.csv"):
        file.write_text("id,shop,price,at\n1,a,9.00,2024-01-01\n", encoding="utf-8")
    penstock("run", FILE, "-q")
    again = penstock("rejects", "replay", FILE, "raw/bad_value/price")
    assert (again.code, again.out) == (0, "nothing of raw/bad_value/price is open: nothing was sent\n")
    assert penstock("rejects", "discard", "raw/bad_value/price", "--reason", "x").out.startswith("nothing of")


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
