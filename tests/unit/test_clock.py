"""The machine's clock, and that nothing else asks for the time."""

from __future__ import annotations

import ast
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.clock import SystemClock

if TYPE_CHECKING:
    from penstock.clock import Clock

SRC = Path(__file__).parents[2] / "src" / "penstock"
# Tests wait in real time; a progress bar is painted by it.
EXEMPT = ("testing/", "cli/render/")
ASKS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.monotonic", "time.sleep"}


def test_now_is_this_moment_in_utc():
    clock: Clock = SystemClock()
    before = datetime.now(UTC)
    now = clock.now()
    assert before <= now <= datetime.now(UTC)
    assert now.utcoffset() == timedelta(0)


def test_monotonic_time_passes_with_sleep_and_never_goes_back():
    clock = SystemClock()
    before = clock.monotonic()
    clock.sleep(0.001)
    assert clock.monotonic() - before >= 0.001
    assert clock.monotonic() >= before


def asked(path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return {call for call in calls if any(call == ask or call.endswith(f".{ask}") for ask in ASKS)}


def test_nothing_but_the_clock_asks_for_the_time():
    found = {str(path.relative_to(SRC)): asked(path) for path in SRC.rglob("*.py")}
    assert found.pop("clock.py") == {"datetime.now", "time.monotonic", "time.sleep"}
    assert {path: calls for path, calls in found.items() if calls and not path.startswith(EXEMPT)} == {}
