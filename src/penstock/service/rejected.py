"""``rejects``: the rows that were set aside, by what was wrong with them, one by one, and in a file."""

from __future__ import annotations

import json
from enum import Enum
from typing import TYPE_CHECKING, BinaryIO, Final

from penstock.errors import ConfigError, DataError, nearest
from penstock.ledger.rejects import open_rows, read
from penstock.service.causes import group_name
from penstock.service.json_text import read_json
from penstock.service.masking import hidden_columns, masked_rejects
from penstock.service.remembering import EVERY_RUN, is_called, no_run, project_ledger, run_of
from penstock.structs import Frozen, asdict, field, replace

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import pyarrow as pa

    from penstock.connectors.api import Json
    from penstock.document.assembly import Settings
    from penstock.ledger.api import Ledger, RejectEntry, RejectFile, RejectOutcome, RunRecord
    from penstock.ledger.rejects import Group

_FORMS: Final = {".json": "json", ".ndjson": "json", ".jsonl": "json", ".parquet": "parquet"}


class RejectedRecord(Frozen):
    """One rejected record. ``position``, ``row`` and ``source_row`` are JSON, ``raw`` the text of what never became a row;
    ``causes`` are its codes with column and message. A number that a double does not hold is text. ``places`` is where the
    document demands what it does not fulfil (``prices.yml:14:9``), by code, and "" for the node.
    """

    node: str
    epoch: int
    status: str
    position: Json
    row: Json
    raw: str | None
    source_row: Json
    causes: Sequence[Mapping[str, str | None]]
    places: Mapping[str, str]

    def to_json(self) -> dict[str, Json]:
        return asdict(self)


def records_of(file: RejectFile, batch: pa.RecordBatch, *, epoch: int, status: str) -> Iterator[RejectedRecord]:
    """The rows of a part of a reject file, as they are to be shown."""
    for row in batch.to_pylist():
        yield RejectedRecord(
            file.node,
            epoch,
            status,
            position=_parsed(row["position"]),
            row=_parsed(row["row"]),
            raw=row["raw"],
            source_row=_parsed(row["source_row"]),
            causes=row["causes"],
            places=file.places,
        )


def _parsed(text: str | None) -> Json:
    return None if text is None else read_json(text)


class GroupRows(Frozen):
    """The rows that a node rejected for one cause; ``column`` None: the record as a whole. ``example`` is what was said of
    the first of them, None where its file is not at hand.
    """

    node: str
    cause: str
    column: str | None
    rows: int
    epochs: tuple[int, ...]
    example: str | None

    @property
    def name(self) -> str:
        """What commands call the group."""
        return group_name(self.node, (self.cause, self.column))

    def to_json(self) -> dict[str, Json]:
        return {"group": self.name, **asdict(self)}


class Settled(Frozen):
    """What was done with ``rows`` of a group: ``replayed`` in an epoch by a run, or ``discarded`` by a person."""

    group: str
    outcome: str
    rows: int
    by: str
    at: datetime
    epoch: int | None
    reason: str | None


class Absence(Enum):
    """Why there is nothing to show."""

    NOTHING = "nothing was rejected"
    NONE_OPEN = "nothing is open: --all shows what was replayed, discarded or read again since"
    NO_RUN = "the pipeline that was asked for has never run in this project"


class Rejected(Frozen):
    """Reject files of one pipeline, newest first, and where their contents lie; ``root`` is the project's folder, ``allow``
    are the labels whose columns are shown, ``outcomes`` what was done with its rejects. ``every``: also rows that were
    replayed or discarded. ``group``: of one group alone. ``run``: the newest that rejected any of them. ``absence`` tells why
    there are no ``entries``.
    """

    run: RunRecord | None
    entries: Sequence[RejectEntry]
    state: Path
    root: Path
    allow: Collection[str] = ()
    outcomes: Sequence[RejectOutcome] = field(default=())
    every: bool = False
    group: tuple[str, Group] | None = None
    absence: Absence = Absence.NOTHING

    @property
    def run_id(self) -> str | None:
        """Which run rejected these; of several the newest."""
        runs = {entry.run_id for entry in self.entries}
        if len(runs) == 1:
            return runs.pop()
        return self.run.run_id if self.run is not None else None

    @property
    def epochs(self) -> tuple[int, ...]:
        return tuple(sorted({entry.epoch for entry in self.entries}))

    @property
    def total(self) -> int:
        """Rows: one that was rejected for several reasons counts once."""
        if self.group is not None:
            return self.reasons
        return sum(entry.file.rows if self._is_whole(entry) else entry.left_rows for entry in self.entries)

    @property
    def reasons(self) -> int:
        """As many as rows where each was rejected for one; the sum of ``groups``."""
        return sum(sum(self._groups(entry).values()) for entry in self.entries)

    def groups(self) -> tuple[GroupRows, ...]:
        """By node, cause and column, most rows first. A row with several causes stands under each of them."""
        found: dict[tuple[str, Group], list[RejectEntry]] = {}
        for entry in self.entries:
            for group in self._groups(entry):
                found.setdefault((entry.file.node, group), []).append(entry)
        made = [self._made(node, group, entries) for (node, group), entries in found.items()]
        return tuple(sorted(made, key=lambda one: (-one.rows, one.name)))

    def _made(self, node: str, group: Group, entries: Sequence[RejectEntry]) -> GroupRows:
        return GroupRows(
            node,
            *group,
            rows=sum(self._groups(entry)[group] for entry in entries),
            epochs=tuple(sorted({entry.epoch for entry in entries})),
            example=self._example(entries[-1], group),
        )

    def _example(self, entry: RejectEntry, group: Group) -> str | None:
        try:
            for batch in self._batches(entry, group):
                causes: list[dict[str, str]] = batch.column("causes")[0].as_py()
                return next(cause["message"] for cause in causes if (cause["code"], cause["column"]) == group)
        except DataError:  # the records themselves are not asked for
            return None
        return None

    def batches(self) -> Iterator[tuple[RejectEntry, pa.RecordBatch]]:
        """The rejected records themselves, hidden columns masked. Raises DataError LED-120."""
        for entry in self.entries:
            for batch in self._batches(entry, self.group[1] if self.group is not None else None):
                yield entry, batch

    def _batches(self, entry: RejectEntry, group: Group | None) -> Iterator[pa.RecordBatch]:
        settled = () if self._is_whole(entry) else settled_groups(self.outcomes, entry.file.path)
        hidden = hidden_columns(entry.file.labels, self.allow)
        for batch in read(self.state, entry.file):
            rows = open_rows(batch, settled, group)
            if rows.num_rows:
                yield masked_rejects(rows, hidden)

    def records(self) -> Iterator[RejectedRecord]:
        """The rejected records one by one. Raises DataError LED-120."""
        for entry, batch in self.batches():
            yield from records_of(entry.file, batch, epoch=entry.epoch, status=entry.status)

    def _groups(self, entry: RejectEntry) -> Mapping[Group, int]:
        groups = entry.file.groups if self._is_whole(entry) else entry.left
        if self.group is None:
            return groups
        node, group = self.group
        return {group: groups[group]} if entry.file.node == node and group in groups else {}

    def _is_whole(self, entry: RejectEntry) -> bool:
        return self.every or entry.status != "kept"

    def settled(self) -> tuple[Settled, ...]:
        """What was done with rows of these files, oldest first; of a group of several files once."""
        nodes = {entry.file.path: entry.file.node for entry in self.entries}
        found: dict[Settled, int] = {}
        for done in self.outcomes:
            if done.path in nodes:
                group = group_name(nodes[done.path], (done.code, done.column))
                one = Settled(group, done.outcome, 0, done.by, done.at, done.epoch, done.reason)
                found[one] = found.get(one, 0) + done.rows
        return tuple(replace(one, rows=rows) for one, rows in found.items())

    def only(self, name: str) -> Rejected:
        """Of the group of that name. Raises ConfigError LED-140 with the nearest one."""
        known = {
            group_name(entry.file.node, group): (entry.file.node, group)
            for entry in self.entries
            for group in self._groups(entry)
        }
        chosen = chosen_group(name, known)
        node, group = chosen
        entries = [entry for entry in self.entries if entry.file.node == node and group in self._groups(entry)]
        return replace(self, entries=entries, group=chosen)


def settled_groups(outcomes: Sequence[RejectOutcome], path: str) -> tuple[Group, ...]:
    """The groups of a file whose rows were replayed or discarded."""
    return tuple((done.code, done.column) for done in outcomes if done.path == path)


def chosen_group(name: str, known: Mapping[str, tuple[str, Group]]) -> tuple[str, Group]:
    """Node and cause of the group of that name. Raises ConfigError LED-140 with the nearest one."""
    if name in known:
        return known[name]
    near = nearest(name, known)
    raise ConfigError(
        "LED-140",
        f'there is no group "{name}" of rejects',
        detail=f"there {'is' if len(known) == 1 else 'are'} {', '.join(sorted(known))}." if known else None,
        hint=f'did you mean "{near}"?' if near else "`penstock rejects list` shows what there is",
    )


def rejects(
    settings: Settings,
    *,
    run_id: str | None = None,
    pipeline: str | None = None,
    node: str | None = None,
    every: bool = False,
    allow: Collection[str] = (),
) -> Rejected:
    """What is open of the pipeline that rejected any last, and what its newest run rejected in an epoch that was not sealed;
    ``every``: all that the pipeline ever rejected. Of one run (an id or its prefix): all that it rejected. ``node``: a node,
    or what it belongs to; ``allow``: the labels whose columns are shown.

    Raises ConfigError LED-130, LED-132 with the nearest name, LED-133.
    """
    with project_ledger(settings) as (ledger, project):
        if ledger is None:
            if run_id is not None:
                raise no_run(run_id)
            never = Absence.NOTHING if pipeline is None else Absence.NO_RUN
            return Rejected(None, (), project.state, project.root, absence=never)
        entries = _entries(ledger, run_id=run_id, pipeline=pipeline, every=every)
        run = run_of(ledger, run_id or entries[0].run_id) if run_id is not None or entries else None
        if node is not None and run is not None:
            _check_node(node, [*_balanced(ledger, run.run_id), *(entry.file.node for entry in entries)])
        chosen = [entry for entry in entries if node is None or _is_of(entry.file.node, node)]
        return Rejected(
            run,
            chosen,
            project.state,
            project.root,
            allow,
            ledger.outcomes(run.key) if run is not None else (),
            every or run_id is not None,
            absence=Absence.NOTHING if chosen or run_id is not None else _absence(ledger, pipeline, node),
        )


def _absence(ledger: Ledger, pipeline: str | None, node: str | None) -> Absence:
    """Of what has no open rejects."""
    if any(
        is_called(entry.key, pipeline) and (node is None or _is_of(entry.file.node, node)) for entry in ledger.rejects()
    ):
        return Absence.NONE_OPEN
    ran = pipeline is None or any(is_called(run.key, pipeline) for run in ledger.runs(limit=EVERY_RUN))
    return Absence.NOTHING if ran else Absence.NO_RUN


def _entries(ledger: Ledger, *, run_id: str | None, pipeline: str | None, every: bool) -> Sequence[RejectEntry]:
    if run_id is not None:
        run = run_of(ledger, run_id)
        return [entry for entry in ledger.rejects(run_id=run.run_id) if entry.run_id == run.run_id]
    found = [
        entry
        for entry in ledger.rejects()
        if (every or entry.is_open or entry.status == "aborted") and is_called(entry.key, pipeline)
    ]
    if not found:
        return []
    newest = found[0]
    return [
        entry
        for entry in found
        if entry.key == newest.key and (every or entry.is_open or entry.run_id == newest.run_id)
    ]


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
