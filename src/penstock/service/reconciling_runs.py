"""The sinks of a run that say ``reconcile:``, compared once all that the run commits is committed and sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.errors import PenstockError, Problem, together
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.run.epoch import SealedEpoch
    from penstock.service.opening import Opened
    from penstock.service.reconciling import Reconciled


class Compared(Frozen):
    """``error`` is DataError RUN-195 where a table differs that must not, and the interrupt of whoever did not wait."""

    reconciled: tuple[Reconciled, ...] = ()
    warnings: tuple[Problem, ...] = ()
    error: PenstockError | KeyboardInterrupt | None = None


def reconcile_committed(found: Opened, epochs: Sequence[SealedEpoch]) -> Compared:
    """Raises nothing: what was committed stands, so that a comparison which fails is a warning of the run (RUN-196)."""
    filled = {name for epoch in epochs for name in epoch.receipts}
    sinks = [name for name, use in found.pipeline.sinks.items() if use.params.reconcile is not None and name in filled]
    if not sinks:
        return Compared()
    from penstock.service.reconciling import reconcile_run

    done: list[Reconciled] = []
    warnings: list[Problem] = []
    try:
        for name in sinks:
            try:
                done.append(reconcile_run(found, name))
            except PenstockError as error:
                warnings.append(_failed(found, name, error))
    except KeyboardInterrupt as interrupt:
        return Compared(tuple(done), tuple(warnings), interrupt)
    warnings += [problem for one in done for problem in one.warnings]
    told = [(one, _differs(found, one)) for one in done if one.differences]
    warnings += [problem for one, problem in told if not one.fails]
    failures = [problem for one, problem in told if one.fails]
    return Compared(tuple(done), tuple(warnings), together(failures) if failures else None)


def _failed(found: Opened, sink: str, error: PenstockError) -> Problem:
    problem = error.problems[0]
    return Problem(
        "RUN-196",
        f'"{sink}" could not be compared with its source: {problem.message}',
        at=found.pipeline.sinks[sink].at,
        detail=problem.detail,
        hint=f"what was committed stands; `penstock reconcile FILE {sink}` compares again",
        severity="warning",
    )


def _differs(found: Opened, one: Reconciled) -> Problem:
    use = found.pipeline.sinks[one.sink]
    counts = ", ".join(f"{number:,} {kind}" for kind, number in one.counts().items())
    return Problem(
        "RUN-195" if one.fails else "RUN-194",
        f'the table of "{one.sink}" is not what "{one.against}" gives: {counts}',
        at=use.places.get("reconcile", use.at),
        detail="What the run has committed stands, and the next run goes on from there.",
        hint=f"`penstock reconcile FILE {one.sink}` shows the keys",
        severity="error" if one.fails else "warning",
    )
