"""What a run would find before it plans anything: the sinks' markers beside the ledger. Nothing is taken and nothing written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.ledger.api import RunRecord, RunStatus
from penstock.run.epoch import situation_of
from penstock.run.targets import check_targets
from penstock.service.running import surroundings

if TYPE_CHECKING:
    from penstock.compile.pipeline import Compiled
    from penstock.ledger.api import EpochRecord
    from penstock.plan.stages import Plan
    from penstock.run.settle import Situation
    from penstock.service.opening import Opened


def standing(found: Opened, compiled: Compiled, plan: Plan, last: EpochRecord | None) -> Situation | None:
    """None where nothing was sealed since the pipeline began, or where the run replaces what is there.

    Raises what a run would: FatalError RUN-110, RUN-111, RUN-113, RUN-114.
    """
    if last is None or found.replaces:
        return None
    record = RunRecord("", found.key, RunStatus.RUNNING, found.request.clock.now())
    around = surroundings(found, compiled, plan, record)
    situation = situation_of(around, last.incarnation)
    check_targets(around, last.incarnation, situation)
    return situation


__all__ = ["standing"]
