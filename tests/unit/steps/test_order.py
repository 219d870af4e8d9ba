"""sort, limit, sample."""

from __future__ import annotations

import pytest
from harness import problem, problems, run

from penstock.document.loader import load
from penstock.document.secrets import Secrets
from penstock.document.template import Values, fill
from penstock.document.validation import Owner, validate
from penstock.steps.limit import LimitParams

_COLUMNS = {"n": "int64?", "t": "string"}
_ROWS = [{"n": 2, "t": "b"}, {"n": None, "t": "a"}, {"n": 3, "t": "c"}, {"n": 2, "t": "A"}]


def _sorted(by: str) -> list[object]:
    return [row["t"] for row in run(f"- sort: {by}", _COLUMNS, _ROWS).rows]


@pytest.mark.parametrize(
    ("by", "order"),
    [
        ("n, t", ["A", "b", "c", "a"]),
        ("[n desc, t desc]", ["c", "b", "A", "a"]),
        ("n desc nulls first, t", ["a", "c", "A", "b"]),
        ("[n nulls first, t]", ["a", "A", "b", "c"]),
        ("lower(t)", ["a", "A", "b", "c"]),
        ("{by: [lower(t) desc, n]}", ["c", "b", "A", "a"]),
    ],
)
def test_sort_puts_nulls_last_unless_said(by: str, order: list[str]) -> None:
    found = _sorted(by)
    assert (found == order) or (by == "lower(t)" and sorted(found[:2]) == ["A", "a"])


@pytest.mark.parametrize(
    ("by", "code"),
    [
        ("nn", "CMP-203"),
        ("n descending", "CMP-207"),
        ("n limit 1", "CMP-207"),
        ("sum(n)", "CMP-208"),
        ("row_number() over ()", "CMP-241"),
        ("(select 1)", "CMP-240"),
        ("n; drop table x", "CMP-207"),
        ("[]", "CMP-207"),
    ],
)
def test_what_is_no_order_is_an_error(by: str, code: str) -> None:
    if by == "[]":
        assert problems(f"- sort: {by}", _COLUMNS)
    else:
        assert problem(f"- sort: {by}", _COLUMNS).code == code


def test_the_place_of_a_wrong_key_is_the_key() -> None:
    found = problem("- sort: [t, lower(nn) desc]", _COLUMNS)
    assert found.at is not None
    assert found.at.source is not None
    assert found.at.source[found.at.column - 1 : found.at.end_column - 1] == "nn"


def test_limit_takes_the_first_rows_of_the_order() -> None:
    ran = run("- sort: n desc\n- limit: 1", _COLUMNS, _ROWS)
    assert [row["t"] for row in ran.rows] == ["c"]
    assert ran.counts["result.sort"] == 4


@pytest.mark.parametrize(("rows", "left"), [(0, 0), (2, 2), (100, 4), (9223372036854775807, 4)])
def test_limit_keeps_at_most_so_many(rows: int, left: int) -> None:
    assert len(run(f"- limit: {rows}", _COLUMNS, _ROWS).rows) == left


@pytest.mark.parametrize("rows", ["-1", "1.5", "true", "many", "null", "9223372036854775808"])
def test_a_limit_is_a_whole_number(rows: str) -> None:
    assert problem(f"- limit: {rows}", _COLUMNS).code == "DOC-203"


def test_a_limit_may_be_a_parameter() -> None:
    step = fill(load("rows: ${param.most}", "test.yml"), Values({}, Secrets({}), {"most": 3}))
    params, problems = validate(LimitParams, step, Owner('step "limit"'))
    assert (params, problems) == (LimitParams(rows=3), [])


_NUMBERS = [{"i": number} for number in range(1000)]


def _sampled(params: str, rows: list[dict[str, int]] = _NUMBERS) -> list[object]:
    return sorted(row["i"] for row in run(f"- sample: {params}", {"i": "int64?"}, rows).rows)


def test_a_sample_is_the_same_whatever_the_order_of_the_rows() -> None:
    assert _sampled("{rows: 10, seed: 7}") == _sampled("{rows: 10, seed: 7}", _NUMBERS[::-1])


def test_another_seed_gives_another_sample() -> None:
    assert _sampled("{rows: 10, seed: 7}") != _sampled("{rows: 10, seed: 8}")


def test_a_sample_of_rows_has_exactly_so_many() -> None:
    assert [len(_sampled(f"{{rows: {rows}}}")) for rows in (0, 1, 999, 5000)] == [0, 1, 999, 1000]


def test_a_sample_by_percent_has_about_so_many() -> None:
    assert (len(_sampled("{percent: 0}")), len(_sampled("{percent: 100}"))) == (0, 1000)
    assert 200 < len(_sampled("{percent: 25, seed: 1}")) < 300


@pytest.mark.parametrize(
    "params", ["{}", "{rows: 1, percent: 1}", "{percent: 101}", "{percent: .nan}", "{rows: -1}", "10", "{seed: 1}"]
)
def test_a_sample_is_by_rows_or_by_percent(params: str) -> None:
    assert problem(f"- sample: {params}", _COLUMNS).code == "DOC-203"
