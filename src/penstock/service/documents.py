"""``run`` of a whole document: its only pipeline, or one per table of ``tables:`` and then the rest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from penstock.errors import ConfigError, DataError, FatalError, PenstockError, TransientError
from penstock.ledger.api import PipelineKey, RunRecord, RunStatus
from penstock.service.families import parts
from penstock.service.opening import open_ledger
from penstock.service.running import RunResult, new_run_id, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.events import Events
    from penstock.faults.points import Faults
    from penstock.service.families import Part, Parts
    from penstock.service.opening import Request


@dataclass(frozen=True, slots=True)
class DocumentResult:
    """``results`` in the order in which they ran; ``not_run`` the pipelines that were not begun after one that failed."""

    pipeline: str
    results: tuple[RunResult, ...]
    not_run: tuple[str, ...] = ()
    of_tables: bool = False

    @property
    def status(self) -> RunStatus:
        """The worst: interrupted, failed, done."""
        found = {result.status for result in self.results}
        return next((one for one in (RunStatus.INTERRUPTED, RunStatus.FAILED) if one in found), RunStatus.DONE)

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


def run_document(request: Request, events: Events, faults: Faults) -> DocumentResult:
    """Runs every part. Where there are tables, a part that cannot begin is one that
    failed, with a record of its own, and whether the next ones begin is ``on_table_error``'s to say; of a document
    without them the error is raised.
    """
    with parts(request) as found:
        done: list[RunResult] = []
        for part in found.each:
            result = _run(request, part, found, events, faults)
            done.append(result)
            if _ends(part, result):
                break
        left = tuple(part.loaded.pipeline.name for part in found.each[len(done) :])
        return DocumentResult(found.loaded.pipeline.name, tuple(done), left, found.of_tables)


def _ends(part: Part, result: RunResult) -> bool:
    match result.status:
        case RunStatus.INTERRUPTED:
            return True
        case RunStatus.FAILED:
            return part.stops
        case _:
            return False


def _run(request: Request, part: Part, found: Parts, events: Events, faults: Faults) -> RunResult:
    started, begun_at = request.clock.now(), request.clock.monotonic()
    try:
        return run(request, events, faults, part.loaded)
    except (ConfigError, DataError, TransientError, FatalError) as error:
        if not found.of_tables:
            raise
        duration = round((request.clock.monotonic() - begun_at) * 1000)
        record = RunRecord(new_run_id(started), _key(part), RunStatus.FAILED, started)
        return _recorded(request, part, record, error, duration)


def _key(part: Part) -> PipelineKey:
    project = part.loaded.project
    return PipelineKey(project.name, project.environment, part.loaded.pipeline.name)


def _recorded(request: Request, part: Part, record: RunRecord, error: PenstockError, duration_ms: int) -> RunResult:
    """A table that could not begin has its status in the ledger as well."""
    problems: Sequence[Any] = error.problems
    result = RunResult(
        record.key.pipeline,
        record.run_id,
        RunStatus.FAILED,
        record.engine,
        record.guarantee,
        record.started_at,
        duration_ms,
        problems=problems,
        error=error,
    )
    ledger = open_ledger(part.loaded.project.state)
    try:
        ledger.begin_run(replace(record, status=RunStatus.RUNNING))
        ledger.end_run(replace(record, ended_at=request.clock.now(), summary=result.to_json()))
    finally:
        ledger.close()
    return result
