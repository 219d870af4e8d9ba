"""``run`` of a whole document: its only pipeline, or one per table of ``tables:`` and then the rest."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from penstock.compile.warnings import nothing_written
from penstock.document.assembly import load
from penstock.errors import ConfigError, PenstockError
from penstock.faults.points import VARIABLE, Faults, parse_faults
from penstock.ledger.api import RunRecord, RunStatus
from penstock.run.stopping import Alarm, Stop
from penstock.service.families import parts
from penstock.service.ledgers import key_of, open_ledger
from penstock.service.running import RunResult, new_run_id, run, status_of
from penstock.structs import Frozen

if TYPE_CHECKING:
    from datetime import datetime

    from penstock.document.assembly import Loaded
    from penstock.events import Events
    from penstock.service.families import Part
    from penstock.service.request import Request, Settings


__all__ = [
    "Alarm",
    "DocumentResult",
    "Faults",
    "RunResult",
    "RunStatus",
    "Stop",
    "faults_of",
    "run_document",
    "status_of",
]


class DocumentResult(Frozen):
    """``results`` in the order in which they ran, at least one; ``not_run`` the pipelines that were not begun after one
    that failed, or once a stop was asked for. ``pipeline`` None: the document could not be read. ``ended``: how it
    ended where a stop came between two of its pipelines.
    """

    pipeline: str | None
    results: tuple[RunResult, ...]
    not_run: tuple[str, ...] = ()
    of_tables: bool = False
    ended: RunStatus = RunStatus.DONE

    @property
    def status(self) -> RunStatus:
        """The worst: interrupted, stopped, failed, done."""
        found = {self.ended, *(result.status for result in self.results)}
        worst = (RunStatus.INTERRUPTED, RunStatus.STOPPED, RunStatus.FAILED)
        return next((one for one in worst if one in found), RunStatus.DONE)

    def to_json(self) -> dict[str, Any]:
        """Of a document without ``tables:`` its run."""
        if not self.of_tables:
            return self.results[0].to_json()
        return {
            "pipeline": self.pipeline,
            "status": self.status.value,
            "members": [result.to_json() for result in self.results],
            "not_run": list(self.not_run),
        }


def faults_of(settings: Settings) -> Faults:
    """What PENSTOCK_FAULTS asks for. Raises ConfigError FLT-1xx."""
    return parse_faults(settings.variables.get(VARIABLE, ""))


def run_document(
    request: Request, *, events: Events, faults: Faults, stop: Stop | None = None, loaded: Loaded | None = None
) -> DocumentResult:
    """Runs every part of the document, which is read unless it is handed in, until ``stop`` is asked for. One that cannot
    begin is a result that failed; where there are tables, whether the next ones begin then is ``on_table_error``'s to say.
    Raises nothing but our own bugs.

    From the moment when its document has been read a run is remembered, whatever ends it.
    """
    call = _Call.of(request)
    try:
        loaded = loaded or load(request.file, request.settings)
    except (ConfigError, KeyboardInterrupt) as error:
        return DocumentResult(None, (call.ended(None, error),))
    done: list[RunResult] = []
    left: tuple[str, ...] = ()
    of_tables = False
    stop = stop or Stop(request.clock)
    ended = RunStatus.DONE
    try:
        if not loaded.pipeline.sinks:
            raise ConfigError.of((nothing_written(loaded.pipeline),))
        with parts(request, loaded) as found:
            of_tables = found.of_tables
            for part in found.each:
                done.append(_run(request, part, events=events, faults=faults, stop=stop))
                if _ends(part, done[-1]) or stop.asked is not None:
                    break
            left = tuple(part.loaded.pipeline.name for part in found.each[len(done) :])
            ended = status_of(None, stop, stopped=stop.asked is not None and bool(left))
    except (PenstockError, KeyboardInterrupt) as error:
        done.append(call.ended(loaded, error))
    return DocumentResult(loaded.pipeline.name, tuple(done), left, of_tables, ended)


def _ends(part: Part, result: RunResult) -> bool:
    match result.status:
        case RunStatus.INTERRUPTED | RunStatus.STOPPED:
            return True
        case RunStatus.FAILED:
            return part.stops
        case _:
            return False


def _run(request: Request, part: Part, *, events: Events, faults: Faults, stop: Stop) -> RunResult:
    call = _Call.of(request)
    try:
        return run(request, events, faults, part.loaded, run_id=call.run_id, stop=stop)
    except (PenstockError, KeyboardInterrupt) as error:
        return call.ended(part.loaded, error)


class _Call(Frozen):
    """A run that is asked for: ``begun_at`` on the monotonic clock."""

    request: Request
    run_id: str
    started_at: datetime
    begun_at: float

    @classmethod
    def of(cls, request: Request) -> _Call:
        started = request.clock.now()
        return cls(request, new_run_id(started), started, request.clock.monotonic())

    def ended(self, loaded: Loaded | None, error: PenstockError | KeyboardInterrupt) -> RunResult:
        """The account of a run that did not begin; of a document that was read it is in the ledger as well."""
        result = RunResult(
            pipeline=loaded.pipeline.name if loaded is not None else None,
            run_id=self.run_id if loaded is not None else None,
            status=status_of(error),
            engine=None,
            guarantee=None,
            started_at=self.started_at,
            duration_ms=round((self.request.clock.monotonic() - self.begun_at) * 1000),
            problems=error.problems if isinstance(error, PenstockError) else (),
            error=error if isinstance(error, PenstockError) else None,
        )
        if loaded is not None:
            with suppress(PenstockError):  # the ledger may be what failed
                self._remember(loaded, result)
        return result

    def _remember(self, loaded: Loaded, result: RunResult) -> None:
        ended = self.request.clock.now()
        record = RunRecord(self.run_id, key_of(loaded), result.status, self.started_at, ended, summary=result.to_json())
        ledger = open_ledger(loaded.project, loaded.ledger)
        try:
            ledger.end_run(record)
        finally:
            ledger.close()
