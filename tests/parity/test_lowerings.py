"""Every entry of the allow-list over hostile rows on both engines: the same types, values and errors."""

from __future__ import annotations

from collections import Counter

import pytest

from penstock.engines.spark.portable import all_entries, categories
from penstock.testing.parity.cases import cases
from penstock.testing.parity.row_by_row import Leave

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

EVERY = list(cases())
OTHERS = {"casts", "comparisons", "frames", "shapes"}


@pytest.mark.parametrize("category", sorted({*categories(), *OTHERS}))
def test_both_engines_agree(suite, category):
    asked = [case for case in EVERY if case.category == category]
    found = suite.compare(asked)
    assert not found.differences, "\n".join(map(str, found.differences))
    assert found.equal
    assert found.left.keys() == {case.leave for case in asked} - {Leave.NOTHING}, "the list says more differs than does"


def test_the_suite_is_no_smaller_than_it_says():
    assert len(EVERY) >= 600
    by_category = Counter(case.category for case in EVERY)
    assert all(by_category[entry.category] for entry in all_entries())
