"""Bounds that history sets, against those that numpy's own median, deviation and percentiles give."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.graph.history import expected_by
from penstock.graph.nodes import Baseline, Method

# numpy squares them: what is less than its squares can tell is no figure of a run.
_FIGURE = st.one_of(st.just(0.0), st.floats(1e-6, 1e12), st.floats(-1e12, -1e-6))
_FIGURES = st.lists(_FIGURE, min_size=2, max_size=60)


def _by_numpy(method: Method, sensitivity: float, figures: np.ndarray) -> tuple[float, float]:
    if method is Method.IQR:
        first, third = np.percentile(figures, [25, 75])
        return first - sensitivity * (third - first), third + sensitivity * (third - first)
    if method is Method.ZSCORE:
        reach = sensitivity * np.std(figures, ddof=1)
        return np.mean(figures) - reach, np.mean(figures) + reach
    middle = np.median(figures)
    if method is Method.DRIFT:
        return middle - sensitivity * abs(middle), middle + sensitivity * abs(middle)
    apart = np.abs(figures - middle)
    spread = 1.4826 * np.median(apart) or 1.2533 * np.mean(apart)
    return middle - sensitivity * spread, middle + sensitivity * spread


@pytest.mark.parametrize("method", list(Method))
@given(figures=_FIGURES, sensitivity=st.floats(0.1, 10))
def test_bounds_are_those_of_the_textbook(method: Method, figures: list[float], sensitivity: float) -> None:
    found = expected_by(Baseline("m", method, sensitivity, 1, 100), figures)
    low, high = _by_numpy(method, sensitivity, np.array(figures))
    near = 3e-9 * max(abs(low), abs(high), np.max(np.abs(figures)))
    assert found.low is not None
    assert found.high is not None
    assert found.low == pytest.approx(low, abs=near)
    assert found.high == pytest.approx(high, abs=near)
    assert found.low <= low + near / 3
    assert high - near / 3 <= found.high


@pytest.mark.parametrize("method", [Method.ZSCORE, Method.MAD, Method.IQR])
@given(figures=_FIGURES, shift=st.integers(-1000, 1000))
def test_the_order_of_runs_does_not_matter(method: Method, figures: list[float], shift: int) -> None:
    one = Baseline("m", method, 3, 1, 100)
    turned = figures[shift % len(figures) :] + figures[: shift % len(figures)]
    assert expected_by(one, figures) == expected_by(one, turned)
