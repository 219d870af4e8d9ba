"""What holds of every row-wise step: empty input, nulls, hostile names; and its descriptor's own example."""

from __future__ import annotations

import json

import pytest
from harness import compile_steps, problems, run

from penstock import registry
from penstock.document.loader import load
from penstock.document.validation import located

_HOSTILE = (
    'a"; DROP TABLE x;--',
    "select",
    "Group By",
    "naïve 🛢",
    "a.b",
    "*",
    " ",
    "'; --",
    "x\ny",
    "__row",
    "this",
    "$1",
)
_COLUMNS = {"n": "int64?", "t": "string?", "d": "date?", "l": "list<int64?>?", "s": "struct<a: int64?, b: string?>?"}
_STEPS = {
    "select": "- select: [n, {m: n + 1}]",
    "rename": "- rename: {m: n}",
    "drop": "- drop: [n]",
    "derive": "- derive: {m: n + 1, t: upper(t)}",
    "cast": "- cast: {t: int64, n: string}",
    "cast_null": "- cast: {t: int64, on_error: null}",
    "filter": "- filter: n > 1 or t = 'x'",
    "filter_nested": "- filter: {any: [{column: n, op: '>', value: 1}, {column: t, op: contains, value: x}]}",
    "flatten": "- flatten: s",
    "explode": "- explode: l",
    "explode_keep": "- explode: {column: l, as: e, position: p, keep_empty: true}",
    "sort": "- sort: [n desc, t nulls first]",
    "limit": "- limit: 1",
    "sample_rows": "- sample: {rows: 1}",
    "sample_percent": "- sample: {percent: 50}",
    "normalize_text": "- normalize_text: {columns: [t], case: upper, strip_html: true}",
    "replace": "- replace: {columns: [t], find: x, with: y}",
    "replace_pattern": "- replace: {columns: [t], find: 'x+', with: y, match: pattern}",
    "fill_null": "- fill_null: {n: mean, t: {text: none}, d: mode}",
    "fill_forward": "- fill_null: {columns: {n: forward}, order_by: [d]}",
    "parse_json": "- parse_json: t",
    "parse_json_schema": "- parse_json: {column: t, as: j, schema: {a: int64?}}",
    "split": "- split: {column: t, separator: x, into: [u, v]}",
    "split_list": "- split: {column: t, separator: x}",
}
_MINE = [
    "select",
    "rename",
    "drop",
    "derive",
    "cast",
    "filter",
    "flatten",
    "explode",
    "sort",
    "limit",
    "sample",
    "normalize_text",
    "replace",
    "fill_null",
    "parse_json",
    "split",
    "python",
]


@pytest.mark.parametrize("steps", _STEPS.values(), ids=_STEPS)
def test_an_empty_input_stays_empty(steps: str) -> None:
    assert run(steps, _COLUMNS).rows == []


@pytest.mark.parametrize("steps", _STEPS.values(), ids=_STEPS)
def test_a_row_of_nulls_is_neither_an_error_nor_a_reject(steps: str) -> None:
    ran = run(steps, _COLUMNS, [dict.fromkeys(_COLUMNS)])
    assert ran.rejected == []


_ON_ONE_COLUMN = """
- select: [NAME, n]
- rename: {NAME: NAME}
- rename: {m: n}
- drop: [m]
- cast: {NAME: int64}
- cast: {NAME: string}
- filter: {column: NAME, op: '=', value: '1'}
- normalize_text: [NAME]
- replace: {columns: [NAME], find: x, with: y}
- fill_null: {NAME: {text: x}}
- sample: {rows: 5}
- derive: {NAME: "'[1]'"}
- parse_json: {column: NAME, schema: {k: int64?}, on_error: null, as: k}
- split: {column: NAME, separator: x, as: NAME}
- explode: {column: NAME, as: NAME, position: place}
- limit: 1
"""


@pytest.mark.parametrize("name", _HOSTILE)
def test_hostile_names_are_only_names(name: str) -> None:
    quoted = json.dumps(name, ensure_ascii=False)
    ran = run(_ON_ONE_COLUMN.replace("NAME", quoted), {name: "string?", "n": "int64?"}, [{name: "1", "n": 1}])
    assert ran.rows == [{"k": None, name: "[1]", "place": 1}]


def test_hostile_names_inside_structs_and_lists() -> None:
    kind = 'struct<"a""; DROP TABLE x;--": int64?, "o\'k": string?>?'
    ran = run("- flatten: s", {"s": kind}, [{"s": {'a"; DROP TABLE x;--': 1, "o'k": "v"}}])
    assert ran.rows == [{'s_a"; DROP TABLE x;--': 1, "s_o'k": "v"}]


@pytest.mark.parametrize(
    "steps",
    [
        "- select: [n, {N: n}]",
        "- rename: {T: n}",
        "- derive: {N: n + 1}",
        "- split: {column: t, separator: x, into: [u, U]}",
        "- explode: {column: l, as: N}",
        "- explode: {column: l, as: e, position: E}",
        "- parse_json: {column: t, as: N}",
        "- python: {function: 'm:f', schema: {a: int64, A: int64}}",
    ],
)
def test_names_that_differ_only_in_case_are_an_error(steps: str) -> None:
    assert [found.code for found in problems(steps, _COLUMNS)] == ["CMP-209"]


@pytest.mark.parametrize(
    "steps",
    ["- select: [n, n]", "- rename: {t: n}", "- flatten: s", "- explode: {column: l, as: n}"],
)
def test_two_columns_of_one_name_are_an_error(steps: str) -> None:
    assert [found.code for found in problems(steps, {**_COLUMNS, "s_a": "int64?"})] == ["CMP-209"]


def test_a_source_whose_columns_differ_only_in_case_is_an_error() -> None:
    assert [found.code for found in problems("- limit: 1", {"a": "int64", "A": "int64"})] == ["CMP-209"]


@pytest.mark.parametrize(
    "steps",
    [
        "- select: [nn]",
        "- rename: {x: nn}",
        "- drop: [nn]",
        "- derive: {x: nn + 1}",
        "- cast: {nn: string}",
        "- filter: nn > 1",
        "- filter: {column: nn, op: is_null}",
        "- flatten: nn",
        "- explode: nn",
        "- sort: nn desc",
        "- normalize_text: nn",
        "- replace: {columns: nn, find: x, with: y}",
        "- fill_null: {nn: 1}",
        "- parse_json: nn",
        "- split: {column: nn, separator: x}",
    ],
)
def test_an_unknown_column_is_named_with_its_place(steps: str) -> None:
    (found,) = problems(steps, {"note": "string?", "l": "list<int64?>?"})
    assert found.code == "CMP-203"
    assert found.at is not None
    assert found.at.source is not None
    assert found.at.source[found.at.column - 1 :].startswith("nn")


@pytest.mark.parametrize("name", _MINE)
def test_the_example_of_a_descriptor_validates(name: str) -> None:
    descriptor = registry.find("steps", name)
    assert descriptor is not None
    data = located(load(descriptor.example, "example.yml"))
    assert isinstance(data, dict)
    descriptor.params.model_validate(data[name])


@pytest.mark.parametrize("name", _MINE)
def test_every_parameter_says_what_it_is(name: str) -> None:
    descriptor = registry.find("steps", name)
    assert descriptor is not None
    schema = descriptor.params.model_json_schema()
    assert all(field.get("description") for field in schema["properties"].values())


def test_the_same_document_has_the_same_fingerprint() -> None:
    steps = "\n".join(["- sample: {rows: 2}", _STEPS["fill_null"], _STEPS["parse_json_schema"]])
    assert compile_steps(steps, _COLUMNS).fingerprint() == compile_steps(steps, _COLUMNS).fingerprint()
