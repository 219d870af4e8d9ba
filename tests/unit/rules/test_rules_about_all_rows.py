"""Rules about all rows: what they measure, when the rows violate them, what is said of it; and keys of another node."""

import math
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from demands import document, held, judged, wrong
from harness import compile_document, run_document

from penstock.graph.nodes import Check

_TYPES = {"n": "int64?", "f": "float64?", "d": "date?", "t": "string?", "m": "decimal(12,2)?"}
_MORE = {"k": "int64?", "x": "string?", "g": "float64?", "m": "decimal(14,4)?"}
NAN, INF = math.nan, math.inf


def column(name, values):
    return [{**dict.fromkeys(_TYPES), name: value} for value in values]


@pytest.mark.parametrize(
    ("rule", "rows", "said"),
    [
        ("{min: 2}", 2, None),
        ("{min: 3}", 2, "there are 2 rows, and should be at least 3"),
        ("{max: 2}", 2, None),
        ("{max: 1}", 2, "there are 2 rows, and should be at most 1"),
        ("{min: 1, max: 3}", 0, "there are 0 rows, and should be at least 1 and at most 3"),
        ("{min: 0, max: 0}", 0, None),
    ],
)
def test_rows_are_counted(rule, rows, said):
    assert judged(f"row_count: {rule}", _TYPES, column("n", range(rows))) == ({"rows": rows}, said)


@pytest.mark.parametrize(
    ("values", "limit", "share", "said"),
    [
        ([None, 1, 2, 3], "25 %", 0.25, None),
        ([None, 1, 2, 3], "24.9 %", 0.25, '25.0 % of "n" is null, and should be at most 24.9 %'),
        ([None] * 3, "100 %", 1, None),
        ([None, *range(999)], "0.1 %", 0.001, None),
        ([1], "0 %", 0, None),
        ([None], "0 %", 1, '100.0 % of "n" is null, and should be at most 0 %'),
        ([], "0 %", None, None),
    ],
)
def test_nulls_are_a_share_of_all_rows(values, limit, share, said):
    found = judged(f"null_share: {{columns: n, max: {limit}}}", _TYPES, column("n", values))
    assert found == ({"null share of n": share}, said)


def test_each_column_has_its_own_share_and_only_those_over_it_are_told():
    rows = [{"n": 1, "f": NAN, "t": ""}, {"n": None, "f": 1.0, "t": None}]
    shares, said = judged("null_share: {columns: [n, f, t], max: 40 %}", {k: _TYPES[k] for k in "nft"}, rows)
    assert shares == {"null share of n": 0.5, "null share of f": 0, "null share of t": 0.5}
    assert said == '50.0 % of "n" is null, 50.0 % of "t" is null, and should be at most 40 %'


@pytest.mark.parametrize(
    ("name", "values", "number"),
    [
        ("n", [1, 1, 2, None], 2),
        ("f", [0.0, -0.0, NAN, NAN, INF], 3),
        ("t", ["", "a", "A", "é", "e\u0301", "🛢", None], 6),
        ("d", [date(1, 1, 1), date(9999, 12, 31), date(1, 1, 1)], 2),
        ("n", [], 0),
    ],
)
def test_different_values_are_counted(name, values, number):
    rows = column(name, values)
    assert judged(f"distinct_count: {{column: {name}, min: {number}}}", _TYPES, rows) == ({"distinct": number}, None)
    asked = f", and should be at least {number + 1} and at most 99"
    assert judged(f"distinct_count: {{column: {name}, min: {number + 1}, max: 99}}", _TYPES, rows) == (
        {"distinct": number},
        f'"{name}" has {number} different values{asked}',
    )


@pytest.mark.parametrize(
    ("kind", "values", "within", "age", "said"),
    [
        ("date", [date(2024, 2, 29), date(2024, 2, 1), None], "1 day", 86_400, None),
        ("date", [date(2024, 2, 28)], "36 h", 172_800, 'the newest "a" is 2.0 days old, and should be at most 1.5 days'),
        ("date", [date(2024, 2, 1)], "5 days", 29 * 86_400, 'the newest "a" is 29.0 days old, and should be at most 5 days'),
        ("date", [date.max], "1 s", None, None),
        ("timestamp", [datetime.fromisoformat("2024-03-01T11:59:00")], "60 s", 60, None),
        ("timestamp", [datetime.fromisoformat("2024-03-01T11:58:59")], "60 s", 61, 'the newest "a" is 1.02 min old, and should be at most 1 min'),
        ("timestamptz", [datetime(2024, 3, 1, 12, 0, 1, tzinfo=UTC)], "1 s", -1, None),
        ("timestamptz", [None, None], "1 s", None, None),
        ("date", [], "1 s", None, None),
    ],
)  # fmt: skip
def test_the_newest_value_has_an_age(kind, values, within, age, said):
    rows = [{"a": value} for value in values]
    measures, found = judged(f"freshness: {{column: a, within: {within}}}", {"a": f"{kind}?"}, rows)
    assert found == said
    assert age is None or measures == {"age_s of a": age}


def test_infinities_are_no_values_of_a_time():
    text = document("- freshness: {column: e, within: 1 day}", {"a": "string?"})
    text = text.replace("    from: rows\n", '    from: rows\n    steps: [{derive: {e: "a::date"}}]\n')
    text += "  shown: {from: result, steps: [{drop: [e]}]}\n"
    found = run_document(text, {"rows": [{"a": "infinity"}, {"a": None}]}, "shown").judged["freshness"]
    assert (found["measures"], found["violated"]) == ({"age_s of e": None}, False)


@pytest.mark.parametrize(
    ("rule", "name", "values", "there", "said"),
    [
        ("{column: m, to: more}", "m", [Decimal("1.50"), None, Decimal(2)], [Decimal("3.5")], None),
        ("{column: m, to: more}", "m", [Decimal("1.50")], [Decimal("1.5001")], '"m" adds up to 1.50, and "m" of "more" to 1.5001'),
        ("{column: m, to: more, tolerance: 0.0001}", "m", [Decimal("1.50")], [Decimal("1.5001")], None),
        ("{column: m, to: more}", "m", [], [], None),
        ("{column: m, to: more}", "m", [], [Decimal("0.01")], '"m" adds up to 0.00, and "m" of "more" to 0.0100'),
        ("{column: n, to: more, of: k}", "k", [2**62, 2**62], [2**62, 2**62], None),
        ("{column: n, to: more, of: k}", "k", [2**62, 2**62], [2**62, 2**62, 1], '"n" adds up to 9223372036854775808, and "k" of "more" to 9223372036854775809'),
        ("{column: f, to: more, of: g}", "g", [0.5, 0.25], [0.75], None),
        ("{column: f, to: more, of: g, tolerance: 1}", "g", [NAN], [NAN], '"f" adds up to nan, and "g" of "more" to nan'),
        ("{column: n, to: more, of: m}", "m", [3], [Decimal(3)], None),
    ],
)  # fmt: skip
def test_two_columns_add_up_to_the_same(rule, name, values, there, said):
    own = rule[9:10]
    more = [{**dict.fromkeys(_MORE), name: value} for value in there]
    _, found = judged(f"sum_equals: {rule}", _TYPES, column(own, values), _MORE, more)
    assert found == said


@pytest.mark.parametrize(
    ("name", "values", "asked", "measures", "said"),
    [
        ("n", [1, 2, 3, None], "mean: {min: 2, max: 2}", {"mean": 2}, None),
        ("n", [1, 2, 3], "mean: {max: 1.5}", {"mean": 2}, 'the mean of "n" is 2.0, and should be at most 1.5'),
        ("n", [1, 2, 3], "stddev: {min: 1}", {"stddev": 1}, None),
        (
            *("m", [Decimal("1.5"), Decimal("2.5")], "mean: {min: 3}, stddev: {max: 9}, quantiles: {p0: {min: 1}, p100: {min: 3, max: 4}}"),
            {"mean": 2, "stddev": math.sqrt(0.5), "p0": 1.5, "p100": 2.5},
            'the mean of "m" is 2.0, and should be at least 3, the p100 of "m" is 2.5, and should be at least 3 and at most 4',
        ),
        ("f", [NAN, INF, -INF, 4.0], "mean: {min: 4, max: 4}", {"mean": 4}, None),
        ("f", [NAN, None], "mean: {min: 4}", {"mean": None}, None),
        ("n", [1], "stddev: {min: 4}", {"stddev": None}, None),
        (
            "f",
            [1e308, -1e308, 1e308],
            "stddev: {max: 4}",
            None,
            'the stddev of "f" is none that a double can hold, and should be at most 4',
        ),
        ("n", [], "quantiles: {p50: {max: 0}}", {"p50": None}, None),
        ("n", range(101), "quantiles: {p50: {min: 49, max: 51}, p25: {min: 24, max: 26}}", None, None),
    ],
)  # fmt: skip
def test_a_column_is_distributed_as_said(name, values, asked, measures, said):
    figures, found = judged(f"distribution: {{column: {name}, {asked}}}", _TYPES, column(name, values))
    assert found == said
    assert measures is None or figures == pytest.approx(measures)


def test_a_rule_compares_with_what_its_own_rows_come_from():
    text = document("- sum_equals: {column: n, to: rows}", {"n": "int64?"})
    text = text.replace("    from: rows\n", "    from: rows\n    steps: [{filter: n > 1}]\n")
    found = run_document(text, {"rows": [{"n": 1}, {"n": 2}]}).judged["sum_equals"]
    assert (found["violated"], found["measures"]) == (True, {"sum": 2})


# ---------------------------------------------------------------- keys of another node


@pytest.mark.parametrize(
    ("kinds", "there", "good", "bad"),
    [
        ("int64", [1, 2, 2, None], [None, 1, 2, 2], [3, 0]),
        ("string", ["", "é", "a"], [None, "", "é", "a"], ["A", " ", "e\u0301"]),
        ("float64", [0.0, -0.0, NAN], [None, 0.0, -0.0, NAN], [INF, 5e-324]),
        ("date", [date(1, 1, 1)], [date(1, 1, 1)], [date(9999, 12, 31)]),
        ("int64", [], [None], [1]),
    ],
)
def test_a_key_is_one_that_the_other_node_has(kinds, there, good, bad):
    text = document("- referential: {columns: a, to: more, on: k}", {"a": f"{kinds}?"}, {"k": f"{kinds}?"})
    data = {"rows": [{"a": value} for value in [*bad, *good]], "more": [{"k": value} for value in there]}
    ran = run_document(text, data)
    assert sorted(map(repr, (row["a"] for row in ran.rows))) == sorted(map(repr, good))
    assert {(item.code, item.column, item.message) for item in ran.rejected} == {
        ("referential", "a", '"more" has no row with its (a)')
    }
    assert ran.schema.names == ("a",)


def test_a_key_of_several_columns_is_known_as_a_whole_and_one_that_is_null_in_part_passes():
    types = {"a": "int64?", "b": "string?"}
    rows = [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": None}, {"a": None, "b": "z"}]
    rules = "- referential: {columns: [a, b], to: more}\n- unique: a\n- referential: {columns: b, to: more}"
    ran = run_document(document(rules, types, types), {"rows": rows, "more": [rows[0], {"a": 7, "b": "y"}]})
    assert {(item.code, item.row["a"], item.row["b"]) for item in ran.rejected} == {
        ("referential", 1, "y"),
        ("unique", 1, "x"),
        ("unique", 1, "y"),
        ("referential_2", None, "z"),
    }
    assert ran.rows == [rows[2]]


def test_a_node_may_point_into_itself():
    text = document("- referential: {columns: boss, to: rows, on: id}", {"id": "int64", "boss": "int64?"})
    rows = [{"id": 1, "boss": None}, {"id": 2, "boss": 1}, {"id": 3, "boss": 9}]
    assert run_document(text, {"rows": rows}).rows == rows[:2]


# ---------------------------------------------------------------- documents


def test_all_rules_of_a_place_are_one_check_and_those_about_all_rows_reject_none():
    rules = "- row_count: {min: 5}\n- not_null: n\n- freshness: {column: d, within: 1 day}\n  on_fail: fail"
    graph, _ = compile_document(document(rules, _TYPES))
    (check,) = [node for node in graph.nodes if isinstance(node, Check)]
    assert [(rule.code, rule.on_fail) for rule in check.table_rules] == [("row_count", "warn"), ("freshness", "fail")]
    ran = held(rules, _TYPES, column("n", [1, None]))
    assert (len(ran.rows), ran.judged["row_count"]["measures"]) == (1, {"rows": 2})


@pytest.mark.parametrize(
    ("rule", "codes"),
    [
        ("row_count: {}", ["DOC-203"]),
        ("row_count: {min: 2, max: 1}", ["DOC-203"]),
        ("row_count: {min: -1}", ["DOC-203"]),
        ("row_count: {min: 1, on_fail: reject}", ["DOC-203"]),
        ("row_count: {min: 1, max_rows: 1}", ["DOC-201"]),
        ("null_share: {columns: [nn, tt], max: 1 %}", ["CMP-203", "CMP-203"]),
        ("null_share: {columns: n}", ["DOC-202"]),
        ("distinct_count: {column: n}", ["DOC-203"]),
        ("distinct_count: {column: nn, min: 1}", ["CMP-203"]),
        ("freshness: {column: t, within: 1 day}", ["CMP-371"]),
        ("freshness: {column: d, within: soon}", ["DOC-203"]),
        ("distribution: {column: t, mean: {min: 1}}", ["CMP-371"]),
        ("distribution: {column: n}", ["DOC-203"]),
        ("distribution: {column: n, mean: {}}", ["DOC-203"]),
        ("distribution: {column: n, mean: {min: 2, max: 1}}", ["DOC-203"]),
        ("distribution: {column: n, quantiles: {p101: {min: 1}}}", ["DOC-203"]),
        ("sum_equals: {column: t, to: more, of: k}", ["CMP-371"]),
        ("sum_equals: {column: n, to: more, of: x}", ["CMP-371"]),
        ("sum_equals: {column: n, to: more}", ["CMP-203"]),
        ("sum_equals: {column: n, to: mor, of: k}", ["CMP-201"]),
        ("sum_equals: {column: n, to: more, of: k, tolerance: -1}", ["DOC-203"]),
        ("sum_equals: {column: n, to: result, of: n}", ["CMP-202"]),
        ("referential: {columns: [n, t], to: more, on: k}", ["CMP-373"]),
        ("referential: {columns: n, to: more}", ["CMP-203"]),
        ("referential: {columns: n, to: more, on: x}", ["CMP-242"]),
        ("referential: {columns: n, to: more, on: g}", ["CMP-242"]),
        ("referential: {columns: nn, to: more, on: k}", ["CMP-203"]),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_at_its_place(rule, codes):
    found = wrong(f"- {rule}", _TYPES, _MORE)
    assert [item.code for item in found] == codes
    assert {item.at.line for item in found} == {9}
