"""All that a run touches, and how it tries again."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from penstock.connectors.api import Epoch, SinkId
from penstock.connectors.resilience.retry import Again, RetryPolicy, call_with_retry
from penstock.connectors.resilience.ward import NO_USE
from penstock.errors import PenstockError, TransientError
from penstock.events import AttemptFailed
from penstock.run.stopping import AT_ONCE, Stop
from penstock.structs import Frozen, field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import timedelta
    from pathlib import Path
    from random import Random

    from penstock.clock import Clock
    from penstock.connectors.api import Batches, Sink, Source
    from penstock.engines.api import Engine
    from penstock.errors import Location
    from penstock.events import Events
    from penstock.faults.points import Faults
    from penstock.graph.span import Interval
    from penstock.ledger.api import EpochRecord, Ledger, PipelineKey, RejectFile
    from penstock.plan.stages import Plan
    from penstock.run.feeds import Feeds
    from penstock.run.replays import Replay
    from penstock.types import Schema

T = TypeVar("T")
# Without a limit of seconds: what is tried again may have worked for hours before it failed.
RETRY: Final = RetryPolicy(total_seconds=math.inf)


class Desk(Protocol):
    """Makes the surroundings in which rejected rows are sent again: another plan over the same sinks."""

    def begin(self) -> Surroundings | None:
        """Of what the caller asks to be sent; None where none of it is open. Asked under the lease."""
        ...

    def again(self, replay: Replay) -> Surroundings:
        """Of a replay that an earlier run began, over the same rows."""
        ...


class RejectsTarget(Protocol):
    """A sink that gets the rejected rows of each epoch, in its commit of that epoch: they are in the ledger's folder first,
    and stay there.
    """

    @property
    def name(self) -> str:
        """By which the ledger and its marker know it."""
        ...

    @property
    def sink(self) -> Sink: ...

    @property
    def at(self) -> Location | None: ...

    @property
    def places(self) -> Mapping[str, Location]: ...

    def rows(self, record: EpochRecord, files: Sequence[RejectFile]) -> Batches:
        """One per rejected record. Raises DataError LED-120 where a file is gone or altered."""
        ...


class Surroundings(Frozen):
    """All that an epoch touches; made by the service, used by nobody else."""

    key: PipelineKey
    run_id: str
    plan: Plan
    sources: Mapping[str, Source]
    sinks: Mapping[str, Sink]
    feeds: Feeds
    engine: Engine
    ledger: Ledger
    clock: Clock
    random: Random
    events: Events
    faults: Faults
    state: Path
    schemas: Mapping[str, Schema]  # by source: what the first seal records as its contract
    retry: RetryPolicy = RETRY
    interval: Interval | None = None  # of the cursors: what is read again
    desk: Desk | None = None
    rejected: RejectsTarget | None = None
    stop: Stop = field(default_factory=Stop)
    grace: timedelta = AT_ONCE  # what an epoch is given to end in once a stop is asked for

    @property
    def every_sink(self) -> Mapping[str, Sink]:
        """Those of the plan, and the one that gets its rejects."""
        return self.sinks if self.rejected is None else {**self.sinks, self.rejected.name: self.rejected.sink}

    def sink_id(self, name: str, incarnation: str) -> SinkId:
        return SinkId(self.key.project, self.key.environment, self.key.pipeline, name, incarnation)

    def epoch(self, sink: str, record: EpochRecord) -> Epoch:
        """As that sink sees it."""
        number, sink_id = record.sinks[sink], self.sink_id(sink, record.incarnation)
        return Epoch(sink_id, number, record.attempt, record.fence, record.planned_at)

    @contextmanager
    def at_sink(self, name: str) -> Iterator[None]:
        """What a sink raises stands at the sink in the document."""
        try:
            yield
        except PenstockError as error:
            if self.rejected is not None and name == self.rejected.name:
                error.placed(self.rejected.at, self.rejected.places)
                raise
            (write,) = (node for node in self.plan.graph.writes if node.sink == name)
            error.placed(write.at, write.places)
            raise

    def retried(self, work: Callable[[int], T]) -> T:
        """``work(1)``, ``work(2)``, ... until one raises no TransientError, as often as the policy says."""

        def attempt(number: int) -> T | Again:
            try:
                return work(number)
            except TransientError as error:
                if error.code in NO_USE:  # somebody has waited already
                    raise
                self.events.emit(AttemptFailed(number, error.code, error.problems[0].message))
                return Again(error)

        return call_with_retry(attempt, self.retry, clock=self.clock, random=self.random)
