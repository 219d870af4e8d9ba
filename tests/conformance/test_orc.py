"""ORC files against the suites of sources and sinks; written by Arrow and read by pyorc, never by Penstock."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote
from uuid import UUID

import pyarrow as pa
import pyorc
import pytest
from pyarrow import orc

from penstock.clock import SystemClock
from penstock.connectors.api import Context
from penstock.connectors.files import orc_sink, orc_source
from penstock.registry import Capability
from penstock.structs import replace
from penstock.testing.sinks import SinkSuite
from penstock.testing.sources import SourceSuite
from staged_files import left_by_files

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from penstock.connectors.api import Sink, Source
    from penstock.testing.sinks import SinkOptions

NO_TYPE = ("uint8", "uint16", "uint32", "uint64", "time", "interval", "uuid", "json")


class TestOrcSource(SourceSuite):
    """Two files, so that every test reads several."""

    descriptor = orc_source.SOURCE
    # Of moments the reader takes those of nanoseconds: test_orc_source.py.
    lacks = (*NO_TYPE, "timestamp", "timestamptz")
    case_sensitive_names = True

    @pytest.fixture(autouse=True)
    def _folders(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "it's [data]"
        self.scratch = tmp_path / "scratch"
        self.folder.mkdir()
        self.scratch.mkdir()

    def load(self, table: pa.Table) -> None:
        for old in self.folder.iterdir():
            old.unlink()
        half = (table.num_rows + 1) // 2
        # Copies: Arrow writes the first rows of a struct in place of those of a slice.
        first, second = (pa.array(places, pa.int64()) for places in (range(half), range(half, table.num_rows)))
        orc.write_table(table.take(first), str(self.folder / "a%20*.orc"), compression="zstd")
        orc.write_table(table.take(second), str(self.folder / "b.orc"))

    def add(self, table: pa.Table) -> None:
        orc.write_table(table, str(self.folder / "c.orc"))

    def make(self) -> Source:
        return self._over(self.folder.name)

    def make_missing(self) -> Source:
        return self._over("none/*.orc")

    def _over(self, path: str) -> Source:
        context = Context("files", lambda text: self.folder.parent / text, self.scratch, SystemClock())
        return orc_source.OrcSource(orc_source.OrcSourceParams(type="orc", path=path), context)


def from_orc(value: Any, kind: pa.DataType) -> Any:
    """A value as pyorc reads it, as pyarrow takes it."""
    if value is None:
        return None
    if pa.types.is_map(kind):
        return list(value.items())
    if isinstance(kind, pa.UuidType):
        return UUID(value).bytes
    if pa.types.is_unsigned_integer(kind):
        return int(value)
    match value:
        case datetime():
            return value if kind.tz else value.replace(tzinfo=None)
        case _:
            return value


class TestOrcFolder(SinkSuite):
    descriptor = orc_sink.SINK
    refuses = ("time", "interval")
    path: ClassVar[str] = "out"
    extra: ClassVar[Mapping[str, object]] = {}

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.project = tmp_path / "project"
        self.project.mkdir()
        (tmp_path / "scratch").mkdir()
        self.context = Context("out", self.project.joinpath, tmp_path / "scratch", SystemClock())

    def make(self, options: SinkOptions) -> Sink:
        given = {
            "type": "orc",
            "from": "rows",
            "path": self.path,
            "mode": options.mode.value,
            "keys": list(options.keys),
            "order_by": options.order_by,
            "partition_by": list(options.partition_by),
            "on_schema_change": options.on_schema_change,
            "allow_empty": options.allow_empty,
            **self.extra,
        }
        params = orc_sink.OrcSinkParams.model_validate(given)
        return orc_sink.make(params, replace(self.context, refreshes=options.refreshes))

    def read_back(self, schema: pa.Schema) -> pa.Table | None:
        files = sorted(path for path in self.project.glob("out/**/*.orc") if path.is_file())
        if not files:
            return None
        return pa.concat_tables([self._one(path, schema) for path in files])

    def _one(self, path: Path, schema: pa.Schema) -> pa.Table:
        folders = [part.split("=", 1) for part in path.relative_to(self.project).parts if "=" in part]
        with path.open("rb") as stream:
            rows = list(pyorc.Reader(stream, struct_repr=pyorc.StructRepr.DICT))
            held = set(pyorc.Reader(stream).schema.fields)
        columns = []
        for field in schema:
            if field.name in held:
                columns.append(pa.array([from_orc(row[field.name], field.type) for row in rows], field.type))
            else:
                found = [unquote(value) for name, value in folders if name == field.name] or [None]
                value = None if found[0] == "__HIVE_DEFAULT_PARTITION__" and "%" not in str(path) else found[0]
                columns.append(pa.array([value] * len(rows), field.type))
        return pa.table(columns, schema=schema)

    def leftovers(self) -> Collection[str]:
        return left_by_files(self.project)


class TestOneOrcFile(TestOrcFolder):
    descriptor = replace(
        orc_sink.SINK, modes=("overwrite",), capabilities=orc_sink.SINK.capabilities - {Capability.PARALLEL}
    )
    path = "out/rows.orc"
    extra: ClassVar = {"compression": "zlib"}
