"""Rejected rows as the range of an epoch: which files they lie in, which of their rows are meant, what is done to them.

A replay is an epoch like any other, whose one new range is of these rows. So what it sends is written down before anything
is read, every sink commits it with its marker, and sealing it settles the rows: they cannot be sent twice.

Position: ``{"v": 1, "group": [node, code, column], "place": ..., "kept": ..., "set": {column: expression},
"files": [...], "repaired": [path, checksum] or null}``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from penstock.connectors.api import POSITION, Files, JsonFormat, Origin, ParquetFormat, Source
from penstock.connectors.database import open_database
from penstock.errors import DataError, InternalError
from penstock.graph.replayed import SOURCE, rejecting_ids
from penstock.ledger.api import RejectFile, RejectOutcome
from penstock.ledger.rejects import checksum_of, left_of, open_rows, read
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import duckdb
    import pyarrow as pa

    from penstock.connectors.api import Allowance, Partition, Position, Rows, ScanRequest
    from penstock.graph import Graph
    from penstock.graph.nodes import Read
    from penstock.ledger.api import EpochRecord, Range
    from penstock.ledger.rejects import Group
    from penstock.types import Schema

_VERSION: Final = 1
_LINES: Final = "lines.ndjson"
_KEPT: Final = {
    "source_row": "CREATE OR REPLACE TEMP VIEW kept AS SELECT source_row::varchar AS line, position FROM batch",
    "record": """
        CREATE OR REPLACE TEMP VIEW kept AS SELECT position, coalesce(
            row::varchar,
            CASE WHEN json_valid(raw) AND json_type(raw) = 'OBJECT' THEN raw END,
            to_json(raw)::varchar
        ) AS line FROM batch
    """,
}
# One JSON object per line, which says too where its row came from at first. What never became a row and is no object stays
# one text, which no reader takes for a row.
_LINES_OF: Final = """
    SELECT regexp_replace(CASE
        WHEN left(line, 1) <> '{' THEN line
        WHEN line = '{}' THEN json_object($name, place)::varchar
        ELSE left(json_object($name, place)::varchar, -1) || ',' || substr(line, 2)
    END, '[\r\n]', ' ', 'g')
    FROM (
        SELECT trim(line) AS line, json_merge_patch(
            coalesce(position, '{}')::json, json_object('run', coalesce(position::json ->> 'run', $run))
        )::varchar AS place
        FROM kept
    )
"""


class Part(Frozen):
    """The open rows of a file that have the group: all but those that were ``settled`` as rows of other groups. ``left_rows``
    and ``left`` are what stays open in the file once they are settled.
    """

    file: RejectFile
    settled: tuple[Group, ...]
    rows: int
    left_rows: int
    left: Mapping[Group, int]


class Replay(Frozen):
    """What is sent again: the rows of ``parts``, each with the repair ``sets`` (SQL expressions by column); or in their
    place those of a ``repaired`` Parquet file (path relative to the state folder, checksum). They are ``kept`` as the
    source gave them, or as the node got them that rejected them, and enter at that ``place``.
    """

    node: str
    code: str
    column: str | None
    place: Literal["source", "node"]
    kept: Literal["source_row", "record"]
    sets: Mapping[str, str]
    parts: tuple[Part, ...]
    repaired: tuple[str, str] | None = None

    @property
    def group(self) -> Group:
        return self.code, self.column

    @property
    def rows(self) -> int:
        """How many rejected rows it settles."""
        return sum(part.rows for part in self.parts)

    def position(self) -> Position:
        return {
            "v": _VERSION,
            "group": [self.node, self.code, self.column],
            "place": self.place,
            "kept": self.kept,
            "set": dict(self.sets),
            "files": [_of_part(part) for part in self.parts],
            "repaired": list(self.repaired) if self.repaired is not None else None,
        }

    def outcomes(self, record: EpochRecord, at: datetime) -> tuple[RejectOutcome, ...]:
        """What sealing its epoch settles."""
        return tuple(
            RejectOutcome(
                part.file.path,
                self.code,
                self.column,
                "replayed",
                part.rows,
                part.left_rows,
                part.left,
                record.run_id,
                at,
                record.number,
            )
            for part in self.parts
        )


def part_of(state: Path, file: RejectFile, settled: Sequence[Group], group: Group) -> Part:
    """Raises DataError LED-120 where the file is gone or altered."""
    before, _ = left_of(state, file, settled)
    after, left = left_of(state, file, [*settled, group])
    return Part(file, tuple(settled), before - after, after, left)


def replay_of(ranges: Sequence[Range]) -> Replay | None:
    """What an epoch of these ranges sends again; None: it is no replay."""
    position = next((item.upto for item in ranges if item.source == SOURCE), None)
    if position is None:
        return None
    if position.get("v") != _VERSION:
        raise InternalError("INT-900", f"a replay of version {position.get('v')}")
    stored = cast("Any", position)
    node, code, column = stored["group"]
    repaired = (stored["repaired"][0], stored["repaired"][1]) if stored["repaired"] is not None else None
    parts = tuple(_to_part(node, item) for item in stored["files"])
    return Replay(node, code, column, stored["place"], stored["kept"], stored["set"], parts, repaired)


def _of_part(part: Part) -> dict[str, Any]:
    return {
        "path": part.file.path,
        "checksum": part.file.checksum,
        "settled": [list(group) for group in part.settled],
        "rows": part.rows,
        "left_rows": part.left_rows,
        "left": [[*group, rows] for group, rows in sorted(part.left.items(), key=str)],
    }


def _to_part(node: str, stored: Any) -> Part:
    file = RejectFile(node, stored["path"], stored["rows"], stored["checksum"], {})
    left = {(code, column): rows for code, column, rows in stored["left"]}
    settled = tuple((code, column) for code, column in stored["settled"])
    return Part(file, settled, stored["rows"], stored["left_rows"], left)


def superseded(graph: Graph, ranges: Sequence[Range]) -> frozenset[str]:
    """Names under which rows were rejected at nodes that this epoch gave all their rows again: what was rejected before is
    rejected again, or is good by now.
    """
    later = {item.source for item in ranges if item.after is not None}
    partly = {read.id for read in graph.reads if read.incremental or read.source in later}
    whole = (node.id for node in graph.nodes if not partly & graph.upstream(node.id))
    return frozenset(name for node in whole for name in rejecting_ids(node))


class RejectedRows(Source):
    """The rows of a replay, always the same ones. ``read`` is the node that gets them; ``runs`` rejected them, by file."""

    def __init__(
        self,
        replay: Replay,
        read: Read,
        *,
        state: Path,
        scratch: Path,
        allowance: Allowance,
        runs: Mapping[str, str],
    ) -> None:
        self._replay = replay
        self._read = read
        self._state = state
        self._scratch = scratch
        self._allowance = allowance
        self._runs = runs

    def describe(self) -> Schema:
        assert self._read.schema is not None
        return self._read.schema

    def latest(self, partition: Partition) -> Position:  # noqa: ARG002 -- there is one
        return self._replay.position()

    def scan(self, request: ScanRequest) -> Rows:  # noqa: ARG002 -- its range is the whole of it
        """Raises DataError LED-120 where a file of rejects is gone or altered, SRC-110 where the repaired file is."""
        if self._replay.repaired is not None:
            return Files(ParquetFormat(), (str(repaired_file(self._state, self._replay.repaired)),), self.describe())
        path = self._scratch / _LINES
        with path.open("wb") as file, open_database(self._allowance) as database:
            for run, batch in self._batches():
                file.write(_lines(database, batch, self._replay.kept, run))
        name = f"rejects of {self._replay.node}"
        return Files(JsonFormat(), (str(path),), self.describe(), origins={str(path): Origin(name)}, position=POSITION)

    def _batches(self) -> Iterator[tuple[str | None, pa.RecordBatch]]:
        for part in self._replay.parts:
            for batch in read(self._state, part.file):
                found = open_rows(batch, part.settled, self._replay.group)
                if found.num_rows:
                    yield self._runs.get(part.file.path), found


def _lines(database: duckdb.DuckDBPyConnection, batch: pa.RecordBatch, kept: str, run: str | None) -> bytes:
    import pyarrow as pa
    import pyarrow.compute as pc

    database.register("batch", batch)
    database.execute(_KEPT[kept])
    table: pa.Table = database.sql(_LINES_OF, params={"name": POSITION, "run": run}).to_arrow_table()
    ended = pc.binary_join_element_wise(table.column(0).combine_chunks(), "", "\n")
    text: str = pc.binary_join(pa.ListArray.from_arrays([0, len(ended)], ended), "")[0].as_py()
    return text.encode()


def columns_kept(state: Path, replay: Replay) -> frozenset[str]:
    """The columns that all its rows were kept with: those of the first one of each file. Raises as ``read``."""
    firsts = (_first_row(state, part, replay.group) for part in replay.parts)
    found = [frozenset(_kept_of(row, replay.kept)) for row in firsts if row is not None]
    return frozenset.intersection(*found) if found else frozenset()


def _first_row(state: Path, part: Part, group: Group) -> Mapping[str, str | None] | None:
    """It may lie behind many rows of other groups."""
    for batch in read(state, part.file):
        found = open_rows(batch, part.settled, group)
        if found.num_rows:
            row: Mapping[str, str | None] = found.slice(0, 1).to_pylist()[0]
            return row
    return None


def _kept_of(record: Mapping[str, str | None], kept: str) -> Mapping[str, Any]:
    text = record["source_row"] if kept == "source_row" else record["row"] or record["raw"]
    try:
        values = json.loads(text or "null")
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def repaired_file(state: Path, repaired: tuple[str, str]) -> Path:
    """Raises DataError SRC-110."""
    path = state / repaired[0]
    try:
        with path.open("rb") as content:
            if checksum_of(content) == repaired[1]:
                return path
    except OSError:
        pass
    raise DataError("SRC-110", "the file of repaired rows is gone or altered", detail=f"{path}.")
