"""Joins, windows, deduplication, pivots and unions against the plainest reference there is: loops over small rows."""

from __future__ import annotations

import operator
import sys
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "steps"))
from harness import Other, document, run, run_document

_FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
_KEY = st.one_of(st.none(), st.integers(0, 3))
_DAY = st.one_of(st.none(), st.integers(0, 12).map(lambda n: date(2024, 1, 1) + timedelta(days=n)))
_LEFT = st.lists(st.fixed_dictionaries({"k": _KEY, "a": _KEY}), max_size=7)
_RIGHT = st.lists(st.fixed_dictionaries({"k": _KEY, "b": _KEY}), max_size=7)
_ROWS = st.lists(st.fixed_dictionaries({"k": _KEY, "day": _DAY, "n": _KEY}), max_size=9)
_VALUES = (("0", 0), ("1", 1), ("null", None))
_COLUMNS = {"k": "int64?", "day": "date?", "n": "int64?"}


def _bag(rows: list[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(row[name] for name in sorted(row)) for row in rows)


def _matches(left: dict[str, Any], right: dict[str, Any]) -> bool:
    return left["k"] is not None and left["k"] == right["k"]


def _joined(kind: str, left: list[dict[str, Any]], right: list[dict[str, Any]]) -> list[dict[str, Any]]:
    pairs = [(one, other) for one in left for other in right if kind == "cross" or _matches(one, other)]
    found = [{"k": one["k"], "a": one["a"], "b": other["b"]} for one, other in pairs]
    lonely = [one for one in left if not any(_matches(one, other) for other in right)]
    if kind in {"left", "full"}:
        found += [{**one, "b": None} for one in lonely]
    if kind in {"right", "full"}:
        unmatched = [other for other in right if not any(_matches(one, other) for one in left)]
        found += [{"k": other["k"], "a": None, "b": other["b"]} for other in unmatched]
    if kind == "anti":
        return lonely
    return [one for one in left if one not in lonely] if kind == "semi" else found


@pytest.mark.parametrize("kind", ["inner", "left", "right", "full", "cross", "semi", "anti"])
@given(left=_LEFT, right=_RIGHT)
@_FEW
def test_joins(kind: str, left: list[dict[str, Any]], right: list[dict[str, Any]]) -> None:
    on = "" if kind == "cross" else ", on: [k]"
    add = "" if kind in {"semi", "anti"} else ", add: [b]"
    step = f"- join: {{to: o, kind: {kind}{on}{add}}}"
    ran = run(step, {"k": "int64?", "a": "int64?"}, left, {"o": Other({"k": "int64?", "b": "int64?"}, right)})
    assert _bag(ran.rows) == _bag(_joined(kind, left, right))


_NEAREST: dict[str, tuple[Callable[[date, date], bool], Callable[..., date | None]]] = {
    ">=": (operator.ge, max),
    ">": (operator.gt, max),
    "<=": (operator.le, min),
    "<": (operator.lt, min),
}


@pytest.mark.parametrize("sign", _NEAREST)
@given(left=_ROWS, right=_ROWS)
@_FEW
def test_asof_takes_the_nearest_row(sign: str, left: list[dict[str, Any]], right: list[dict[str, Any]]) -> None:
    step = f"- join: {{to: o, kind: asof_left, on: 'this.k = o.k and this.day {sign} o.day', add: {{then: day}}}}"
    ran = run(step, _COLUMNS, left, {"o": Other(_COLUMNS, right)})
    fits, nearest = _NEAREST[sign]

    def then(row: dict[str, Any]) -> date | None:
        days = [other["day"] for other in right if _matches(row, other) and other["day"] and row["day"]]
        return nearest((day for day in days if fits(row["day"], day)), default=None)

    assert _bag(ran.rows) == _bag([{**row, "then": then(row)} for row in left])


@given(rows=_ROWS, days=st.integers(0, 5))
@_FEW
def test_a_moving_sum_looks_back_by_days(rows: list[dict[str, Any]], days: int) -> None:
    step = f"- window: {{partition_by: k, order_by: day, frame: {days} days preceding, columns: {{s: sum(n), c: count(*)}}}}"
    ran = run(step, _COLUMNS, rows)

    def near(row: dict[str, Any]) -> list[dict[str, Any]]:
        same = [other for other in rows if other["k"] == row["k"]]
        if row["day"] is None:
            return [other for other in same if other["day"] is None]
        return [
            other for other in same if other["day"] and timedelta(0) <= row["day"] - other["day"] <= timedelta(days)
        ]

    def total(row: dict[str, Any]) -> int | None:
        known = [other["n"] for other in near(row) if other["n"] is not None]
        return sum(known) if known else None

    assert _bag(ran.rows) == _bag([{**row, "s": total(row), "c": len(near(row))} for row in rows])


@pytest.mark.parametrize("keep", ["first", "last"])
@given(rows=_ROWS, data=st.data())
@_FEW
def test_deduplication_keeps_one_best_row_of_each_key_whatever_the_order(
    keep: str, rows: list[dict[str, Any]], data: Any
) -> None:
    step = f"- deduplicate: {{keys: [k], order_by: day, keep: {keep}}}"
    found = run(step, _COLUMNS, rows).rows
    shuffled = run(step, _COLUMNS, data.draw(st.permutations(rows))).rows
    assert _bag(found) == _bag(shuffled)
    assert Counter(row["k"] for row in found) == Counter({row["k"] for row in rows})
    choose = min if keep == "first" else max
    for row in found:
        assert row in rows
        days = [other["day"] for other in rows if other["k"] == row["k"] and other["day"] is not None]
        assert row["day"] == choose(days, default=None)


@given(rows=_ROWS)
@_FEW
def test_pivoted_sums_are_the_sums_of_their_groups(rows: list[dict[str, Any]]) -> None:
    ran = run("- pivot: {on: n, by: [k], values: [0, 1, null], measures: {c: count(*)}}", _COLUMNS, rows)
    expected = [
        {"k": key, **{name: sum(row["k"] == key and row["n"] == value for row in rows) for name, value in _VALUES}}
        for key in {row["k"] for row in rows}
    ]
    assert _bag(ran.rows) == _bag(expected)


@given(rows=_ROWS)
@_FEW
def test_unpivot_gives_every_value_once(rows: list[dict[str, Any]]) -> None:
    ran = run("- unpivot: {columns: [n, k]}", _COLUMNS, rows)
    assert _bag(ran.rows) == _bag(
        [{"day": row["day"], "name": name, "value": row[name]} for row in rows for name in ("n", "k")]
    )


@given(left=_LEFT, right=_RIGHT)
@_FEW
def test_a_union_by_name_keeps_every_row_and_distinct_each_once(
    left: list[dict[str, Any]], right: list[dict[str, Any]]
) -> None:
    others = {"o": Other({"k": "int64?", "b": "int64?"})}
    text = document("- union: {}", {"k": "int64?", "a": "int64?"}, others).replace("from: rows", "from: [rows, o]")
    data = {"rows": left, "o": right}
    expected = _bag([{**row, "b": None} for row in left] + [{"k": row["k"], "a": None, "b": row["b"]} for row in right])
    assert _bag(run_document(text, data).rows) == expected
    assert _bag(run_document(text.replace("{}", "{distinct: true}"), data).rows) == Counter(set(expected))
