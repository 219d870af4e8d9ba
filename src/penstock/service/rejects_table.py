"""Rejected rows as a table: what a pipeline's ``rejects:`` gets of every epoch, beside the files of the ledger's folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.connectors.api import Batches, Chunk
from penstock.connectors.database import open_database
from penstock.ledger.rejects import read
from penstock.service.masking import hidden_columns, masked_rejects
from penstock.structs import Frozen
from penstock.types import INT64, STRING, TIMESTAMPTZ, Field, Schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from penstock.connectors.api import Allowance, Sink
    from penstock.document.models import SinkUse
    from penstock.errors import Location
    from penstock.ledger.api import EpochRecord, RejectFile

# One row per rejected record. ``code``, ``column_name`` and ``message`` are of its first cause, ``causes`` (JSON) has them
# all; ``position``, ``row_data`` and ``source_row`` are JSON, as `penstock rejects show --json` has them.
SCHEMA: Final = Schema(
    (
        Field("run_id", STRING),
        Field("epoch", INT64),
        Field("planned_at", TIMESTAMPTZ),
        Field("node", STRING),
        Field("code", STRING),
        Field("column_name", STRING),
        Field("message", STRING),
        Field("causes", STRING),
        Field("position", STRING),
        Field("row_data", STRING),
        Field("raw", STRING),
        Field("source_row", STRING),
    )
)
_VERSION: Final = 1
_OWN: Final = """
    SELECT causes[1].code AS code, causes[1].column AS column_name, causes[1].message AS message,
           to_json(causes)::varchar AS causes, position, "row" AS row_data, raw, source_row
    FROM batch
"""


class RejectsTable(Frozen):
    """Implements ``run.surroundings.RejectsTarget``. Columns with a label that the sink does not ``allow`` are masked."""

    use: SinkUse
    sink: Sink
    state: Path
    allowance: Allowance

    @property
    def name(self) -> str:
        return self.use.name

    @property
    def at(self) -> Location:
        return self.use.at

    @property
    def places(self) -> Mapping[str, Location]:
        return self.use.places

    def rows(self, record: EpochRecord, files: Sequence[RejectFile]) -> Batches:
        return Batches(SCHEMA, lambda: self._chunks(record, files))

    def _chunks(self, record: EpochRecord, files: Sequence[RejectFile]) -> Iterator[Chunk]:
        with open_database(self.allowance) as database:
            for place, file in enumerate(files):
                hidden = hidden_columns(file.labels, self.use.params.allow)
                for batch in read(self.state, file):
                    database.register("batch", masked_rejects(batch, hidden))
                    own = database.sql(_OWN).to_arrow_table().combine_chunks().to_batches()
                    yield from (Chunk(_told(record, file.node, part), {"v": _VERSION, "file": place}) for part in own)


def _told(record: EpochRecord, node: str, own: pa.RecordBatch) -> pa.RecordBatch:
    import pyarrow as pa

    from penstock.types.arrow import to_arrow

    form = to_arrow(SCHEMA)
    constants = {"run_id": record.run_id, "epoch": record.number, "planned_at": record.planned_at, "node": node}
    columns = [
        pa.repeat(pa.scalar(constants[item.name], item.type), len(own))
        if item.name in constants
        else own.column(item.name).cast(item.type)
        for item in form
    ]
    return pa.RecordBatch.from_arrays(columns, schema=form)


__all__ = ["SCHEMA", "RejectsTable"]
