"""What the ledger knows of a sink's columns over all runs, and the rules that follow from it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from penstock.connectors.api import ColumnFigures
from penstock.ledger.api import EpochRecord, NodeBalance, PipelineKey
from penstock.service.recalled import recalled, widened


def epoch(run: str, out: int, /, **columns: ColumnFigures) -> tuple[EpochRecord, tuple[NodeBalance, ...]]:
    record = EpochRecord(PipelineKey("p", "d", "x"), "i", 1, run, 1, run, "hash", (), datetime(2026, 1, 1, tzinfo=UTC))
    return record, (NodeBalance("lake", "write", {"a": out}, out, columns=columns), NodeBalance("a", "read", {}, out))


def test_figures_are_those_of_all_runs_and_of_columns_that_all_had() -> None:
    found = recalled(
        [
            epoch("r3", 5, k=ColumnFigures(0, 5, "1", "5"), new=ColumnFigures(0, 5)),
            epoch("r2", 3, k=ColumnFigures(1, 2, "-3", "2")),
            epoch("r2", 2, k=ColumnFigures(2, 0)),
            epoch("r1", 0),
        ],
        "lake",
    )
    assert found is not None
    assert (found.runs, found.rows) == (2, 10)
    assert found.columns == {"k": ColumnFigures(3, 7, "-3", "5")}
    assert recalled([epoch("r1", 3, k=ColumnFigures(0, 3))], "other") is None
    assert recalled([epoch("r1", 3)], "lake") is None


def test_more_rows_than_whole_numbers_between_the_bounds_are_no_key() -> None:
    columns = {
        "key": ColumnFigures(0, 5, "1", "5"),
        "few": ColumnFigures(0, 5, "1", "4"),
        "real": ColumnFigures(0, 5, "1.0", "2.0"),
        "text": ColumnFigures(0, 5),
    }
    found = recalled([epoch("r1", 5, **columns)], "lake")
    assert found is not None
    assert found.repeated == {"few"}


@pytest.mark.parametrize(
    ("low", "high", "bounds"),
    [
        ("0", "100", ("0", "110")),
        ("-5", "100", ("-16", "111")),
        ("-100", "-1", ("-110", "0")),
        ("1.50", "2.50", ("1.40", "2.60")),
        ("3", "4", ("2", "5")),
        ("9", "9", ("9", "9")),
        ("0.1", "12345.678901234567", ("0", "13581")),
    ],
)
def test_bounds_have_a_tenth_more_room(low: str, high: str, bounds: tuple[str, str]) -> None:
    found = widened(low, high)
    assert tuple(map(float, found)) == tuple(map(float, bounds))
    assert ("." in found[0]) <= ("." in low + high)


def test_the_largest_numbers_have_room_too() -> None:
    low, high = widened("-1.7e308", "1.7e308")
    assert low.startswith("-2.04")
    assert float(high) == float("inf")
