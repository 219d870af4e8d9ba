"""The guarantee that a pipeline can have, and what is allowed and still probably not meant."""

from __future__ import annotations

import clever
import harness
import memory_sink
import pytest

from penstock.compile.facts import Facts
from penstock.compile.pipeline import Compiled, compile_pipeline
from penstock.errors import ConfigError

_HEAD = "pipeline: test\nsources:\n  a: {type: memory, schema: {columns: {id: int64?}}}\n"


def _compiled(rest: str) -> Compiled:
    pipeline = memory_sink.read(_HEAD + rest)
    known = {name: use.contract for name, use in pipeline.sources.items() if use.contract is not None}
    return compile_pipeline(pipeline, Facts(sources=known), harness.TypingEngine())


def _codes(rest: str) -> list[tuple[str, str]]:
    return [(problem.code, problem.message) for problem in _compiled(rest).warnings]


# ---------------------------------------------------------------- guarantee


def test_sinks_that_commit_rows_and_marker_in_one_act_give_exactly_once() -> None:
    delivery = _compiled("sinks: {out: {from: a, type: safe}}\nrun: {guarantee: exactly_once}\n").delivery
    assert (delivery.given, delivery.asked) == ("exactly_once", "exactly_once")


def test_the_weakest_sink_decides_and_is_named() -> None:
    delivery = _compiled("sinks:\n  out: {from: a, type: safe}\n  weak: {from: a, type: drain}\n").delivery
    assert (delivery.given, delivery.asked) == ("at_least_once", None)
    assert '"weak" (drain)' in delivery.because


@pytest.mark.parametrize("asked", ["at_least_once", "at_most_once"])
def test_less_than_there_is_may_be_asked_for(asked: str) -> None:
    for sink in ("safe", "drain"):
        assert (
            _compiled(f"sinks: {{out: {{from: a, type: {sink}}}}}\nrun: {{guarantee: {asked}}}\n").delivery.asked
            == asked
        )


def test_more_than_the_sinks_can_give_is_refused_and_never_downgraded() -> None:
    with pytest.raises(ConfigError) as caught:
        _compiled("sinks: {weak: {from: a, type: drain}}\nrun: {guarantee: exactly_once}\n")
    (problem,) = caught.value.problems
    assert problem.code == "CMP-227"
    assert '"weak"' in str(problem.detail)
    assert problem.at is not None


@pytest.mark.parametrize(
    ("sources", "sinks", "because"),
    [
        (["steady"], 2, ["every range can be read again"]),
        (["shifting"], 1, ['"s0" need not be read twice for one sink']),
        (["shifting"], 2, ['what "s0" gave is kept until the epoch is sealed']),
        (["answering"], 1, ['what "s0" gave is kept until the epoch is sealed']),
        (
            ["shifting", "answering", "steady"],
            2,
            ['what "s0" and "s1" gave is kept until the epoch is sealed', "every other range can be read again"],
        ),
        (
            ["shifting", "answering", "steady"],
            1,
            [
                'what "s1" gave is kept until the epoch is sealed',
                '"s0" need not be read twice for one sink',
                "every other range can be read again",
            ],
        ),
    ],
)
def test_the_reason_is_what_each_source_does_for_its_rows_to_be_had_again(
    sources: list[str], sinks: int, because: list[str]
) -> None:
    columns = "schema: {columns: {id: int64?}}"
    lines = ["pipeline: test", "sources:", *(f"  s{n}: {{type: {kind}, {columns}}}" for n, kind in enumerate(sources))]
    lines += [f"  unread: {{type: shifting, {columns}}}", "transforms:"]
    lines += [f"  t: {{from: [{', '.join(f's{n}' for n in range(len(sources)))}]}}", "sinks:"]
    lines += [f"  out{n}: {{from: t, type: safe}}" for n in range(sinks)]
    text = "\n".join(lines) + "\n"
    found = {name: use.contract for name, use in clever.read(text).sources.items() if use.contract is not None}
    delivery = clever.compiled(text, found).delivery
    assert delivery.given == "exactly_once"
    assert delivery.because.split(", and ") == ["every sink commits rows and epoch marker in one act", *because]


def test_the_reason_names_the_shared_rows_that_are_kept() -> None:
    rest = "transforms:\n  t: {from: a, steps: [{limit: 3}]}\nsinks:\n  one: {from: t, type: safe}\n"
    words = ', and the rows of "t.limit" are kept until every sink has them'
    assert _compiled(rest + "  two: {from: t, type: safe}\n").delivery.because.endswith(words)
    assert "kept" not in _compiled(rest).delivery.because


# ---------------------------------------------------------------- warnings


def test_a_node_that_nobody_uses() -> None:
    rest = (
        "  b: {type: memory, schema: {columns: {id: int64?}}}\n"
        "transforms:\n  t: {from: a, steps: [{limit: 1}]}\n  lost: {from: b, steps: [{limit: 1}]}\n"
        "sinks:\n  out: {from: t, type: table, mode: merge, keys: [id]}\n"
    )
    assert _codes(rest) == [("CMP-228", 'nobody uses "b"'), ("CMP-228", 'nobody uses "lost"')]


def test_without_sinks_nothing_is_written_and_everything_is_there_to_be_looked_at() -> None:
    found = _codes("transforms:\n  t: {from: a, steps: [{limit: 1}]}\n")
    assert found == [("CMP-233", '"test" writes nothing: it has no sink')]


def test_where_columns_are_not_known_nobody_can_say_what_is_used() -> None:
    text = (
        "pipeline: test\nsources:\n  a: {type: memory, schema: {columns: {id: int64?}}}\n  far: {type: memory}\n"
        "transforms:\n  t: {from: a, steps: [{join: {to: far, kind: cross}}]}\n"
        "sinks:\n  out: {from: t, type: table, mode: merge, keys: [id]}\n"
    )
    pipeline = memory_sink.read(text)
    known = {name: use.contract for name, use in pipeline.sources.items() if use.contract is not None}
    assert compile_pipeline(pipeline, Facts(sources=known), harness.TypingEngine()).warnings == ()


def test_what_a_sink_read_back_feeds_is_used() -> None:
    rest = (
        "transforms:\n  t: {from: lake, steps: [{limit: 1}]}\n"
        "sinks:\n  lake: {from: a, type: table, mode: merge, keys: [id]}\n  out: {from: t, type: table, mode: merge, keys: [id]}\n"
    )
    assert _codes(rest) == []


def test_a_full_read_into_append_doubles_its_rows() -> None:
    ((code, message),) = _codes("sinks: {out: {from: a, type: table}}\n")
    assert (code, message) == ("CMP-229", 'a second run appends the same rows to "out" again')


def test_an_append_fed_by_another_sinks_table_doubles_them_too() -> None:
    rest = (
        "transforms:\n  t: {from: lake, steps: [{limit: 1}]}\n"
        "sinks:\n  lake: {from: a, type: table, mode: merge, keys: [id]}\n  log: {from: t, type: drain}\n"
    )
    ((code, message),) = _codes(rest)
    assert (code, message) == ("CMP-229", 'a second run appends the same rows to "log" again')
