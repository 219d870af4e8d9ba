"""Rejected records as JSON has them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from penstock.ledger.api import PipelineKey, RejectEntry
from penstock.ledger.rejects import RejectFiles
from penstock.service.rejected import Rejected, export


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ('{"a": 1.5, "b": [null, "1.10"]}', {"a": 1.5, "b": [None, "1.10"]}),
        ('{"a": 12345678901234567890.12345}', {"a": "12345678901234567890.12345"}),
        ('{"a": 170141183460469231731687303715884105727}', {"a": 2**127 - 1}),
        ('{"a": 1e999}', {"a": "1e999"}),
        (None, None),
    ],
)
def test_json_of_a_record_is_exported_as_objects_and_no_digit_is_lost(tmp_path, row, told):
    files = RejectFiles(tmp_path, PipelineKey("p", "default", "x"), 1, "a", {})
    cause = {"code": "bad_value", "column": "a", "message": "m"}
    files.write(
        "n",
        pa.RecordBatch.from_pylist(
            [{"position": '{"file": "f", "record": 2}', "row": row, "raw": None, "causes": [cause]}],
            schema=pa.schema(
                {
                    "position": pa.string(),
                    "row": pa.string(),
                    "raw": pa.string(),
                    "causes": pa.list_(pa.struct(dict.fromkeys(cause, pa.string()))),
                }
            ),
        ),
    )
    [file] = files.finish()
    at = datetime(2026, 1, 1, tzinfo=UTC)
    entry = RejectEntry(PipelineKey("p", "default", "x"), "r", 1, "a", "kept", file, at, file.rows, file.groups)
    found = Rejected(None, [entry], tmp_path, tmp_path)
    assert export(found, tmp_path / "out.json", "json") == 1
    assert json.loads((tmp_path / "out.json").read_text(encoding="utf-8")) == {
        "node": "n",
        "epoch": 1,
        "status": "kept",
        "position": {"file": "f", "record": 2},
        "row": told,
        "raw": None,
        "source_row": None,
        "causes": [cause],
        "places": {},
    }
