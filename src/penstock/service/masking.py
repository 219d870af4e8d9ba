"""What labels hide where records are shown: a value stands as ``***`` unless every label of its column is allowed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from penstock.secret import MASK
from penstock.service.json_text import read_json

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import pyarrow as pa

    from penstock.types import Schema


def hidden_columns(labels: Mapping[str, frozenset[str]], allow: Collection[str]) -> frozenset[str]:
    """The columns, of those that have labels, with one that is not allowed."""
    return frozenset(name for name, own in labels.items() if own - set(allow))


def masked_rows(rows: pa.Table, schema: Schema, allow: Collection[str]) -> pa.Table:
    """Every value of a hidden column is ``***``, nulls too."""
    import pyarrow as pa

    hidden = hidden_columns({column.name: column.labels for column in schema}, allow)
    for place, column in enumerate(schema):
        if column.name in hidden:
            rows = rows.set_column(place, rows.schema.field(place).name, pa.array([MASK] * rows.num_rows, pa.string()))
    return rows


def masked_rejects(batch: pa.RecordBatch, hidden: Collection[str]) -> pa.RecordBatch:
    """Records of the reject store, without what is in hidden columns: the text of a record that never became a row is
    hidden as a whole, and so is what is said of a hidden column or of no column in particular.
    """
    import pyarrow as pa

    if not hidden:
        return batch
    return pa.RecordBatch.from_pylist([_masked(row, hidden) for row in batch.to_pylist()], schema=batch.schema)


def _masked(row: dict[str, Any], hidden: Collection[str]) -> dict[str, Any]:
    shown = {name: _masked_object(row[name], hidden) for name in ("row", "source_row")}
    causes = [
        {**cause, "message": MASK} if cause["column"] is None or cause["column"] in hidden else cause
        for cause in row["causes"]
    ]
    return {**row, **shown, "raw": row["raw"] and MASK, "causes": causes}


def _masked_object(text: str | None, hidden: Collection[str]) -> str | None:
    """A JSON object of columns."""
    if text is None:
        return None
    values = read_json(text)
    if not isinstance(values, dict):
        return json.dumps(MASK)
    return json.dumps({name: MASK if name in hidden else value for name, value in values.items()}, ensure_ascii=False)
