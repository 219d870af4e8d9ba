"""Both outcomes of every rule over hostile values, and what holds of each: nulls, empty input, all rows bad."""

from __future__ import annotations

import math
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from demands import document, held, passing, wrong
from harness import compile_document, run_document

from penstock import registry
from penstock.rules.postcode import PATTERNS

UTC = ZoneInfo("UTC")
NAN, INF = math.nan, math.inf
OLD, FAR = date(1500, 2, 28), date(9999, 12, 31)
HUGE = "x" * 1_000_000
COMBINING = "e\u0301"  # e and a combining accent
_TEXTS = ("", " ", "a", COMBINING, "é", "🛢", "a\nb", "\x00", HUGE)
_TYPES = {"n": "int64?", "f": "float64?", "d": "date?", "t": "string?", "u": "string?", "l": "list<int64?>?"}


def same(found, wanted) -> bool:
    """Equal, NaN with NaN and -0.0 not with 0.0."""
    return [repr(item) for item in found] == [repr(item) for item in wanted]


@pytest.mark.parametrize(
    ("rule", "kind", "good", "bad"),
    [
        ("not_null: a", "float64", [0.0, -0.0, NAN, INF], [None]),
        ("not_null: a", "string", list(_TEXTS), [None]),
        ("range: {column: a, min: 0}", "float64", [None, 0.0, -0.0, 1e308, INF], [-1e-300, NAN, -INF]),
        ("range: {column: a, max: 0}", "float64", [None, 0.0, -0.0, -INF], [5e-324, NAN, INF]),
        ("range: {column: a, above: 0, below: 1}", "float64", [None, 5e-324, 0.5], [0.0, -0.0, 1.0, NAN, INF, -INF]),
        ("range: {column: a, max: .inf}", "float32", [None, INF, 1.0], [NAN]),
        (
            "range: {column: a, min: -9223372036854775808, max: 9}",
            "int64",
            [None, -(2**63), 9],
            [10, 2**63 - 1],
        ),
        ("range: {column: a, above: 0.01}", "decimal(4,2)", [None, Decimal("0.02")], [Decimal("0.01"), Decimal("-1.00")]),
        ("range: {column: a, min: 1582-10-15}", "date", [None, date(1582, 10, 15), FAR], [OLD, date(1, 1, 1)]),
        (
            "range: {column: a, below: '2024-01-01T00:00:00Z'}",
            "timestamptz",
            [None, datetime(2023, 12, 31, 23, 59, 59, 999_999, UTC)],
            [datetime(2024, 1, 1, tzinfo=UTC)],
        ),
        ("in_set: {column: a, values: [a, é, '']}", "string", [None, "", "a", "é"], [" ", "A", COMBINING, "🛢", HUGE]),
        ("in_set: {column: a, values: [0, .nan]}", "float64", [None, 0.0, -0.0, NAN], [1.0, INF]),
        ("in_set: {column: a, values: [true]}", "boolean", [None, True], [False]),
        ("not_in_set: {column: a, values: ['', n/a]}", "string", [None, " ", "N/A", "🛢"], ["", "n/a"]),
        ("not_in_set: {column: a, values: [1500-02-28]}", "date", [None, FAR], [OLD]),
        ("pattern: {column: a, pattern: '[a-z]+'}", "string", [None, "abc", HUGE], ["", "Abc", "abc ", "a\nb", "🛢"]),
        ("pattern: {column: a, pattern: '.?'}", "string", [None, "", "é", "🛢"], [COMBINING, "ab", "\n"]),
        ("pattern: {column: a, pattern: 'a|b'}", "string", ["a", "b"], ["ab", "xa", "bx"]),
        ("length: {column: a, min: 1, max: 2}", "string", [None, " ", "🛢", "é", COMBINING], ["", "abc", HUGE]),
        ("length: {column: a, max: 1}", "list<int64?>", [None, [], [None]], [[1, 2], [None, None]]),
        (
            "email: a",
            "string",
            [None, "a@b.org", "first.last+tag@sub.example.co.uk", "jürgen@müller.de", "用户@例え.jp", "x@1.a-b.c"],
            ["", "a", "a@b", "@b.org", "a@", ".a@b.org", "a.@b.org", "a..b@c.org", "a b@c.org", "a@-b.org", "a@b.org\n"],
        ),
        (
            "url: a",
            "string",
            [
                *(None, "http://a", "HTTPS://a.org/", "https://a.org:8443/x?y=1#z", "https://u:p@a.org"),
                *("http://[::1]:80/", "https://müller.de/ü?q=🛢", "http://127.0.0.1"),
            ],
            ["", "a.org", "ftp://a.org", "http://", "http:///x", "http://a b", "https://a.org/x y", "javascript:alert(1)", "http://a.org/\n"],
        ),
        (
            "phone: a",
            "string",
            [None, "+14155552671", "+491701234567", "+123456789012345"],
            ["", "+", "004915", "+0123456789", "+123456", "+1234567890123456", "+1 415 555 2671", "+1415555267a"],
        ),
        (
            "phone: {columns: a, separators: true}",
            "string",
            [None, "+14155552671", "+1 (415) 555-2671", "+49/170.123-4567"],
            ["", "+1  415 555 2671", "415 555 2671", "+1 415", "+1 415 555 2671 ext 2"],
        ),
        ("postcode: {column: a, country: DE}", "string", [None, "01067", "99998"], ["", "1067", "D-01067", "0106\uff17"]),
        ("postcode: {column: a, country: GB}", "string", [None, "SW1A 1AA", "M11AE", "GIR 0AA"], ["", "SW1A", "12345"]),
        (
            "date_format: {column: a, format: '%d.%m.%Y'}",
            "string",
            [None, "31.12.1499", "29.02.2024", "1.2.2024"],
            ["", "30.02.2024", "29.02.1900", "2024-01-31", "31.12.1499 ", "🛢"],
        ),
        ("expression: a > 1", "int64", [None, 2], [1, -(2**63)]),
        ("expression: 'a = a + 0'", "float64", [None, 1.0, -0.0, NAN, INF], []),
        ("unique: a", "float64", [None, None, 1.0], [0.0, -0.0, NAN, NAN]),
        ("unique: a", "string", [None, None, "a", "A", "é", COMBINING], ["", "", "🛢", "🛢", HUGE, HUGE]),
        ("primary_key: a", "date", [OLD, FAR], [None, None, date(1, 1, 1), date(1, 1, 1)]),
    ],
)  # fmt: skip
def test_what_passes_and_what_does_not(rule, kind, good, bad):
    assert same(sorted(passing(rule, kind, [*bad, *good]), key=repr), sorted(good, key=repr))
    assert passing(rule, kind, bad) == []
    assert passing(rule, kind, []) == []


_EACH = {
    "not_null": "not_null: n",
    "range": "range: {column: f, min: 1, max: 2}",
    "in_set": "in_set: {column: t, values: [x]}",
    "not_in_set": "not_in_set: {column: n, values: [1]}",
    "pattern": "pattern: {column: t, pattern: x}",
    "length": "length: {column: l, min: 1}",
    "email": "email: [t, u]",
    "url": "url: [t, u]",
    "phone": "phone: [t, u]",
    "postcode": "postcode: {column: t, country_column: u}",
    "date_format": "date_format: {column: t, format: '%Y'}",
    "expression": "expression: n > f",
    "compare_columns": "compare_columns: {left: n, op: <, right: f}",
    "unique": "unique: {columns: [n, t], order_by: d desc}",
    "primary_key": "primary_key: [n, t]",
    "monotonic": "monotonic: {column: f, order_by: d, partition_by: t}",
    "referential": "referential: {columns: [n, t], to: more, on: [k, x]}",
    "json_schema": "json_schema: {column: t, schema: {type: object}}",
    "row_count": "row_count: {min: 1000}",
    "null_share": "null_share: {columns: [n, t], max: 1 %}",
    "distinct_count": "distinct_count: {column: n, max: 1}",
    "distribution": "distribution: {column: n, mean: {min: 1}, stddev: {max: 1}, quantiles: {p50: {min: 1}}}",
    "freshness": "freshness: {column: d, within: 1 day}",
    "sum_equals": "sum_equals: {column: n, to: more, of: k}",
    "anomaly": "anomaly: {metric: null_share, column: n}",
}
_MORE = {"k": "int64?", "x": "string?"}


def held_beside(name, rows):
    return run_document(document(f"- {_EACH[name]}", _TYPES, _MORE), {"rows": rows, "more": [{"k": 1, "x": "a"}]})


def test_every_rule_is_here():
    assert sorted(_EACH) == sorted(registry.names("rules"))


@pytest.mark.parametrize("name", _EACH)
def test_a_row_of_nulls_passes_every_rule_that_does_not_speak_of_null(name):
    ran = held_beside(name, [dict.fromkeys(_TYPES)] * 3)
    assert len(ran.rows) == (0 if name in {"not_null", "primary_key"} else 3)


@pytest.mark.parametrize("name", _EACH)
def test_an_empty_input_stays_empty(name):
    assert held_beside(name, []).rows == []


@pytest.mark.parametrize("name", _EACH)
def test_the_columns_are_those_that_came_in(name):
    assert held_beside(name, []).schema.names == tuple(_TYPES)


@pytest.mark.parametrize("name", _EACH)
def test_the_example_of_a_rule_compiles(name):
    columns = {
        **dict.fromkeys(("crude", "country", "series", "symbol", "contact", "homepage", "mobile", "zip"), "string?"),
        "delivered": "string?",
        "payload": "json?",
        "price_usd": "float64?",
        "counter": "int64?",
        "low": "int64?",
        "high": "int64?",
        "price_date": "date?",
        "revised_at": "timestamp?",
        "read_at": "timestamp?",
        "meter": "int64?",
        "amount": "decimal(12,2)?",
        "customer_id": "int64?",
    }
    found = registry.find("rules", name)
    text = document(f"- {found.example}", columns, {"id": "int64?", "total": "decimal(12,2)?"})
    other = next((word for word in ("customers", "orders") if f"to: {word}" in found.example), "more")
    compile_document(text.replace("  more: {type", f"  {other}: {{type"))
    assert found.notes


@pytest.mark.parametrize(
    ("rule", "codes"),
    [
        ("not_null: [nn, tt]", ["CMP-203", "CMP-203"]),
        ("range: {column: t, min: 1}", ["CMP-371"]),
        ("range: {column: n, min: 1.5}", ["CMP-258"]),
        ("range: {column: d, min: 2024-02-30}", ["CMP-258"]),
        ("range: {column: n}", ["DOC-203"]),
        ("range: {column: n, min: 1, above: 1}", ["DOC-203"]),
        ("range: {column: n, min: 2, below: 1}", ["DOC-203"]),
        ("range: {column: n, gt: 1}", ["DOC-201"]),
        ("in_set: {column: n, values: [1, x, y]}", ["CMP-258", "CMP-258"]),
        ("in_set: {column: l, values: [1]}", ["CMP-371"]),
        ("not_in_set: {column: n, values: []}", ["DOC-203"]),
        ("pattern: {column: t, pattern: '('}", ["CMP-247"]),
        ("pattern: {column: n, pattern: x}", ["CMP-371"]),
        ("length: {column: n, min: 1}", ["CMP-371"]),
        ("length: {column: t}", ["DOC-203"]),
        ("length: {column: t, min: 2, max: 1}", ["DOC-203"]),
        ("email: [t, n]", ["CMP-371"]),
        ("url: d", ["CMP-371"]),
        ("phone: n", ["CMP-371"]),
        ("postcode: {column: n, country: DE}", ["CMP-371"]),
        ("postcode: {column: t, country: XX}", ["DOC-203"]),
        ("postcode: {column: t}", ["DOC-203"]),
        ("postcode: {column: t, country_column: n}", ["CMP-371"]),
        ("date_format: {column: d, format: '%Y'}", ["CMP-371"]),
        ("date_format: {column: t, format: 'YYYY'}", ["DOC-203"]),
        ("date_format: {column: t, format: '%Q'}", ["DOC-203"]),
        ("expression: n", ["CMP-246"]),
        ("expression: count(*) > 1", ["CMP-208"]),
        ("expression: row_number() over () = 1", ["CMP-241"]),
        ("expression: n in (select 1)", ["CMP-240"]),
        ("expression: random() < 0.5", ["CMP-372"]),
        ("compare_columns: {left: n, op: <, right: t}", ["CMP-242"]),
        ("compare_columns: {left: n, op: '~', right: f}", ["DOC-203"]),
        ("unique: {columns: [nn], order_by: dd}", ["CMP-203", "CMP-203"]),
        ("primary_key: {columns: [nn], order_by: dd}", ["CMP-203", "CMP-203"]),
        ("monotonic: {column: t, order_by: dd, partition_by: [nn]}", ["CMP-371", "CMP-203", "CMP-203"]),
        ("monotonic: {column: n}", ["DOC-202"]),
        ("not_null: {columns: n, scope: epoch}", ["DOC-201"]),
    ],
)
def test_what_does_not_fit_is_told_at_its_place(rule, codes):
    found = wrong(f"- {rule}", _TYPES)
    assert [item.code for item in found] == codes
    assert {item.at.line for item in found} == {8}


# ---------------------------------------------------------------- rules about several columns or rows

_PAIRS = [(1, 2.0), (2, 2.0), (3, 2.0), (None, 1.0), (1, None), (1, NAN), (1, INF)]


@pytest.mark.parametrize(
    ("op", "kept"),
    [
        ("<", [0, 3, 4, 5, 6]),
        ("<=", [0, 1, 3, 4, 5, 6]),
        (">", [2, 3, 4]),
        (">=", [1, 2, 3, 4]),
        ("=", [1, 3, 4]),
        ("!=", [0, 2, 3, 4, 5, 6]),
    ],
)
def test_two_columns_are_compared(op, kept):
    rows = [{"id": place, "n": n, "f": f} for place, (n, f) in enumerate(_PAIRS)]
    ran = held(
        f"- compare_columns: {{left: n, op: '{op}', right: f}}", {"id": "int64", "n": "int64?", "f": "float64?"}, rows
    )
    assert [row["id"] for row in ran.rows] == kept


def test_a_postcode_is_one_of_its_rows_country():
    codes = {"DE": "01067", "GB": "SW1A 1AA", "US": "94103-1234", "XX": "anything", None: "-"}
    rows = [{"c": country, "z": code} for country, code in codes.items()] + [{"c": "US", "z": "SW1A 1AA"}]
    ran = held("- postcode: {column: z, country_column: c}", {"c": "string?", "z": "string?"}, rows)
    assert ran.rows == rows[:-1]
    assert ran.rejected[0].message == '"z" is no postcode of its country: SW1A 1AA'
    assert len(PATTERNS) >= 20


_GROUPS = [(1, "x", 3), (1, "x", 1), (1, "x", 2), (1, None, 1), (1, None, 2), (2, "x", None), (2, "x", 5), (3, "x", 1)]
_GROUP = {"k": "int64?", "t": "string?", "o": "int64?"}


def groups(rule):
    ran = held(f"- {rule}", _GROUP, [dict(zip("kto", row, strict=True)) for row in _GROUPS])
    return [tuple(row.values()) for row in ran.rows], ran


def test_unique_without_an_order_rejects_the_whole_group():
    kept, ran = groups("unique: [k, t]")
    assert sorted(map(repr, kept)) == sorted(map(repr, [(1, None, 1), (1, None, 2), (3, "x", 1)]))
    assert {item.message for item in ran.rejected} == {"it is one of several rows with the same (k, t)"}


def test_unique_with_an_order_keeps_the_first():
    assert set(groups("unique: {columns: [k, t], order_by: o}")[0]) == {
        (1, "x", 1), (1, None, 1), (1, None, 2), (2, "x", 5), (3, "x", 1),
    }  # fmt: skip
    assert (1, "x", 3) in groups("unique: {columns: [k, t], order_by: o desc}")[0]


def test_what_the_order_leaves_equal_is_decided_alike_whatever_the_order_of_rows():
    rows = [{"k": 1, "t": text, "o": 1} for text in "abcdef"]
    rule = "- unique: {columns: k, order_by: o}"
    assert held(rule, _GROUP, rows).rows == held(rule, _GROUP, rows[::-1]).rows
    assert len(held(rule, _GROUP, rows).rows) == 1


def test_a_primary_key_is_unique_and_never_null():
    kept, ran = groups("primary_key: {columns: [k, t], order_by: o}")
    assert set(kept) == {(1, "x", 1), (2, "x", 5), (3, "x", 1)}
    assert {item.message for item in ran.rejected} == {
        '"t" is null',
        "it is not the first of several rows with the same (k, t)",
    }


@pytest.mark.parametrize(
    ("more", "values", "kept"),
    [
        ("", [1.0, 5.0, 2.0, 3.0, 5.0, 6.0], [1.0, 5.0, 5.0, 6.0]),
        ("strictly: true", [1.0, 5.0, 2.0, 5.0, 6.0], [1.0, 5.0, 6.0]),
        ("direction: decreasing", [3.0, 1.0, 2.0, 1.0, INF], [3.0, 1.0, 1.0]),
        ("direction: decreasing, strictly: true", [3.0, 3.0, -0.0, 0.0], [3.0, -0.0]),
        ("", [1.0, None, NAN, 0.5, 2.0], [1.0, None, 2.0]),
        ("", [-INF, INF, 1.0], [-INF, INF]),
    ],
)
def test_what_passes_is_monotonic(more, values, kept):
    rows = [{"o": place, "a": value} for place, value in enumerate(values)]
    rule = f"- monotonic: {{column: a, order_by: o, {more}}}"
    ran = held(rule, {"o": "int64", "a": "float64?"}, rows)
    assert same([row["a"] for row in sorted(ran.rows, key=lambda row: row["o"])], kept)


def test_each_series_is_monotonic_by_itself_and_ties_of_the_order_go_nowhere():
    rows = [{"k": key, "o": order, "a": value} for key, order, value in [(1, 1, 9), (1, 1, 3), (1, 2, 8), (2, 3, 1)]]
    columns = {"k": "int64", "o": "int64", "a": "int64"}
    ran = held("- monotonic: {column: a, order_by: o, partition_by: k}", columns, rows)
    assert sorted(row["a"] for row in ran.rows) == [1, 3, 9]
