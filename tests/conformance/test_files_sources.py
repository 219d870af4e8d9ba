"""The sources of files, held to what every source promises. Files are written by Arrow and by Python's own writers."""

from __future__ import annotations

import glob
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from penstock.clock import SystemClock
from penstock.connectors.api import Context, Contract
from penstock.connectors.files import csv_source, json_source, parquet_source
from penstock.testing import data
from penstock.testing.sources import SourceSuite
from penstock.types.arrow import from_arrow

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.connectors.api import Source

NESTED = tuple(name for name in data.TYPES if name.startswith(("list", "map", "struct")))


class _Files(SourceSuite):
    """Two files, so that every test reads several."""

    folder: Path
    scratch: Path
    ending: str
    contract: Contract | None = None

    @pytest.fixture(autouse=True)
    def _folders(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "it's [data]"
        self.scratch = tmp_path / "scratch"
        self.folder.mkdir()
        self.scratch.mkdir()

    def context(self) -> Context:
        return Context("files", lambda text: self.folder.parent / text, self.scratch, SystemClock(), self.contract)

    def write(self, table: pa.Table, path: Path) -> None:
        raise NotImplementedError

    def load(self, table: pa.Table) -> None:
        for old in self.folder.iterdir():
            old.unlink()
        self.keep_types(table)
        half = (table.num_rows + 1) // 2
        self.write(table.slice(0, half), self.folder / f"a%20*.{self.ending}")
        self.write(table.slice(half), self.folder / f"b.{self.ending}")

    def keep_types(self, table: pa.Table) -> None:
        schema = from_arrow(table.schema)
        self.contract = Contract(schema.relaxed()) if not schema.case_collisions() else None

    def add(self, table: pa.Table) -> None:
        self.write(table, self.folder / f"c.{self.ending}")


def _csv_text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case bytes():
            return '"' + "".join(f"\\x{byte:02X}" for byte in value) + '"'
        case Decimal():
            return f"{value:f}"
        case _:
            return '"' + str(value).replace('"', '""') + '"'


class TestCsv(_Files):
    descriptor = csv_source.SOURCE
    lacks = (*NESTED, "interval")
    lacks_nul = False
    case_sensitive_names = True
    ending = "csv"

    def write(self, table: pa.Table, path: Path) -> None:
        names = ",".join(_csv_text(name) for name in table.column_names)
        rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
        text = "\n".join([names, *(",".join(map(_csv_text, row)) for row in rows)]) + "\n"
        path.write_bytes(text.encode())

    def make(self) -> Source:
        params = csv_source.CsvSourceParams(type="csv", path=self.folder.name)
        return csv_source.CsvSource(params, self.context())

    def make_missing(self) -> Source:
        return csv_source.CsvSource(csv_source.CsvSourceParams(type="csv", path="none/*.csv"), self.context())


class TestLatin1Csv(TestCsv):
    """In another encoding, through private copies; names and values as far as it has them."""

    lacks = (*TestCsv.lacks, "string", "json")
    lacks_names = tuple(name for name in data.NAMES if any(ord(letter) > 255 for letter in name))

    def write(self, table: pa.Table, path: Path) -> None:
        super().write(table, path)
        path.write_bytes(path.read_bytes().decode().encode("latin-1"))

    def make(self) -> Source:
        params = csv_source.CsvSourceParams(type="csv", path=self.folder.name, encoding="latin-1")
        return csv_source.CsvSource(params, self.context())


def _json_value(value: Any, kind: pa.DataType) -> Any:
    if value is None:
        return None
    if isinstance(kind, pa.JsonType):
        return json.loads(value)
    match value:
        case dict():
            return {field.name: _json_value(value[field.name], field.type) for field in kind}
        case list() if pa.types.is_map(kind):
            return {key: _json_value(item, kind.item_type) for key, item in value}
        case list():
            return [_json_value(item, kind.value_type) for item in value]
        case bytes():
            return "".join(f"\\x{byte:02X}" for byte in value)
        case bool() | int() | str():
            return value
        case Decimal():
            return f"{value:f}"
        case float():
            return value if value - value == 0 else str(value)
        case _:
            return str(value)


class TestNdjson(_Files):
    descriptor = json_source.NDJSON
    # JSON has no bytes: text in a binary column is its own UTF-8. Of a number with many digits it gives a float.
    lacks = ("interval", "json", "binary")
    case_sensitive_names = True
    ending = "ndjson"

    def records(self, table: pa.Table) -> list[str]:
        kinds = {field.name: field.type for field in table.schema}
        return [
            json.dumps({name: _json_value(value, kinds[name]) for name, value in row.items()})
            for row in table.to_pylist()
        ]

    def write(self, table: pa.Table, path: Path) -> None:
        path.write_text("".join(record + "\n" for record in self.records(table)), "utf-8")

    def make(self) -> Source:
        params = json_source.NdjsonSourceParams(type="ndjson", path=self.folder.name)
        return json_source.JsonSource(params, self.context())

    def make_missing(self) -> Source:
        params = json_source.NdjsonSourceParams(type="ndjson", path="none.ndjson")
        return json_source.JsonSource(params, self.context())


class TestJsonArray(TestNdjson):
    descriptor = json_source.SOURCE
    ending = "json"

    def write(self, table: pa.Table, path: Path) -> None:
        path.write_text("[" + ",\n".join(self.records(table)) + "]", "utf-8")

    def make(self) -> Source:
        params = json_source.JsonSourceParams(type="json", path=self.folder.name)
        return json_source.JsonSource(params, self.context())


class TestParquet(_Files):
    descriptor = parquet_source.SOURCE
    lacks = ("interval",)
    case_sensitive_names = True
    ending = "parquet"

    def keep_types(self, table: pa.Table) -> None:
        """They stand in the files."""

    def write(self, table: pa.Table, path: Path) -> None:
        parquet.write_table(table, path)

    def make(self) -> Source:
        params = parquet_source.ParquetSourceParams(type="parquet", path=f"{glob.escape(self.folder.name)}/*.parquet")
        return parquet_source.ParquetSource(params, self.context())

    def make_missing(self) -> Source:
        params = parquet_source.ParquetSourceParams(type="parquet", path="none/*.parquet")
        return parquet_source.ParquetSource(params, self.context())
