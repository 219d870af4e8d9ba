"""What a use case is asked about: a pipeline file, and what the caller says of it. Light: the command line parses into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.clock import Clock, SystemClock
from penstock.connectors.api import pass_by
from penstock.connectors.resilience.ward import Wards
from penstock.document.assembly import Settings
from penstock.structs import Frozen, field

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penstock.graph.span import Interval

__all__ = ["Request", "Settings", "interval_of"]


def interval_of(begin: str | None, end: str | None) -> Interval | None:
    """None where neither end is given."""
    from penstock.graph.span import Interval

    return Interval(begin, end) if begin is not None or end is not None else None


class Request(Frozen):
    """``reached`` is called at the points where a crash may be asked for; ``interval`` is read again, and nothing else of
    sources with a cursor; ``wards`` are what all parts of the command share of the systems that they speak to.
    """

    file: Path
    settings: Settings
    clock: Clock = field(default_factory=SystemClock)
    reached: Callable[[str], None] = pass_by
    full_refresh: bool = False
    interval: Interval | None = None
    wards: Wards = field(default_factory=Wards)
