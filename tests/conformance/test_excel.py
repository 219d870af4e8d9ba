"""Excel workbooks against the suites of sources and sinks; written by xlsxwriter and read by fastexcel alone."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
import xlsxwriter

from penstock.clock import SystemClock
from penstock.connectors.api import Context, Contract
from penstock.connectors.files import excel_source
from penstock.testing import data
from penstock.testing.compare import assert_same
from penstock.testing.sources import SourceSuite
from penstock.types.arrow import from_arrow

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.connectors.api import Source

NESTED = tuple(name for name in data.TYPES if name.startswith(("list", "map", "struct")))
EXACT = 2**53


class TestExcelSource(SourceSuite):
    """Two files, so that every test reads several. What Excel has no cell for is written as text."""

    descriptor = excel_source.SOURCE
    lacks = (*NESTED, "interval", "binary")
    case_sensitive_names = True
    contract: Contract | None = None

    @pytest.fixture(autouse=True)
    def _folders(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "it's [data]"
        self.scratch = tmp_path / "scratch"
        self.folder.mkdir()
        self.scratch.mkdir()

    def load(self, table: pa.Table) -> None:
        for old in self.folder.iterdir():
            old.unlink()
        schema = from_arrow(table.schema)
        self.contract = Contract(schema.relaxed()) if not schema.case_collisions() else None
        half = (table.num_rows + 1) // 2
        self.write(table.slice(0, half), self.folder / "a%20*.xlsx")
        self.write(table.slice(half), self.folder / "b.xlsx")

    def add(self, table: pa.Table) -> None:
        self.write(table, self.folder / "c.xlsx")

    def write(self, table: pa.Table, path: Path) -> None:
        workbook = xlsxwriter.Workbook(str(path))
        sheet = workbook.add_worksheet()
        day = workbook.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"})
        for column, name in enumerate(table.column_names):
            sheet.write_string(0, column, name)
            for row, value in enumerate(table.column(column).to_pylist(), start=1):
                self.write_cell(sheet, (row, column), value, day)
        workbook.close()

    def write_cell(self, sheet: Any, place: tuple[int, int], value: Any, day: Any) -> None:
        match value:
            case None:
                return
            case bool():
                sheet.write_boolean(*place, value)
            case int() if abs(value) <= EXACT:
                sheet.write_number(*place, value)
            case float() if value == value and float(f"{value:.16G}") == value and abs(value) < 1e308:  # noqa: PLR0124 -- NaN
                sheet.write_number(*place, value)
            case datetime() if value.tzinfo is None and value.year > 1900 and value.microsecond % 1000 == 0:
                sheet.write_datetime(*place, value, day)
            case datetime() | date() | time() | Decimal():
                sheet.write_string(*place, f"{value:f}" if isinstance(value, Decimal) else value.isoformat())
            case _:
                sheet.write_string(*place, str(value))

    def make(self) -> Source:
        return self._over(self.folder.name)

    def make_missing(self) -> Source:
        return self._over("none/*.xlsx")

    def _over(self, path: str) -> Source:
        context = Context("files", lambda text: self.folder.parent / text, self.scratch, SystemClock(), self.contract)
        return excel_source.ExcelSource(excel_source.ExcelSourceParams(type="excel", path=path), context)

    def test_a_huge_string_is_read_whole(self) -> None:
        """As huge as a cell can hold."""
        table = data.table_of(pa.array([data.HUGE_STRING[:32_767], "", data.HUGE_STRING[:32_767]]))
        self.load(table)
        assert_same(self.read(self.source()), table)
