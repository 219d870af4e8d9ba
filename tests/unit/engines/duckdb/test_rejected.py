"""What a reject shows of its row: JSON of every type, every cause, and the source's row where each row has one."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import math
import uuid
from typing import TYPE_CHECKING, Any, Final

import pytest
from passes import MemoryWriter, Ran, run

from penstock.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

VALUES: Final[dict[str, tuple[str, Any, str]]] = {
    "i": ("int64?", 2**63 - 1, "9223372036854775807"),
    "u": ("uint64?", 2**64 - 1, "18446744073709551615"),
    "f": ("float64?", 0.1, "0.1"),
    "nan": ("float64?", math.nan, '"NaN"'),
    "inf": ("float64?", math.inf, '"Infinity"'),
    "minus": ("float32?", -math.inf, '"-Infinity"'),
    "zero": ("float64?", -0.0, "-0.0"),
    "d": ("decimal(38,10)?", decimal.Decimal("1234567890123456789012345678.0123456789"),
          '"1234567890123456789012345678.0123456789"'),
    "money": ("decimal(10,2)?", decimal.Decimal("1.10"), '"1.10"'),
    "prices": ("list<decimal(4,2)?>?", [decimal.Decimal("0.50"), None], '["0.50",null]'),
    "rates": ("map<string,decimal(4,2)?>?", [("k", decimal.Decimal("0.10"))], '{"k":"0.10"}'),
    "y": ("binary?", b"\x00\xff", r'"\\x00\\xFF"'),
    "s": ("string?", 'a"\\\n\x00é😀', json.dumps('a"\\\n\x00é😀', ensure_ascii=False)),
    "t": ("boolean?", True, "true"),
    "day": ("date?", dt.date(1, 1, 1), '"0001-01-01"'),
    "clock": ("time?", dt.time(23, 59, 59, 999999), '"23:59:59.999999"'),
    "zoned": ("timestamptz?", dt.datetime(2024, 3, 31, 1, 30, tzinfo=dt.UTC), '"2024-03-31 01:30:00+00"'),
    "id": ("uuid?", uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
    "j": ("json?", '{"a":[1,null]}', '{"a":[1,null]}'),
    "l": ("list<float64?>?", [1.5, None, math.nan], '[1.5,null,"NaN"]'),
    "st": ("struct<x: float64?, y: list<struct<z: float32?>?>?>?", {"x": math.nan, "y": [{"z": math.inf}, None]},
           '{"x":"NaN","y":[{"z":"Infinity"},null]}'),
    "m": ("map<string,float64?>?", [("k", -math.inf), ("", None)], '{"k":"-Infinity","":null}'),
    'a"; DROP TABLE x;--': ("int64?", 1, "1"),
    "it's": ("int64?", None, "null"),
    "x": ("int64?", 3, "3"),
    "row": ("int64?", 4, "4"),
    "penstock source row": ("int64?", 5, "5"),
}  # fmt: skip


def document(steps: str, types: Mapping[str, str]) -> str:
    columns = ", ".join(f"{json.dumps(name)}: {json.dumps(kind)}" for name, kind in types.items())
    return (
        f"pipeline: test\nsources:\n  s: {{type: memory, schema: {{columns: {{{columns}}}}}}}\n"
        f"transforms:\n  out: {{from: s, steps: [{steps}]}}\nsinks:\n  one: {{from: out, type: memory}}\n"
    )


def rejects(found: Ran) -> list[dict[str, Any]]:
    (records,) = found.rejects.values()
    return records


def refused(steps: str, rows: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    found = run(document(steps, {"k": "int64?", "v": "string?", "f": "float64?"}), {"s": rows}, folder)
    return rejects(found)


def test_a_value_of_every_type_is_json_that_any_reader_takes(tmp_path: Path) -> None:
    types = {name: kind for name, (kind, _, _) in VALUES.items()} | {"bad": "string?"}
    full = {name: value for name, (_, value, _) in VALUES.items()} | {"bad": "no"}
    empty = dict.fromkeys(VALUES) | {"bad": "no"}
    found = rejects(run(document("{cast: {bad: int64}}", types), {"s": [full, empty]}, tmp_path))
    texts = {name: text for name, (_, _, text) in VALUES.items()}
    parts = [f"{json.dumps(name)}:{text}" for name, text in texts.items()]
    expected = ["{" + ",".join([*parts, '"bad":"no"']) + "}", json.dumps(empty, separators=(",", ":"))]
    assert sorted(record["row"] for record in found) == sorted(expected)
    for record in found:
        assert json.loads(record["row"], parse_constant=pytest.fail) == json.loads(record["source_row"])


ROWS: Final = [
    {"k": 1, "v": "1", "f": 0.5},
    {"k": 2, "v": "two", "f": math.nan},
    {"k": 3, "v": None, "f": None},
    {"k": 4, "v": "four", "f": 1.0},
]


@pytest.mark.parametrize(
    "steps",
    [
        "{cast: {v: int64}}",
        "{filter: k > 1}, {drop: [f]}, {derive: {v: upper(v)}}, {cast: {v: int64}}",
        "{select: [v]}, {rename: {w: v}}, {cast: {w: int64}}",
    ],
)
def test_a_reject_shows_the_sources_row_where_each_row_has_one(steps: str, tmp_path: Path) -> None:
    found = refused(steps, ROWS, tmp_path)
    assert sorted(record["source_row"] for record in found) == [
        '{"k":2,"v":"two","f":"NaN"}',
        '{"k":4,"v":"four","f":1.0}',
    ]
    assert {record["position"] for record in found} == {'{"source":"s"}'}


@pytest.mark.parametrize(
    "steps",
    [
        "{aggregate: {by: [v], measures: {c: count(*)}}}, {cast: {v: int64}}",
        "{window: {partition_by: [k], order_by: [v], columns: {r: row_number()}}}, {cast: {v: int64}}",
        "{sql: select v from this}, {cast: {v: int64}}",
    ],
)
def test_a_row_made_of_several_has_no_source_row(steps: str, tmp_path: Path) -> None:
    found = refused(steps, ROWS, tmp_path)
    assert len(found) == 2
    assert {(record["source_row"], record["position"]) for record in found} == {(None, None)}


def test_a_row_with_several_causes_is_one_reject_with_all_of_them(tmp_path: Path) -> None:
    text = document("{cast: {v: int64, w: date}}", {"k": "int64?", "v": "string?", "w": "string?"})
    (found,) = rejects(run(text, {"s": [{"k": 1, "v": "no", "w": "never"}]}, tmp_path))
    assert sorted(cause["column"] for cause in found["causes"]) == ["v", "w"]
    assert all(cause["message"] for cause in found["causes"])


def test_rows_that_break_what_the_document_demands_fail_the_pass_and_are_kept(tmp_path: Path) -> None:
    text = document("{cast: {columns: {v: int64}, on_error: fail}}", {"k": "int64?", "v": "string?", "f": "float64?"})
    writer = MemoryWriter()
    with pytest.raises(DataError) as caught:
        run(text, {"s": ROWS}, tmp_path, writers={"one": writer})
    assert caught.value.code == "ENG-313"
    assert "2 rows" in str(caught.value)
    assert "two" in str(caught.value) or "four" in str(caught.value)
    assert writer.aborted
    assert not writer.rows
