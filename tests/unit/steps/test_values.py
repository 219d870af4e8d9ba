"""normalize_text, replace, fill_null: columns keep their type and get other values."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from harness import problem, run


def _normal(params: str, *texts: str | None) -> list[object]:
    step = f"- normalize_text: {params}"
    return [row["t"] for row in run(step, {"t": "string?", "n": "int64"}, [{"t": t, "n": 0} for t in texts]).rows]


def test_by_default_space_is_trimmed_and_collapsed_and_unicode_composed() -> None:
    assert _normal("t", "  a \t\n b\u00a0\u2003c ", "e\u0301", "", "   ", None) == ["a b c", "é", "", "", None]


def test_each_part_can_be_turned_off() -> None:
    text = " a  e\u0301 "
    assert _normal("{trim: false, collapse_space: false, unicode: null}", text) == [text]
    assert _normal("{trim: false}", text) == [" a é "]
    assert _normal("{collapse_space: false}", text) == ["a  é"]


def test_case() -> None:
    assert _normal("{case: upper}", "äb") == ["ÄB"]
    assert _normal("{case: lower}", "ÄB") == ["äb"]


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<b>H</b>ello", "Hello"),
        ("a<br>b<br/>c", "a b c"),
        ("<p class='x'>one</p><p>two</p>", "one two"),
        ("a<script>if (1<2) x()</script>b", "a b"),
        ("a<!-- <b>no</b> -->b", "a b"),
        ("1 < 2 &amp;&amp; 3 > 2", "1 < 2 && 3 > 2"),
        ("&amp;lt; &lt;b&gt; &quot;q&#39;", "&lt; <b> \"q'"),
        ("<td>a</td><td>b</td>", "a b"),
        ("<a href='x\ny'>link</a>", "link"),
        ("a < b and c <d", "a < b and c <d"),
    ],
)
def test_html_is_stripped(html: str, text: str) -> None:
    assert _normal("{strip_html: true}", html) == [text]


def test_without_columns_every_text_is_meant() -> None:
    ran = run(
        "- normalize_text: {case: upper}", {"a": "string", "n": "int64", "b": "string?"}, [{"a": "x", "n": 1, "b": "y"}]
    )
    assert ran.rows == [{"a": "X", "n": 1, "b": "Y"}]
    assert ran.types == {"a": "string", "n": "int64", "b": "string?"}


def test_what_is_not_text_is_an_error() -> None:
    assert problem("- normalize_text: [n]", {"n": "int64"}).code == "CMP-251"
    assert problem("- normalize_text: {}", {"n": "int64"}).code == "CMP-252"


# ---------------------------------------------------------------- replace

_COLUMNS = {"c": "string?", "n": "int8?", "p": "decimal(6,2)?", "d": "date?"}
_ROWS = [
    {"c": "UK", "n": 1, "p": Decimal("1.50"), "d": dt.date(2024, 1, 1)},
    {"c": "n/a", "n": -1, "p": None, "d": None},
    {"c": None, "n": None, "p": None, "d": None},
]


def _replaced(params: str, column: str) -> list[object]:
    ran = run(f"- replace: {params}", _COLUMNS, _ROWS)
    assert ran.types == _COLUMNS
    return [row[column] for row in ran.rows]


def test_whole_values_are_replaced_at_once() -> None:
    swap = "{columns: c, values: [{find: UK, with: n/a}, {find: n/a, with: UK}]}"
    assert _replaced(swap, "c") == ["n/a", "UK", None]
    assert _replaced("{columns: [c], find: n/a, with: null}", "c") == ["UK", None, None]


def test_values_are_of_the_columns_type() -> None:
    assert _replaced("{columns: n, find: -1, with: null}", "n") == [1, None, None]
    assert _replaced("{columns: n, find: 1, with: 127}", "n") == [127, -1, None]
    assert _replaced("{columns: p, find: 1.5, with: '2.25'}", "p") == [Decimal("2.25"), None, None]
    assert _replaced("{columns: d, find: 2024-01-01, with: 2024-01-02}", "d") == [dt.date(2024, 1, 2), None, None]


def test_parts_are_replaced_wherever_they_stand() -> None:
    assert _replaced("{columns: c, find: '/', with: '', match: part}", "c") == ["UK", "na", None]
    assert _replaced("{columns: c, find: '.', with: x, match: part}", "c") == ["UK", "n/a", None]


def test_patterns_are_replaced_with_their_groups() -> None:
    assert _replaced(r"{columns: c, find: '(\w)/(\w)', with: '\2-\1', match: pattern}", "c") == ["UK", "a-n", None]


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ("{columns: n, find: 300, with: 1}", "CMP-258"),
        ("{columns: n, find: 1, with: one}", "CMP-258"),
        ("{columns: c, find: 1, with: x}", "CMP-258"),
        ("{columns: n, find: '1', with: x, match: part}", "CMP-251"),
        ("{columns: c, find: '[', with: x, match: pattern}", "CMP-247"),
        ("{columns: c}", "DOC-203"),
        ("{columns: c, find: x}", "DOC-203"),
        ("{columns: c, find: x, with: y, values: [{find: a, with: b}]}", "DOC-203"),
        ("{columns: c, values: [{find: a}]}", "DOC-202"),
        ("{columns: c, find: null, with: x}", "DOC-203"),
        ("{columns: c, find: x, wiht: y}", "DOC-201"),
    ],
)
def test_mistakes_of_replace(params: str, code: str) -> None:
    assert problem(f"- replace: {params}", _COLUMNS).code == code


# ---------------------------------------------------------------- fill_null

_DAYS = {
    "k": "string",
    "day": "int64",
    "n": "int64?",
    "f": "float64?",
    "t": "string?",
    "d": "date?",
    "p": "decimal(6,2)?",
}


def _day(k: str, day: int, n: int | None = None, **others: object) -> dict[str, object]:
    return {"k": k, "day": day, "n": n, "f": None, "t": None, "d": None, "p": None, **others}


def _filled(params: str, rows: list[dict[str, object]], column: str) -> list[object]:
    ran = run(f"- fill_null: {params}", _DAYS, rows)
    assert {name: kind.rstrip("?") for name, kind in ran.types.items()} == {n: k.rstrip("?") for n, k in _DAYS.items()}
    assert len(ran.rows) == len(rows)
    return [row[column] for row in ran.rows]


def test_given_values_make_a_column_that_is_never_null() -> None:
    ran = run("- fill_null: {n: 0, f: 1.5, t: {text: none}, d: \"'2024-01-01'\", p: 0}", _DAYS, [_day("a", 1)])
    assert ran.rows[0] | {"k": "", "day": 0} == {
        "k": "", "day": 0, "n": 0, "f": 1.5, "t": "none", "d": dt.date(2024, 1, 1), "p": Decimal("0.00")
    }  # fmt: skip
    assert all(not item.nullable for item in ran.schema)


def test_another_column_can_fill() -> None:
    assert _filled("{n: day}", [_day("a", 7), _day("a", 8, 1)], "n") == [7, 1]


def test_methods_look_at_the_other_values() -> None:
    rows = [_day("a", 1, 1), _day("a", 2, 2), _day("a", 3, 2), _day("a", 4, 6), _day("a", 5)]
    assert _filled("{n: mean}", rows, "n")[4] == 3
    assert _filled("{n: median}", rows, "n")[4] == 2
    assert _filled("{n: mode}", rows, "n")[4] == 2


def test_of_equally_frequent_values_the_least_is_the_mode() -> None:
    rows = [_day("a", 1, 5), _day("a", 2, 3), _day("a", 3)]
    assert _filled("{n: mode}", rows, "n") == _filled("{n: mode}", rows[::-1], "n")[::-1] == [5, 3, 3]


def test_the_median_of_dates_is_a_date() -> None:
    rows = [_day("a", 1, d=dt.date(2024, 1, 1)), _day("a", 2, d=dt.date(2024, 1, 3)), _day("a", 3)]
    assert _filled("{d: median}", rows, "d")[2] == dt.date(2024, 1, 2)


def test_forward_takes_the_last_value_before_within_its_group() -> None:
    rows = [_day("a", 2), _day("b", 2), _day("a", 1, 10), _day("a", 3, 30), _day("a", 4), _day("b", 3, 5)]
    step = "{columns: {n: forward}, partition_by: [k], order_by: [day]}"
    found = {(row["k"], row["day"]): row["n"] for row in run(f"- fill_null: {step}", _DAYS, rows).rows}
    assert found == {("a", 1): 10, ("a", 2): 10, ("a", 3): 30, ("a", 4): 30, ("b", 2): None, ("b", 3): 5}


def test_where_no_value_is_there_null_stays() -> None:
    assert _filled("{n: mean, t: mode}", [_day("a", 1)], "n") == [None]


def test_a_column_called_like_a_method_is_a_column() -> None:
    ran = run("- fill_null: {n: mean}", {"n": "int64?", "mean": "int64"}, [{"n": None, "mean": 4}])
    assert ran.rows == [{"n": 4, "mean": 4}]


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ("{n: forward}", "CMP-260"),
        ("{t: mean}", "CMP-261"),
        ("{t: median}", "CMP-261"),
        ("{n: 1.5}", "CMP-262"),
        ("{n: {text: none}}", "CMP-262"),
        ("{t: 0}", "CMP-262"),
        ("{d: 0}", "CMP-262"),
        ("{n: null}", "CMP-262"),
        ("{p: f}", "CMP-262"),
        ("{p: 99999}", "CMP-262"),
        ("{n: mena}", "CMP-203"),
        ("{n: sum(n)}", "CMP-208"),
        ("{}", "DOC-202"),
        ("[n]", "DOC-203"),
    ],
)
def test_mistakes_of_fill_null(params: str, code: str) -> None:
    assert problem(f"- fill_null: {params}", _DAYS).code == code
