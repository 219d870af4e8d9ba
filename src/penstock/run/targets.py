"""Whether what the markers tell of is still there, and whether the ledger knows who filled the sinks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.connectors.api import WriteMode
from penstock.errors import FatalError

if TYPE_CHECKING:
    from penstock.connectors.api import SinkId
    from penstock.run.settle import Situation
    from penstock.run.surroundings import Surroundings


def check_targets(around: Surroundings, incarnation: str, situation: Situation) -> None:
    """Looks at the sinks once their markers are read, before anything is planned.

    A sink that this run replaces as a whole may be without its target, and may have been filled by anybody.
    Raises FatalError RUN-113, RUN-114.
    """
    sealed = around.ledger.committed(around.key, incarnation)
    commits, replacing = around.plan.commits, around.ledger.replacing(around.key)
    for name, sink in around.every_sink.items():
        committed = name in situation.committed
        if not committed and name in commits and commits[name].mode == WriteMode.OVERWRITE:
            continue
        if committed or name in sealed:
            _check_there(name, sink.missing())
        elif not replacing:
            _check_known(around, around.sink_id(name, incarnation))


def _check_there(name: str, gone: str | None) -> None:
    if gone is not None:
        raise FatalError(
            "RUN-113",
            f'what was committed to the sink "{name}" is gone',
            detail=f"missing: {gone}; its epoch marker is still there.",
            hint="put it back; or start anew with --full-refresh, which replaces the sinks' contents",
        )


def _check_known(around: Surroundings, sink_id: SinkId) -> None:
    """A marker of a history that the ledger never had: another ledger filled the sink, or this one was lost."""
    found = around.every_sink[sink_id.sink].incarnations(sink_id)
    unknown = [other for other in sorted(found) if around.ledger.last_epoch(around.key, other) is None]
    if unknown:
        raise FatalError(
            "RUN-114",
            f'the sink "{sink_id.sink}" was filled by runs that the ledger does not know',
            detail=f"it has the epoch marker of incarnation {unknown[0]}; a new count would load its rows again.",
            hint="put the ledger back that filled it; or start anew with --full-refresh, which replaces the sinks' contents",
        )
