"""Expressions of a document, through the step `derive`: what may stand there, what is told, and where."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from harness import problem, problems, run

if TYPE_CHECKING:
    from penstock.errors import Problem

_COLUMNS = {
    "a": "int64",
    "b": "string?",
    "l": "list<int64?>?",
    "j": "json?",
    "s": 'struct<x: int64?, "Y z": string?>?',
    "order": "int64?",
    "Price": "float64?",
    "day": "date?",
    "flag": "boolean?",
}
_ROW = {
    "a": 3, "b": "text", "l": [1, 2, 3], "j": '{"k": {"m": 5}, "n": null}', "s": {"x": 7, "Y z": "q"}, "order": 1,
    "Price": 1.5, "day": None, "flag": True,
}  # fmt: skip


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")


def _value(expression: str) -> object:
    return run(f'- derive: {{v: "{_escaped(expression)}"}}', _COLUMNS, [_ROW]).rows[0]["v"]


_MEANINGS = [
    ("a + 1", 4),
    ("order + 1", 2),
    ('"order" + 1', 2),
    ("PRICE", 1.5),
    ("price * 2", 3.0),
    ("s.x", 7),
    ('s."Y z"', "q"),
    ("s['x']", 7),
    ("l[1]", 1),
    ("l[-1]", 3),
    ("list_transform(l, lambda x: x + a)", [4, 5, 6]),
    ("list_transform(l, x -> x + a)", [4, 5, 6]),
    ("list_filter(l, lambda a: a > 1)", [2, 3]),
    ("[x * 2 for x in l if x > 1]", [4, 6]),
    ("[l for l in l]", [1, 2, 3]),
    ("list_reduce(l, lambda x, y: x + y)", 6),
    ("j -> '$.k.m'", "5"),
    ("j ->> '$.k.m'", "5"),
    ("coalesce(j -> '$.k', j)", '{"m":5}'),
    ("coalesce(j -> 'k' -> 'm', j)", "5"),
    ("coalesce(j ->> 'zzz', 'none')", "none"),
    ("json_extract(j, '$.k.m')::int", 5),
    ("a -- a comment; drop table x", 3),
    ("a /* one */ + /* two */ 1", 4),
    ("case when a > 1 then 'x' else b end", "x"),
    ("'it''s' || $$ a \"quote\" $$", 'it\'s a "quote" '),
    ("a::varchar || '!'", "3!"),
    ("{'k': a}", {"k": 3}),
    ("try(1 // 0)", None),
    ("a::float64 / 2", 1.5),
    ("[a]::float32[]", [3.0]),
]


def test_expressions_mean_what_duckdb_means() -> None:
    parts = [f'v{place}: "{_escaped(text)}"' for place, (text, _) in enumerate(_MEANINGS)]
    (row,) = run(f"- derive: {{{', '.join(parts)}}}", _COLUMNS, [_ROW]).rows
    found = [(text, row[f"v{place}"]) for place, (text, _) in enumerate(_MEANINGS)]
    assert found == _MEANINGS


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ("a * Unit Price", 'a name with a space stands in double quotes: `"Unit Price"`'),
        ("Order Date + a", 'a name with a space stands in double quotes: `"Order Date"`'),
        ("a as x", None),
        ("b + 1", '"b" is text: where it holds something else, give its source a `schema:` that says so, or cast it'),
        ("sqrt(day)", None),
    ],
)
def test_what_a_newcomer_writes_gets_a_hint(expression: str, hint: str | None) -> None:
    assert problem(f"- derive: {{x: {json.dumps(expression)}}}", _COLUMNS).hint == hint


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        # not one expression
        ("", "CMP-207"),
        ("-- nothing", "CMP-207"),
        ("a, b", "CMP-207"),
        ("a as x", "CMP-207"),
        ("a b", "CMP-207"),
        ("trim(a", "CMP-207"),
        ("trim(upper(a)", "CMP-207"),
        ("cast(a as bigint", "CMP-207"),
        ("try_cast(a as bigint", "CMP-207"),
        ("substring(a, 1, 2", "CMP-207"),
        ("extract(year from a", "CMP-207"),
        ("[a, b", "CMP-207"),
        ("a from x", "CMP-207"),
        ("a where true", "CMP-207"),
        ("distinct a", "CMP-207"),
        ("a limit 1", "CMP-207"),
        ("a; drop table x", "CMP-207"),
        ("a)", "CMP-207"),
        ("(a", "CMP-207"),
        ("'open", "CMP-207"),
        ("coalesce(j -> a, j)", "CMP-207"),
        # names
        ("nope", "CMP-203"),
        ("nope.x", "CMP-203"),
        ("this.a", "CMP-203"),
        ("s.nope", "CMP-203"),
        ("list_transform(l, lambda x: y)", "CMP-203"),
        ("lowr(b)", "CMP-205"),
        ("read_text('/etc/passwd')", "CMP-205"),
        # types
        ("a + b", "CMP-206"),
        ("b + 1", "CMP-206"),
        ("sqrt(day)", "CMP-206"),
        ("a::nosuchtype", "CMP-206"),
        ("a = b", "CMP-242"),
        ("a = 'x'", "CMP-242"),
        ("day > 5", "CMP-242"),
        ("day = 'yesterday morning'", "CMP-242"),
        ("day > '2024-13-02'", "CMP-242"),
        ("day between '2024-02-01' and '2023-02-29 10:00'", "CMP-242"),
        ("day >= '2024-02-01 25:00:00'", "CMP-242"),
        ("day > date '2024-02-30'", "CMP-248"),
        ("cast('1.000,5' as int) = a", "CMP-248"),
        ("'2024-06-31 24:00'::timestamp is null", "CMP-248"),
        ("b in (1, 2)", "CMP-242"),
        ("a between 'x' and 5", "CMP-242"),
        ("flag = 1", "CMP-242"),
        ("l = a", "CMP-242"),
        # what may not stand there
        ("sum(a)", "CMP-208"),
        ("1 + max(a)", "CMP-208"),
        ("histogram(a)", "CMP-208"),
        ("row_number() over ()", "CMP-241"),
        ("sum(a) over ()", "CMP-241"),
        ("(select 1)", "CMP-240"),
        ("exists (select 1)", "CMP-240"),
        ("a in (select 1)", "CMP-240"),
        ("(from x)", "CMP-240"),
        ("(values (1))", "CMP-240"),
        ("unnest(l)", "CMP-243"),
        ("generate_subscripts(l, 1)", "CMP-243"),
        ("*", "CMP-244"),
        ("s.*", "CMP-244"),
        ("columns('a')", "CMP-244"),
        ("columns(*) + 1", "CMP-244"),
        ("?", "CMP-244"),
        ("$1", "CMP-244"),
        ("#1", "CMP-244"),
        # size
        ("(" * 200 + "a" + ")" * 200, "CMP-245"),
        ("abs(" * 200 + "a" + ")" * 200, "CMP-245"),
        (" + ".join(["a"] * 500), "CMP-245"),
    ],
)
def test_what_is_wrong_has_its_own_code(expression: str, code: str) -> None:
    text = expression.replace('"', '\\"')
    found = problem(f'- derive: {{v: "{text}"}}', _COLUMNS)
    assert found.code == code
    assert found.at is not None


@pytest.mark.parametrize(
    ("step", "hint"),
    [
        ("filter: \"b == 'DE' && flag\"", "SQL writes `and`: `&&` asks whether two lists overlap"),
        ("sort: a descending", "SQL writes `desc`"),
        ('sort: "a, b Ascending"', "SQL writes `asc`"),
        ("sort: a upwards", 'a name with a space stands in double quotes: `"a upwards"`'),
    ],
)
def test_what_other_languages_write_is_told_in_sql(step: str, hint: str | None) -> None:
    assert problem(f"- {step}", _COLUMNS).hint == hint


@pytest.mark.parametrize(
    "condition",
    [
        "day > '2024-02-29'",
        "day > '0000-02-29'",
        "day < '2024-12-31 24:00:00'",
        "day > 'epoch'",
        "day > try_cast('2024-13-02' as date)",
        "try(cast('x' as int)) is null",
        "cast('0x1F' as int) = a",
    ],
)
def test_a_literal_that_is_of_its_type_is_not_refused(condition: str) -> None:
    assert run(f'- filter: "{condition} or a = 3"', _COLUMNS, [_ROW]).rows


@pytest.mark.parametrize(
    ("expression", "caret"),
    [
        ("a + nope", "nope"),
        ("a + lowr(nope)", "nope"),
        ("coalesce(a, sum(a))", "sum"),
        ("a = 1 and b > 5", "b"),
        ("a + + )", ")"),
        ("a b", "a b"),
    ],
)
def test_the_caret_stands_under_what_is_wrong(expression: str, caret: str) -> None:
    at = problem(f'- derive: {{v: "{expression}"}}', _COLUMNS).at
    assert at is not None
    assert at.source is not None
    assert at.source[at.column - 1 : at.end_column - 1] == caret


def test_the_caret_finds_its_line_in_a_block() -> None:
    at = problem("- derive:\n    v: |\n      a +\n        nope", _COLUMNS).at
    assert at is not None
    assert (at.source or "").strip() == "nope"
    assert at.column == (at.source or "").index("nope") + 1


def test_an_unknown_function_gets_a_hint_only_where_one_is_near() -> None:
    assert problem("- derive: {v: lowr(b)}", _COLUMNS).hint == 'did you mean "lower"?'
    assert problem("- derive: {v: qqqqq(b)}", _COLUMNS).hint is None


def test_a_comma_that_yaml_took_gets_a_hint() -> None:
    found = [item.hint for item in problems("- derive: {v: coalesce(a, 0)}", _COLUMNS)]
    assert found[0] == "a comma inside {...} or [...] of YAML ends the text: put the expression in quotes"


def test_a_long_chain_of_or_is_no_deep_expression() -> None:
    assert _value(" or ".join(f"a = {number}" for number in range(600))) is True


def test_the_binders_words_are_the_detail() -> None:
    found = problem("- derive: {v: a + b}", _COLUMNS)
    assert found.detail is not None
    assert "No function matches" in found.detail


@pytest.mark.parametrize("text", ["'a'", "$$x$$ || b", "1e400", "'\\x00'", "a +\t1", "ÄÖ", "🛢", "a" * 5000, "'" * 999])
def test_whatever_the_text_is_the_answer_is_a_value_or_a_problem(text: str) -> None:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
    assert all(found.code.startswith("CMP-2") for found in problems(f'- derive: {{v: "{escaped}"}}', _COLUMNS))


def _under(found: Problem) -> str:
    assert found.at is not None
    assert found.at.source is not None
    return found.at.source[found.at.column - 1 : found.at.end_column - 1]


def test_all_that_is_wrong_in_one_expression_is_told_at_once() -> None:
    found = problems("- derive: {v: (aa + bb) * sum(a) + nope(l), w: a = 'x' and b > 5}", _COLUMNS)
    assert [(item.code, _under(item)) for item in found] == [
        ("CMP-203", "aa"),
        ("CMP-203", "bb"),
        ("CMP-208", "sum"),
        ("CMP-242", "a"),
        ("CMP-242", "b"),
    ]


def test_all_that_the_engine_refuses_in_one_expression_is_told_at_once_and_by_its_columns() -> None:
    found = problems("- derive: {v: nosuch(a) + (a + b) + sqrt(day)}", _COLUMNS)
    assert sorted(item.message for item in found) == [
        '"a" + "b" cannot be typed',
        'SQRT("day") cannot be typed',
        'there is no function "nosuch"',
    ]
