from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import memory_sink
import pytest

from penstock.errors import ConfigError, Problem

if TYPE_CHECKING:
    from harness import Ran

_COLUMNS = "{id: int64?, part: string?, price: float64?, seen: timestamp?}"


def _document(sink: str, columns: str = _COLUMNS) -> str:
    return f"""
pipeline: test
sources:
  rows: {{type: memory, schema: {{columns: {columns}}}}}
sinks:
  lake: {{from: rows, type: table, mode: merge, {sink}}}
"""


def _row(key: int | None, price: float | None = 1.0, seen: int | None = None, part: str | None = "a") -> dict[str, Any]:
    from datetime import datetime

    at = datetime(2024, 1, seen) if seen else None  # noqa: DTZ001 -- a timestamp without a zone is meant
    return {"id": key, "part": part, "price": price, "seen": at}


def _run(sink: str, rows: list[dict[str, Any]]) -> Ran:
    return memory_sink.run(_document(sink), {"rows": rows}, "lake")


def _problem(sink: str) -> Problem:
    with pytest.raises(ConfigError) as caught:
        memory_sink.run(_document(sink), {"rows": []}, "lake")
    (found,) = caught.value.problems
    return found


def test_identical_rows_collapse() -> None:
    ran = _run("keys: [id]", [_row(1), _row(1), _row(1), _row(2)])
    assert sorted(ran.rows, key=lambda row: row["id"]) == [_row(1), _row(2)]
    assert ran.rejected == []
    assert (ran.counts["lake.once"], ran.counts["lake.several"]) == (1, 3)
    assert (ran.counts["lake.ambiguous_keys"], ran.counts["lake.one_per_key"]) == (3, 1)


def test_identical_rows_with_nulls_and_nan_collapse() -> None:
    ran = _run("keys: [id]", [_row(1, math.nan), _row(1, math.nan), _row(2, None), _row(2, None)])
    assert [row["id"] for row in sorted(ran.rows, key=lambda row: row["id"])] == [1, 2]
    assert ran.rejected == []


def test_differing_rows_of_a_key_without_order_by_are_both_rejected() -> None:
    ran = _run("keys: [id]", [_row(1, 1.0), _row(1, 2.0), _row(1, 2.0), _row(2)])
    assert ran.rows == [_row(2)]
    assert [(reject.code, reject.row["price"]) for reject in ran.rejected] == [("ambiguous_key", p) for p in (1, 2, 2)]
    assert ran.rejected[0].message == "several rows have the key (id) and nothing says which is newer"


def test_a_row_that_differs_only_by_a_null_is_another_row() -> None:
    ran = _run("keys: [id]", [_row(1, 1.0), _row(1, None)])
    assert ran.rows == []
    assert len(ran.rejected) == 2


NESTED = [
    ("list<int64?>?", None, []),
    ("list<int64?>?", [], [0]),
    ("list<int64?>?", [None], []),
    ("list<list<int64?>?>?", [[1], [2]], [[1, 2]]),
    ("list<string?>?", [None], ["NULL"]),
    ("list<string?>?", ["a, b"], ["a", "b"]),
    ("struct<a: list<int64?>?, b: list<int64?>?>?", {"a": [1], "b": [2]}, {"a": [1, 2], "b": []}),
]


@pytest.mark.parametrize(("kind", "one", "other"), NESTED)
def test_rows_that_differ_in_a_nested_value_alone_are_two_rows(kind: str, one: object, other: object) -> None:
    text = _document("keys: [id]", f'{{id: int64, deep: "{kind}"}}')
    rows = [{"id": 1, "deep": one}, {"id": 1, "deep": other}, {"id": 2, "deep": other}, {"id": 2, "deep": other}]
    ran = memory_sink.run(text, {"rows": rows}, "lake")
    assert ran.rows == [{"id": 2, "deep": other}]
    assert [reject.code for reject in ran.rejected] == ["ambiguous_key"] * 2


def test_order_by_picks_the_newest() -> None:
    ran = _run("keys: [id], order_by: seen", [_row(1, 1.0, 1), _row(1, 3.0, 3), _row(1, 2.0, 2), _row(2, 9.0, 1)])
    assert sorted(ran.rows, key=lambda row: row["id"]) == [_row(1, 3.0, 3), _row(2, 9.0, 1)]
    assert ran.rejected == []


def test_a_row_of_unknown_age_never_wins() -> None:
    ran = _run("keys: [id], order_by: seen", [_row(1, 1.0, None), _row(1, 2.0, 1)])
    assert ran.rows == [_row(1, 2.0, 1)]


def test_equally_new_differing_rows_are_rejected_and_older_ones_are_not() -> None:
    ran = _run("keys: [id], order_by: seen", [_row(1, 1.0, 1), _row(1, 2.0, 2), _row(1, 3.0, 2), _row(2, 1.0, 1)])
    assert ran.rows == [_row(2, 1.0, 1)]
    # The key as a whole is in doubt: an older row must not stand in for the newest ones.
    assert sorted(reject.row["price"] for reject in ran.rejected) == [1.0, 2.0, 3.0]


def test_equally_new_identical_rows_collapse() -> None:
    ran = _run("keys: [id], order_by: seen", [_row(1, 1.0, 1), _row(1, 2.0, 2), _row(1, 2.0, 2)])
    assert ran.rows == [_row(1, 2.0, 2)]
    assert ran.rejected == []


def test_differing_rows_of_unknown_age_are_ambiguous() -> None:
    ran = _run("keys: [id], order_by: seen", [_row(1, 1.0, None), _row(1, 2.0, None)])
    assert ran.rows == []
    assert [reject.code for reject in ran.rejected] == ["ambiguous_key"] * 2


def test_null_keys_are_rejected() -> None:
    ran = _run("keys: [id, part]", [_row(None), _row(1, part=None), _row(1)])
    assert ran.rows == [_row(1)]
    assert [(reject.code, reject.column) for reject in ran.rejected] == [("null_key", "id"), ("null_key", "part")]
    assert ran.rejected[0].message == 'the key "id" is null'


def test_composite_keys_tell_rows_apart() -> None:
    rows = [_row(1, part="a"), _row(1, part="b"), _row(2, part="a")]
    ran = _run("keys: [id, part]", rows)
    assert sorted(ran.rows, key=lambda row: (row["id"], row["part"])) == rows


def test_the_empty_input_stays_empty() -> None:
    ran = _run("keys: [id], order_by: seen", [])
    assert ran.rows == []
    assert list(ran.types) == ["id", "part", "price", "seen"]


def test_the_rows_that_are_sent_have_no_columns_of_ours() -> None:
    assert list(_run("keys: [id]", [_row(1)]).rows[0]) == ["id", "part", "price", "seen"]


def test_keys_are_never_null_behind_the_rules() -> None:
    assert _run("keys: [id]", [_row(1)]).types["id"] == "int64"


def test_hostile_column_names() -> None:
    columns = '{\'a"; DROP TABLE x;--\': int64?, select: string?, "Ä ö": int64?}'
    keys = "keys: ['a\"; DROP TABLE x;--'], order_by: Ä ö"
    rows = [
        {'a"; DROP TABLE x;--': 1, "select": "old", "Ä ö": 1},
        {'a"; DROP TABLE x;--': 1, "select": "new", "Ä ö": 2},
    ]
    assert memory_sink.run(_document(keys, columns), {"rows": rows}, "lake").rows == [rows[1]]


def test_columns_with_the_names_of_our_own() -> None:
    columns = "{id: int64?, __merge_rank: int64?, __merge_hash: int64?}"
    rows = [{"id": 1, "__merge_rank": 5, "__merge_hash": 6}]
    assert memory_sink.run(_document("keys: [id]", columns), {"rows": rows}, "lake").rows == rows


@pytest.mark.parametrize(
    ("sink", "code", "message"),
    [
        ("keys: []", "CMP-222", 'the sink "lake" merges, but names no keys'),
        ("keys: [idd]", "CMP-203", 'column "idd" does not exist in "lake"'),
        ("keys: [id], order_by: sen", "CMP-203", 'column "sen" does not exist in "lake"'),
    ],
)
def test_keys_and_order_must_be_columns(sink: str, code: str, message: str) -> None:
    found = _problem(sink)
    assert (found.code, found.message) == (code, message)
    assert found.at is not None
