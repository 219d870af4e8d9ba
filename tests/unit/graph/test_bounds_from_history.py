"""What earlier figures say of a new one: bounds by each method, over little history, and bound into a rule once."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlglot import exp

from penstock.graph import Graph
from penstock.graph.history import (
    Earlier,
    Expected,
    History,
    Windows,
    expected_by,
    figures_before,
    windows_of,
    with_history,
)
from penstock.graph.nodes import Baseline, Check, Method, Read, TableRule
from penstock.rules.anomaly import AnomalyParams
from penstock.trees import column
from penstock.types import Field, Schema
from penstock.types.logical import FLOAT64

MOMENT = datetime(2024, 3, 1, 6, tzinfo=UTC)  # a Friday
KEY = ("x.rules", "anomaly", "mean of price")


def baseline(method=Method.MAD, sensitivity=3.0, least=3, window=100, side="both"):
    return Baseline(KEY[2], method, sensitivity, least, window, side)


def before(*figures):
    """An epoch each day, newest first."""
    return History([Earlier(MOMENT - timedelta(days=day), {KEY: value}) for day, value in enumerate(figures, start=1)])


@pytest.mark.parametrize(
    ("method", "sensitivity", "figures", "low", "high"),
    [
        (Method.ZSCORE, 2, [8, 10, 12], 6, 14),
        (Method.ZSCORE, 2, [8], 8, 8),
        (Method.MAD, 2, [8, 9, 10, 11, 1000], 10 - 2 * 1.4826, 10 + 2 * 1.4826),
        (Method.MAD, 2, [10, 10, 10, 14], 10 - 2 * 1.2533, 10 + 2 * 1.2533),
        (Method.IQR, 1.5, [1, 2, 3, 4, 5], -1, 7),
        (Method.IQR, 1.5, [4], 4, 4),
        (Method.DRIFT, 0.1, [-10, -20, -30], -22, -18),
        (Method.DRIFT, 0.1, [0, 0], 0, 0),
        (Method.SEASONAL, 1, [3, 3, 3], 3, 3),
    ],
)
def test_bounds_by_each_method(method, sensitivity, figures, low, high):
    found = expected_by(baseline(method, sensitivity), figures)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_a_sum_added_up_in_another_order_is_the_same_figure():
    found = expected_by(baseline(), [0.1 + 0.2] * 5)
    assert found.low <= 0.3 <= found.high < 0.3001


@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize("figures", [[1e308] * 20, [1.1e308, 1.2e308] * 10, [-1e308, 1e308] * 10])
def test_figures_near_the_largest_are_compared_as_any_others(method, figures):
    found = expected_by(baseline(method, 0.5), figures)
    alike = expected_by(baseline(method, 0.5), [figure * 2.0**-900 for figure in figures])
    assert (found.low, found.high) == (pytest.approx(alike.low * 2.0**900), pytest.approx(alike.high * 2.0**900))


@pytest.mark.parametrize(
    ("side", "low", "high"), [("above", False, True), ("below", True, False), ("both", True, True)]
)
def test_one_side_alone_may_be_bounded(side, low, high):
    found = expected_by(baseline(side=side), [1, 2, 3])
    assert (found.low is not None, found.high is not None) == (low, high)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (Expected(900, 1234.5678), "between 900 and 1,234.57"),
        (Expected(None, 0.05), "at most 0.05"),
        (Expected(-1, None), "at least -1"),
    ],
)
def test_what_is_expected_is_told(expected, text):
    assert str(expected) == text


def test_the_newest_of_the_window_are_looked_at_and_those_without_a_figure_are_not():
    history = History([*before(1, 2).newest, Earlier(MOMENT, {}), *before(3, 4).newest])
    assert figures_before(baseline(window=4), KEY[:2], history) == [1, 2, 3]


def test_seasonal_looks_at_a_window_of_the_same_weekday():
    history = History(before(1, 2, 3).newest, before(10, 20, 30).newest)
    assert figures_before(baseline(Method.SEASONAL, window=2), KEY[:2], history) == [10, 20]


def graph(*labels, columns=("price",), one=None):
    schema = Schema((Field("price", FLOAT64, labels=frozenset(labels)),))
    one = one or baseline()
    rule = TableRule(
        KEY[1],
        (),
        exp.LT(this=column(KEY[2]), expression=column(f"low {KEY[2]}", "earlier")),
        column(f"told {KEY[2]}", "earlier"),
        columns,
        "warn",
        baselines=(one,),
    )
    return Graph((Read("x", source="x", schema=schema), Check(KEY[0], "x", (), table_rules=(rule,), schema=schema)))


def bound(history, **given):
    (rule,) = with_history(graph(**given), history)[KEY[0]].table_rules
    return rule


def test_a_rule_gets_the_values_of_its_epoch():
    rule = bound(before(8, 9, 10, 11, 12))
    assert (
        rule.violated.sql("duckdb")
        == f"\"{KEY[2]}\" < CAST('{10 - 3 * 1.4826 - 1e-9 * (10 + 3 * 1.4826)!r}' AS DOUBLE)"
    )
    assert rule.message.sql("duckdb") == "'between 5.5522 and 14.4478, as in 5 runs before'"
    assert rule.note == "mean of price expected between 5.5522 and 14.4478, as in 5 runs before"
    assert with_history(graph(), before(1, 2, 3)).fingerprint() == with_history(graph(), before(1, 2, 3)).fingerprint()


@pytest.mark.parametrize(
    ("history", "note"),
    [
        (before(1, 2), "info: 2 of 3 runs of history for mean of price"),
        (History(), "info: 0 of 3 runs of history for mean of price"),
        (None, "info: not compared: an interval, or the first load of a source, is like no run before"),
    ],
)
def test_without_enough_history_nothing_is_violated_and_the_note_says_so(history, note):
    rule = bound(history)
    assert rule.note == note
    assert rule.violated == graph()[KEY[0]].table_rules[0].violated


def test_what_is_expected_of_a_labelled_column_is_not_told():
    (rule,) = with_history(graph("pii"), before(1, 2, 3))[KEY[0]].table_rules
    assert (rule.note, rule.columns) == ("", ("price",))


def test_the_largest_window_of_a_graph():
    assert windows_of(graph(one=baseline(window=7))) == Windows(7, 0)
    assert windows_of(graph(one=baseline(Method.SEASONAL, window=7))) == Windows(0, 7)
    assert not windows_of(Graph((Read("x", source="x"),)))


def test_what_is_wrong_with_the_parameters_is_said():
    for given in (
        {"metric": "row_count", "column": "a"},
        {"metric": "mean"},
        {"metric": "row_count", "min_history": 20, "window": 19},
        {"metric": "row_count", "sensitivity": 0},
        {"metric": "row_count", "method": "magic"},
    ):
        with pytest.raises(ValueError, match="validation error"):
            AnomalyParams(**given)
