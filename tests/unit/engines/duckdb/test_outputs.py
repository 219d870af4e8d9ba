"""Every kind of writer gets every row, of every type, in the form that its target asks for."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import math
import os
import threading
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from passes import MemoryRejects, MemoryWriter, compiled

from penstock.connectors.api import (
    Batches,
    Chunk,
    CsvFormat,
    FileTarget,
    FileWriter,
    JsonFormat,
    ParquetFormat,
    PipeWriter,
    Staged,
)
from penstock.engines.api import Limits, Pass
from penstock.engines.duckdb.engine import DuckDBEngine
from penstock.errors import DataError, FatalError
from penstock.types import Schema
from penstock.types.arrow import to_arrow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from penstock.connectors.api import Writer

pytestmark = pytest.mark.slow

UTC: Final = dt.UTC
TYPES: Final = {
    "i8": "int8?", "i16": "int16?", "i32": "int32?", "i": "int64?", "f32": "float32?", "f": "float64?",
    "d": "decimal(38,10)?", "s": "string?", "y": "binary?", "t": "boolean?", "day": "date?", "clock": "time?",
    "at": "timestamp?", "zoned": "timestamptz?", "id": "uuid?", "j": "json?", "l": "list<int64?>?",
    "st": "struct<x: int64?, y: list<string?>?>?", "m": "map<string,int64?>?",
}  # fmt: skip
ROWS: Final[list[dict[str, Any]]] = [
    {
        "i8": -128, "i16": 32767, "i32": -(2**31), "i": 2**63 - 1, "f32": 0.5, "f": math.nan,
        "d": decimal.Decimal("1234567890123456789012345678.0123456789"), "s": 'a"b,c\né😀', "y": b"\x00\xff", "t": True,
        "day": dt.date(1, 1, 1), "clock": dt.time(23, 59, 59, 999999), "at": dt.datetime.fromisoformat("2024-03-31T02:30"),
        "zoned": dt.datetime(2024, 3, 31, 1, 30, tzinfo=UTC), "id": uuid.UUID(int=2**128 - 1), "j": '{"a":[1,null]}',
        "l": [1, None, 3], "st": {"x": 1, "y": ["p", None]}, "m": [("k", 1), ("", None)],
    },
    {**dict.fromkeys(TYPES), "f": math.inf, "f32": -math.inf, "s": "", "l": [], "st": {"x": None, "y": []}, "m": []},
    {**dict.fromkeys(TYPES), "f": -0.0, "f32": math.nan, "s": "NULL", "zoned": dt.datetime(1900, 1, 1, tzinfo=UTC)},
    dict.fromkeys(TYPES),
]  # fmt: skip


@dataclass
class Folder(FileWriter):
    folder: Path
    form: ParquetFormat | CsvFormat | JsonFormat = field(default_factory=ParquetFormat)
    options: Mapping[str, Any] = field(default_factory=dict)
    rows: Mapping[str, int] | None = None
    aborted: bool = False

    def target(self) -> FileTarget:
        self.folder.mkdir(exist_ok=True)
        return FileTarget(self.folder, self.form, **self.options)

    def counted(self, rows: Mapping[str, int]) -> None:
        self.rows = rows

    def stage(self) -> Staged:
        return Staged(0, 0)

    def abort(self) -> None:
        self.aborted = True

    @property
    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())


@dataclass
class Reader(PipeWriter):
    """Keeps the text; ``breaks`` after some bytes."""

    format: CsvFormat = field(default_factory=CsvFormat)
    text: bytes = b""
    breaks: int | None = None
    aborted: bool = False
    thread: threading.Thread | None = None

    def open(self) -> int:
        read_end, write_end = os.pipe()
        self.thread = threading.Thread(target=self._read, args=(read_end,))
        self.thread.start()
        return write_end

    def _read(self, read_end: int) -> None:
        while block := os.read(read_end, 1 << 16):
            self.text += block
            if self.breaks is not None and len(self.text) > self.breaks:
                break
        os.close(read_end)

    def stage(self) -> Staged:
        assert self.thread is not None
        self.thread.join()
        if self.breaks is not None:
            raise DataError("SNK-177", "the server refuses a row")
        return Staged(self.text.count(b"\n"), len(self.text))

    def abort(self) -> None:
        assert self.thread is not None
        self.thread.join()
        self.aborted = True


def write(
    writer: Writer,
    folder: Path,
    types: Mapping[str, str] = TYPES,
    rows: list[dict[str, Any]] | None = None,
    steps: str = "",
) -> Mapping[str, Any]:
    """One pass from these rows to the writer; the counts."""
    (folder / "engine").mkdir()
    engine = DuckDBEngine(Limits(memory_bytes=1 << 30, threads=2), folder / "engine", (folder, Path("/dev/fd")))
    columns = ", ".join(f'{json.dumps(name)}: "{kind}"' for name, kind in types.items())
    text = (
        f"pipeline: test\nsources:\n  s: {{type: memory, schema: {{columns: {{{columns}}}}}}}\n"
        f"transforms:\n  x: {{from: s, steps: [{steps}]}}\nsinks:\n  one: {{from: x, type: memory}}\n"
    )
    schema = Schema.of(types)
    table = pa.Table.from_pylist(ROWS if rows is None else rows, schema=to_arrow(schema))

    def chunks() -> Iterator[Chunk]:
        for batch in table.to_batches():
            yield Chunk(batch, {"v": 1})

    try:
        graph = compiled(text, engine)
        found = engine.run(
            Pass(graph),
            inputs={"s": [Batches(schema, chunks)]},
            outputs={"one": lambda: writer},
            rejects=MemoryRejects(),
        )
        return found.counts
    finally:
        engine.close()


def same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert sorted(map(repr, found)) == sorted(map(repr, expected))


# ---------------------------------------------------------------- every type


def test_batches_carry_every_type_exactly(tmp_path: Path) -> None:
    writer = MemoryWriter()
    assert write(writer, tmp_path)["one"].out == len(ROWS)
    expected = pa.Table.from_pylist(ROWS, schema=to_arrow(Schema.of(TYPES)))
    assert writer.batches[0].schema.remove_metadata() == expected.schema.remove_metadata()
    same(writer.rows, expected.to_pylist())


FAR_APART: Final[dict[str, list[Any]]] = {
    "int32?": [-(2**31), 2**31 - 1, None, 0],
    "uint32?": [0, 2**32 - 1, 5, None],
    "list<int32?>?": [[-(2**31), 2**31 - 1, -(2**31)], None, [0], []],
    "struct<ab: uint32?>?": [{"ab": 2**32 - 1}, {"ab": 0}, {"ab": 2**32 - 1}, {"ab": None}],
}


@pytest.mark.parametrize("kind", FAR_APART)
@pytest.mark.parametrize("options", [{}, {"single": "x.parquet"}, {"partition_by": ("p",)}])
def test_numbers_that_are_far_apart_are_written_so_that_others_can_read_them(
    tmp_path: Path, kind: str, options: dict[str, Any]
) -> None:
    name = 'odd "name".x'
    writer = Folder(tmp_path / "out", ParquetFormat(compression="lz4", sort_by=("at",)), options)
    rows = [{name: value, "at": at, "p": "one"} for at, value in enumerate(FAR_APART[kind])]
    counts = write(writer, tmp_path, {name: kind, "at": "int64", "p": "string"}, rows)
    assert counts["one"].out == len(rows)
    (path,) = writer.files
    assert list((writer.rows or {}).values()) == [len(rows)]
    assert pq.ParquetFile(path).read(columns=[name, "at"]).to_pylist() == [
        {name: row[name], "at": row["at"]} for row in rows
    ]
    assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "LZ4"


def test_numbers_that_are_close_are_written_once(tmp_path: Path) -> None:
    writer = Folder(tmp_path / "out")
    write(writer, tmp_path, {"a": "int32", "b": "int64"}, [{"a": at, "b": (-1) ** at * 2**62} for at in range(5000)])
    (path,) = writer.files
    assert pq.ParquetFile(path).metadata.row_group(0).column(0).encodings == ("DELTA_BINARY_PACKED",)


def test_parquet_files_carry_every_type_exactly(tmp_path: Path) -> None:
    writer = Folder(tmp_path / "out")
    write(writer, tmp_path)
    expected = pa.Table.from_pylist(ROWS, schema=to_arrow(Schema.of(TYPES))).to_pylist()
    found = [row for path in writer.files for row in pq.read_table(path).to_pylist()]
    loose = {"id": lambda value: value if value is None or isinstance(value, uuid.UUID) else uuid.UUID(bytes=value)}
    same(
        [{**row, "id": loose["id"](row["id"])} for row in found],
        [{**row, "id": loose["id"](row["id"])} for row in expected],
    )
    assert writer.rows is not None
    assert sum(writer.rows.values()) == len(ROWS)


def test_json_lines_carry_every_type(tmp_path: Path) -> None:
    writer = Folder(tmp_path / "out", JsonFormat(), {"single": "x.json"})
    write(writer, tmp_path)
    found = [json.loads(line) for line in writer.files[0].read_text().splitlines()]
    assert len(found) == len(ROWS)
    first = next(row for row in found if row["i8"] == -128)
    assert first["i"] == 2**63 - 1
    assert first["s"] == ROWS[0]["s"]
    assert first["l"] == [1, None, 3]
    assert first["st"] == {"x": 1, "y": ["p", None]}
    assert first["id"] == str(ROWS[0]["id"])
    assert str(first["zoned"]).startswith("2024-03-31")


@pytest.mark.parametrize("form", ["file", "pipe"])
def test_csv_carries_every_type_as_text_that_reads_back(form: str, tmp_path: Path) -> None:
    import csv
    import io

    if form == "file":
        folder = Folder(tmp_path / "out", CsvFormat(), {"single": "x.csv"})
        write(folder, tmp_path)
        text = folder.files[0].read_text()
    else:
        reader = Reader()
        write(reader, tmp_path)
        text = reader.text.decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(rows) == len(ROWS)
    first = next(row for row in rows if row["i8"] == "-128")
    assert first["s"] == ROWS[0]["s"]
    assert first["d"] == "1234567890123456789012345678.0123456789"
    assert first["f"] == "nan"
    assert first["at"] == "2024-03-31 02:30:00"
    assert first["zoned"] == "2024-03-31 01:30:00+00"
    assert first["id"] == str(ROWS[0]["id"])


# ---------------------------------------------------------------- no rows


FORMS: Final = {
    "parquet": (ParquetFormat(), {"single": "x.parquet"}),
    "parquet folder": (ParquetFormat(), {}),
    "parquet sorted": (ParquetFormat(sort_by=("a",)), {}),
    "parquet of a size": (ParquetFormat(), {"max_file_bytes": 1 << 20}),
    "csv": (CsvFormat(), {"single": "x.csv"}),
    "csv folder": (CsvFormat(), {}),
    "json": (JsonFormat(), {"single": "x.json"}),
    "json array": (JsonFormat("array"), {"single": "x.json"}),
}
AB: Final = {"a": "int64?", "b": "string?"}


@pytest.mark.parametrize("name", FORMS)
def test_no_rows_make_valid_files_with_the_columns(name: str, tmp_path: Path) -> None:
    form, options = FORMS[name]
    writer = Folder(tmp_path / "out", form, options)
    assert write(writer, tmp_path, AB, [])["one"].out == 0
    for path in writer.files:
        if isinstance(form, ParquetFormat):
            assert pq.read_schema(path).names == ["a", "b"]
            assert pq.read_table(path).num_rows == 0
        elif isinstance(form, CsvFormat):
            assert path.read_text() == "a,b\n"
        else:
            assert json.loads(path.read_text() or "[]") == []
    if "single" in options:
        assert [path.name for path in writer.files] == [options["single"]]


def test_no_rows_through_a_pipe_are_a_header(tmp_path: Path) -> None:
    reader = Reader()
    write(reader, tmp_path, AB, [])
    assert reader.text == b"a,b\n"


# ---------------------------------------------------------------- options


NUMBERS: Final = [{"a": (i * 7919) % 1000, "b": f"v{i % 3}"} for i in range(5000)]


def read_back(writer: Folder) -> list[tuple[int, str]]:
    return [(row["a"], row["b"]) for path in writer.files for row in pq.ParquetFile(path).read().to_pylist()]


@pytest.mark.parametrize("compression", ["zstd", "lz4", "snappy", "none"])
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_parquet_is_compressed_as_asked(compression: str, version: str, tmp_path: Path) -> None:
    form = ParquetFormat(compression=compression, version=version, row_group_rows=2048, bloom_filter=False)  # type: ignore[arg-type]
    writer = Folder(tmp_path / "out", form, {"single": "x.parquet"})
    write(writer, tmp_path, AB, NUMBERS)
    meta = pq.ParquetFile(writer.files[0]).metadata
    names = {"none": "UNCOMPRESSED", "lz4": "LZ4", "zstd": "ZSTD", "snappy": "SNAPPY"}
    assert meta.row_group(0).column(0).compression == names[compression]
    assert meta.num_row_groups > 1
    assert writer.rows == {"x.parquet": len(NUMBERS)}
    assert sorted(read_back(writer)) == sorted((row["a"], row["b"]) for row in NUMBERS)


@pytest.mark.parametrize(
    ("columns", "version", "codec"),
    [
        ({"a": "int64", "b": "decimal(9,2)", "c": "timestamptz"}, "v2", "UNCOMPRESSED"),
        ({"a": "int64", "b": "decimal(9,2)", "c": "timestamptz"}, "v1", "ZSTD"),
        ({"a": "int64", "b": "string"}, "v2", "ZSTD"),
        ({"a": "float64"}, "v2", "ZSTD"),
        ({"a": "list<int64>"}, "v2", "ZSTD"),
    ],
)
def test_auto_compresses_what_is_not_encoded_tightly(
    columns: dict[str, str], version: Any, codec: str, tmp_path: Path
) -> None:
    nullable = {name: f"{kind}?" for name, kind in columns.items()}
    writer = Folder(tmp_path / "out", ParquetFormat(compression="auto", version=version), {"single": "x.parquet"})
    write(writer, tmp_path, nullable, [dict.fromkeys(columns)])
    meta = pq.ParquetFile(writer.files[0]).metadata
    assert {meta.row_group(0).column(at).compression for at in range(meta.num_columns)} == {codec}


def test_a_level_of_compression_is_heeded(tmp_path: Path) -> None:
    sizes = []
    for level in (1, 19):
        (tmp_path / str(level)).mkdir()
        form = ParquetFormat(compression_level=level, bloom_filter=False)
        writer = Folder(tmp_path / str(level) / "out", form, {"single": "x.parquet"})
        write(writer, tmp_path / str(level), AB, NUMBERS)
        sizes.append(writer.files[0].stat().st_size)
    assert sizes[0] != sizes[1]


@pytest.mark.parametrize("options", [{}, {"single": "x.parquet"}, {"max_file_bytes": 1 << 20}])
def test_files_are_sorted_as_asked(options: Mapping[str, Any], tmp_path: Path) -> None:
    writer = Folder(tmp_path / "out", ParquetFormat(sort_by=("a", "b")), options)
    write(writer, tmp_path, AB, NUMBERS)
    for path in writer.files:
        rows = [(row["a"], row["b"]) for row in pq.ParquetFile(path).read().to_pylist()]
        assert rows == sorted(rows)
    assert len(read_back(writer)) == len(NUMBERS)


@pytest.mark.parametrize("inside", [True, False])
def test_partitions_are_folders_and_every_row_is_counted_in_its_file(inside: bool, tmp_path: Path) -> None:  # noqa: FBT001 -- a case
    rows = [*NUMBERS, {"a": 1, "b": None}, {"a": 2, "b": ""}, {"a": 3, "b": "x/y=z é"}]
    writer = Folder(tmp_path / "out", options={"partition_by": ("b",), "partition_columns_in_files": inside})
    write(writer, tmp_path, AB, rows)
    assert writer.rows is not None
    assert sum(writer.rows.values()) == len(rows)
    assert set(writer.rows) == {str(path.relative_to(writer.folder)) for path in writer.files}
    for path in writer.files:
        found = pq.ParquetFile(path)
        assert found.schema_arrow.names == (["a", "b"] if inside else ["a"])
        assert found.metadata.num_rows == writer.rows[str(path.relative_to(writer.folder))]
    assert len({path.parent.name for path in writer.files}) == 6


def test_names_end_as_asked(tmp_path: Path) -> None:
    writer = Folder(tmp_path / "out", options={"extension": "half"})
    write(writer, tmp_path, AB, NUMBERS)
    assert {path.suffix for path in writer.files} == {".half"}


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (CsvFormat(), b'a,b\n1,"x,y"\n,""\n2,\n'),
        (CsvFormat(delimiter=";", quote="'", header=False), b"1;x,y\n;''\n2;\n"),
        (CsvFormat(null_values=("NULL",)), b'a,b\n1,"x,y"\nNULL,\n2,NULL\n'),
        (CsvFormat(delimiter="\t"), b'a\tb\n1\tx,y\n\t""\n2\t\n'),
    ],
)
def test_csv_is_written_as_asked_and_tells_null_from_empty(form: CsvFormat, expected: bytes, tmp_path: Path) -> None:
    rows = [{"a": 1, "b": "x,y"}, {"a": None, "b": ""}, {"a": 2, "b": None}]
    writer = Folder(tmp_path / "out", form, {"single": "x.csv"})
    write(writer, tmp_path, AB, rows)
    assert sorted(writer.files[0].read_bytes().splitlines()) == sorted(expected.splitlines())


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_text_is_compressed_as_asked(compression: str, tmp_path: Path) -> None:
    form = JsonFormat("array", compression=compression)  # type: ignore[arg-type]
    writer = Folder(tmp_path / "out", form, {"single": "x.json"})
    write(writer, tmp_path, AB, NUMBERS)
    with pa.input_stream(str(writer.files[0]), compression=compression) as stream:
        assert len(json.loads(stream.read())) == len(NUMBERS)


HOSTILE: Final = {
    'a"; DROP TABLE x;--': "int64?",
    "it's": "string?",
    "sélect ": "int64?",
    "a.b": "int64?",
    "*": "int64?",
}


@pytest.mark.parametrize("kind", ["batches", "parquet", "pipe"])
def test_hostile_names_of_columns_are_written_as_they_are(kind: str, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [dict.fromkeys(HOSTILE, None)]
    match kind:
        case "batches":
            memory = MemoryWriter()
            write(memory, tmp_path, HOSTILE, rows)
            assert memory.batches[0].schema.names == list(HOSTILE)
        case "parquet":
            form = ParquetFormat(sort_by=tuple(HOSTILE))
            folder = Folder(tmp_path / "o'ut", form, {"single": "it's.parquet"})
            write(folder, tmp_path, HOSTILE, rows)
            assert pq.read_schema(folder.files[0]).names == list(HOSTILE)
        case _:
            reader = Reader()
            write(reader, tmp_path, HOSTILE, rows)
            assert reader.text.count(b"\n") == 2


# ---------------------------------------------------------------- what goes wrong


def test_a_consumer_that_breaks_off_is_asked_why(tmp_path: Path) -> None:
    reader = Reader(breaks=1000)
    rows = [{"a": i, "b": "x" * 500} for i in range(5000)]
    with pytest.raises(DataError) as caught:
        write(reader, tmp_path, AB, rows)
    assert caught.value.code == "SNK-177"
    assert reader.aborted


def test_a_folder_that_is_not_there_is_a_named_error(tmp_path: Path) -> None:
    @dataclass
    class Nowhere(Folder):
        def target(self) -> FileTarget:
            return FileTarget(self.folder, self.form, single="x.parquet")

    writer = Nowhere(tmp_path / "gone" / "deeper")
    with pytest.raises(FatalError) as caught:
        write(writer, tmp_path, AB, NUMBERS)
    assert caught.value.code == "ENG-304"
    assert writer.aborted
