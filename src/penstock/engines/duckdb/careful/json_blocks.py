"""JSON as blocks of records that are numbered and not looked into: lines, or the values of a document."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.engines.duckdb.careful import reject_rows
from penstock.engines.duckdb.careful.line_breaks import stream
from penstock.engines.duckdb.errors import batches_of
from penstock.engines.duckdb.readers import MAX_JSON_BYTES, option, reader
from penstock.errors import DataError
from penstock.structs import Frozen
from penstock.trees import column, identifier, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from penstock.connectors.api import JsonFormat, Origin
    from penstock.engines.duckdb.careful.workspace import Workspace

_BLOCK_BYTES: Final = 8 * 2**20
_VALUES_PER_BLOCK: Final = 20_000
_KEPT_OF_LONG: Final = 64 * 2**10
_BREAK: Final = ord("\n")


class Block(Frozen):
    """``lines``: line (string, null where it was no text), record (1-based), byte. ``rejects``: what is no text."""

    lines: pa.Table
    rejects: pa.RecordBatch | None = None


class Unread(Frozen):
    """Rejects of what cannot be told as a line: its place is the file, the record, and the byte where it is the same there."""

    origin: Origin

    def too_long(self, data: bytes, record: int, byte: int) -> pa.RecordBatch:
        message = f"the record is longer than {MAX_JSON_BYTES} bytes; its beginning is kept"
        return self._noted([(data[:_KEPT_OF_LONG], record, byte)], "record_too_long", message)

    def undecodable(self, found: list[tuple[bytes, int, int]]) -> pa.RecordBatch:
        return self._noted(found, "bad_encoding", "the line holds bytes that are no UTF-8")

    def _noted(self, found: list[tuple[bytes, int, int]], code: str, message: str) -> pa.RecordBatch:
        skipped = self.origin.skipped
        places = [
            {
                "file": self.origin.name,
                "record": record + self.origin.records,
                **({} if skipped is None else {"byte": byte + skipped}),
            }
            for _, record, byte in found
        ]
        return reject_rows.made(
            [json.dumps(place) for place in places],
            [reject_rows.legible(line) for line, _, _ in found],
            [[{"code": code, "column": None, "message": message}]] * len(found),
        )


def lines_of(form: JsonFormat, path: str, unread: Unread) -> Iterator[Block]:
    """Whole lines, some MiB at a time; a line that is longer than a record may be is a reject."""
    record, byte, rest = 1, 0, b""
    with stream(path, form.compression) as source:
        while True:
            read = source.read(_BLOCK_BYTES)
            data = rest + read
            cut = data.rfind(b"\n") + 1 if read else len(data)
            if not cut and len(data) > MAX_JSON_BYTES:
                # Only its beginning is kept; the rest is counted until it ends.
                cut_bytes, tail = _skip(source)
                yield Block(_no_lines(), unread.too_long(data, record, byte))
                byte += len(data) + cut_bytes
                record, rest = record + 1, tail
                continue
            rest = data[cut:]
            if cut:
                block, count = _split(data, cut, record=record, byte=byte, unread=unread)
                yield block
                record, byte = record + count, byte + cut
            if not read:
                return


def _skip(source: object) -> tuple[int, bytes]:
    """How many bytes follow up to and with the next line break, and what was read beyond it."""
    skipped = 0
    while block := source.read(_BLOCK_BYTES):  # type: ignore[attr-defined]
        end = block.find(b"\n")
        if end >= 0:
            return skipped + end + 1, block[end + 1 :]
        skipped += len(block)
    return skipped, b""


def _split(data: bytes, size: int, *, record: int, byte: int, unread: Unread) -> tuple[Block, int]:
    """The lines in the first ``size`` bytes, and their number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    size -= data[size - 1] == _BREAK
    whole = pa.Array.from_buffers(
        pa.large_binary(), 1, [None, pa.array([0, size], pa.int64()).buffers()[1], pa.py_buffer(data)]
    )
    lines = pc.split_pattern(whole, b"\n").flatten()
    lengths = pc.add(pc.cast(pc.binary_length(lines), pa.int64()), 1)
    starts = pc.subtract(pc.cumulative_sum(lengths), lengths)
    table = {
        "line": lines,
        "record": pa.arange(record, record + len(lines)),
        "byte": pc.add(starts, byte),
    }
    rejects = None
    try:
        table["line"] = lines.cast(pa.large_string())
    except pa.ArrowInvalid:
        table["line"], rejects = _texts(lines, table, unread)
    return Block(pa.table(table), rejects), len(lines)


def _texts(lines: pa.Array, table: dict[str, pa.Array], unread: Unread) -> tuple[pa.Array, pa.RecordBatch]:
    """The lines of a block in which some are no UTF-8: null in their place, and they as rejects."""
    import pyarrow as pa

    texts: list[str | None] = []
    bad: list[int] = []
    for place, line in enumerate(lines.to_pylist()):
        try:
            texts.append(line.decode())
        except UnicodeDecodeError:
            texts.append(None)
            bad.append(place)
    rejects = unread.undecodable(
        [(lines[at].as_py(), table["record"][at].as_py(), table["byte"][at].as_py()) for at in bad]
    )
    return pa.array(texts, pa.large_string()), rejects


def _no_lines() -> pa.Table:
    import pyarrow as pa

    return pa.table(
        {"line": pa.array([], pa.large_string()), "record": pa.array([], pa.int64()), "byte": pa.array([], pa.int64())}
    )


def values_of(form: JsonFormat, path: str, origin: str, workspace: Workspace) -> Iterator[Block]:
    import duckdb
    import pyarrow as pa

    layout = "array" if form.layout == "array" else "unstructured"
    options = [
        option("format", layout),
        option("compression", form.compression or "none"),
        option("maximum_object_size", MAX_JSON_BYTES),
    ]
    query = exp.select(exp.alias_(text_of(column("json")), identifier("line")))
    query = query.from_(reader("read_json_objects", [path], options))
    database = workspace.connect(1)
    record = 1
    try:
        for batch in batches_of(database.sql(query.sql(dialect="duckdb")), _VALUES_PER_BLOCK):
            numbers = pa.arange(record, record + batch.num_rows)
            record += batch.num_rows
            yield Block(pa.table({"line": batch.column(0), "record": numbers, "byte": numbers}))
    except duckdb.Error as error:
        if "JSON" not in str(error) and "maximum_object_size" not in str(error):
            raise
        raise DataError(
            "ENG-332",
            f'the JSON document "{origin}" is broken{f" after record {record - 1}" if record > 1 else ""}',
            detail=" ".join(str(error).split())[:300],
            hint="one object per line (type ndjson) lets a bad record be put aside alone",
        ) from None
    finally:
        database.close()
