"""Which loads may be cut into a series of epochs, and which sinks wait for its end."""

from __future__ import annotations

import harness
import memory_sink
import pytest

from penstock.compile.facts import Facts
from penstock.compile.pipeline import Compiled, compile_pipeline
from penstock.errors import ConfigError

_COLUMNS = "{id: int64, at: timestamp?, price: 'decimal(9,2)?'}"


def _compiled(rest: str, *, refreshes: bool = False) -> Compiled:
    sources = "".join(f"  {name}: {{type: memory, schema: {{columns: {_COLUMNS}}}}}\n" for name in ("big", "other"))
    pipeline = memory_sink.read(f"pipeline: test\nsources:\n{sources}{rest}run: {{epoch: {{rows: 10}}}}\n")
    known = {name: use.contract for name, use in pipeline.sources.items() if use.contract is not None}
    return compile_pipeline(pipeline, Facts(sources=known, refreshes=refreshes), harness.TypingEngine())


def _steps(*steps: str, sink: str = "{from: t, type: safe}") -> str:
    listed = "".join(f"      - {step}\n" for step in steps)
    return f"transforms:\n  t:\n    from: big\n    steps:\n{listed}sinks:\n  out: {sink}\n"


JOINED = "join: {to: other, kind: KIND, on: [id], add: {p: price}}"


@pytest.mark.parametrize(
    "steps",
    [("filter: id > 1",), ("derive: {x: id + 1}", "cast: {x: string}"), (JOINED.replace("KIND", "left"),),
     (JOINED.replace("KIND", "inner"),)],
)  # fmt: skip
def test_what_needs_each_row_by_itself_is_cut(steps: tuple[str, ...]) -> None:
    compiled = _compiled(_steps(*steps))
    assert compiled.series is not None
    assert (compiled.series.sources, compiled.series.each, compiled.series.held) == (("big",), ("out",), {})
    assert compiled.series.size.rows == 10


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        (("aggregate: {by: [id], measures: {n: count(*)}}",), "groups rows"),
        (("sort: [id]",), "sorts rows"),
        (("limit: 5",), "takes some of the rows"),
        (("deduplicate: {keys: [id]}",), "keeps one row of several"),
        (("window: {partition_by: [id], columns: {n: row_number()}, order_by: [at]}",), "looks at other rows"),
        ((JOINED.replace("KIND", "full"),), "asks which rows have no new row"),
    ],
)
def test_what_needs_more_is_one_epoch_and_says_why(steps: tuple[str, ...], words: str) -> None:
    compiled = _compiled(_steps(*steps))
    assert compiled.series is None
    (warning,) = (problem for problem in compiled.warnings if problem.code == "CMP-357")
    assert words in warning.message
    assert warning.severity == "warning"


def _rules(rule: str) -> str:
    return f"transforms:\n  t: {{from: big, rules: [{rule}]}}\nsinks:\n  out: {{from: t, type: safe}}\n"


def test_a_rule_about_all_rows_needs_all_of_them_and_one_about_a_key_of_another_node_does_not() -> None:
    whole = _compiled(_rules("{row_count: {min: 1}}"))
    assert whole.series is None
    assert "measures all rows" in next(item.message for item in whole.warnings if item.code == "CMP-357")
    cut = _compiled(_rules("{referential: {columns: id, to: other}}"))
    assert cut.series is not None
    assert cut.series.sources == ("big",)


def test_sinks_that_would_be_wrong_before_the_end_wait() -> None:
    compiled = _compiled(
        "sinks:\n"
        "  a: {from: big, type: safe}\n"
        "  b: {from: big, type: safe, mode: overwrite}\n"
        "  c: {from: big, type: safe, mode: merge, keys: [id]}\n"
        "  d: {from: big, type: safe, mode: merge, keys: [id], order_by: at}\n"
    )
    assert compiled.series is not None
    assert set(compiled.series.each) == {"a", "d"}
    assert compiled.series.held == {"b": "b.held", "c": "c.held"}


def test_in_a_full_refresh_all_wait() -> None:
    compiled = _compiled("sinks:\n  a: {from: big, type: safe}\n", refreshes=True)
    assert compiled.series is not None
    assert (compiled.series.each, set(compiled.series.held)) == ((), {"a"})


def test_every_source_that_rows_come_from_is_cut() -> None:
    compiled = _compiled("transforms: {t: {from: [big, other], steps: []}}\nsinks: {out: {from: t, type: safe}}\n")
    assert compiled.series is not None
    assert compiled.series.sources == ("big", "other")


def test_a_size_says_something() -> None:
    with pytest.raises(ConfigError) as caught:
        memory_sink.read("pipeline: test\nsources: {a: {type: memory}}\nrun: {epoch: {}}\n")
    assert "takes `rows`, `bytes`, or both" in str(caught.value.problems)
