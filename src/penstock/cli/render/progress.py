"""Progress of a run on stderr: stage, share done, rows, rows per second, rejected. Only where a person looks."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from penstock.cli.output import printable
from penstock.events import (
    EpochPlanned,
    EpochRedone,
    EpochSealed,
    Event,
    Events,
    PassDone,
    PassMoved,
    PassStarted,
    SinkCommitted,
    SourceSpooled,
    SpoolMoved,
    SpoolStarted,
    StopAsked,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def progress(events: Events) -> Iterator[None]:
    """Listens to the run's facts while the block runs."""
    bars = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[facts]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True, highlight=False),
        transient=True,
    )
    with bars:
        events.listeners.append(_Listener(bars))
        yield


@contextmanager
def told_to(*, quiet: bool) -> Iterator[Callable[[str], None]]:
    """A function that is told what comes next, while the block runs; heard only where a person looks."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    bars = Progress(
        SpinnerColumn(),
        TextColumn("{task.completed}  {task.description}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True, highlight=False),
        transient=True,
    )
    bar = bars.add_task("")
    with bars:
        yield lambda text: bars.update(bar, description=printable(text), advance=1)


class _Listener:
    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._bar: TaskID = bars.add_task("reading the document", total=None, facts="")
        self._rows = 0
        self._rejected = 0
        self._pass_began = time.monotonic()

    def __call__(self, event: Event) -> None:
        match event:
            case EpochPlanned(epoch=epoch):
                self._say(f"epoch {epoch}: ranges written")
            case EpochRedone(epoch=epoch):
                self._say(f"epoch {epoch}: finishing what an earlier run left")
            case SpoolStarted(source=source):
                self._pass_began = time.monotonic()
                self._say(f"fetching {source}", total=1.0)
            case SpoolMoved(fraction=fraction, records=rows):
                self._move(fraction, rows)
            case SourceSpooled(source=source, bytes=size):
                self._say(f"spooled {source}, {size / 2**20:.1f} MiB")
            case PassStarted(number=number, of=of, sinks=sinks):
                self._pass_began = time.monotonic()
                self._say(f"pass {number} of {of}: {', '.join(sinks)}", total=1.0)
            case PassMoved(fraction=fraction, rows=rows):
                self._move(fraction, rows)
            case PassDone(rows_in=rows, rejected=rejected, seconds=seconds):
                self._rows += rows
                self._rejected += rejected
                self._say("rows are staged", facts=self._figures(self._rows, rows, seconds))
            case SinkCommitted(sink=sink, rows=rows):
                self._say(f"committed {sink}: {rows:,} rows")
            case StopAsked(by=by):
                self._say(f"asked to stop by {by}: this epoch is the last")
            case EpochSealed(epoch=epoch):
                self._say(f"epoch {epoch} sealed")
            case _:
                pass

    def _move(self, fraction: float | None, rows: int | None) -> None:
        """``rows`` is known during a pass where they stream; of files that DuckDB reads itself only the share is."""
        if fraction is not None:
            self._bars.update(self._bar, completed=fraction)
        if rows:
            seconds = time.monotonic() - self._pass_began
            self._bars.update(self._bar, facts=self._figures(self._rows + rows, rows, seconds))

    def _figures(self, total: int, rows: int, seconds: float) -> str:
        """``rows`` came in those ``seconds``."""
        speed = f", {rows / seconds:,.0f} rows/s" if seconds > 0 and rows else ""
        return f"{total:,} rows{speed}, {self._rejected:,} rejected"

    def _say(self, what: str, *, total: float | None = None, facts: str | None = None) -> None:
        self._bars.update(self._bar, description=what, total=total, completed=0)
        if facts is not None:
            self._bars.update(self._bar, facts=facts)
