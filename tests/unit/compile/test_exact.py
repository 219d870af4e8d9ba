"""The types that are told are those that come: also where the engine computes in a type that no document has."""

from __future__ import annotations

import pyarrow as pa
import pytest
from harness import Other, run, run_document

_ROWS = [{"k": "x", "n": 1}, {"k": "y", "n": 9223372036854775807}, {"k": "y", "n": 9223372036854775807}]
_COLUMNS = {"k": "string", "n": "int64"}
_BIG = 2 * 9223372036854775807


def test_the_sum_of_integers_is_exact() -> None:
    ran = run("- aggregate: {by: [k], measures: {s: sum(n), l: list(n::hugeint)}}\n- sort: k", _COLUMNS, _ROWS)
    assert [row["s"] for row in ran.rows] == [1, _BIG]
    assert ran.table.schema.field("s").type == pa.decimal128(38, 0)
    assert ran.types["l"] == "list<decimal(38,0)?>?"
    assert ran.rows[1]["l"] == [9223372036854775807] * 2


def test_the_sum_of_a_query_is_exact() -> None:
    text = """
pipeline: test
sources: {rows: {type: memory, schema: {columns: {k: string, n: int64}}}}
transforms:
  result: {sql: "select k, sum(n) as s, count(*) as c from rows group by k order by k"}
"""
    ran = run_document(text, {"rows": _ROWS})
    assert {row["k"]: row["s"] for row in ran.rows} == {"x": 1, "y": _BIG}
    assert ran.table.schema.field("s").type == pa.decimal128(38, 0)


@pytest.mark.parametrize(
    ("expression", "told", "arrow"),
    [
        ("null", "string?", pa.string()),
        ("(null)", "string?", pa.string()),
        ("n::hugeint * 2", "decimal(38,0)?", pa.decimal128(38, 0)),
        ("sum(n) over ()", "decimal(38,0)?", pa.decimal128(38, 0)),
        ("'2024-01-01'::timestamp_ns", "timestamp?", pa.timestamp("us")),
        ("'2024-01-01'::timestamp_s", "timestamp?", pa.timestamp("us")),
        ("'101'::bit", "string?", pa.string()),
        ("k", "string", pa.string()),
    ],
)
def test_values_of_odd_types_are_cast(expression: str, told: str, arrow: pa.DataType) -> None:
    step = "window" if "over" in expression else "derive"
    params = '{columns: {v: "' if step == "window" else '{v: "'
    ran = run(f'- {step}: {params}{expression}"{"}" * params.count("{")}', _COLUMNS, _ROWS[:1])
    assert (ran.types["v"], ran.table.schema.field("v").type) == (told, arrow)


def test_a_type_without_a_counterpart_is_an_error_at_its_place() -> None:
    from harness import problem

    found = problem("- derive: {v: 'union_value(a := n)'}", _COLUMNS)
    assert (found.code, found.at is not None) == ("DOC-407", True)


def test_a_column_that_one_member_of_a_union_lacks_keeps_its_type() -> None:
    text = """
pipeline: test
sources:
  one: {type: memory, schema: {columns: {k: string, n: int64}}}
  two: {type: memory, schema: {columns: {k: string, d: date}}}
transforms:
  result: {from: [one, two]}
"""
    ran = run_document(text, {"one": [{"k": "x", "n": 1}], "two": [{"k": "y", "d": None}]})
    assert {name: kind.rstrip("?") for name, kind in ran.types.items()} == {"k": "string", "n": "int64", "d": "date"}


# ---------------------------------------------------------------- nulls inside nested values


def test_a_null_inside_a_value_is_rejected_where_the_schema_allows_none() -> None:
    kinds = {
        "l": "list<int64>?",
        "m": "map<string,list<int64>>?",
        "s": "struct<a: int64, b: struct<c: int64>?, d: list<struct<e: int64>?>?>?",
    }
    good = [
        {"l": [1, 2], "m": {"k": [1]}, "s": {"a": 1, "b": {"c": 1}, "d": [{"e": 1}, None]}},
        {"l": [], "m": {}, "s": {"a": 1, "b": None, "d": None}},
        {"l": None, "m": None, "s": None},
    ]
    bad = [
        good[0] | {"l": [1, None]},
        good[0] | {"m": {"k": None}},
        good[0] | {"m": {"k": [None]}},
        good[0] | {"s": {"a": None, "b": None, "d": None}},
        good[0] | {"s": {"a": 1, "b": {"c": None}, "d": None}},
        good[0] | {"s": {"a": 1, "b": None, "d": [{"e": None}]}},
    ]
    arrow = pa.schema(
        [
            ("l", pa.list_(pa.int64())),
            ("m", pa.map_(pa.string(), pa.list_(pa.int64()))),
            (
                "s",
                pa.struct(
                    [
                        ("a", pa.int64()),
                        ("b", pa.struct([("c", pa.int64())])),
                        ("d", pa.list_(pa.struct([("e", pa.int64())]))),
                    ]
                ),
            ),
        ]
    )
    rows = [{**row, "m": None if row["m"] is None else list(row["m"].items())} for row in (*good, *bad)]
    ran = run("- limit: 100", kinds, pa.Table.from_pylist(rows, schema=arrow))
    assert len(ran.rows) == len(good)
    assert [item.column for item in ran.rejected] == ["l", "m", "m", "s", "s", "s"]
    assert {item.code for item in ran.rejected} == {"null_value"}


def test_a_join_casts_nothing_that_is_exact() -> None:
    other = Other({"k": "string", "b": "decimal(38,0)"}, [])
    ran = run("- join: {to: other, on: [k], add: [b]}", _COLUMNS, [], {"other": other})
    assert "CAST" not in ran.sql["result.join"]
