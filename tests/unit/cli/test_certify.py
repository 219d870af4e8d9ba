"""``penstock certify``: both engines over the rows of a pipeline, and a difference that was put there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Said

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("spark"), pytest.mark.timeout(300)]

DOCUMENT = """pipeline: prices
sources:
  raw:
    type: csv
    path: prices.csv
    schema: {columns: {id: int64, price: float64, name: string, day: date}}
    labels: {name: [secret]}
transforms:
  t:
    from: raw
    rules: [{range: {column: price, min: 0}}]
    steps:
      - derive: {low: lower(name), doubled: price * 2}
  summary:
    from: t
    steps:
      - aggregate: {by: [low], measures: {n: count(*), most: max(doubled), mean: avg(price)}}
sinks:
  out: {from: summary, type: csv, path: out.csv, mode: overwrite, allow: [secret]}
"""
ROWS = "id,price,name,day\n" + "".join(f"{n},{n / 7 - 1},Crude {n % 3},2024-01-{n % 28 + 1:02}\n" for n in range(1, 60))


@pytest.fixture(autouse=True)
def project_with_rows(project: Path) -> None:
    (project / "pipelines").mkdir(exist_ok=True)
    (project / "pipelines" / "prices.yml").write_text(DOCUMENT, encoding="utf-8")
    (project / "prices.csv").write_text(ROWS, encoding="utf-8")


def test_engines_that_agree_are_certified_and_nothing_is_written(penstock: Callable[..., Said], project: Path) -> None:
    found = penstock("certify", "pipelines/prices.yml", "--json")
    assert found.code == 0
    (one,) = found.json["pipelines"]
    assert (one["agrees"], one["rows"], one["most"]) == (True, {"raw": 59}, 10_000)
    assert [node["node"] for node in one["nodes"] if node["verdict"] == "different"] == []
    assert len(one["nodes"]) >= 3
    assert not (project / "out.csv").exists()
    said = penstock("certify", "pipelines/prices.yml", "--rows", "5")
    assert "DuckDB and Spark agree at" in said.out
    assert "over at most 5 rows of each source" in said.out
    assert "raw 5" in said.out


def test_a_difference_is_told_with_its_node_its_column_and_its_rows(
    penstock: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spark's max is made the least here."""
    from penstock.engines.spark.lowering import Lowering

    honest = Lowering.expression

    def planted(self: Lowering, tree: object, scope: object) -> object:
        found = honest(self, tree, scope)
        return type(found)(this="min", expressions=found.expressions) if found.name == "max" else found

    monkeypatch.setattr(Lowering, "expression", planted)
    found = penstock("certify", "pipelines/prices.yml", "--all", "--json")
    assert found.code == 1
    (one,) = found.json["pipelines"]
    assert (one["agrees"], one["most"]) == (False, None)
    (node,) = [node for node in one["nodes"] if node["verdict"] == "different"]
    assert (node["node"], node["columns"], node["below"]) == ("summary.aggregate", ["most"], None)
    assert {row["low"] for row in node["only"]["spark"]} == {"***"}
    assert len(node["only"]["duckdb"]) == 3
    said = penstock("certify", "pipelines/prices.yml", "--all")
    assert said.code == 1
    assert "differ in most" in said.out
