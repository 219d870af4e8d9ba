"""What is shown beside a hidden column stays as it is."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from penstock.service.masking import masked_rejects

CAUSE = {"code": "bad_value", "column": "price", "message": "too much"}


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("12", 12),
        ("1.5", 1.5),
        ("12345678901234567.25", "12345678901234567.25"),
        ("0.1000000000000000000001", "0.1000000000000000000001"),
    ],
)
def test_digits_beside_a_hidden_column_are_kept(number: str, shown: object) -> None:
    row = {"row": f'{{"name": "Ann", "price": {number}}}', "source_row": None, "raw": None, "causes": [CAUSE]}
    (found,) = masked_rejects(pa.RecordBatch.from_pylist([row]), {"name"}).to_pylist()
    assert json.loads(found["row"]) == {"name": "***", "price": shown}


def test_a_row_that_cannot_be_read_is_hidden_as_a_whole() -> None:
    row = {"row": f'{{"name": "Ann", "price": {"9" * 5000}}}', "source_row": None, "raw": "x", "causes": [CAUSE]}
    (found,) = masked_rejects(pa.RecordBatch.from_pylist([row]), {"name"}).to_pylist()
    assert "Ann" not in found["row"]
    assert found["raw"] == "***"
