"""Changes of a pipeline's own logic: which there are, one at a time, each where it stands."""

from __future__ import annotations

import pytest

from penstock import registry
from penstock.compile.mutants import GONE, mutants_of
from penstock.document.read import Catalogue
from pipelines import pipeline_of

CATALOGUE = Catalogue(registry.find, registry.names)
DOCUMENT = """\
pipeline: p
sources: {{raw: {{type: csv, path: raw.csv}}}}
transforms:
  one:
    from: raw
    steps:
      - {step}
"""


def changes(text: str) -> list[tuple[str, str]]:
    found = mutants_of(pipeline_of(text, catalogue=CATALOGUE))
    return [(mutant.before, mutant.after) for mutant in found]


def of_step(step: str) -> list[tuple[str, str]]:
    """Without the change that takes the whole step away."""
    name = step.partition(":")[0]
    found = changes(DOCUMENT.format(step=step))
    assert found[0] == (name, GONE)
    return found[1:]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a < 1", [("a < 1", "a <= 1"), ("1", "2")]),
        ("a >= b", [("a >= b", "a > b")]),
        ("a = b", [("a = b", "a <> b")]),
        ("a and b or c", [("a AND b OR c", "a AND b AND c"), ("a AND b", "a OR b")]),
        ("not a", [("NOT a", "a")]),
        ("a is null", [("a IS NULL", "NOT a IS NULL")]),
        ("a in (b, c)", [("a IN (b, c)", "NOT a IN (b, c)")]),
        ("a > b + c * d", [("a > b + c * d", "a >= b + c * d"), ("b + c * d", "b - c * d"), ("c * d", "c / d")]),
        ("a > 1.5", [("a > 1.5", "a >= 1.5"), ("1.5", "(1.5 + 1)")]),
        ("coalesce(a, b)", [("COALESCE(a, b)", "a")]),
        ("starts_with(a, 'x')", []),
        ("a::decimal(10,2) = b", [("CAST(a AS DECIMAL(10, 2)) = b", "CAST(a AS DECIMAL(10, 2)) <> b")]),
    ],
)
def test_an_expression_is_changed_in_each_of_its_parts(expression: str, expected: list[tuple[str, str]]) -> None:
    assert of_step(f'filter: "{expression}"') == expected


def test_a_case_loses_its_first_branch_and_its_only_one() -> None:
    both = of_step("""derive: {b: "case when x then 'a' when y then 'b' else 'c' end"}""")
    assert both == [
        ("CASE WHEN x THEN 'a' WHEN y THEN 'b' ELSE 'c' END", "CASE WHEN y THEN 'b' ELSE 'c' END"),
    ]
    assert of_step("""derive: {b: "case when x then 'a' else 'c' end"}""")[0][1] == "'c'"


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("join: {to: raw, kind: left, on: [a]}", [("kind: left", "kind: inner")]),
        (
            "join: {to: raw, kind: semi, on: this.a < raw.a}",
            [("kind: semi", "kind: anti"), ("this.a < raw.a", "this.a <= raw.a")],
        ),
        ("limit: 5", [("rows: 5", "rows: 6")]),
        ("sort: [a, b desc]", [("a", "a desc"), ("b desc", "b")]),
        ("deduplicate: {keys: [a], order_by: b, keep: last}", [("b", "b desc"), ("keep: last", "keep: first")]),
        ("sample: {rows: 3, seed: 1}", [("rows: 3", "rows: 4")]),
        ("filter: {column: a, op: '>', value: 3}", [("a >", "a >="), ("a > 3", "a > 4")]),
        (
            "filter: {all: [{column: a, op: is_null}, {column: b, op: in, value: [x]}]}",
            [("all", "any"), ("a is_null", "a is_not_null"), ("b in", "b not_in")],
        ),
        ("aggregate: {by: [a], measures: {b: min(c)}}", [("MIN(c)", "MAX(c)")]),
    ],
)
def test_a_step_is_changed_in_what_it_takes(step: str, expected: list[tuple[str, str]]) -> None:
    assert of_step(step) == expected


def test_rules_are_removed_and_changed_wherever_they_stand() -> None:
    rules = "rules: [{range: {column: a, min: 1, on_fail: warn, max_rows: 9}}]"
    text = (
        f"pipeline: p\nsources: {{raw: {{type: csv, path: raw.csv, {rules}}}}}\ntransforms: {{one: {{from: raw, {rules}}}}}\n"
        f"sinks: {{out: {{from: one, type: csv, path: out.csv, mode: overwrite, {rules}}}}}\n"
    )
    found = list(mutants_of(pipeline_of(text, catalogue=CATALOGUE)))
    assert [(one.node, one.before, one.after, one.at.line if one.at else None) for one in found] == [
        ("raw", "rule range", GONE, 2),
        ("raw", "min: 1", "min: 2", 2),
        ("one", "rule range", GONE, 3),
        ("one", "min: 1", "min: 2", 3),
        ("out", "rule range", GONE, 4),
        ("out", "min: 1", "min: 2", 4),
    ]
    assert found[0].pipeline.sources["raw"].rules == ()
    assert found[0].pipeline.transforms == found[-1].pipeline.transforms


def test_a_query_loses_its_condition_and_joins_otherwise() -> None:
    text = (
        "pipeline: p\ntransforms: {one: {sql: select distinct a.x from a join b using (k) where a.y > 2 order by x}}\n"
    )
    assert sorted(changes(text)) == [
        ("2", "3"),
        ("DISTINCT", GONE),
        ("JOIN b USING (k)", "LEFT JOIN b USING (k)"),
        ("WHERE a.y > 2", GONE),
        ("a.y > 2", "a.y >= 2"),
        ("x", "x DESC"),
    ]


def test_a_change_stands_where_it_was_made() -> None:
    found = mutants_of(pipeline_of(DOCUMENT.format(step='filter: "a = 1 and bcd < 2"'), catalogue=CATALOGUE))
    places = {mutant.before: (mutant.at.line, mutant.at.column) for mutant in found if mutant.at is not None}
    assert places == {
        "filter": (7, 9),
        "a = 1 AND bcd < 2": (7, 18),
        "a = 1": (7, 18),
        "bcd < 2": (7, 28),
        "1": (7, 18),
        "2": (7, 28),
    }
