"""What holds of every step that looks at more than one row: empty input, nulls, hostile names, its own example."""

from __future__ import annotations

import json

import pytest
from harness import Other, compile_document, problems, run

from penstock import registry

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
    "$1",
    "this",
)
_OTHERS = {"o": Other({"k": "string?", "z": "int64?"}, [{"k": "1", "z": 1}, {"k": None, "z": 2}])}
_COLUMNS = {"k": "string?", "n": "int64?", "d": "date?"}
_STEPS = {
    "join_left": "- join: {to: o, kind: left, on: [k], add: [z]}",
    "join_anti": "- join: {to: o, kind: anti, on: this.k = o.k}",
    "join_asof": "- join: {to: o, kind: asof_left, on: this.n >= o.z, add: [z]}",
    "aggregate": "- aggregate: {by: [k], measures: {a: sum(n), b: last(n order by d), c: 'quantile_cont(n, 0.9)'}}",
    "window": "- window: {partition_by: k, order_by: d, frame: 2 rows preceding, columns: {a: sum(n), b: lag(n)}}",
    "window_days": "- window: {order_by: d, frame: 2 days preceding, columns: {a: avg(n), b: last_value(n)}}",
    "pivot": "- pivot: {on: k, by: [d], values: [x], measures: {a: sum(n)}}",
    "unpivot": "- unpivot: {columns: [n]}",
    "deduplicate": "- deduplicate: {keys: [k], order_by: d, keep: last}",
    "sql": "- sql: select k, sum(n) as a from this group by k",
}


@pytest.mark.parametrize("steps", _STEPS.values(), ids=_STEPS)
def test_an_empty_input_stays_empty(steps: str) -> None:
    assert run(steps, _COLUMNS, [], _OTHERS).rows == []


@pytest.mark.parametrize("steps", _STEPS.values(), ids=_STEPS)
def test_a_row_of_nulls_gives_one_row(steps: str) -> None:
    ran = run(steps, _COLUMNS, [dict.fromkeys(_COLUMNS)], _OTHERS)
    assert len(ran.rows) == 1
    assert ran.rejected == []


@pytest.mark.parametrize("name", _HOSTILE)
def test_hostile_names_are_only_names(name: str) -> None:
    quoted = json.dumps(name, ensure_ascii=False)
    sql = json.dumps('"' + name.replace('"', '""') + '"', ensure_ascii=False)
    steps = f"""
- join: {{to: o, as: {quoted.replace("this", "that")}, kind: left, on: [{quoted}], add: {{added: {quoted}}}}}
- window: {{partition_by: [{quoted}], order_by: {sql}, columns: {{number: row_number()}}}}
- deduplicate: {{keys: [{quoted}], order_by: number}}
- unpivot: {{columns: [added], names_to: x, values_to: y}}
- aggregate: {{by: [{quoted}], measures: {{{quoted[:-1]}_2": count(*)}}}}
- pivot: {{on: {quoted}, by: [{quoted}], values: [{quoted}], measures: {{n: count(*)}}, }}
"""
    pivoted = steps.replace(f"values: [{quoted}]", f'values: {{{quoted[:-1]}_3": {quoted}}}')
    others = {"o": Other({name: "string?"}, [{name: name}])}
    ran = run(pivoted, {name: "string?"}, [{name: name}, {name: name}], others)
    assert ran.rows == [{name: name, f"{name}_3": 1}]


@pytest.mark.parametrize("name", ["aggregate", "deduplicate", "join", "pivot", "sql", "union", "unpivot", "window"])
def test_the_example_of_a_step_compiles_and_every_parameter_is_described(name: str) -> None:
    found = registry.find("steps", name)
    assert found is not None
    columns = "brent: float64?, wti: float64?, price_date: date, trade_date: date, revised_at: timestamp?"
    columns += "" if name == "unpivot" else ", crude: string?, price: float64?, price_usd: float64?"
    text = "pipeline: test\nsources:\n"
    text += f"  rows: {{type: memory, schema: {{columns: {{{columns}}}}}}}\n"
    text += "  fx: {type: memory, schema: {columns: {day: date, usd: float64}}}\ntransforms:\n"
    text += f"  result:\n    from: {'[rows, rows]' if name == 'union' else 'rows'}\n    steps:\n      - "
    text += found.example.replace("\n", "\n        ") + "\n"
    graph, warnings = compile_document(text)
    assert graph.outputs["result"].startswith("result.")
    assert warnings == ()
    assert all(field.description for field in found.params.model_fields.values())
    assert found.params.model_json_schema()["properties"]
    assert found.notes


@pytest.mark.parametrize(
    ("step", "missing"),
    [
        ("drop: [aa, bb]", "aa bb"),
        ("cast: {aa: int64, bb: date}", "aa bb"),
        ("rename: {x: aa, y: bb}", "aa bb"),
        ("unpivot: {columns: [aa, bb], names_to: n, values_to: v}", "aa bb"),
        ("normalize_text: {columns: [aa, bb], case: lower}", "aa bb"),
        ("replace: {columns: [aa, bb], values: [{find: x, with: y}]}", "aa bb"),
        ("fill_null: {aa: 1, bb: 2}", "aa bb"),
        ("flatten: {columns: [aa, bb]}", "aa bb"),
        ("deduplicate: {keys: [aa, bb], order_by: 'cc, dd'}", "aa bb cc dd"),
        ("sort: [aa, bb desc]", "aa bb"),
        ("filter: {any: [{column: aa, op: is_null}, {not: [{column: bb, op: is_null}]}]}", "aa bb"),
        ("aggregate: {by: [aa, bb], measures: {x: sum(cc), y: max(dd)}}", "aa bb cc dd"),
        ("pivot: {on: aa, by: [bb], values: [x], measures: {x: sum(cc)}}", "aa bb cc"),
        ("window: {partition_by: [aa], order_by: 'bb, cc', columns: {x: sum(dd)}}", "aa bb cc dd"),
        ("join: {to: other, on: this.aa = other.bb and this.cc > 1, add: [dd, ee]}", "aa bb cc dd ee"),
    ],
)
def test_all_columns_that_a_step_lacks_are_told_at_once(step: str, missing: str) -> None:
    found = problems(f"- {step}", {"k": "int64"}, {"other": Other({"k2": "int64"})})
    assert {item.code for item in found} == {"CMP-203"}
    assert sorted(item.message.split('"')[1] for item in found) == missing.split()
