"""A run: take the pipeline, settle what an earlier run left, run an epoch, give the pipeline back."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from penstock.errors import ConfigError, PenstockError
from penstock.run.epoch import EpochRunner
from penstock.run.replays import replay_of
from penstock.run.series import own_of, since
from penstock.run.settle import check_plan
from penstock.run.targets import check_targets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.ledger.api import EpochRecord, Lease
    from penstock.run.epoch import SealedEpoch
    from penstock.run.settle import Situation
    from penstock.run.surroundings import Surroundings

LEASE: Final = timedelta(seconds=60)
_RENEW_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Done:
    """The epochs that this run sealed, in order; none where every source is incremental and had nothing new."""

    epochs: tuple[SealedEpoch, ...]


def run(around: Surroundings, holder: str, *, full_refresh: bool = False) -> Done:
    """One batch run: an epoch, or the series that a long load is cut into. An epoch that an earlier run left is finished
    first; where every source still stands where that epoch ended there is nothing more to do.

    Raises the five error classes; KeyboardInterrupt passes through, with nothing half-written.
    """
    with _leased(around, holder, full_refresh=full_refresh) as lease:
        runner = EpochRunner(around, lease)
        situation = around.retried(lambda _: _found(around, lease, runner))
        if situation.todo == "nothing":
            return Done(tuple(_series(runner, situation.epoch)))
        finished = _finished(around, lease, situation)
        begins = finished.goes_on or replay_of(finished.record.ranges) is not None
        if not begins and not around.retried(lambda _: _has_moved(around, finished)):
            return Done((finished,))
        return Done((finished, *_series(runner, finished.record)))


def _series(runner: EpochRunner, last: EpochRecord | None) -> Iterator[SealedEpoch]:
    """New epochs until the load is done; none where nothing is new."""
    while (epoch := runner.new(last)) is not None:
        yield epoch
        if not epoch.goes_on:
            return
        last = epoch.record


def replay(around: Surroundings, holder: str) -> Done:
    """Sends rejected rows again, as an epoch of their own; what an earlier run left is finished first. Raises as ``run``,
    and ConfigError RUN-141.
    """
    with _leased(around, holder, full_refresh=False) as lease:
        situation = around.retried(lambda _: _found(around, lease, EpochRunner(around, lease)))
        finished = None if situation.todo == "nothing" else _finished(around, lease, situation)
        last = situation.epoch if finished is None else finished.record
        _check_whole(around, lease)
        begun = around.desk.begin() if around.desk is not None else None
        sent = EpochRunner(begun, lease).new(last) if begun is not None else None
        return Done(tuple(epoch for epoch in (finished, sent) if epoch is not None))


def _check_whole(around: Surroundings, lease: Lease) -> None:
    """Raises ConfigError RUN-141 in the midst of a series: its epochs belong together."""
    if since(around.ledger.positions(around.key, lease.incarnation).values()) is not None:
        raise ConfigError(
            "RUN-141",
            "a load has been cut off in the midst of its series of epochs",
            hint="run the pipeline, which goes on with it; then send the rejected rows again",
        )


def _finished(around: Surroundings, lease: Lease, situation: Situation) -> SealedEpoch:
    """What an earlier run left; of a replay, that some sinks lack, with the plan that it had. Raises FatalError RUN-111."""
    begun = replay_of(situation.epoch.ranges) if situation.epoch is not None else None
    if begun is not None and situation.todo == "redo" and around.desk is not None:
        try:
            around = around.desk.again(begun)
        except ConfigError:  # the document does not take these rows any more
            check_plan(situation, "")
            raise
        check_plan(situation, around.plan.hash)
    return EpochRunner(around, lease).finish(situation)


def _found(around: Surroundings, lease: Lease, runner: EpochRunner) -> Situation:
    """What earlier runs left, and that it is all still there."""
    around.ledger.close_runs(lease, around.run_id, at=around.clock.now())
    around.faults.reached("run.taken")
    situation = runner.situation()
    check_targets(around, lease, situation)
    return situation


def _has_moved(around: Surroundings, finished: SealedEpoch) -> bool:
    """Whether a source has another end than the finished epoch; of new rows alone the next epoch finds out, and of an
    interval it is not known. A source that cannot be read twice alike has another
    one each time it is asked, so it is not: this run completed the one that was cut off.
    """
    asked = around.interval is not None or any(item.aside for item in finished.record.ranges)
    if asked or all(read.incremental for read in around.plan.graph.reads):
        return True
    if not around.sources.keys() <= around.plan.replayable:
        return False
    ends = {(item.source, item.partition): own_of(item.upto) for item in finished.record.ranges}
    return any(
        (name, part.id) in ends and source.latest(part) != ends[name, part.id]
        for name, source in around.sources.items()
        for part in source.partitions()
    )


@contextmanager
def _leased(around: Surroundings, holder: str, *, full_refresh: bool) -> Iterator[Lease]:
    """The lease, renewed from a thread of its own while the block runs."""
    lease = around.ledger.take(around.key, holder, duration=LEASE)
    if full_refresh:
        lease = replace(lease, incarnation=around.ledger.new_incarnation(lease))
    stop = threading.Event()

    def renew() -> None:
        # One that fails is tried again in time; a lease that was lost shows at the next write to the ledger.
        while not stop.wait(_RENEW_S):
            with suppress(PenstockError):
                around.ledger.renew(lease, duration=LEASE)

    thread = threading.Thread(target=renew, name="penstock-lease", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        stop.set()
        thread.join()
        with suppress(PenstockError):
            around.ledger.release(lease)
