"""Observable facts as typed records; one ``emit`` makes a log line, a count, and tells who listens.

Nothing of a row and no secret is ever part of a fact. Logs go to stderr; their library is imported with the first line
that is to be written.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from penstock.structs import Frozen, Mutable, asdict, field

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

Level = Literal["debug", "info", "warning", "error"]
LEVELS: Final[tuple[Level, ...]] = ("debug", "info", "warning", "error")
LogFormat = Literal["text", "json"]


class Event(Frozen):
    """Base of all facts; a fact's name in logs and counters is its class's, in snake case."""

    level: ClassVar[Level] = "info"


class RunStarted(Event):
    """A run has its plan and is in the ledger; nothing was read yet."""

    pipeline: str
    run_id: str
    plan_hash: str


class EpochPlanned(Event):
    """The ranges of a new epoch are durable; ``sources`` counts those that it reads."""

    pipeline: str
    epoch: int
    sources: int


class EpochRedone(Event):
    """An earlier run left this epoch half committed; it gets the same ranges again."""

    level: ClassVar[Level] = "warning"
    pipeline: str
    epoch: int
    committed: tuple[str, ...]


class SpoolStarted(Event):
    """A source is being copied to a file, which will be its range."""

    source: str


class SpoolMoved(Event):
    """Comes often: records so far, and of how many, as far as each is known."""

    level: ClassVar[Level] = "debug"
    source: str
    records: int | None
    fraction: float | None


class SourceSpooled(Event):
    """The copy is complete and durable; ``bytes`` is its size."""

    source: str
    bytes: int


class PassStarted(Event):
    """The engine begins to fill ``sinks``: pass ``number`` of ``of``, from 1."""

    number: int
    of: int
    sinks: tuple[str, ...]


class PassMoved(Event):
    """Comes often: how far the running statement is (0 to 1) and how many rows went through, as far as each is known."""

    level: ClassVar[Level] = "debug"
    number: int
    fraction: float | None
    rows: int | None


class PassDone(Event):
    """Everything is staged and the balance closed; nothing is visible in a sink yet. Rows out of sources, into sinks."""

    number: int
    rows_in: int
    rows_out: int
    rejected: int
    seconds: float


class SinkCommitted(Event):
    """Rows and marker of an epoch stand in the sink; ``version`` is what its receipt names the commit."""

    sink: str
    epoch: int
    rows: int
    version: str


class CommitUnclear(Event):
    """A commit gave no answer (``code``): the sink's marker will tell whether it was done."""

    level: ClassVar[Level] = "warning"
    sink: str
    epoch: int
    code: str


class AttemptFailed(Event):
    """Try ``number`` of a pass, from 1, met what may be over soon; the pass had no effect yet."""

    level: ClassVar[Level] = "warning"
    number: int
    code: str
    message: str


class StopAsked(Event):
    """Somebody asks a run to end: ``by`` a signal's name, or who called `penstock runs stop`."""

    pipeline: str
    by: str


class EpochSealed(Event):
    """The epoch is in the ledger with receipts and balance; its sources will be acknowledged."""

    pipeline: str
    epoch: int
    rows_in: int
    rows_out: int
    rejected: int


class RunEnded(Event):
    """The last fact of a run, however it ended; ``status`` is a RunStatus of the ledger."""

    pipeline: str
    run_id: str
    status: str
    seconds: float


class Events(Mutable):
    """Where facts go. ``level`` is the lowest that is logged; listeners hear everything, on the emitting thread."""

    level: Level = "warning"
    format: LogFormat = "text"
    listeners: list[Callable[[Event], None]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    _logger: Callable[[Level, str, dict[str, object]], None] | None = None

    def emit(self, event: Event) -> None:
        """Counts the fact, tells the listeners, logs it; from any thread, and it returns when all have heard it."""
        name = _snake(type(event).__name__)
        self.counts[name] += 1
        for listener in self.listeners:
            listener(event)
        if LEVELS.index(event.level) >= LEVELS.index(self.level):
            if self._logger is None:
                self._logger = _structured(self.format)
            self._logger(event.level, name, asdict(event))


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def _structured(log_format: LogFormat) -> Callable[[Level, str, dict[str, object]], None]:
    import sys

    import structlog

    logger = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _json_line if log_format == "json" else _text_line,
        ],
    )

    def write(level: Level, name: str, facts: dict[str, object]) -> None:
        getattr(logger, level)(name, **facts)

    return write


def _text_line(_logger: object, _method: str, facts: MutableMapping[str, object]) -> str:
    """``2024-02-29T12:00:00Z [info] epoch_sealed pipeline=prices epoch=1``; a value is never more than one line."""
    time, level, name = facts.pop("timestamp"), facts.pop("level"), facts.pop("event")
    return " ".join([f"{time} [{level}] {name}", *(f"{key}={_value(value)}" for key, value in facts.items())])


def _json_line(_logger: object, _method: str, facts: MutableMapping[str, object]) -> str:
    return json.dumps(facts, default=str)


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_value, value))
    if isinstance(value, float):
        value = round(value, 3)
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if text.isprintable() and text and not {" ", '"', "="} & set(text) else json.dumps(text)
