"""``runs`` and ``rejects``: what the ledger of a project remembers."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from penstock.connectors.api import Receipt
from penstock.document.assembly import ledger_of, project_of
from penstock.errors import ConfigError, nearest
from penstock.ledger.api import RunRecord
from penstock.ledger.rejects import read
from penstock.service.causes import CauseRows, by_cause
from penstock.service.json_text import read_json
from penstock.service.ledgers import find_ledger
from penstock.service.masking import hidden_columns, masked_rejects

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from penstock.connectors.api import Json
    from penstock.document.assembly import Settings
    from penstock.document.project import Project
    from penstock.ledger.api import EpochRecord, Ledger, NodeBalance, RejectEntry


_LISTED: Final = 10  # runs whose ids begin alike
_FORMS: Final = {".json": "json", ".ndjson": "json", ".jsonl": "json", ".parquet": "parquet"}

__all__ = [
    "Receipt",
    "Rejected",
    "RejectedRecord",
    "RunDetails",
    "RunRecord",
    "export",
    "list_runs",
    "no_run",
    "rejects",
    "run_of",
    "show_run",
]


@dataclass(frozen=True, slots=True)
class RunDetails:
    """A run and what it did, by epoch number; receipts by sink."""

    run: RunRecord
    epochs: Sequence[EpochRecord]
    receipts: Mapping[int, Mapping[str, Receipt]]
    balance: Mapping[int, Sequence[NodeBalance]]


@contextmanager
def _ledger(settings: Settings) -> Iterator[tuple[Ledger | None, Project]]:
    """The project's ledger, None where nothing ever ran; asking makes none.

    Raises ConfigError CLI-106 where neither a project file nor a ledger says that there is a project.
    """
    project = project_of(None, settings)
    ledger = find_ledger(project, ledger_of(project, settings))
    if ledger is None:
        if project.file is None:
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


def list_runs(settings: Settings, *, limit: int, pipeline: str | None = None) -> Sequence[RunRecord]:
    """Newest first; those of a pipeline's tables (``shop/crm.sales.orders``) are the pipeline's too."""
    with _ledger(settings) as (ledger, _):
        runs = ledger.runs(limit=limit if pipeline is None else 1_000_000) if ledger is not None else ()
        return [run for run in runs if pipeline in {None, run.key.pipeline, run.key.pipeline.partition("/")[0]}][:limit]


def show_run(settings: Settings, run_id: str | None) -> RunDetails:
    """The run of that id, or of a prefix that fits one; None: the newest. Raises ConfigError LED-130, LED-133."""
    with _ledger(settings) as (ledger, _):
        newest = ledger.runs(limit=1) if ledger is not None else ()
        if ledger is None or not newest:
            raise no_run(run_id)
        run = newest[0] if run_id is None else run_of(ledger, run_id)
        return RunDetails(run, ledger.epochs(run.run_id), ledger.receipts(run.run_id), ledger.balance(run.run_id))


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
        hint="`penstock runs list` shows what there is",
    )


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """One rejected record. ``position``, ``row`` and ``source_row`` are JSON, ``raw`` the text of what never became a row;
    ``causes`` are its codes with column and message. A number that a double does not hold is text.
    """

    node: str
    epoch: int
    status: str
    position: Json
    row: Json
    raw: str | None
    source_row: Json
    causes: Sequence[Mapping[str, str | None]]

    def to_json(self) -> dict[str, Json]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Rejected:
    """Reject files of one run, newest first, and where their contents lie; ``root`` is the project's folder, ``allow``
    are the labels whose columns are shown.
    """

    run: RunRecord | None
    entries: Sequence[RejectEntry]
    state: Path
    root: Path
    allow: Collection[str] = ()

    @property
    def run_id(self) -> str | None:
        return self.run.run_id if self.run is not None else None

    @property
    def total(self) -> int:
        """Rows: one that was rejected for several reasons counts once."""
        return sum(entry.file.rows for entry in self.entries)

    @property
    def reasons(self) -> int:
        """As many as rows where each was rejected for one; the sum of ``by_cause``."""
        return sum(sum(entry.file.groups.values()) for entry in self.entries)

    def by_cause(self) -> tuple[CauseRows, ...]:
        return by_cause(entry.file for entry in self.entries)

    def batches(self) -> Iterator[tuple[RejectEntry, pa.RecordBatch]]:
        """The rejected records themselves, hidden columns masked. Raises DataError LED-120."""
        for entry in self.entries:
            hidden = hidden_columns(entry.file.labels, self.allow)
            for batch in read(self.state, entry):
                yield entry, masked_rejects(batch, hidden)

    def records(self) -> Iterator[RejectedRecord]:
        """The rejected records one by one. Raises DataError LED-120."""
        for entry, batch in self.batches():
            for row in batch.to_pylist():
                yield RejectedRecord(
                    entry.file.node,
                    entry.epoch,
                    entry.status,
                    position=_parsed(row["position"]),
                    row=_parsed(row["row"]),
                    raw=row["raw"],
                    source_row=_parsed(row["source_row"]),
                    causes=row["causes"],
                )


def _parsed(text: str | None) -> Json:
    return None if text is None else read_json(text)


def rejects(
    settings: Settings, *, run_id: str | None = None, node: str | None = None, allow: Collection[str] = ()
) -> Rejected:
    """Of one run (an id or its prefix), by default of the newest that has any; ``node``: a node, or what it belongs to;
    ``allow``: the labels whose columns are shown.

    Raises ConfigError LED-130, LED-132 with the nearest name, LED-133.
    """
    with _ledger(settings) as (ledger, project):
        if ledger is None:
            if run_id is not None:
                raise no_run(run_id)
            return Rejected(None, (), project.state, project.root)
        run = run_of(ledger, run_id) if run_id is not None else None
        entries = ledger.rejects(run_id=run.run_id if run is not None else None)
        if run is None and entries:
            run = run_of(ledger, entries[0].run_id)
        found = [entry for entry in entries if run is not None and entry.run_id == run.run_id]
        if node is not None:
            if run is not None:
                _check_node(node, [*_balanced(ledger, run.run_id), *(entry.file.node for entry in found)])
            found = [entry for entry in found if _is_of(entry.file.node, node)]
        return Rejected(run, found, project.state, project.root, allow)


def _balanced(ledger: Ledger, run_id: str) -> Iterator[str]:
    return (entry.node for entries in ledger.balance(run_id).values() for entry in entries)


def _check_node(name: str, nodes: Sequence[str]) -> None:
    """Of a run that failed only the nodes that rejected are known; of one that had none, nothing is."""
    known = list(dict.fromkeys(part for node in nodes for part in (node.partition(".")[0], node)))
    if known and name not in known:
        near = nearest(name, known)
        raise ConfigError(
            "LED-132",
            f'the run has no node "{name}"',
            detail=f"known nodes: {', '.join(known)}.",
            hint=f'did you mean "{near}"?' if near else None,
        )


def _is_of(node_id: str, name: str) -> bool:
    return node_id == name or node_id.startswith(f"{name}.")


def export(found: Rejected, out: Path, form: str | None) -> int:
    """Writes the records: ``json`` one per line, ``parquet`` as they are kept; None: as the file's ending says. How many
    there were.

    Raises ConfigError LED-131 where the file is there already, cannot be written, or has an ending that says neither; a
    file of which not all could be written is removed.
    """
    form = form or _FORMS.get(out.suffix)
    if form is None:
        raise ConfigError(
            "LED-131",
            f'the ending of "{out}" is not one that rejects are exported to',
            detail=f"the endings are {', '.join(_FORMS)}.",
            hint="give it one of them, or say --format json or --format parquet",
        )
    try:
        file = out.open("xb")
    except FileExistsError:
        raise ConfigError("LED-131", f'"{out}" is there already', hint="name another file") from None
    except OSError as error:
        raise ConfigError("LED-131", f'"{out}" cannot be written', detail=f"{error.strerror}.") from None
    try:
        with file:
            return _export_parquet(found, file) if form == "parquet" else _export_lines(found, file)
    except BaseException as error:
        out.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise ConfigError("LED-131", f'"{out}" cannot be written', detail=f"{error.strerror}.") from None
        raise


def _export_lines(found: Rejected, file: BinaryIO) -> int:
    written = 0
    for record in found.records():
        file.write(json.dumps(record.to_json(), ensure_ascii=False).encode() + b"\n")
        written += 1
    return written


def _export_parquet(found: Rejected, file: BinaryIO) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    written, writer = 0, None
    for entry, batch in found.batches():
        named = batch.add_column(0, "node", pa.array([entry.file.node] * batch.num_rows, pa.string()))
        writer = writer or pq.ParquetWriter(file, named.schema)
        writer.write_batch(named)
        written += named.num_rows
    if writer is not None:
        writer.close()
    return written
