"""Whatever fastavro writes is read as fastavro reads it; a file with altered bytes is read or refused by name."""

from __future__ import annotations

import io
import itertools
import struct
import tempfile
from pathlib import Path

import fastavro
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.clock import SystemClock
from penstock.connectors.api import Context, Partition, ScanRequest
from penstock.connectors.files.avro_source import AvroSource, AvroSourceParams
from penstock.errors import PenstockError
from penstock.testing.delivery import pull

PART = Partition()
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def single(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


BASE = st.sampled_from(
    [
        ("int", st.integers(-(2**31), 2**31 - 1)),
        ("long", st.integers(-(2**63), 2**63 - 1)),
        ("double", st.floats(allow_nan=False)),
        ("float", st.floats(allow_nan=False, width=32).map(single)),
        ("boolean", st.booleans()),
        ("string", TEXT),
        ("bytes", st.binary(max_size=8)),
        ({"type": "int", "logicalType": "date"}, st.dates()),
        (
            {"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": 6},
            st.decimals(-(10**23), 10**23, places=6),
        ),
    ]
)


def enum(symbols):
    return {"type": "enum", "name": "x", "symbols": symbols}, st.sampled_from(symbols)


def nullable(kind, *, first):
    avro, values = kind
    return (["null", avro] if first else [avro, "null"]), st.none() | values


def array(kind):
    avro, values = kind
    return {"type": "array", "items": avro}, st.lists(values, max_size=3)


def mapped(kind):
    avro, values = kind
    return {"type": "map", "values": avro}, st.dictionaries(TEXT, values, max_size=3)


def record(kinds):
    fields = [{"name": f"f{place}", "type": avro} for place, (avro, _) in enumerate(kinds)]
    values = st.fixed_dictionaries({f"f{place}": values for place, (_, values) in enumerate(kinds)})
    return {"type": "record", "name": "x", "fields": fields}, values


def plain(kind):
    """A union may not stand directly in a union."""
    return not isinstance(kind[0], list)


KINDS = st.recursive(
    BASE | st.lists(st.sampled_from("ABCDE"), min_size=1, max_size=4, unique=True).map(enum),
    lambda inner: st.one_of(
        st.builds(nullable, inner.filter(plain), first=st.booleans()),
        inner.map(array),
        inner.map(mapped),
        st.lists(inner, min_size=1, max_size=3).map(record),
    ),
    max_leaves=6,
)
FILES = (
    st.lists(KINDS, min_size=1, max_size=4)
    .map(record)
    .flatmap(lambda made: st.tuples(st.just(named(made[0], itertools.count())), st.lists(made[1], max_size=6)))
)


def named(avro, numbers):
    """Every enum and record under a name of its own."""
    match avro:
        case dict():
            own = {"name": f"n{next(numbers)}"} if avro.get("name") == "x" else {}
            return {key: named(value, numbers) for key, value in avro.items()} | own
        case list():
            return [named(member, numbers) for member in avro]
        case _:
            return avro


def written(schema, records, codec="deflate"):
    stream = io.BytesIO()
    fastavro.writer(stream, schema, records, codec=codec, sync_interval=16, sync_marker=bytes(range(16)))
    return stream.getvalue()


def read(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.avro")
        path.write_bytes(content)
        context = Context("s", lambda text: Path(folder, text), Path(folder), SystemClock())
        source = AvroSource(AvroSourceParams(type="avro", path="a.avro"), context)
        table, _ = pull(source.scan(ScanRequest(PART, None, source.latest(PART))))
        return table.to_pylist()


def as_told(value, avro):
    """A map is a list of pairs in Arrow."""
    match value, avro:
        case None, _:
            return None
        case _, list():
            return as_told(value, next(member for member in avro if member != "null"))
        case dict(), {"type": "map", "values": inner}:
            return [(key, as_told(item, inner)) for key, item in value.items()]
        case dict(), {"fields": fields}:
            return {field["name"]: as_told(value[field["name"]], field["type"]) for field in fields}
        case list(), {"items": inner}:
            return [as_told(item, inner) for item in value]
        case _:
            return value


@settings(max_examples=150, deadline=None)
@given(FILES)
def test_what_fastavro_writes_is_read_as_it_was(file):
    schema, records = file
    assert read(written(schema, records)) == [as_told(one, schema) for one in records]


@settings(max_examples=150, deadline=None)
@given(FILES, st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=3))
def test_altered_bytes_are_read_or_refused_by_name(file, changes):
    schema, records = file
    content = bytearray(written(schema, records, codec="null"))
    for place, byte in changes:
        content[int(place * len(content))] = byte
    try:
        read(bytes(content))
    except PenstockError as error:
        assert error.code.startswith(("SRC-", "DOC-"))  # noqa: PT017 -- reading it is as good
