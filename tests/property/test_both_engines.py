"""Random typed pipelines over random hostile rows: Spark gives the rows, types, counts and errors that DuckDB gives."""

from __future__ import annotations

import tempfile
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from passes import run as run_on_duckdb

from both_engines import on_both, run_on_spark
from penstock.errors import ConfigError, DataError

if TYPE_CHECKING:
    from both_engines import Data

COLUMNS = {
    "n": "int64?",
    "m": "int32?",
    "f": "float64?",
    "p": "decimal(10,2)?",
    "t": "string?",
    "d": "date?",
    "b": "boolean?",
}
TEXTS = ("", " ", "a", "Brent", "b,c", "ß", "İ", "e\u0301", "\U0001f600", "100%", "a_b", "12", "null", "x" * 300)
ROW = st.fixed_dictionaries(
    {
        "n": st.none() | st.integers(-3, 3) | st.sampled_from([2**62, -(2**63), 2**53 + 1]),
        "m": st.none() | st.integers(-3, 3) | st.sampled_from([2**31 - 1, -(2**31)]),
        "f": st.none() | st.sampled_from([0.0, -0.0, 1.5, -2.5, 0.1, float("nan"), float("inf"), float("-inf"), 1e300]),
        "p": st.none() | st.sampled_from([Decimal(text) for text in ("0", "1.25", "-2.50", "0.01", "99999999.99")]),
        "t": st.none() | st.sampled_from(TEXTS),
        "d": st.none()
        | st.sampled_from(
            [date(1, 1, 1), date(1582, 10, 10), date(2024, 2, 29), date(2024, 12, 30), date(9999, 12, 31)]
        ),
        "b": st.none() | st.booleans(),
    }
)


def _combined(
    parts: dict[str, tuple[str, ...]], leaves: st.SearchStrategy[str], others: dict[str, st.SearchStrategy[str]]
) -> Any:
    """Expressions of one type: its leaves, and templates whose holes ``{x}`` are of the type that the letter says."""
    whole = [
        st.tuples(*(others[letter] if letter != "x" else leaves for letter in letters)).map(
            lambda found, text=text, letters=letters: text.format(**_numbered(letters, found))
        )
        for text, letters in parts.items()
    ]
    return st.one_of(leaves, *whole)


def _numbered(letters: tuple[str, ...], found: tuple[str, ...]) -> dict[str, str]:
    return {f"{letter}{place}": f"({text})" for place, (letter, text) in enumerate(zip(letters, found, strict=True))}


_INT = st.sampled_from(["n", "m", "0", "2", "-1"])
_FLOAT = st.sampled_from(["f", "0.5::double", "f"])
_DECIMAL = st.sampled_from(["p", "1.5", "p"])
_STRING = st.sampled_from(["t", "'a'", "''"])
_DATE = st.sampled_from(["d", "date '2024-02-29'"])
_BOOL = st.sampled_from(["b", "true", "n is null"])
_LEAVES = {"i": _INT, "f": _FLOAT, "p": _DECIMAL, "s": _STRING, "d": _DATE, "b": _BOOL}
_TEMPLATES: dict[str, dict[str, tuple[str, ...]]] = {
    "i": {
        "{x0} + {x1}": ("x", "x"), "{x0} - {x1}": ("x", "x"), "{x0} * {x1}": ("x", "x"), "{x0} % {x1}": ("x", "x"),
        "abs({x0})": ("x",), "coalesce({x0}, {x1})": ("x", "x"), "length({s0})": ("s",), "year({d0})": ("d",),
        "case when {b0} then {x1} else {x2} end": ("b", "x", "x"), "cast({p0} as bigint)": ("p",), "nullif({x0}, {x1})": ("x", "x"),
        "date_diff('day', {d0}, {d1})": ("d", "d"),
    },
    "f": {
        "{x0} + {x1}": ("x", "x"), "{x0} * {x1}": ("x", "x"), "{i0} / {i1}": ("i", "i"), "{p0} / {p1}": ("p", "p"),
        "round({x0}, 2)": ("x",), "abs({x0})": ("x",), "coalesce({x0}, {x1})": ("x", "x"), "floor({x0})": ("x",),
        "cast({i0} as double)": ("i",), "case when {b0} then {x1} end": ("b", "x"),
    },
    "p": {
        "{x0} + {x1}": ("x", "x"), "{x0} - {x1}": ("x", "x"), "round({x0}, 1)": ("x",), "abs({x0})": ("x",),
        "coalesce({x0}, {x1})": ("x", "x"), "cast({f0} as decimal(12,3))": ("f",), "cast({i0} as decimal(10,2))": ("i",),
    },
    "s": {
        "{x0} || {x1}": ("x", "x"), "lower({x0})": ("x",), "upper({x0})": ("x",), "trim({x0})": ("x",), "left({x0}, 2)": ("x",),
        "replace({x0}, 'a', 'zz')": ("x",), "coalesce({x0}, {x1})": ("x", "x"), "cast({i0} as varchar)": ("i",),
        "cast({p0} as varchar)": ("p",), "case when {b0} then {x1} else {x2} end": ("b", "x", "x"), "cast({d0} as varchar)": ("d",),
        "concat({x0}, {x1})": ("x", "x"),
    },
    "d": {
        "coalesce({x0}, {x1})": ("x", "x"), "last_day({x0})": ("x",), "cast(date_trunc('month', {x0}) as date)": ("x",),
        "case when {b0} then {x1} end": ("b", "x"),
    },
    "b": {
        "{i0} > {i1}": ("i", "i"), "{f0} <= {f1}": ("f", "f"), "{p0} = {p1}": ("p", "p"), "{s0} = {s1}": ("s", "s"),
        "{s0} < {s1}": ("s", "s"), "{d0} >= {d1}": ("d", "d"), "{x0} and {x1}": ("x", "x"), "{x0} or {x1}": ("x", "x"),
        "not {x0}": ("x",), "{s0} like 'a%'": ("s",), "{i0} in ({i1}, {i2})": ("i", "i", "i"), "{s0} is not null": ("s",),
        "{i0} is distinct from {i1}": ("i", "i"), "{d0} between {d1} and {d2}": ("d", "d", "d"),
    },
}  # fmt: skip
EXPRESSIONS = {kind: _combined(_TEMPLATES[kind], _LEAVES[kind], _LEAVES) for kind in _TEMPLATES}
DEEPER = {kind: _combined(_TEMPLATES[kind], EXPRESSIONS[kind], EXPRESSIONS) for kind in _TEMPLATES}
OWN = {"n": "i", "f": "f", "p": "p", "t": "s", "d": "d", "b": "b"}


def _said(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


@st.composite
def pipelines(draw: st.DrawFn) -> str:
    """The steps of a transform, each of which leaves the columns as they were, and what stands at its end."""
    steps = []
    for place in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["derive", "filter", "deduplicate", "join", "window"]))
        match kind:
            case "derive":
                name = draw(st.sampled_from(sorted(OWN)))
                text = draw(DEEPER[OWN[name]])
                cast = {
                    "n": "bigint",
                    "f": "double",
                    "p": "decimal(10,2)",
                    "t": "varchar",
                    "d": "date",
                    "b": "boolean",
                }[name]
                steps.append(f"- derive: {{{name}: {_said(f'cast({text} as {cast})')}}}")
            case "filter":
                steps.append(f"- filter: {_said(draw(DEEPER['b']))}")
            case "deduplicate":
                keys = draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=2, unique=True))
                steps.append(f"- deduplicate: {{keys: [{', '.join(keys)}]}}")
            case "join":
                how = draw(st.sampled_from(["semi", "anti"]))
                steps.append(f'- join: {{to: others, kind: {how}, on: "this.m = others.m"}}')
            case "window":
                steps.append(f"- window: {{partition_by: [b], order_by: [t], columns: {{before_{place}: lag(m)}}}}")
    end = draw(st.sampled_from(["none", "aggregate", "select", "join"]))
    match end:
        case "aggregate":
            by = draw(st.sampled_from(["by: [b], ", "by: [t, b], ", ""]))
            steps.append(
                f"- aggregate: {{{by}measures: {{rows: count(*), least: min(p), most: max(d), some: sum(m), last: max(t)}}}}"
            )
        case "select":
            chosen = {kind: draw(DEEPER[kind]) for kind in "ifpsdb"}
            steps.append(f"- select: [{', '.join(f'{{{kind}: {_said(text)}}}' for kind, text in chosen.items())}]")
        case "join":
            how = draw(st.sampled_from(["inner", "left", "right", "full"]))
            steps.append(f'- join: {{to: others, kind: {how}, on: "this.m = others.m", add: [{{other: t}}]}}')
        case _:
            pass
    return "\n".join(f"      {step}" for step in steps)


def document(steps: str) -> str:
    columns = ", ".join(f"{name}: '{kind}'" for name, kind in COLUMNS.items())
    sources = "".join(
        f"  {name}: {{type: memory, schema: {{columns: {{{columns}}}}}}}\n" for name in ("rows", "others")
    )
    said = f"    steps:\n{steps}\n" if steps else ""
    return f"pipeline: p\nsources:\n{sources}transforms:\n  t:\n    from: rows\n{said}sinks:\n  s: {{from: t, type: memory}}\n"


def check(steps: str, data: Data) -> None:
    text = document(steps)
    with tempfile.TemporaryDirectory() as folder:
        try:
            on_both(text, Path(folder), data)
        except ConfigError as refused:
            event(f"refused: {refused.problems[0].code}")
            assume(False)
        except DataError:
            again = Path(folder) / "again"
            again.mkdir()
            with pytest.raises(DataError):  # what only Spark raises is a difference
                run_on_duckdb(text, data, again)
            try:
                run_on_spark(text, data, again)
            except DataError:
                event("an error on both engines")
            else:
                event("an error on DuckDB alone: beside a null, which makes the value irrelevant")


SMALL = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
DATA = st.fixed_dictionaries({"rows": st.lists(ROW, max_size=8), "others": st.lists(ROW, max_size=4)})


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("spark")
@settings(SMALL, max_examples=100)
@given(steps=pipelines(), data=DATA)
def test_a_hundred_pipelines(steps: str, data: Data) -> None:
    check(steps, data)


@pytest.mark.long
@pytest.mark.timeout(20_000)
@pytest.mark.usefixtures("spark")
@settings(SMALL, max_examples=2_000)
@given(steps=pipelines(), data=DATA)
def test_two_thousand_pipelines(steps: str, data: Data) -> None:
    check(steps, data)
