"""Any sequence of steps over any rows: what compiling told is what comes, and no row is lost without an account."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "steps"))
from harness import Ran, run

_COLUMNS = {"n": "int64?", "f": "float64?", "t": "string?", "d": "date?", "b": "boolean?", "l": "list<int64?>?"}
_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
_ROW = st.fixed_dictionaries(
    {
        "n": st.none() | st.integers(-(2**40), 2**40),
        "f": st.none() | st.floats(),
        "t": st.none()
        | _TEXT
        | st.sampled_from(["1", " 2 ", "2024-01-01", '{"a": 1}', "null", "[1", "x,y", "<b>é</b>"]),
        "d": st.none() | st.dates(),
        "b": st.none() | st.booleans(),
        "l": st.none() | st.lists(st.none() | st.integers(-100, 100), max_size=3),
    }
)
# Each keeps the columns it found and their types, so that any may follow any.
_STEPS = st.sampled_from(
    [
        "derive: {n: 'coalesce(n, 0) % 1000', f: f * 2}",
        "derive: {t: \"coalesce(t, 'none')\", b: n > 1}",
        "derive: {d: case when n > 0 then d end}",
        "filter: n is not null",
        "filter: n > 1 or b",
        "filter: {any: [{column: t, op: contains, value: x}, {not: [{column: f, op: '>', value: 0}]}]}",
        "fill_null: {n: median, t: {text: none}, f: 0}",
        "fill_null: {columns: {n: forward, d: mode}, order_by: [f, n, t, d, b]}",
        "normalize_text: {strip_html: true, case: upper}",
        "replace: {columns: [n], values: [{find: 0, with: null}, {find: 1, with: 2}]}",
        "replace: {columns: [t], find: x, with: y, match: part}",
        "cast: {t: json}",
        "cast: {t: string}",
        "sort: [n desc, t nulls first]",
        "limit: 5",
        "sample: {percent: 50}",
        "sample: {rows: 3}",
        "rename: {n: n}",
    ]
)
_TEXT_STEPS = ("normalize_text", "replace: {columns: [t]", "filter: {any", "derive: {t", "fill_null: {n")
_ENDS = st.sampled_from(
    [
        "explode: {column: l, as: e, position: p, keep_empty: true}",
        "explode: l",
        "parse_json: {column: t, schema: {a: int64}}",
        "split: {column: t, separator: ',', into: [u, v]}",
        "cast: {t: date, f: int32, n: int8}",
        "cast: {columns: {t: 'decimal(6,2)', d: timestamp}, on_error: null}",
        "select: [n, {m: n + 1}, {s: '{''a'': l}'}]",
    ]
)


def _kept(steps: list[str]) -> list[str]:
    """Without text steps over a column that is json for the moment."""
    json, kept = False, []
    for step in steps:
        if step.startswith("cast: {t"):
            json = "json" in step
        if not (json and step.startswith(_TEXT_STEPS)):
            kept.append(step)
    return [*kept, "cast: {t: string}"] if json else kept


def _balanced(ran: Ran) -> bool:
    """in = out + rejected at each check; projections, sorts keep their number (architecture.md §6)."""
    for node in ran.nodes:
        into, out = ran.counts[node.inputs[0]], ran.counts[node.id]
        lost = len({id(item) for item in ran.rejected if item.node == node.id})
        match str(node.kind):
            case "project" | "sort":
                if into != out:
                    return False
            case "check":
                if not (into - lost <= out <= into and (lost > 0) == (out < into)):
                    return False
            case "filter" | "limit" | "sample":
                if out > into:
                    return False
    return True


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(_ROW, max_size=6), st.lists(_STEPS, max_size=5), _ENDS)
def test_what_is_told_is_what_comes(rows: list[dict[str, object]], steps: list[str], end: str) -> None:
    text = "\n".join(f"- {step}" for step in [*_kept(steps), end])
    assert _balanced(run(text, _COLUMNS, rows))
