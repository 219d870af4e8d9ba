"""Excel workbooks against the suites of sources and sinks; written by xlsxwriter and read by fastexcel alone."""

from __future__ import annotations

import re
import zipfile
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context as Digits
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote
from uuid import UUID

import pyarrow as pa
import pytest
import xlsxwriter
from lxml import etree

from penstock.clock import SystemClock
from penstock.connectors.api import Context, Contract
from penstock.connectors.files import excel_sink, excel_source
from penstock.connectors.files.commit.names import NULL_PARTITION
from penstock.connectors.files.excel_guard import column_number
from penstock.errors import DataError
from penstock.registry import Capability
from penstock.structs import replace
from penstock.testing import data
from penstock.testing.compare import assert_same
from penstock.testing.sinks import SinkSuite
from penstock.testing.sinks.deliveries import deliver, epoch
from penstock.testing.sources import SourceSuite
from penstock.types.arrow import from_arrow
from staged_files import left_by_files

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from penstock.connectors.api import Sink, Source
    from penstock.testing.sinks import SinkOptions

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


SPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
CELL = re.compile(r"([A-Z]+)([0-9]+)")
ESCAPED = re.compile(r"_x([0-9A-F]{4})_")
DAY_ZERO = datetime(1899, 12, 30)  # noqa: DTZ001 -- as Excel counts


def cells(path: Path) -> list[dict[int, str | float | bool]]:
    """The cells of the only sheet, straight from its XML, by row and column."""
    with zipfile.ZipFile(path) as archive:
        sheet = etree.fromstring(archive.read("xl/worksheets/sheet1.xml"))
    found = []
    for row in sheet.iter(f"{SPACE}row"):
        line: dict[int, str | float | bool] = {}
        for cell in row.iter(f"{SPACE}c"):
            match = CELL.fullmatch(str(cell.get("r")))
            assert match
            assert cell.find(f"{SPACE}f") is None
            line[column_number(match[1]) - 1] = cell_value(cell)
        found.append(line)
    return found


def cell_value(cell: Any) -> str | float | bool:
    match cell.get("t"):
        case "inlineStr":
            text = "".join(part.text or "" for part in cell.iter(f"{SPACE}t"))
            return ESCAPED.sub(lambda code: chr(int(code[1], 16)), text)
        case "b":
            return cell.findtext(f"{SPACE}v") == "1"
        case None:
            return float(cell.findtext(f"{SPACE}v"))
        case other:
            raise AssertionError(other)


def from_cell(value: Any, kind: pa.DataType) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if pa.types.is_integer(kind):
        return int(value)
    if pa.types.is_floating(kind):
        return float(value)
    if pa.types.is_decimal(kind):
        return Decimal(value if isinstance(value, str) else repr(value)).quantize(
            Decimal(1).scaleb(-kind.scale), context=Digits(38)
        )
    if isinstance(kind, pa.UuidType):
        return UUID(value).bytes
    if pa.types.is_time(kind):
        return from_time(value)
    if not pa.types.is_temporal(kind):
        return value
    moment = (
        datetime.fromisoformat(value)
        if isinstance(value, str)
        else DAY_ZERO + timedelta(milliseconds=round(value * 86_400_000))
    )
    if pa.types.is_date(kind):
        return moment.date()
    return moment.replace(tzinfo=UTC) if kind.tz else moment


def from_time(value: str | float) -> time:
    if isinstance(value, str):
        return time.fromisoformat(value)
    return (DAY_ZERO + timedelta(milliseconds=round(value * 86_400_000))).time()


class TestExcelFolder(SinkSuite):
    descriptor = excel_sink.SINK
    refuses = (*NESTED, "interval", "binary")
    path: ClassVar[str] = "out"

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.project = tmp_path / "project"
        self.project.mkdir()
        (tmp_path / "scratch").mkdir()
        self.context = Context("out", self.project.joinpath, tmp_path / "scratch", SystemClock())

    def make(self, options: SinkOptions) -> Sink:
        given = {
            "type": "excel",
            "from": "rows",
            "path": self.path,
            "mode": options.mode.value,
            "keys": list(options.keys),
            "order_by": options.order_by,
            "partition_by": list(options.partition_by),
            "on_schema_change": options.on_schema_change,
            "allow_empty": options.allow_empty,
        }
        return excel_sink.make(
            excel_sink.ExcelSinkParams.model_validate(given), replace(self.context, refreshes=options.refreshes)
        )

    def read_back(self, schema: pa.Schema) -> pa.Table | None:
        files = sorted(path for path in self.project.glob("out/**/*.xlsx") if path.is_file())
        return pa.concat_tables([self._one(path, schema) for path in files]) if files else None

    def _one(self, path: Path, schema: pa.Schema) -> pa.Table:
        folders = dict(part.split("=", 1) for part in path.relative_to(self.project).parts if "=" in part)
        header, *lines = cells(path)
        places = {name: place for place, name in header.items()}
        columns = []
        for field in schema:
            if field.name in places:
                values = [from_cell(line.get(places[field.name]), field.type) for line in lines]
            else:
                kept = folders.get(field.name)
                values = [None if kept in (None, NULL_PARTITION) else unquote(kept)] * len(lines)
            columns.append(pa.array(values, field.type))
        return pa.table(columns, schema=schema)

    def leftovers(self) -> Collection[str]:
        return left_by_files(self.project)

    def test_a_huge_string_survives(self) -> None:
        """As huge as a cell can hold; a longer one is an error, and nothing is committed."""
        held = data.table_of(pa.array([data.HUGE_STRING[:32_767], "", "\U0001f6e2" * 16_383]))
        deliver(self.sink(self.usual()), epoch(1), held)
        self.assert_holds(held)
        for text in (data.HUGE_STRING[:32_768], "\U0001f6e2" * 16_384):
            with pytest.raises(DataError) as caught:
                deliver(self.sink(self.usual()), epoch(2), data.table_of(pa.array([text])))
            assert caught.value.code == "SNK-302"
        self.assert_holds(held)


class TestOneExcelFile(TestExcelFolder):
    descriptor = replace(
        excel_sink.SINK, modes=("overwrite",), capabilities=excel_sink.SINK.capabilities - {Capability.PARALLEL}
    )
    path = "out/rows.xlsx"
