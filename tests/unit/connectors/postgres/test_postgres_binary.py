"""Binary COPY against a plain decoder of the documented format, written row by row."""

from __future__ import annotations

import struct
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.connectors.postgres.binary import encode
from penstock.errors import DataError
from penstock.testing import data
from penstock.types.arrow import from_arrow


def rows_of(table: pa.Table) -> list[list[bytes | None]]:
    """Each field's bytes, None for null."""
    schema = from_arrow(table.schema)
    raw = b"".join(bytes(piece) for batch in table.to_batches() for piece in encode(batch, schema))
    rows, at = [], 0
    while at < len(raw):
        (count,) = struct.unpack_from(">h", raw, at)
        at += 2
        row: list[bytes | None] = []
        for _ in range(count):
            (length,) = struct.unpack_from(">i", raw, at)
            at += 4
            row.append(None if length == -1 else raw[at : at + length])
            at += max(length, 0)
        rows.append(row)
    return rows


def column_of(values: pa.Array) -> list[bytes | None]:
    return [row[0] for row in rows_of(pa.table({"x": values}))]


def numeric(raw: bytes) -> Decimal:
    """As numeric_recv reads it."""
    count, weight, sign, scale = struct.unpack_from(">hhHh", raw)
    digits = struct.unpack_from(f">{count}h", raw, 8)
    assert all(0 <= digit < 10_000 for digit in digits)
    whole = sum(digit * 10_000 ** (count - 1 - at) for at, digit in enumerate(digits))
    shifted = Decimal(whole).scaleb(4 * (weight - count + 1), context=_WIDE)
    return (shifted.copy_negate() if sign == 0x4000 else shifted).quantize(Decimal(1).scaleb(-scale), context=_WIDE)


_WIDE = __import__("decimal").Context(prec=60)


@pytest.mark.parametrize("name", [name for name in data.TYPES if name.startswith("decimal") or name == "uint64"])
def test_a_decimal_keeps_every_digit(name: str) -> None:
    values = data.column(name).values
    found = [None if raw is None else numeric(raw) for raw in column_of(values)]
    assert found == [None if v is None else Decimal(v) for v in values.to_pylist()]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_decimal_survives(draw: st.DataObject) -> None:
    precision = draw.draw(st.integers(1, 38))
    scale = draw.draw(st.integers(0, precision))
    limit = 10**precision - 1
    whole = draw.draw(st.lists(st.none() | st.integers(-limit, limit), min_size=1, max_size=8))
    values = [None if v is None else Decimal(v).scaleb(-scale, context=_WIDE) for v in whole]
    found = column_of(pa.array(values, pa.decimal128(precision, scale)))
    assert [None if raw is None else numeric(raw) for raw in found] == values


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (pa.array([True, None, False]), [b"\1", None, b"\0"]),
        (pa.array([-1, None], pa.int8()), [b"\xff\xff", None]),
        (pa.array([2**32 - 1], pa.uint32()), [struct.pack(">q", 2**32 - 1)]),
        (pa.array([-0.0, float("nan")]), [struct.pack(">d", -0.0), struct.pack(">d", float("nan"))]),
        (pa.array(["é", "", None]), ["é".encode(), b"", None]),
        (pa.array([b"\0", b""], pa.binary()), [b"\0", b""]),
        (pa.array(['{"a":1}', None], pa.json_()), [b'\1{"a":1}', None]),
        (pa.array([b"x" * 16, None], pa.uuid()), [b"x" * 16, None]),
        (pa.array([date(2000, 1, 1), date(1970, 1, 1)]), [struct.pack(">i", 0), struct.pack(">i", -10957)]),
        (pa.array([2**31 - 1, -(2**31) + 1], pa.int32()).cast(pa.date32()), [struct.pack(">i", 2**31 - 1), struct.pack(">i", -(2**31))]),
        (pa.array([datetime(2000, 1, 1), None], pa.timestamp("us")), [bytes(8), None]),  # noqa: DTZ001 -- wall time
        (pa.array([2**63 - 1, -(2**63) + 1]).cast(pa.timestamp("us")), [struct.pack(">q", 2**63 - 1), struct.pack(">q", -(2**63))]),
        (pa.array([(14, -3, 5000)], pa.month_day_nano_interval()), [struct.pack(">qii", 5, -3, 14)]),
    ],
)  # fmt: skip
def test_a_value_has_its_documented_form(values: pa.Array, wanted: list[bytes | None]) -> None:
    assert column_of(values) == wanted


def test_lists_have_dimensions_and_lower_bounds() -> None:
    head = struct.pack(">iiiii", 1, 1, 20, 2, 1)
    one = head + struct.pack(">iqi", 8, 7, -1)
    empty = struct.pack(">iii", 0, 0, 20)
    assert column_of(pa.array([[7, None], [], None], pa.list_(pa.int64()))) == [one, empty, None]


@pytest.mark.parametrize("start", [0, 1, 5])
def test_a_slice_of_a_batch_is_only_that_slice(start: int) -> None:
    whole = data.wide_table([name for name in data.TYPES if "<" not in name or name.startswith("list")])
    texts = whole.column("c0").to_pylist()
    cleaned = pa.array([None if t is None else t.replace("\0", "") for t in texts])
    whole = whole.set_column(whole.schema.get_field_index("c0"), "c0", cleaned)
    assert rows_of(whole.slice(start, 3)) == rows_of(whole)[start : start + 3]


def test_a_batch_without_rows_is_nothing() -> None:
    assert rows_of(pa.table({"x": pa.array([], pa.int64()), "y": pa.array([], pa.list_(pa.string()))})) == []


def test_large_batches_are_cut_and_keep_their_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({"x": list(range(1000)), "y": [str(i) * 3 for i in range(1000)]})
    whole = rows_of(table)
    monkeypatch.setattr("penstock.connectors.postgres.binary.SLICE_BYTES", 100)
    assert rows_of(table) == whole


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (pa.array(["fine", "nu\0l"]), "NUL"),
        (pa.array(['"\0"'], pa.json_()), "NUL"),
        (pa.array([["a\0"]]), "NUL"),
        (pa.array([-2_500_000], pa.int32()).cast(pa.date32()), "date"),
        (pa.array([-(2**62)]).cast(pa.timestamp("us", tz="UTC")), "timestamp"),
    ],
)
def test_a_value_that_cannot_be_stored_is_named_by_its_column(values: pa.Array, words: str) -> None:
    table: Any = pa.table({"bad one": values})
    with pytest.raises(DataError) as caught:
        rows_of(table)
    assert caught.value.code == "SNK-209"
    assert '"bad one"' in str(caught.value)
    assert words in str(caught.value)


def test_nul_bytes_of_a_neighbouring_slice_do_not_count() -> None:
    values = pa.array(["nu\0l", "fine"]).slice(1)
    assert column_of(values) == [b"fine"]
