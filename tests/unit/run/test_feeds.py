"""Which ranges of an epoch have rows for a read."""

from __future__ import annotations

from datetime import timedelta

import pytest

from penstock.graph.nodes import Cursor, Read
from penstock.ledger.api import Range
from penstock.run.feeds import _that_have_rows
from penstock.types import Schema

STILL = Range("prices", "0", {"at": "2024-01-05"}, {"at": "2024-01-05"})
MOVED = Range("prices", "1", {"at": "2024-01-04"}, {"at": "2024-01-05"})
OTHER = Range("rates", "0", None, {"at": "2024-01-05"})


def read(lag: timedelta | None) -> Read:
    return Read("prices", source="prices", schema=Schema(()), incremental=True, cursor=Cursor("at", ("at",), lag))


@pytest.mark.parametrize(("lag", "expected"), [(None, [MOVED]), (timedelta(days=2), [STILL, MOVED])])
def test_a_source_that_stands_still_is_asked_again_for_what_lies_within_the_lag(
    lag: timedelta | None, expected: list[Range]
) -> None:
    assert list(_that_have_rows(read(lag), [STILL, MOVED, OTHER])) == expected


def test_without_a_cursor_a_source_that_stands_still_has_nothing() -> None:
    plain = Read("prices", source="prices", schema=Schema(()))
    assert list(_that_have_rows(plain, [STILL, MOVED, OTHER])) == [MOVED]
