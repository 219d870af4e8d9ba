"""What a plan says: in which order sinks are filled, what is kept or spooled for them, and when it is the same plan."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

UNIT = Path(__file__).parents[1]
sys.path.insert(0, str(UNIT / "compile"))
import clever  # noqa: E402 -- lies beside the tests of compiling

from penstock.connectors.api import Preparation  # noqa: E402
from penstock.errors import ConfigError  # noqa: E402
from penstock.graph.nodes import Project  # noqa: E402
from penstock.plan.make import make_plan  # noqa: E402
from penstock.plan.stages import Acknowledge, Commit, Keep, Pass, Seal, Spool  # noqa: E402
from penstock.types import Schema  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.plan.stages import Plan

_COLUMNS = "schema: {columns: {id: int64?, k: string?, n: int64?}}"
_HEAD = f"pipeline: test\nsources:\n  a: {{type: steady, {_COLUMNS}}}\n"


def _plan(text: str, changes: Mapping[str, Preparation] | None = None) -> Plan:
    found = {name: use.contract for name, use in clever.read(text).sources.items() if use.contract is not None}
    return make_plan(clever.compiled(text, found), changes or {})


def _kinds(plan: Plan) -> list[str]:
    return [type(stage).__name__ for stage in plan.stages]


# ---------------------------------------------------------------- the order of passes

_CHAIN = (
    _HEAD + "transforms:\n"
    "  first: {from: a, steps: [{filter: n > 1}]}\n"
    "  second: {from: lake, steps: [{select: [k]}]}\n"
    "  third: {from: [shore], steps: [{aggregate: {by: [k], measures: {rows: count(*)}}}]}\n"
    "sinks:\n"
    "  sea: {from: third, type: drain}\n"
    "  lake: {from: first, type: table}\n"
    "  side: {from: first, type: drain}\n"
    "  shore: {from: second, type: table}\n"
)


def test_a_sink_is_read_back_after_its_own_commit() -> None:
    plan = _plan(_CHAIN)
    assert [(stage.number, stage.reads, stage.tables, set(stage.sinks)) for stage in plan.passes] == [
        (1, ("a",), (), {"lake", "side"}),
        (2, (), ("lake.table",), {"shore"}),
        (3, (), ("shore.table",), {"sea"}),
    ]
    assert _kinds(plan) == ["Pass", "Commit", "Commit", "Pass", "Commit", "Pass", "Commit", "Seal", "Acknowledge"]
    assert plan.stages[-2:] == (Seal(), Acknowledge(("a",)))
    assert set(plan.commits) == {"lake", "side", "shore", "sea"}


def test_a_node_that_needs_two_sinks_waits_for_both() -> None:
    text = (
        _HEAD + "transforms:\n  both: {from: [lake, shore]}\n  more: {from: lake, steps: [{limit: 1}]}\n"
        "sinks:\n  lake: {from: a, type: table}\n  shore: {from: more, type: table}\n  sea: {from: both, type: drain}\n"
    )
    assert [stage.sinks for stage in _plan(text).passes] == [("lake",), ("shore",), ("sea",)]


def test_sinks_that_feed_each_other_are_a_circle() -> None:
    text = (
        _HEAD + "transforms:\n  t: {from: lake, steps: [{limit: 1}]}\n  u: {from: shore, steps: [{limit: 1}]}\n"
        "sinks:\n  lake: {from: u, type: table}\n  shore: {from: t, type: table}\n"
    )
    with pytest.raises(ConfigError) as caught:
        _plan(text)
    assert "CMP-202" in {problem.code for problem in caught.value.problems}


def test_a_sink_that_is_only_written_cannot_be_read_back() -> None:
    with pytest.raises(ConfigError) as caught:
        _plan(
            _HEAD + "transforms:\n  t: {from: out, steps: [{limit: 1}]}\n"
            "sinks:\n  out: {from: a, type: drain}\n  more: {from: t, type: drain}\n"
        )
    assert [problem.code for problem in caught.value.problems] == ["CMP-223"]


def test_stages_are_values() -> None:
    plan = _plan(_CHAIN)
    assert plan == _plan(_CHAIN)
    with pytest.raises(AttributeError):
        plan.stages[0].number = 7  # type: ignore[misc, union-attr]


# ---------------------------------------------------------------- what is shared


def _two_sinks(source: str, steps: str) -> str:
    return (
        f"pipeline: test\nsources:\n  a: {{type: {source}, schema: {{columns: {{id: int64?, k: string?}}}}}}\n"
        f"transforms:\n  t: {{from: a, steps: [{steps}]}}\n"
        "sinks:\n  one: {from: t, type: drain}\n  two: {from: t, type: drain}\n"
    )


def _shared(text: str) -> list[tuple[str, str, str]]:
    return [(item.node, item.how, item.because) for stage in _plan(text).passes for item in stage.shared]


def test_what_two_sinks_need_is_computed_once() -> None:
    assert _shared(_two_sinks("steady", "{filter: id > 1}")) == [("t.filter", "kept", "one and two need it")]


def test_a_few_columns_of_parquet_files_are_read_again() -> None:
    ((node, how, because),) = _shared(_two_sinks("parquet", "{select: [id]}"))
    assert (node, how) == ("t.select", "read again")
    assert "cheaper" in because


def test_what_one_sink_needs_twice_is_one_statement() -> None:
    text = (
        _HEAD + "transforms:\n  t: {from: a, steps: [{filter: n > 1}, {join: {to: a, as: o, on: this.id = o.n, add: "
        "{m: n}}}]}\nsinks:\n  out: {from: t, type: drain}\n"
    )
    assert _shared(text) == []


def test_a_python_step_ends_a_statement() -> None:
    python = "{python: {function: 'm:f', schema: {id: int64?}}}"
    text = (
        _HEAD
        + f"transforms:\n  base: {{from: a, steps: [{{filter: n > 1}}]}}\n  t: {{from: base, steps: [{python}]}}\n"
        "  u: {from: base, steps: [{select: [id]}]}\n  both: {from: [t, u]}\nsinks:\n  out: {from: both, type: drain}\n"
    )
    ((node, how, because),) = _shared(text)
    assert (node, how) == ("base.filter", "kept")
    assert because.endswith("need it")


def test_a_source_that_shifts_is_kept_where_rejects_are_looked_for_again() -> None:
    text = _two_sinks("shifting", "{cast: {k: int64}}").replace("  two: {from: t, type: drain}\n", "")
    assert ("a", "kept", "its source gives other rows when it is read again") in _shared(text)
    assert _shared(text.replace("cast: {k: int64}", "select: [id]")) == []


# ---------------------------------------------------------------- what is spooled


@pytest.mark.parametrize(
    ("source", "sinks", "because"),
    [
        ("steady", 1, None),
        ("steady", 2, None),
        ("shifting", 1, None),
        ("shifting", 2, "several sinks must get the same rows, and it cannot be read twice alike"),
        ("answering", 1, "its answers are kept as they came, so that they can be read again"),
        ("answering", 2, "its answers are kept as they came, so that they can be read again"),
    ],
)
def test_what_is_spooled_and_why(source: str, sinks: int, because: str | None) -> None:
    text = _two_sinks(source, "{select: [id]}")
    plan = _plan(text if sinks == 2 else text.replace("  two: {from: t, type: drain}\n", ""))
    assert [stage.because for stage in plan.stages if isinstance(stage, Spool)] == ([because] if because else [])
    assert _kinds(plan)[: len(plan.spools)] == ["Spool"] * len(plan.spools)


# ---------------------------------------------------------------- what is kept until the seal


@pytest.mark.parametrize(
    ("steps", "kept"),
    [
        ("{limit: 3}", ["t.limit"]),
        ("{sort: [id]}, {limit: 3}", ["t.limit"]),
        ("{sql: select * from this limit 3}", ["t.sql"]),
        ('{sql: "select *, row_number() over (order by k) as i from this"}', ["t.sql"]),
        ('{sql: "select k, sum(n::double) as s from this group by k"}', ["t.sql"]),
        ('{sql: "select k, sum(n) as s from this group by k"}', []),
        ("{limit: 9}, {filter: n > 1}, {limit: 3}", ["t.limit_2"]),
        ('{aggregate: {by: [k], measures: {s: "sum(n::double)"}}}', ["t.aggregate"]),
        ('{aggregate: {by: [k], measures: {s: "max(n::double)", i: sum(n)}}}', []),
        ('{window: {partition_by: [k], columns: {s: "avg(n::double)"}}}', ["t.window"]),
        ('{window: {partition_by: [k], order_by: id, columns: {s: "sum(n::double)"}}}', ["t.window"]),
        ('{window: {order_by: id, frame: 6 rows preceding, columns: {s: "sum(n::double)", b: lag(n::double)}}}', []),
        ("{window: {order_by: id, columns: {i: row_number()}}}", []),
        ("{deduplicate: {keys: [k]}}", []),
        ("{sample: {rows: 3}}", []),
        ("{filter: n > 1}", []),
    ],
)
def test_what_two_sinks_share_is_kept_where_it_could_fall_otherwise(steps: str, kept: list[str]) -> None:
    text = _HEAD + f"transforms:\n  t: {{from: a, steps: [{steps}]}}\nsinks:\n  one: {{from: t, type: drain}}\n"
    plan = _plan(text + "  two: {from: t, type: drain}\n")
    found = [stage for stage in plan.stages if isinstance(stage, Keep)]
    assert [stage.node for stage in found] == sorted(plan.keeps) == kept
    assert all(stage.because.startswith("one and two must get the same rows") for stage in found)
    assert not _plan(text).keeps


def test_what_leads_to_a_kept_node_and_elsewhere_is_kept_too() -> None:
    text = (
        _HEAD + "transforms:\n  t: {from: a, steps: [{limit: 9}]}\n  u: {from: t, steps: [{limit: 3}]}\n"
        "sinks:\n  one: {from: u, type: drain}\n  two: {from: u, type: drain}\n  three: {from: t, type: drain}\n"
    )
    plan = _plan(text)
    assert _kinds(plan)[:3] == ["Keep", "Keep", "Pass"]
    assert [stage.node for stage in plan.stages if isinstance(stage, Keep)] == ["t.limit", "u.limit"]
    assert plan.passes[0].reads == ("t.limit", "u.limit")
    assert plan.hash != _plan(text.replace("limit: 3", "filter: n > 3")).hash


# ---------------------------------------------------------------- what a commit will do

_SINK = _HEAD + "sinks:\n  out: {from: a, type: table%s}\n"


def _fields(**columns: str) -> tuple:
    return tuple(Schema.of(columns))


@pytest.mark.parametrize(
    ("more", "change", "words"),
    [
        ("", None, "appends the rows"),
        ("", Preparation(), "appends the rows"),
        ("", Preparation(creates=True), "creates the table, then appends the rows"),
        (", mode: merge, keys: [id]", None, "merges by id"),
        (", mode: merge, keys: [id, k], order_by: n", None, "merges by id and k, the newest n wins"),
        ("", Preparation(adds=_fields(k="string?", n="int64?")), "adds k and n, appends the rows"),
        (
            "",
            Preparation(widens=((*_fields(n="int32?"), *_fields(n="int64?")),), ignores=_fields(k="string?")),
            "widens n to int64, leaves out k, appends the rows",
        ),
    ],
)
def test_a_commit_says_what_it_will_do(more: str, change: Preparation | None, words: str) -> None:
    plan = _plan(_SINK % more, {"out": change} if change is not None else {})
    assert plan.commits["out"] == Commit("out", "table", "merge" if "merge" in more else "append", words)


def test_columns_that_a_table_will_not_take_are_left_out_before_it() -> None:
    plan = _plan(_SINK % "", {"out": Preparation(ignores=_fields(k="string?"))})
    (write,) = plan.graph.writes
    kept = plan.graph[write.input]
    assert isinstance(kept, Project)
    assert kept.schema is not None
    assert write.schema is not None
    assert kept.schema.names == write.schema.names == ("id", "n")
    assert kept.id in plan.passes[0].nodes


# ---------------------------------------------------------------- when it is the same plan

_STEADY = _HEAD + "transforms:\n  t: {from: a, steps: [{filter: n > 1}]}\nsinks:\n  out: {from: t, type: table}\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("n > 1", "n > 2"),
        ("pipeline: test", "pipeline: other"),
        ("type: table", "type: drain"),
        ("type: table", "type: table, mode: merge, keys: [id]"),
        ("type: steady", "type: clever"),
        ("id: int64?", "id: int64"),
        ("type: steady", "type: steady, on_bad_value: fail"),
        ("{from: t,", "{from: a,"),
        ("type: table", "type: table, on_schema_change: evolve"),
    ],
)
def test_another_meaning_is_another_plan(old: str, new: str) -> None:
    assert old in _STEADY
    assert _plan(_STEADY).hash != _plan(_STEADY.replace(old, new)).hash


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("pipeline: test\n", "# a comment\n\npipeline: test\ndescription: what it is for\n"),
        ("[{filter: n > 1}]", "[{filter: 'n   >   1'}]"),
        ("[{filter: n > 1}]", "[{filter: n > 1, description: only some}]"),
    ],
)
def test_other_words_for_the_same_are_the_same_plan(old: str, new: str) -> None:
    assert old in _STEADY
    assert _plan(_STEADY).hash == _plan(_STEADY.replace(old, new)).hash


@pytest.mark.parametrize("policy", ["ignore", "add"])
def test_where_a_source_has_the_columns_of_its_schema_is_not_the_plan(policy: str) -> None:
    text = _STEADY.replace("type: steady", f"type: steady, on_new_column: {policy}")
    orders = [("id", "k", "n", "new"), ("n", "new", "k", "id"), ("new", "id", "n", "k")]
    kinds = {"id": "int64?", "k": "string?", "n": "int64?", "new": "string?"}
    found = [{"a": Schema.of({name: kinds[name] for name in order})} for order in orders]
    plans = [make_plan(clever.compiled(text, facts), {}) for facts in found]
    assert len({plan.hash for plan in plans}) == 1
    assert len({plan.graph["out"].schema for plan in plans}) == 1


def test_the_order_of_columns_that_no_schema_names_is_what_the_sink_gets() -> None:
    """Without a schema, and before one is recorded, the source's order is that of the rows: another plan."""
    text = _STEADY.replace(f", {_COLUMNS}", "")
    facts = [
        {"a": Schema.of(columns)} for columns in ({"k": "string?", "n": "int64?"}, {"n": "int64?", "k": "string?"})
    ]
    plans = [make_plan(clever.compiled(text, found), {}) for found in facts]
    assert plans[0].hash != plans[1].hash
    assert [plan.graph["out"].schema.names for plan in plans] == [("k", "n"), ("n", "k")]


def test_what_the_target_looks_like_now_is_not_the_plan() -> None:
    """Else an epoch that was cut off after its first commit could not be finished: the commit has made the table."""
    changes = [{}, {"out": Preparation(creates=True)}, {"out": Preparation(ignores=_fields(k="string?"))}]
    assert len({_plan(_STEADY, change).hash for change in changes}) == 1


@pytest.mark.slow
def test_a_plan_is_the_same_in_every_process() -> None:
    words = [sys.executable, "-c", "import test_make_plan as t; print(t._plan(t._CHAIN).hash)"]
    path = os.pathsep.join([*sys.path, *(str(folder) for folder in (UNIT / "plan", UNIT / "compile", UNIT / "steps"))])
    found = {
        subprocess.run(
            words,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert found == {_plan(_CHAIN).hash + "\n"}


def test_a_pass_names_its_nodes_in_order() -> None:
    for stage in _plan(_CHAIN).passes:
        assert isinstance(stage, Pass)
        assert list(stage.nodes) == [node.id for node in _plan(_CHAIN).graph.nodes if node.id in stage.nodes]
