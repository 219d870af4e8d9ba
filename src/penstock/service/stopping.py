"""``runs stop``: asks whatever runs a pipeline to end, through the ledger, and waits until it has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from penstock.clock import SystemClock
from penstock.document.loader import load_file
from penstock.document.tree import Mapping, Scalar
from penstock.errors import ConfigError, FatalError, TransientError, nearest
from penstock.fields import parse_duration
from penstock.ledger.api import Health, RunStatus, StopRequest
from penstock.run.stopping import AT_ONCE
from penstock.service.holders import caller, run_of_holder
from penstock.service.remembering import project_ledger
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import timedelta

    from penstock.clock import Clock
    from penstock.document.assembly import Settings
    from penstock.document.project import Project
    from penstock.ledger.api import Holding, Ledger

_LOOK_S: Final = 0.2
_HEARD_S: Final = 30.0  # a holder looks once a second
_TOLD_S: Final = 10.0  # between giving the pipeline back and the record of the run
_ENDS: Final = (".yml", ".yaml", ".json")


class StoppedRun(Frozen):
    """A run that was found at work: ``status`` as the ledger has it now; "dead" where its process was gone already."""

    pipeline: str
    run_id: str
    holder: str
    status: str

    def to_json(self) -> dict[str, Any]:
        return {"pipeline": self.pipeline, "run_id": self.run_id, "holder": self.holder, "status": self.status}


class StopResult(Frozen):
    """``runs`` in the order in which they ended; none where nothing of the pipeline was running."""

    pipeline: str
    runs: tuple[StoppedRun, ...]

    def to_json(self) -> dict[str, Any]:
        return {"pipeline": self.pipeline, "runs": [run.to_json() for run in self.runs]}


def stop(
    settings: Settings, named: str, *, grace: timedelta | None = None, clock: Clock | None = None, by: str | None = None
) -> StopResult:
    """Asks the runs of a pipeline to stop (``named``: it, or its file; all tables of ``tables:`` are its), and waits until
    none is at work. ``grace`` None: as its document says.

    Raises ConfigError LED-210 where no such pipeline is known; FatalError LED-211 where the holder's lease has run out
    and nobody knows whether it lives; TransientError LED-212 where it does not answer.
    """
    is_file = Path(named).suffix in _ENDS
    file = Path(named) if is_file else None
    pipeline = _pipeline_of(file) if file is not None else named
    with project_ledger(settings, file) as (ledger, project):
        if ledger is None:
            if not is_file:
                raise _never_run(pipeline, project, ())
            return StopResult(pipeline, ())
        request = _Request(ledger, project, pipeline, clock or SystemClock(), by or caller(), grace)
        runs = request.carried_out()
        if not runs and not is_file:
            _check_known(ledger, project, pipeline)
        return StopResult(pipeline, runs)


def grace_of(text: str | None, *, now: bool) -> timedelta | None:
    """None where nothing is said. Raises ConfigError CLI-160 for what is no duration, CLI-161 for both."""
    if now and text is not None:
        raise ConfigError("CLI-161", "--now gives no time, and --grace some", hint="leave out one of them")
    if now:
        return AT_ONCE
    try:
        return None if text is None else parse_duration(text)
    except ValueError as error:
        raise ConfigError("CLI-160", f'"{text}" is no time to give', detail=f"--grace {error}.") from None


def _pipeline_of(file: Path) -> str:
    """The name that stands in a document, which need not be whole for that."""
    node = load_file(file)
    name = node.get("pipeline") if isinstance(node, Mapping) else None
    if isinstance(name, Scalar) and isinstance(name.value, str):
        return name.value
    raise ConfigError("LED-210", f'"{file}" names no pipeline', hint="a pipeline document starts with `pipeline: name`")


def _check_known(ledger: Ledger, project: Project, pipeline: str) -> None:
    known = {run.key.pipeline for run in ledger.runs(limit=10_000) if run.key.environment == project.environment}
    known |= {name.partition("/")[0] for name in known}
    if pipeline not in known:
        raise _never_run(pipeline, project, known)


def _never_run(pipeline: str, project: Project, known: Collection[str]) -> ConfigError:
    near = nearest(pipeline, known)
    return ConfigError(
        "LED-210",
        f'nothing has ever run a pipeline "{pipeline}" in the environment "{project.environment}"',
        hint=f'did you mean "{near}"?' if near else "name the pipeline, or its file",
    )


class _Request(Frozen):
    ledger: Ledger
    project: Project
    pipeline: str
    clock: Clock
    by: str
    grace: timedelta | None

    def carried_out(self) -> tuple[StoppedRun, ...]:
        """A run over many tables holds one after the other; whichever it holds is asked, until it holds none."""
        ended: list[StoppedRun] = []
        while (holding := next(iter(self._holdings(ended)), None)) is not None:
            ended.append(self._ended(holding))
        return tuple(ended)

    def _holdings(self, ended: Sequence[StoppedRun]) -> list[Holding]:
        known = {run.holder for run in ended}
        return [
            found
            for found in self.ledger.holdings()
            if (found.lease.key.project, found.lease.key.environment) == (self.project.name, self.project.environment)
            and self.pipeline in {found.lease.key.pipeline, found.lease.key.pipeline.partition("/")[0]}
            and found.lease.holder not in known
        ]

    def _ended(self, holding: Holding) -> StoppedRun:
        lease = holding.lease
        run_id = run_of_holder(lease.holder)
        if holding.health is Health.DEAD:
            return StoppedRun(lease.key.pipeline, run_id, lease.holder, Health.DEAD.value)
        try:
            self.ledger.ask_stop(lease, StopRequest(self.by, self.clock.now(), self.grace))
        except FatalError as error:
            if error.code != "LED-111":
                raise
        else:
            self._wait(holding)
        return StoppedRun(lease.key.pipeline, run_id, lease.holder, self._status(run_id))

    def _wait(self, holding: Holding) -> None:
        """Until nobody has this lease any more."""
        asked_at = self.clock.monotonic()
        while (found := self._now(holding)) is not None:
            match found.health:
                case Health.DEAD:
                    return
                case Health.SILENT:
                    raise _silent(found)
                case Health.ALIVE:
                    heard = found.stop is not None and found.stop.heard
                    if not heard and self.clock.monotonic() - asked_at > _HEARD_S:
                        raise _deaf(found)
            self.clock.sleep(_LOOK_S)

    def _now(self, holding: Holding) -> Holding | None:
        lease = holding.lease
        return next(
            (one for one in self.ledger.holdings() if (one.lease.key, one.lease.fence) == (lease.key, lease.fence)),
            None,
        )

    def _status(self, run_id: str) -> str:
        began = self.clock.monotonic()
        while True:
            runs = self.ledger.runs_beginning(run_id, limit=1)
            status = runs[0].status if runs else RunStatus.RUNNING
            if status is not RunStatus.RUNNING or self.clock.monotonic() - began > _TOLD_S:
                return status.value
            self.clock.sleep(_LOOK_S)


def _silent(holding: Holding) -> FatalError:
    lease = holding.lease
    return FatalError(
        "LED-211",
        f'the run of "{lease.key.pipeline}" by {lease.holder} has not renewed its lease',
        detail=f"it ended at {lease.expires_at:%Y-%m-%d %H:%M:%S} UTC: the process is dead, paused, or cut off from the "
        "ledger. If it wakes up it finds the request.",
        hint="the next run of the pipeline takes it over; what the old one still tries to commit is refused",
    )


def _deaf(holding: Holding) -> TransientError:
    lease = holding.lease
    return TransientError(
        "LED-212",
        f'the run of "{lease.key.pipeline}" by {lease.holder} does not answer',
        detail=f"it was asked to stop {_HEARD_S:.0f} s ago, and has not looked since.",
        hint="it may be paused, or busy reaching the ledger; ask again, or end its process",
    )


__all__ = ["StopResult", "StoppedRun", "grace_of", "stop"]
