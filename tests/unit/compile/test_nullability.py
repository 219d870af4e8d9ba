"""What is told to be never null: each case is run too, and the harness fails where a null comes out after all."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from harness import Other, run

_COLUMNS = {
    "a": "int64", "n": "int64?", "t": "string", "u": "string?", "f": "float64", "d": "date", "ts": "timestamp",
    "j": "json", "l": "list<int64?>", "b": "boolean", "p": "decimal(6,2)", "m": "list<int64?>?",
}  # fmt: skip
_ROWS = [
    {"a": 0, "n": None, "t": "", "u": None, "f": float("nan"), "d": dt.date(1, 1, 1), "ts": dt.datetime(1, 1, 1),  # noqa: DTZ001
     "j": "null", "l": [None], "b": False, "p": Decimal("0.00"), "m": None},
    {"a": 7, "n": 1, "t": "x", "u": "y", "f": float("inf"), "d": dt.date(9999, 12, 31), "ts": dt.datetime(2024, 1, 1),  # noqa: DTZ001
     "j": '{"k": null}', "l": [], "b": True, "p": Decimal("1.50"), "m": [1]},
]  # fmt: skip


def _nullable(steps: str) -> dict[str, bool]:
    return {item.name: item.nullable for item in run(steps, _COLUMNS, _ROWS).schema}


_NEVER_NULL = [
    "a", "t", "1", "'x'", "true", "a + 1", "a - a", "a * 2", "-a", "(a)", "a = 1", "a <> 1", "a < 1", "not b",
    "b and a > 1", "b or true", "a between 0 and 2", "t || 'x'", "upper(t)", "lower(t)", "trim(t)", "length(t)",
    "t like 'x%'", "regexp_replace(t, 'x', 'y')", "n is null", "u is not null", "n is distinct from 1",
    "coalesce(n, 0)", "coalesce(n, n, a)", "ifnull(u, '')", "case when n = 1 then 1 else 2 end", "if(n = 1, 1, 2)",
    "a::varchar", "a::int32", "p::double", "d::timestamp", "(a + 1)::decimal(20,2)",
    "replace(t, 'x', 'y')", "nfc_normalize(t)", "starts_with(t, 'x')", "l || l", "abs(a)", "md5(t)", "contains(l, 1)", "contains(t, 'x')", "regexp_matches(t, 'x')",
    "cast(b as int64)", "f + 1",
]  # fmt: skip
_MAYBE_NULL = [
    "n", "u", "null", "n + 1", "n = 1", "a + n", "coalesce(n, null)", "a / 0", "nullif(a, 0) * 2",
    "case when b then 1 end", "case when b then n else 1 end", "if(b, 1, n)", "nullif(a, 7)", "j -> 'k'",
    "try_cast(t as int64)", "l[1]", "list_extract(l, 9)", "year(d)", "n > 1 or b", "t like u", "split_part(u, 'x', 1)",
    "upper(u)", "n between 0 and 1", "try(1 // a)", "l || m", "n in (1, null)", "list_max(l)", "sqrt(f)", "json_extract_string(j, '$.k')",
]  # fmt: skip


def _told(expressions: list[str]) -> dict[str, bool]:
    """Whether each is told to be nullable; all run as columns of one step."""
    columns = ", ".join(f'v{place}: "{text}"' for place, text in enumerate(expressions))
    told = _nullable(f"- derive: {{{columns}}}")
    return {text: told[f"v{place}"] for place, text in enumerate(expressions)}


def test_values_that_are_never_null() -> None:
    assert [text for text, nullable in _told(_NEVER_NULL).items() if nullable] == []


def test_values_that_may_be_null() -> None:
    assert [text for text, nullable in _told(_MAYBE_NULL).items() if not nullable] == []


@pytest.mark.parametrize(
    ("condition", "proved"),
    [
        ("n is not null", {"n"}),
        ("not (n is null)", {"n"}),
        ("n > 0", {"n"}),
        ("0 < n", {"n"}),
        ("n = a and u = 'y'", {"n", "u"}),
        ("n = 1 or u = 'y'", set()),
        ("n = 1 or n = 2", {"n"}),
        ("n + 1 > 0", set()),
        ("n * 2 > 0", {"n"}),
        ("n::varchar = '1'", {"n"}),
        ("n in (1, 2)", {"n"}),
        ("n not in (5, 6)", {"n"}),
        ("n between 0 and 5", {"n"}),
        ("not (n between 5 and 6)", set()),
        ("u like 'y'", {"u"}),
        ("not (n = 5 or u = 'z')", {"n", "u"}),
        ("not (n = 5 and u = 'z')", set()),
        ("coalesce(n, 1) = 1", set()),
        ("n is null", set()),
        ("n is distinct from 5", set()),
        ("case when n = 1 then true end", set()),
        ("m || [1] = [1]", set()),
        ("m + [1] = [1]", set()),
        ("b", set()),
        ("true", set()),
    ],
)
def test_what_a_filter_proves(condition: str, proved: set[str]) -> None:
    before = {name for name, kind in _COLUMNS.items() if kind.endswith("?") and not kind.startswith("list<int64?>?")}
    nullable = _nullable(f'- filter: "{condition}"')
    assert {name for name in before if not nullable[name]} == proved
    assert nullable["m"] is True


def test_aggregates_of_groups_and_of_nothing() -> None:
    measures = (
        "{c: count(*), d: count(n), s: sum(a), x: max(n), y: avg(f), z: sum(a) filter (where false), w: stddev(a)}"
    )
    ran = run(f"- aggregate: {{by: [t], measures: {measures}}}", _COLUMNS, _ROWS)
    assert {item.name for item in ran.schema if item.nullable} == {"x", "z", "w"}
    ran = run(f"- aggregate: {{measures: {measures}}}", _COLUMNS)
    assert {item.name for item in ran.schema if not item.nullable} == {"c", "d"}


@pytest.mark.parametrize(
    ("kind", "nullable"),
    [("inner", set()), ("left", {"r"}), ("right", {"k", "v"}), ("full", {"k", "v", "r"})],
)
def test_the_optional_side_of_a_join_may_be_null(kind: str, nullable: set[str]) -> None:
    other = Other({"k": "int64", "r": "string"}, [{"k": 1, "r": "x"}, {"k": 3, "r": "y"}])
    rows = [{"k": 1, "v": 1}, {"k": 2, "v": 2}]
    ran = run(
        f"- join: {{to: other, kind: {kind}, on: this.k = other.k, add: [r]}}",
        {"k": "int64", "v": "int64"},
        rows,
        {"other": other},
    )
    assert {item.name for item in ran.schema if item.nullable} == nullable


def test_an_inner_join_proves_its_keys() -> None:
    other = Other({"k": "int64?", "r": "string?"}, [{"k": 1, "r": None}, {"k": None, "r": "y"}])
    rows = [{"k": 1}, {"k": None}]
    ran = run("- join: {to: other, on: [k], add: [r]}", {"k": "int64?"}, rows, {"other": other})
    assert ran.types == {"k": "int64", "r": "string?"}


def test_a_check_proves_what_it_rejects() -> None:
    ran = run("- cast: {u: int64}\n- filter: u is null", {"u": "string"}, [{"u": "x"}])
    assert ran.types == {"u": "int64"}
    assert run("- limit: 1", {"u": "string"}, [{"u": None}]).rejected[0].code == "null_value"


def test_a_union_is_null_where_one_member_is() -> None:
    other = Other({"k": "int64?", "only": "string"}, [{"k": None, "only": "x"}])
    ran = run(
        "- select: [k]\n- join: {to: other, kind: full, on: this.k = other.k, add: [only]}",
        {"k": "int64"},
        [{"k": 1}],
        {"other": other},
    )
    assert ran.types == {"k": "int64?", "only": "string?"}
