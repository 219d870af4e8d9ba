"""What ``penstock validate --engine spark`` names, and what a pipeline for Spark refuses before a row moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Said

DOCUMENT = """pipeline: prices
sources:
  raw: {type: csv, path: prices.csv, schema: {columns: {id: int64, price: float64, name: string}}}
transforms:
  t:
    from: raw
    steps:
      - derive:
          low: lower(name)
          shared: "{expression}"
sinks:
  out: {from: t, type: csv, path: out.csv, mode: overwrite}
"""


@pytest.fixture
def document(project: Path) -> Callable[..., None]:
    def write(expression: str, more: str = "") -> None:
        (project / "prices.csv").write_text("id,price,name\n1,2.5,Brent\n", encoding="utf-8")
        text = DOCUMENT.replace("{expression}", expression) + more
        (project / "pipelines" / "prices.yml").write_text(text, encoding="utf-8")

    (project / "pipelines").mkdir(exist_ok=True)
    return write


def test_what_spark_does_not_run_is_named_at_its_place(
    document: Callable[..., None], penstock: Callable[..., Said]
) -> None:
    document("jaro_similarity(name, 'x')")
    assert penstock("validate", "pipelines/prices.yml").code == 0
    found = penstock("validate", "--engine", "spark", "pipelines/prices.yml", "--json")
    assert found.code == 2
    (problem,) = found.json["problems"]
    assert problem["code"] == "CMP-385"
    assert problem["line"] == 10
    assert "JARO_SIMILARITY" in problem["message"].upper()


@pytest.mark.parametrize(
    "expression", ["round(price, 2)", "now()", "date_diff('day', date '2024-01-01', current_date)"]
)
def test_what_it_runs_is_no_problem(
    document: Callable[..., None], penstock: Callable[..., Said], expression: str
) -> None:
    document(expression)
    assert penstock("validate", "--engine", "spark", "pipelines/prices.yml").code == 0


@pytest.mark.parametrize("command", ["validate", "plan", "run"])
def test_a_pipeline_for_spark_refuses_it_before_a_session_is_opened(
    document: Callable[..., None], penstock: Callable[..., Said], command: str
) -> None:
    document("jaro_similarity(name, 'x')", "run: {engine: spark, spark: {master: 'spark://127.0.0.1:1'}}\n")
    found = penstock(command, "pipelines/prices.yml", "--json")
    assert found.code == 2
    assert [problem["code"] for problem in found.json["problems"]] == ["CMP-385"]
