"""``rejects:`` of a document: rejected rows in a table or a folder of files, once each, whatever cuts a run off."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from penstock.document.assembly import Settings, load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Said
    from penstock.testing.servers import ObjectServer

FILE = "pipelines/shop.yml"
DOCUMENT = """pipeline: shop
sources:
  raw:
    type: csv
    path: data/sold-*.csv
    incremental: files
    labels: {shop: [pii]}
    schema: {columns: {id: int64, shop: string, price: "decimal(10,2)?"}}
transforms:
  clean: {from: raw, rules: [{range: {column: price, min: 0, max: 100}}, {not_in_set: {column: price, values: [500]}}]}
sinks:
  out: {from: clean, type: sqlite, path: out.db, table: t, mode: append, allow: [pii]}
rejects: {PLACE}
run: {memory: 256 MiB, threads: 1}
"""
ROWS = 'id,shop,price\n1,ann,1.50\n2,bob,"2,50"\n3,eve,500\n4,joe,many\n'
PLACES = {
    "sqlite": "type: sqlite, path: out.db, table: bad",  # the sink's own file
    "duckdb": "type: duckdb, path: bad.duckdb, table: bad",
    "delta": "type: delta, path: bad",
    "parquet": "type: parquet, path: bad",
}


@pytest.fixture
def shop(project: Path) -> Callable[[str], None]:
    """Writes the document with that place of rejects, and the first file."""

    def made(place: str) -> None:
        (project / FILE).write_text(DOCUMENT.replace("PLACE", place), encoding="utf-8")
        (project / "data" / "sold-1.csv").write_text(ROWS, encoding="utf-8")

    return made


def bad(project: Path, penstock: Callable[..., Said], place: str) -> list[dict[str, Any]]:
    """What the place has, read as a source."""
    (project / "back.yml").write_text(f"pipeline: back\nsources: {{bad: {{{place}}}}}\n", encoding="utf-8")
    rows = penstock("preview", "back.yml", "bad", "--json").json["rows"]
    return sorted(rows, key=lambda row: (row["epoch"], row["node"], row["row_data"]))


@pytest.mark.parametrize("name", PLACES)
def test_a_place_has_each_rejected_row_once(
    name: str, shop: Callable[[str], None], project: Path, penstock: Callable[..., Said]
) -> None:
    place = PLACES[name]
    shop(place)
    said = penstock("run", FILE, "--json")
    assert said.code == 0, said.err
    assert sorted(one["rows"] for one in said.json["epochs"][0]["sinks"].values()) == [1, 3]
    rows = bad(project, penstock, place)
    assert [(row["node"], row["code"], row["column_name"]) for row in rows] == [
        ("clean.rules", "range", "price"), ("raw", "bad_value", "price"), ("raw", "bad_value", "price"),
    ]  # fmt: skip
    assert {row["run_id"] for row in rows} == {said.json["run_id"]}
    assert [cause["code"] for cause in json.loads(rows[0]["causes"])] == ["range", "not_in_set"]
    assert json.loads(rows[0]["row_data"])["id"] == 3
    assert json.loads(rows[1]["position"])["record"] in {3, 5}
    assert "bob" not in json.dumps(rows)  # labelled, and nothing allows it
    assert penstock("run", FILE, "--json").json["epochs"] == []  # nothing is new
    (project / "data" / "sold-2.csv").write_text("id,shop,price\n5,kim,2\n6,lee,900\n", encoding="utf-8")
    assert penstock("run", FILE).code == 0
    assert [row["epoch"] for row in bad(project, penstock, place)] == [1, 1, 1, 2]


def test_objects_of_a_bucket(
    shop: Callable[[str], None],
    project: Path,
    penstock: Callable[..., Said],
    s3_server: ObjectServer,
    s3_bucket: str,
) -> None:
    connection = json.dumps(s3_server.connection(s3_bucket, prefix="rejects"))
    place = f"type: parquet, connection: {connection}, path: shop"
    shop(place)
    for _ in range(2):
        said = penstock("run", FILE, "--json")
        assert said.code == 0, said.err
    assert [row["code"] for row in bad(project, penstock, place)] == ["range", "bad_value", "bad_value"]


# The first commit of an epoch is the sink's, the second that of its rejects.
@pytest.mark.parametrize("fault", ["run.committed", "run.before_commit@2", "run.committed@2", "run.before_seal"])
def test_a_run_that_is_cut_off_is_finished_and_no_row_comes_twice(
    fault: str,
    shop: Callable[[str], None],
    project: Path,
    penstock: Callable[..., Said],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = PLACES["sqlite"]
    shop(place)
    monkeypatch.setenv("PENSTOCK_FAULTS", f"{fault}=raise")
    assert penstock("run", FILE).code != 0
    monkeypatch.delenv("PENSTOCK_FAULTS")
    said = penstock("run", FILE, "--json")
    assert (said.code, said.json["epochs"][0]["redone"]) == (0, True)
    assert len(bad(project, penstock, place)) == 3
    groups = {one["group"]: one["rows"] for one in penstock("rejects", "list", "--json").json["by_cause"]}
    assert groups == {"raw/bad_value/price": 2, "clean.rules/range/price": 1, "clean.rules/not_in_set/price": 1}


def test_the_desk_works_and_what_is_rejected_again_goes_there_too(
    shop: Callable[[str], None], project: Path, penstock: Callable[..., Said]
) -> None:
    place = PLACES["duckdb"]
    shop(f"{place}, allow: [pii]")
    penstock("run", FILE, "-q")
    said = penstock(
        "rejects", "replay", FILE, "raw/bad_value/price", "--set", "price = replace(price, ',', '.')", "--json"
    )
    assert (said.code, said.json["replay"]["rejected"]) == (0, 1)
    rows = bad(project, penstock, place)
    assert [row["epoch"] for row in rows] == [1, 1, 1, 2]
    assert json.loads(rows[-1]["row_data"] or rows[-1]["raw"])["shop"] == "joe"
    assert penstock("rejects", "discard", "clean.rules/range/price", "--reason", "wrong", "--json").code == 0
    shown = penstock("rejects", "show", "--json").json["records"]
    assert [record["row"]["id"] for record in shown] == ["4"]


def test_another_place_begins_with_what_is_rejected_from_then_on(
    shop: Callable[[str], None], project: Path, penstock: Callable[..., Said]
) -> None:
    shop(PLACES["sqlite"])
    penstock("run", FILE, "-q")
    shop(PLACES["duckdb"])
    (project / "data" / "sold-2.csv").write_text("id,shop,price\n6,lee,900\n", encoding="utf-8")
    assert penstock("run", FILE).code == 0
    assert [row["epoch"] for row in bad(project, penstock, PLACES["duckdb"])] == [2]
    assert len(bad(project, penstock, PLACES["sqlite"])) == 3


@pytest.mark.parametrize(
    ("place", "codes"),
    [
        ("type: sqlite, path: out.db, table: bad, mode: overwrite", ["DOC-430"]),
        ("type: rest, connection: {base_url: 'http://localhost:1'}, path: /bad", ["DOC-431"]),
        ("type: sqlite, path: out.db", ["DOC-202"]),
        ("type: sqlite, path: out.db, table: t", ["CMP-340", "SNK-111"]),
    ],
)
def test_a_place_that_cannot_be_is_refused_before_a_row_is_read(
    place: str, codes: list[str], shop: Callable[[str], None], project: Path, penstock: Callable[..., Said]
) -> None:
    shop(PLACES["parquet"])
    assert penstock("run", FILE).code == 0
    shop(place)
    assert penstock("run", FILE, "--json").codes == codes


def test_a_connection_that_rejects_alone_name_is_filled_in(
    penstock: Callable[..., Said], project: Path, shop: Callable[[str], None]
) -> None:
    connection = "{type: postgres, host: localhost, user: reader, password: '${secret.NEVER_SET}', database: shop}"
    text = (project / "penstock.yml").read_text(encoding="utf-8")
    (project / "penstock.yml").write_text(f"{text}\nconnections: {{warehouse: {connection}}}\n", encoding="utf-8")
    shop("type: postgres, connection: warehouse, table: bad")
    assert [problem["code"] for problem in penstock("validate", FILE, "--json").json["problems"]] == ["DOC-190"]


def test_a_place_that_is_treated_otherwise_is_the_same_place(project: Path, shop: Callable[[str], None]) -> None:
    def named(timeout: str) -> str:
        connection = f"{{host: localhost, user: reader, database: shop, connect_timeout: {timeout}}}"
        shop(f"type: postgres, connection: {connection}, table: bad")
        place = load(project / FILE, Settings({})).pipeline.rejects
        assert place is not None
        return place.name

    assert named("1 s") == named("2 s")


def test_figures_of_labelled_columns_are_not_shown(
    penstock: Callable[..., Said], project: Path, shop: Callable[[str], None]
) -> None:
    shop(PLACES["sqlite"])
    text = (project / FILE).read_text(encoding="utf-8").replace("labels: {shop: [pii]}", "labels: {price: [pii]}")
    text = text.replace(
        "rules: [", "rules: [{distribution: {column: price, mean: {max: 1000}}}, {row_count: {min: 1}}, "
    )
    (project / FILE).write_text(text, encoding="utf-8")
    assert penstock("run", FILE, "--json").json["balance"]["clean.rules"]["measured"] == {"row_count": {"rows": 2}}
    (found,) = penstock("quality", FILE, "--json").json["datasets"]
    assert {rule["rule"]: rule["measured"] for rule in found["rules"]}["distribution"] == {}
