"""``runs``: what the ledger of a project remembers."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from penstock.connectors.api import Receipt
from penstock.document.assembly import ledger_of, project_of
from penstock.errors import ConfigError
from penstock.ledger.api import EpochStatus, RunRecord, RunStatus, StopRequest
from penstock.service.holders import run_of_holder
from penstock.service.ledgers import find_ledger
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from penstock.document.assembly import Settings
    from penstock.document.project import Project
    from penstock.ledger.api import EpochRecord, Ledger, NodeBalance, PipelineKey, Range


EVERY_RUN: Final = 1_000_000
_LOOKED_AT: Final = 20  # runs, for one that was not refused
_LISTED: Final = 10  # runs whose ids begin alike

__all__ = [
    "EVERY_RUN",
    "EpochStatus",
    "ListedRun",
    "Receipt",
    "RunDetails",
    "RunRecord",
    "RunStatus",
    "StopRequest",
    "is_called",
    "list_runs",
    "no_run",
    "project_ledger",
    "ranges_json",
    "run_of",
    "show_run",
]


def ranges_json(ranges: Sequence[Range]) -> list[dict[str, Any]]:
    """What an epoch read, as ``run --json`` has it."""
    return [
        {"source": item.source, "partition": item.partition, "after": item.after, "upto": item.upto} for item in ranges
    ]


class RunDetails(Frozen):
    """A run and what it did, by epoch number; receipts by sink."""

    run: RunRecord
    epochs: Sequence[EpochRecord]
    receipts: Mapping[int, Mapping[str, Receipt]]
    balance: Mapping[int, Sequence[NodeBalance]]
    stop: StopRequest | None = None  # of a run that goes on
    refused: int = 0  # newer runs that were passed over, since they failed before they had an epoch

    def summary(self) -> dict[str, Any]:
        """What ``run --json`` printed: what its epochs read the ledger has with these, once."""
        found, ranges = dict(self.run.summary), {one.number: ranges_json(one.ranges) for one in self.epochs}
        match found.get("epochs"):
            case list() as epochs:
                found["epochs"] = [
                    {**one, "ranges": ranges.get(one["epoch"], [])} for one in epochs if isinstance(one, dict)
                ]
        return found


class ListedRun(Frozen):
    """A run, and whether it was asked to stop where it goes on."""

    run: RunRecord
    stop: StopRequest | None = None


@contextmanager
def project_ledger(settings: Settings, file: Path | None = None) -> Iterator[tuple[Ledger | None, Project]]:
    """The project's ledger, None where nothing ever ran; asking makes none. ``file``: the project of that pipeline file.

    Raises ConfigError CLI-106 where neither a project file nor a ledger says that there is a project.
    """
    project = project_of(file, settings)
    ledger = find_ledger(project, ledger_of(project, settings))
    if ledger is None:
        if project.file is None and file is None:
            raise ConfigError(
                "CLI-106",
                f'"{project.root}" is no project',
                detail="it has no penstock.yml, nor has a folder above it, and nothing was run there",
                hint="go to the project's folder, or name it with --project",
            )
        yield None, project
        return
    try:
        yield ledger, project
    finally:
        ledger.close()


def list_runs(settings: Settings, *, limit: int, pipeline: str | None = None) -> Sequence[ListedRun]:
    """Newest first; those of a pipeline's tables (``shop/crm.sales.orders``) are the pipeline's too."""
    with project_ledger(settings) as (ledger, _):
        runs = ledger.runs(limit=limit if pipeline is None else EVERY_RUN) if ledger is not None else ()
        named = [run for run in runs if is_called(run.key, pipeline)]
        asked = _asked(ledger, named[:limit]) if ledger is not None else {}
        return [ListedRun(run, asked.get(run.run_id)) for run in named[:limit]]


def is_called(key: PipelineKey, pipeline: str | None) -> bool:
    """Whether a person who says ``pipeline`` means it: by its name, or as a table of that pipeline; None is every one."""
    return pipeline in {None, key.pipeline, key.pipeline.partition("/")[0]}


def _asked(ledger: Ledger, runs: Sequence[RunRecord]) -> Mapping[str, StopRequest]:
    """What is asked of the runs that go on, by their ids."""
    if all(run.status is not RunStatus.RUNNING for run in runs):
        return {}
    going = {run.run_id for run in runs if run.status is RunStatus.RUNNING}
    found = ((run_of_holder(one.lease.holder), one.stop) for one in ledger.holdings())
    return {run_id: stop for run_id, stop in found if stop is not None and run_id in going}


def show_run(settings: Settings, run_id: str | None) -> RunDetails:
    """The run of that id, or of a prefix that fits one; None: the newest that came to an epoch, or had nothing to do, or goes
    on; else the newest. Raises ConfigError LED-130, LED-133.
    """
    with project_ledger(settings) as (ledger, _):
        newest = ledger.runs(limit=_LOOKED_AT) if ledger is not None else ()
        if ledger is None or not newest:
            raise no_run(run_id)
        refused = next((place for place, one in enumerate(newest) if not _is_refused(ledger, one)), 0)
        run = newest[refused] if run_id is None else run_of(ledger, run_id)
        return RunDetails(
            run,
            ledger.epochs(run.run_id),
            ledger.receipts(run.run_id),
            ledger.balance(run.run_id),
            _asked(ledger, [run]).get(run.run_id),
            refused if run_id is None else 0,
        )


def _is_refused(ledger: Ledger, run: RunRecord) -> bool:
    return run.status is RunStatus.FAILED and not ledger.epochs(run.run_id)


def run_of(ledger: Ledger, run_id: str) -> RunRecord:
    """The run of that id, or of a prefix that fits one. Raises ConfigError LED-130, LED-133."""
    found = ledger.runs_beginning(run_id, limit=_LISTED + 1)
    if not found:
        raise no_run(run_id)
    if len(found) > 1:
        ids = [run.run_id for run in found]
        listed = ", ".join(ids) if len(ids) <= _LISTED else f"{', '.join(ids[:_LISTED])} and older ones"
        raise ConfigError(
            "LED-133",
            f'the ids of several runs begin with "{run_id}"',
            detail=f"newest first: {listed}.",
            hint="give more of the id",
        )
    return found[0]


def no_run(run_id: str | None) -> ConfigError:
    """LED-130; None: where none was asked for by its id."""
    return ConfigError(
        "LED-130",
        "nothing has been run yet" if run_id is None else f'there is no run "{run_id}"',
        hint="`penstock run FILE` runs a pipeline" if run_id is None else "`penstock runs list` shows what there is",
    )
