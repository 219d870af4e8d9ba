"""What stands in the cells of a workbook, and what does not fit one."""

from __future__ import annotations

import re
import zipfile
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from file_sinks import file_sink
from pydantic import ValidationError

from penstock.connectors.api import Allowance
from penstock.connectors.files import excel_encoding
from penstock.connectors.files.excel_encoding import cells_of
from penstock.errors import ConfigError, DataError, InternalError
from penstock.testing.sinks import deliver, epoch, rows
from penstock.testing.sinks.deliveries import SINK_ID
from penstock.types import Schema
from penstock.types.arrow import to_arrow

if TYPE_CHECKING:
    from pathlib import Path

BOOK = {"kind": "excel", "path": "a.xlsx", "mode": "overwrite"}


def sheet_xml(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        return archive.read("xl/worksheets/sheet1.xml").decode()


def cells(kind: str, *values: Any) -> list[Any]:
    logical = Schema.of({"v": kind})["v"].type
    return list(cells_of(pa.array(values, to_arrow(logical)), logical, allowance=Allowance()))


@pytest.mark.parametrize(
    ("kind", "value", "cell"),
    [
        ("int32", -5, -5),
        ("int64", 2**53, 2**53),
        ("int64", 2**53 + 1, "9007199254740993"),
        ("uint64", 2**64 - 1, "18446744073709551615"),
        ("float64", 0.1, 0.1),
        ("float64", float("inf"), "inf"),
        ("float64", 5e-324, "5e-324"),
        ("float64", 1.7976931348623157e308, "1.7976931348623157e+308"),
        ("decimal(12,4)", Decimal("19.9900"), 19.99),
        ("decimal(38,10)", Decimal("1234567890123456789.0123456789"), "1234567890123456789.0123456789"),
        ("date", date(2024, 2, 29), 45351),
        ("date", date(1900, 3, 1), 61),
        ("date", date(1900, 2, 28), "1900-02-28"),
        ("timestamp", datetime(2024, 2, 29, 12), 45351.5),  # noqa: DTZ001
        ("timestamp", datetime(2024, 2, 29, 0, 0, 0, 1), "2024-02-29 00:00:00.000001"),  # noqa: DTZ001
        ("timestamptz", datetime(2024, 2, 29, 12, tzinfo=UTC), 45351.5),
        ("timestamptz", datetime(1899, 1, 1, tzinfo=UTC), "1899-01-01 00:00:00+00"),
        ("time", time(18), 0.75),
        ("time", time(0, 0, 0, 1), "00:00:00.000001"),
        ("boolean", True, True),
        ("string", "=1+1", "=1+1"),
    ],
)
def test_a_cell_is_a_number_where_excel_holds_it_exactly_else_text(kind: str, value: Any, cell: Any) -> None:
    assert cells(kind, value, None) == [cell, None]
    assert type(cells(kind, value)[0]) in {str, bool, int} or isinstance(cells(kind, value)[0], float)


@pytest.mark.parametrize(
    ("kind", "count", "cell"),
    [
        ("timestamp", 2**63 - 1, "infinity"),
        ("timestamp", -(2**63) + 1, "-infinity"),
        ("timestamptz", 2**63 - 1, "infinity"),
        ("timestamp", 2**59, "20237-04-25 10:45:03.423488"),
        ("date", 2**31 - 1, "infinity"),
        ("date", 10**7, "29349-01-26"),
        ("time", 86_400_000_000, "24:00:00"),
    ],
)
def test_moments_that_no_sheet_has_are_text(kind: str, count: int, cell: str) -> None:
    logical = Schema.of({"v": kind})["v"].type
    form = to_arrow(logical)
    counts = pa.array([count, None], pa.int32() if kind == "date" else pa.int64())
    assert list(cells_of(counts.view(form), logical, allowance=Allowance())) == [cell, None]


def test_numbers_are_written_with_all_their_digits(tmp_path: Path) -> None:
    deliver(file_sink(tmp_path, **BOOK), epoch(1), pa.table({"v": [0.1 + 0.2, 1 / 3, -0.0]}))
    assert re.findall(r"<v>([^<]*)</v>", sheet_xml(tmp_path / "a.xlsx")) == [
        "0.30000000000000004",
        "0.3333333333333333",
        "-0.0",
    ]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0", "{=1}", "\t=1", "http://x.y"])
def test_text_never_becomes_a_formula_nor_a_link(tmp_path: Path, text: str) -> None:
    deliver(file_sink(tmp_path, **BOOK), epoch(1), pa.table({text: [text]}))
    xml = sheet_xml(tmp_path / "a.xlsx")
    assert "<f" not in xml
    assert "hyperlink" not in xml
    assert xml.count('t="inlineStr"') == 2


def test_the_sheet_has_its_name_and_the_header_can_be_left_out(tmp_path: Path) -> None:
    deliver(file_sink(tmp_path, **BOOK, sheet="Prices é", header=False), epoch(1), pa.table({"v": [7]}))
    with zipfile.ZipFile(tmp_path / "a.xlsx") as archive:
        assert 'name="Prices é"' in archive.read("xl/workbook.xml").decode()
    assert "inlineStr" not in sheet_xml(tmp_path / "a.xlsx")


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    table = rows((1, "a"), (2, None))
    for name in ("a.xlsx", "b.xlsx"):
        deliver(file_sink(tmp_path, **{**BOOK, "path": name}), epoch(1), table)
    contents = []
    for name in ("a.xlsx", "b.xlsx"):
        with zipfile.ZipFile(tmp_path / name) as archive:
            contents.append({entry: archive.read(entry) for entry in archive.namelist()})
    assert contents[0] == contents[1]


@pytest.mark.parametrize("most", ["MOST_ROWS", "MOST_COLUMNS"])
def test_more_than_a_sheet_holds_is_an_error_before_the_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: str
) -> None:
    monkeypatch.setattr(excel_encoding, most, 3 if most == "MOST_ROWS" else 1)
    with pytest.raises(DataError) as caught:
        deliver(file_sink(tmp_path, **BOOK), epoch(1), rows((1, "a"), (2, "b"), (3, "c")))
    assert caught.value.code == "SNK-301"
    assert not (tmp_path / "a.xlsx").exists()


def test_as_many_rows_as_a_sheet_holds_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel_encoding, "MOST_ROWS", 3)
    assert deliver(file_sink(tmp_path, **BOOK), epoch(1), rows((1, "a"), (2, "b"))).rows == 2


def test_a_text_that_is_too_long_is_an_error_before_the_commit(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='"name"') as caught:
        deliver(file_sink(tmp_path, **BOOK), epoch(1), rows((1, "x" * 32_768)))
    assert caught.value.code == "SNK-302"
    assert not (tmp_path / "a.xlsx").exists()


def test_what_a_failed_attempt_left_is_removed_by_marker(tmp_path: Path) -> None:
    deliver(file_sink(tmp_path, **BOOK), epoch(1), rows((1, "a")))
    before = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    with pytest.raises(DataError):
        deliver(file_sink(tmp_path, **BOOK), epoch(2), rows((2, "x" * 32_768)))
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) != before
    marker = file_sink(tmp_path, **BOOK).marker(SINK_ID)
    assert marker is not None
    assert marker.epoch == 1
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == before


@pytest.mark.parametrize("kind", ["binary", "interval", "list<int64>", "struct<a: int64>", "map<string,int64>"])
def test_types_without_a_cell_are_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ConfigError) as caught:
        file_sink(tmp_path, **BOOK).prepare(Schema.of({"v": kind}))
    assert caught.value.code == "SNK-110"


@pytest.mark.parametrize("name", ["", "x" * 32, "a/b", "a[b", "a?b", "'a", "a'", "History", "a:b", "a*b", "a\\b"])
def test_a_name_that_excel_does_not_take_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValidationError):
        file_sink(tmp_path, **BOOK, sheet=name)


def test_the_table_of_workbooks_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InternalError):
        file_sink(tmp_path, **BOOK).table()
