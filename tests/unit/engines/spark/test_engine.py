"""Each kind of node on both engines: the same rows, the same counts, the same rejects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from both_engines import bag, on_both, run_on_spark
from penstock.engines.spark import execution
from penstock.errors import ConfigError, DataError, InternalError

if TYPE_CHECKING:
    from pathlib import Path

    from passes import Ran

    from both_engines import Data


pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("spark")]

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


def _document(steps: str, *, source: str = "orders", rules: str = "") -> str:
    said = f"\n    rules: {rules}" if rules else ""
    return (
        f"pipeline: p\n{ORDERS}\ntransforms:\n  t:\n    from: {source}\n    steps: {steps}{said}\n"
        "sinks:\n  s: {from: t, type: memory}\n"
    )


def both(text: str, folder: Path, data: Data = DATA, *, ordered: bool = False) -> Ran:
    return on_both(text, folder, data, ordered=ordered)


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
    assert bag(found.rows["s"]) == bag(found.rows["u"])


def test_a_condition_that_is_never_true_leaves_nothing_uncounted(tmp_path: Path) -> None:
    found = both(_document("[derive: {more: price + 1}, filter: id > id]"), tmp_path)
    assert found["t.filter"].into == {"t.derive": 3}


STEPS_COUNTED_ON_THE_WAY = (
    "[derive: {more: price + 1}, filter: price > 0, aggregate: {by: [crude], measures: {n: count(*)}}]"
)


@pytest.mark.parametrize("why", ["a part was computed twice", "nothing was told"])
def test_what_was_not_counted_once_is_counted_anew(why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if why == "nothing was told":
        monkeypatch.setattr(execution._Observed, "_told", lambda _: None)
    else:
        monkeypatch.setattr(execution._Followed, "__exit__", lambda self, *_: setattr(self, "is_repeated", True))
        monkeypatch.setattr(execution._Observed, "_told", lambda _: pytest.fail("it counts too much"))
    both(_document(STEPS_COUNTED_ON_THE_WAY), tmp_path)


def test_rows_that_were_counted_and_written_differently_are_our_own_bug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "rows_in", lambda _: 7)
    with pytest.raises(InternalError) as error:
        run_on_spark(_document("[derive: {more: price + 1}]"), DATA, tmp_path)
    assert error.value.problems[0].code == "ENG-422"


def test_a_value_that_no_type_can_take_fails_the_run_with_the_nodes_name(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        run_on_spark(_document("[derive: {n: id * 9223372036854775807}]"), DATA, tmp_path)
    assert error.value.problems[0].code == "ENG-311"


def test_a_step_whose_meaning_on_spark_is_not_proved_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        run_on_spark(_document("[sample: {percent: 50, seed: 1}]"), DATA, tmp_path)
    assert error.value.problems[0].code == "ENG-421"
