"""A run: take the pipeline, settle what an earlier run left, run an epoch, give the pipeline back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.errors import ConfigError
from penstock.run.epoch import EpochRunner
from penstock.run.heartbeat import leased
from penstock.run.idle import aged
from penstock.run.replays import replay_of
from penstock.run.series import own_of, since
from penstock.run.settle import check_plan
from penstock.run.targets import check_targets
from penstock.structs import Frozen

if TYPE_CHECKING:
    from penstock.ledger.api import EpochRecord, Lease, NodeBalance
    from penstock.run.epoch import SealedEpoch
    from penstock.run.settle import Situation
    from penstock.run.surroundings import Surroundings


class Done(Frozen):
    """The epochs that this run sealed, in order; none where every source is incremental and had nothing new. ``stopped``:
    it was asked to end before it had done all. ``idle``: what rules found that speak also where nothing new came; None:
    the run did not end with finding nothing new.
    """

    epochs: tuple[SealedEpoch, ...]
    stopped: bool = False
    idle: tuple[NodeBalance, ...] | None = None


def run(around: Surroundings, holder: str, *, full_refresh: bool = False) -> Done:
    """One batch run: an epoch, or the series that a long load is cut into. An epoch that an earlier run left is finished
    first; where every source still stands where that epoch ended there is nothing more to do. A stop that is asked for
    takes effect between two epochs.

    Raises the five error classes; KeyboardInterrupt passes through, with nothing half-written.
    """
    with leased(around, holder, full_refresh=full_refresh) as lease:
        runner = EpochRunner(around, lease)
        situation = around.retried(lambda _: _found(around, lease, runner))
        if situation.todo == "nothing":
            return _series(around, runner, situation.epoch)
        finished = _finished(around, lease, situation)
        begins = finished.goes_on or replay_of(finished.record.ranges) is not None
        if not begins and not around.retried(lambda _: _has_moved(around, finished)):
            return Done((finished,))
        return _series(around, runner, finished.record, finished)


def _series(around: Surroundings, runner: EpochRunner, last: EpochRecord | None, *before: SealedEpoch) -> Done:
    """New epochs until the load is done; none where nothing is new. Raises DataError ENG-315 where a rule does that speaks then."""
    done = [*before]
    while around.stop.asked is None:
        epoch = runner.new(last)
        if epoch is None:
            return Done(tuple(done), idle=aged(around, runner.incarnation))
        done.append(epoch)
        if not epoch.goes_on:
            return Done(tuple(done))
        last = epoch.record
    return Done(tuple(done), stopped=True)


def replay(around: Surroundings, holder: str) -> Done:
    """Sends rejected rows again, as an epoch of their own; what an earlier run left is finished first. Raises as ``run``,
    and ConfigError RUN-141.
    """
    with leased(around, holder, full_refresh=False) as lease:
        situation = around.retried(lambda _: _found(around, lease, EpochRunner(around, lease)))
        finished = None if situation.todo == "nothing" else _finished(around, lease, situation)
        last = situation.epoch if finished is None else finished.record
        _check_whole(around, lease)
        if around.stop.asked is not None:
            return Done((finished,) if finished is not None else (), stopped=True)
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
    check_targets(around, lease.incarnation, situation)
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
