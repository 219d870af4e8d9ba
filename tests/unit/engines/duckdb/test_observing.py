"""What rules about all rows measure on the engine itself: every row once, of any type, whatever stands above the rules."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from passes import MemoryWriter, batches, compiled, run
from test_rejected import VALUES

from penstock.connectors.api import Batches
from penstock.engines.api import Limits, Pass
from penstock.engines.duckdb.engine import DuckDBEngine
from penstock.errors import DataError, PenstockError
from penstock.types import INT64, Field, Schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from penstock.connectors.api import Chunk

pytestmark = pytest.mark.slow

ALL = "{row_count: {min: 1}}"
ONE = "one: {from: out, type: memory}"
NUMBERS = {"k": "int64?"}


def document(rules: str, types: Mapping[str, str] = NUMBERS, *, sinks: str = ONE, steps: str = "") -> str:
    columns = ", ".join(f"{json.dumps(name)}: {json.dumps(kind)}" for name, kind in types.items())
    return (
        f"pipeline: test\nsources:\n  s: {{type: memory, schema: {{columns: {{{columns}}}}}}}\n"
        f"transforms:\n  out: {{from: s, rules: [{rules}]}}\n  last: {{from: out, steps: [{steps}]}}\nsinks:\n  {sinks}\n"
    )


def numbers(rows: int) -> list[dict[str, Any]]:
    return [{"k": number} for number in range(rows)]


def many(rows: int) -> Batches:
    return batches(numbers(rows), Schema((Field("k", INT64),)), 1_000)


@pytest.mark.parametrize("rows", [0, 1, 2_048, 300_001])
def test_every_row_is_measured_once(tmp_path: Path, rows: int) -> None:
    rules = f"{ALL}, {{distinct_count: {{column: k, max: 100}}}}, {{range: {{column: k, max: 9}}}}"
    found = run(document(rules), {"s": many(rows)}, tmp_path)
    assert found["out.rules"].measured == {"row_count": {"rows": rows}, "distinct_count": {"distinct": rows}}
    assert found["out.rules"].into == {"s": rows}
    assert len(found.rows["one"]) == min(rows, 10)
    broken = {"distinct_count"} if rows > 100 else set() if rows else {"row_count"}
    assert found["out.rules"].broken.keys() == broken


def test_a_column_of_any_type_and_name_is_measured(tmp_path: Path) -> None:
    types = {name: kind for name, (kind, _, _) in VALUES.items()}
    columns = json.dumps(list(types))
    rows = [{name: value for name, (_, value, _) in VALUES.items()}, dict.fromkeys(types)]
    found = run(document(f"{{null_share: {{columns: {columns}, max: 50 %}}}}", types), {"s": rows}, tmp_path)
    shares = found["out.rules"].measured["null_share"]
    assert shares == {f"null share of {name}": 1 if value is None else 0.5 for name, (_, value, _) in VALUES.items()}
    assert list(found["out.rules"].broken) == ["null_share"]


def test_values_of_any_type_and_name_are_measured(tmp_path: Path) -> None:
    types = {name: kind for name, (kind, _, _) in VALUES.items()}
    rules = (
        f"{{distinct_count: {{name: d{place}, column: {json.dumps(name)}, max: 9}}}}"
        for place, name in enumerate(types)
    )
    rows = [{name: value for name, (_, value, _) in VALUES.items()}, dict.fromkeys(types)]
    found = run(document(", ".join(rules), types), {"s": rows}, tmp_path)
    values = [value for _, value, _ in VALUES.values()]
    expected = {f"d{place}": {"distinct": 0 if value is None else 1} for place, value in enumerate(values)}
    assert found["out.rules"].measured == expected


def test_a_column_that_is_counted_and_measured_is_both(tmp_path: Path) -> None:
    rules = "{null_share: {columns: [k], max: 50 %}}, {distinct_count: {column: k, max: 9}}"
    found = run(document(rules), {"s": [{"k": 7}, {"k": 7}, {"k": None}, {"k": 8}]}, tmp_path)
    assert found["out.rules"].measured == {"null_share": {"null share of k": 0.25}, "distinct_count": {"distinct": 2}}


@pytest.mark.parametrize("sinks", ["two: {from: last, type: memory}", f"two: {{from: last, type: memory}}\n  {ONE}"])
@pytest.mark.parametrize(
    "steps",
    [
        "{limit: 1}",
        "{filter: k > 5}, {sort: k}, {limit: 2}",
        "{join: {to: s, kind: semi, on: 'this.k = s.k + 100'}}",
        "{sql: 'select * from this limit 1'}",
        "{aggregate: {measures: {n: count(*)}}}",
        "{filter: false}",
    ],
)
def test_rows_that_nobody_needs_are_measured_all_the_same(tmp_path: Path, steps: str, sinks: str) -> None:
    text = document(ALL, sinks=sinks, steps=steps)
    found = run(text, {"s": numbers(10_000)}, tmp_path)
    assert found["out.rules"].measured == {"row_count": {"rows": 10_000}}


def test_what_fails_the_run_aborts_what_was_written(tmp_path: Path) -> None:
    writer = MemoryWriter()
    text = document("{row_count: {max: 2, on_fail: fail}}, {distinct_count: {column: k, min: 9, on_fail: fail}}")
    with pytest.raises(DataError) as caught:
        run(text, {"s": numbers(3)}, tmp_path, writers={"one": writer})
    assert [problem.code for problem in caught.value.problems] == ["ENG-315", "ENG-315"]
    assert caught.value.problems[0].detail == "there are 3 rows, and should be at most 2."
    assert (writer.aborted, writer.staged) == (True, False)


def test_what_cannot_be_added_up_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    writer = MemoryWriter()
    text = document("{sum_equals: {column: k, to: s}}", {"k": "decimal(38,0)?"})
    with pytest.raises(DataError) as caught:
        run(text, {"s": [{"k": 10**38 - 1}] * 3}, tmp_path, writers={"one": writer})
    assert caught.value.code == "ENG-311"
    assert writer.staged is False


def test_an_error_of_a_source_ends_what_is_measured(tmp_path: Path) -> None:
    text = document(ALL)
    whole = many(10_000)

    def broken() -> Iterator[Chunk]:
        yield from list(whole.open())[:7]
        raise DataError("SRC-110", "gone")

    before = threading.active_count()
    with pytest.raises(PenstockError) as caught:
        run(text, {"s": Batches(whole.schema, broken)}, tmp_path)
    assert caught.value.code == "SRC-110"
    assert threading.active_count() <= before


def test_an_interrupt_ends_what_is_measured(tmp_path: Path) -> None:
    text = document(ALL)
    whole = many(10_000)
    engine = DuckDBEngine(Limits(memory_bytes=1 << 30, threads=2), tmp_path)
    graph = compiled(text, engine)

    def interrupting() -> Iterator[Chunk]:
        for number, chunk in enumerate(whole.open()):
            if number == 5:
                engine.interrupt()
            yield chunk

    writer = MemoryWriter()
    try:
        with pytest.raises(KeyboardInterrupt):
            engine.run(
                Pass(graph),
                inputs={"s": [Batches(whole.schema, interrupting)]},
                outputs={"one": lambda: writer},
                rejects=_Nowhere(),
            )
    finally:
        engine.close()
    assert writer.staged is False
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("measure")]


class _Nowhere:
    def write(self, node: str, batch: Any) -> None: ...

    def clear(self, node: str) -> None: ...


def test_a_look_at_some_rows_measures_nothing(tmp_path: Path) -> None:
    text = document("{row_count: {max: 0, on_fail: fail}}")
    engine = DuckDBEngine(Limits(memory_bytes=1 << 30, threads=2), tmp_path)
    try:
        graph = compiled(text, engine)
        assert engine.sample(graph, "out.rules", {"s": [many(5)]}, 2).table.num_rows == 2
    finally:
        engine.close()
