"""Each kind of node on both engines: the same rows, the same counts, the same rejects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from passes import MemoryRejects, MemoryWriter, Ran, batches, compiled
from passes import run as run_on_duckdb

from penstock.engines.api import Limits, Pass
from penstock.engines.duckdb.engine import DuckDBEngine
from penstock.engines.spark.engine import SparkEngine
from penstock.engines.spark.session import SparkSettings
from penstock.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from penstock.engines.api import NodeCounts

    Data = Mapping[str, list[dict[str, Any]]]


pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("spark")]

SETTINGS = SparkSettings()  # the session that tests share
ORDERS = """
sources:
  orders:
    type: memory
    schema: {columns: {id: int64, customer: int64, crude: string, price: "decimal(10,2)", tags: "list<string>"}}
  customers:
    type: memory
    schema: {columns: {id: int64, name: string}}
"""
DATA: Data = {
    "orders": [
        {"id": 1, "customer": 10, "crude": "brent", "price": 70, "tags": ["a", "b"]},
        {"id": 2, "customer": 10, "crude": "wti", "price": -5, "tags": []},
        {"id": 3, "customer": 11, "crude": None, "price": 60, "tags": None},
        {"id": 4, "customer": None, "crude": "brent", "price": None, "tags": ["c", None]},
        {"id": 5, "customer": 12, "crude": "", "price": 80, "tags": ["d"]},
    ],
    "customers": [{"id": 10, "name": "Ada"}, {"id": 11, "name": "Bo"}, {"id": 99, "name": "Cy"}],
}


def run_on_spark(text: str, data: Data, folder: Path) -> Ran:
    local = DuckDBEngine(Limits(memory_bytes=1 << 30, threads=2), folder)
    engine = SparkEngine(local, SETTINGS, folder)
    try:
        graph = compiled(text, local)
        inputs = {node.id: [batches(data[node.source], node.schema)] for node in graph.reads if node.schema is not None}
        found = {write.sink: MemoryWriter() for write in graph.writes}
        rejects = MemoryRejects()
        outcome = engine.run(
            Pass(graph),
            inputs=inputs,
            outputs={name: (lambda name=name: found[name]) for name in found},
            rejects=rejects,
        )
        assert all(writer.staged for writer in found.values())
        return Ran({name: found[name].rows for name in outcome.staged}, outcome.counts, rejects.records, graph)
    finally:
        engine.close()


def _document(steps: str, *, source: str = "orders", rules: str = "") -> str:
    said = f"\n    rules: {rules}" if rules else ""
    return (
        f"pipeline: p\n{ORDERS}\ntransforms:\n  t:\n    from: {source}\n    steps: {steps}{said}\n"
        "sinks:\n  s: {from: t, type: memory}\n"
    )


def _figures(counts: NodeCounts) -> tuple[object, ...]:
    unmatched = {name: rows for name, rows in counts.unmatched.items() if rows}
    noted = {name: rows for name, rows in counts.noted.items() if rows}
    return dict(counts.into), counts.out, unmatched, counts.empty, counts.rejected, noted, dict(counts.refused)


def _bag(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(map(repr, rows))


def _causes(found: Ran) -> dict[str, list[str]]:
    return {
        node: _bag([{"row": one["row"], "causes": one["causes"]} for one in rows])
        for node, rows in found.rejects.items()
    }


def both(text: str, folder: Path, data: Data = DATA, *, ordered: bool = False) -> Ran:
    """Runs the document on both engines and compares all that they tell."""
    (folder / "d").mkdir()
    (folder / "s").mkdir()
    right, found = run_on_duckdb(text, data, folder / "d"), run_on_spark(text, data, folder / "s")
    for sink, rows in right.rows.items():
        assert found.rows[sink] == rows if ordered else _bag(found.rows[sink]) == _bag(rows)
    assert {name: _figures(one) for name, one in found.counts.items()} == {
        name: _figures(one) for name, one in right.counts.items()
    }
    assert _causes(found) == _causes(right)
    return found


STEPS = {
    "derive": "[derive: {double: price * 2, low: lower(crude)}]",
    "filter": "[filter: price > 0]",
    "two filters": "[filter: price > 0, filter: crude = 'brent']",
    "aggregate": "[aggregate: {by: [crude], measures: {n: count(*), most: max(price)}}]",
    "aggregate of all": "[aggregate: {measures: {n: count(*), most: max(price)}}]",
    "aggregate of nothing": "[filter: id > 100, aggregate: {measures: {n: count(*)}}]",
    "explode": "[explode: {column: tags, as: tag}]",
    **{
        kind: f"[join: {{to: customers, kind: {kind}, on: this.customer = customers.id, add: [name]}}]"
        for kind in ("inner", "left", "right", "full")
    },
    **{kind: f"[join: {{to: customers, kind: {kind}, on: this.customer = customers.id}}]" for kind in ("semi", "anti")},
    **{
        f"{kind} {comparison}": f"[join: {{to: customers, kind: {kind}, on: {comparison}, add: [name]}}]"
        for kind in ("asof", "asof_left")
        for comparison in (
            "this.customer >= customers.id",
            "this.customer > customers.id",
            "this.customer <= customers.id",
            "customers.id > this.customer",
            "this.id >= customers.id - 10 and this.crude = lower(customers.name)",
        )
    },
    "deduplicate": "[drop: [tags], deduplicate: {keys: [customer]}]",
    "deduplicate by an order with ties": "[drop: [tags], deduplicate: {keys: [customer], order_by: crude, keep: last}]",
    "window with ties": "[drop: [tags], window: {partition_by: [customer], order_by: [crude], columns: {before: lag(price), place: row_number()}}]",
}


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS.keys())
def test_a_node_gives_the_same_rows_and_counts_on_both_engines(steps: str, tmp_path: Path) -> None:
    both(_document(steps), tmp_path)


@pytest.mark.parametrize("steps", [STEPS["inner"], STEPS["explode"], STEPS["filter"]])
def test_inputs_without_rows_are_counted_too(steps: str, tmp_path: Path) -> None:
    found = both(_document(steps), tmp_path, {"orders": [], "customers": DATA["customers"]})
    assert found.rows["s"] == []


def test_sorted_rows_reach_the_sink_in_their_order_and_a_limit_takes_the_first(tmp_path: Path) -> None:
    found = both(_document("[filter: price is not null, sort: [price], limit: 2]"), tmp_path)
    assert sorted(row["id"] for row in found.rows["s"]) == [1, 2]


def test_rejected_rows_have_the_causes_that_duckdb_gives(tmp_path: Path) -> None:
    found = both(
        _document("[filter: id < 5]", rules="[not_null: [crude, price], {range: {column: price, min: 0}}]"), tmp_path
    )
    assert sum(map(len, found.rejects.values())) == 3


def test_a_rule_that_warns_is_counted_alike(tmp_path: Path) -> None:
    both(_document("[filter: id < 5]", rules="[{not_null: [crude], on_fail: warn}]"), tmp_path)


def test_two_sinks_share_what_they_both_read(tmp_path: Path) -> None:
    text = _document("[derive: {more: price + 1}]") + "  u: {from: t, type: memory}\n"
    found = both(text, tmp_path)
    assert _bag(found.rows["s"]) == _bag(found.rows["u"])


def test_a_value_that_no_type_can_take_fails_the_run_with_the_nodes_name(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        run_on_spark(_document("[derive: {n: id * 9223372036854775807}]"), DATA, tmp_path)
    assert error.value.problems[0].code == "ENG-311"


def test_a_step_whose_meaning_on_spark_is_not_proved_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        run_on_spark(_document("[sample: {percent: 50, seed: 1}]"), DATA, tmp_path)
    assert error.value.problems[0].code == "ENG-421"
