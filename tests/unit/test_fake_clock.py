from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from penstock.testing.clock import START, FakeClock

if TYPE_CHECKING:
    from penstock.clock import Clock


def test_time_passes_only_by_sleeping_and_advancing():
    clock: Clock = FakeClock()
    assert clock.now() == START
    clock.sleep(2.5)
    assert (clock.now() - START).total_seconds() == clock.monotonic() == 2.5
    assert clock.sleeps == [2.5]


def test_time_does_not_go_back():
    with pytest.raises(ValueError, match="does not go back"):
        FakeClock().advance(-1)
