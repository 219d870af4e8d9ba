"""What an earlier run left: the ledger's last epoch against the markers of all sinks (epochs.md, Start-up)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from penstock.errors import FatalError
from penstock.ledger.api import EpochStatus
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.connectors.api import EpochMarker
    from penstock.ledger.api import EpochRecord


class Situation(Frozen):
    """``nothing``: plan a new epoch (an unsealed one that no sink has is planned anew). ``redo``: some sinks have the
    epoch, the others get the same ranges. ``seal``: all have it.
    """

    todo: Literal["nothing", "redo", "seal"]
    epoch: EpochRecord | None = None
    committed: frozenset[str] = frozenset()


def settle(
    last: EpochRecord | None,
    sealed: Mapping[str, int],
    *,
    markers: Mapping[str, EpochMarker | None],
    plan_hash: str,
) -> Situation:
    """``sealed``: the number of each sink's last sealed epoch, by the ledger.

    Raises FatalError RUN-110 where a marker is neither what the ledger sealed nor what it planned, RUN-111 where the
    pipeline was changed while an epoch is half committed.
    """
    open_epoch = last if last is not None and last.status is EpochStatus.PLANNED else None
    planned = open_epoch.sinks if open_epoch is not None else {}
    committed = set()
    for sink, marker in markers.items():
        found, before = marker.epoch if marker else 0, sealed.get(sink, 0)
        if found == planned.get(sink):
            committed.add(sink)
        elif found != before:
            raise _inconsistent(sink, found, before=before, planned=planned.get(sink))
    if open_epoch is None or not committed:
        return Situation("nothing", last)
    if committed >= planned.keys():
        return Situation("seal", open_epoch, frozenset(committed))
    situation = Situation("redo", open_epoch, frozenset(committed))
    check_plan(situation, plan_hash)
    return situation


def check_plan(situation: Situation, plan_hash: str) -> None:
    """Raises FatalError RUN-111 where the epoch was planned by another plan than the one to finish it by."""
    epoch, committed = situation.epoch, situation.committed
    if epoch is not None and epoch.plan_hash != plan_hash:
        raise FatalError(
            "RUN-111",
            f"epoch {epoch.number} is half committed, and the pipeline has changed since",
            detail=f"{', '.join(sorted(committed))} have it, {', '.join(sorted(epoch.sinks.keys() - committed))} do not.",
            hint="run the document as it was to finish the epoch, or start anew with --full-refresh",
        )


def _inconsistent(sink: str, found: int, *, before: int, planned: int | None) -> FatalError:
    expected = f"{before}" if planned is None else f"{before} or {planned}"
    if found > (planned or before):
        message = f'the sink "{sink}" is ahead of the ledger'
    else:
        message = f'the sink "{sink}" has lost epochs that the ledger has sealed'
    hint = "restore the one that was set back; or start anew with --full-refresh, which replaces the sinks' contents"
    return FatalError(
        "RUN-110",
        message,
        detail=f"its marker stands at epoch {found}, the ledger expects {expected}.",
        hint=hint if found else f"where it was given another place, give it another name too; else {hint}",
    )
