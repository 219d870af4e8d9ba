"""Hostile files of the formats that keep types: Parquet, ORC, Avro. A row of theirs is a row; what is broken is the file."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from penstock.testing.hostile_files.cases import Bad, FileCase, Hazard, Refused, Taken
from penstock.testing.hostile_files.values import TEXTS
from penstock.types.arrow import to_arrow
from penstock.types.parse import parse_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from penstock.testing.hostile_files.cases import Expected, Value
    from penstock.testing.hostile_files.values import HostileTexts

_COLUMNS: Final = 10_000
_AVRO: Final[Mapping[str, object]] = {
    "int64": "long",
    "float64": "double",
    "boolean": "boolean",
    "string": "string",
    "date": {"type": "int", "logicalType": "date"},
    "time": {"type": "long", "logicalType": "time-micros"},
    "timestamp": {"type": "long", "logicalType": "local-timestamp-micros"},
    "timestamptz": {"type": "long", "logicalType": "timestamp-micros"},
    "decimal(9,2)": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
    "decimal(38,0)": {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 0},
    "decimal(38,10)": {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 10},
}
# What a reader of ORC keeps in nanoseconds of 64 bits.
_ORC_FIRST, _ORC_LAST = -9_223_372_036_854_775, 9_223_372_036_854_775


def parquet_files() -> Iterator[FileCase]:
    yield from (_values(texts, "parquet", texts.type) for texts in TEXTS if texts.type != "json")
    yield from _of_tables("parquet", "SRC-140")


def orc_files() -> Iterator[FileCase]:
    """Without times of day, for which ORC has no type."""
    for texts in TEXTS:
        if texts.type in ("json", "time"):
            continue
        yield _values(texts, "orc", texts.type)
    yield from _of_tables("orc", "SRC-320")


def avro_files() -> Iterator[FileCase]:
    yield from (_values(texts, "avro", texts.type) for texts in TEXTS if texts.type != "json")
    yield from _of_tables("avro", "SRC-300")


Column = tuple[str, str, "Sequence[Any]"]  # name, type, values


def _values(texts: HostileTexts, source: str, kind: str) -> FileCase:
    good = [one.value for one in texts.texts if not one.bad]
    columns: list[Column] = [("k", "int64", range(len(good))), ("v", kind, good)]
    expected: Expected = Taken(tuple(enumerate(good)))
    if source == "orc" and kind.startswith("timestamp") and any(_beyond_orc(value) for value in good):
        expected = Refused("SRC-321")
    return _case(texts.name, texts.hazard, source, columns, expected)


def _beyond_orc(value: Value) -> bool:
    return isinstance(value, int) and not _ORC_FIRST <= value <= _ORC_LAST


def _case(
    name: str,
    hazard: Hazard,
    source: str,
    columns: Sequence[Column],
    expected: Expected,
    *,
    schema: Mapping[str, str] | None = None,
    widens: bool = False,
    heavy: bool = False,
    spoil: Callable[[bytes], bytes] | None = None,
) -> FileCase:
    def write(path: Path) -> None:
        _WRITERS[source](path, columns)
        if spoil is not None:
            path.write_bytes(spoil(path.read_bytes()))

    return FileCase(
        name,
        hazard,
        source,
        source,
        write,
        expected,
        schema,
        options={"on_type_change": "widen"} if widens else {},
        heavy=heavy,
    )


def _table(columns: Sequence[Column]) -> pa.Table:
    arrays = [_array(values, to_arrow(parse_type(kind)[0])) for _, kind, values in columns]
    return pa.Table.from_arrays(arrays, [name for name, _, _ in columns])


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Days and microseconds as they are."""
    if pa.types.is_date(kind):
        return pa.array(values, pa.int32()).view(kind)
    if pa.types.is_temporal(kind):
        return pa.array(values, pa.int64()).view(kind)
    return pa.array(values, kind)


def _parquet(path: Path, columns: Sequence[Column]) -> None:
    from pyarrow import parquet

    parquet.write_table(_table(columns), path)


def _orc(path: Path, columns: Sequence[Column]) -> None:
    from pyarrow import orc

    orc.write_table(_table(columns), str(path))


def _avro(path: Path, columns: Sequence[Column]) -> None:
    import fastavro

    fields = [{"name": name, "type": _AVRO.get(kind, kind)} for name, kind, _ in columns]
    names = [name for name, _, _ in columns]
    rows = zip(*(values for _, _, values in columns), strict=True)
    with path.open("wb") as file:
        fastavro.writer(
            file,
            {"type": "record", "name": "row", "fields": fields},
            [dict(zip(names, row, strict=True)) for row in rows],
            sync_interval=1,
        )


def _replaced(data: bytes, *, old: bytes, new: bytes) -> bytes:
    return data.replace(old, new)


_WRITERS: Final = {"parquet": _parquet, "orc": _orc, "avro": _avro}


def _of_tables(source: str, broken: str) -> Iterator[FileCase]:
    plain: list[Column] = [("k", "int64", (1, 2)), ("v", "string", ("a", "b"))]
    yield _case(
        "cut_at_end",
        Hazard.TRUNCATED,
        source,
        plain,
        Refused("SRC-301" if source == "avro" else broken),
        spoil=lambda data: data[:-5],
    )
    yield _case(
        "cut_in_the_middle", Hazard.TRUNCATED, source, plain, Refused(broken), spoil=lambda data: data[: len(data) // 2]
    )
    yield _case("empty", Hazard.EMPTY_FILE, source, plain, Refused(broken), spoil=lambda _: b"")
    yield _case("no_rows", Hazard.EMPTY_FILE, source, [("k", "int64", ()), ("v", "string", ())], Taken(()))
    yield _case("another_format", Hazard.WRONG_TYPE, source, plain, Refused(broken), spoil=lambda _: b"k,v\n1,a\n")
    yield _case(
        "texts_for_numbers",
        Hazard.WRONG_TYPE,
        source,
        [("k", "int64", (1, 2)), ("v", "string", ("7", "x"))],
        Taken(((1, 7),), (Bad(None, "bad_value", "v"),)),
        schema={"k": "int64", "v": "int64"},
    )
    yield _case(
        "too_large_for_schema",
        Hazard.WRONG_TYPE,
        source,
        [("k", "int64", (1, 2**40))],
        Refused("CMP-232"),
        schema={"k": "int32"},
    )
    yield _case(
        "too_many_digits",
        Hazard.DECIMAL_LIMIT,
        source,
        [("k", "float64", (1.5, 1e300))],
        Taken(((Decimal("1.5000000000"),),), (Bad(None, "bad_value", "k"),)),
        widens=True,
        schema={"k": "decimal(38,10)"},
    )
    yield _case(
        "nan_for_decimal",
        Hazard.NAN,
        source,
        [("k", "float64", (1.5, float("nan")))],
        Taken(((Decimal("1.50"),),), (Bad(None, "bad_value", "k"),)),
        widens=True,
        schema={"k": "decimal(9,2)"},
    )
    yield from _of_contents(source)
    yield from _of_columns(source)


def _of_contents(source: str) -> Iterator[FileCase]:
    long = "\u00fcx" * 5_000_000
    yield _case(
        "huge_field",
        Hazard.HUGE_FIELD,
        source,
        [("k", "int64", (1, 2)), ("v", "string", (long, "b"))],
        Taken(((1, long), (2, "b"))),
    )
    yield _case("nul", Hazard.NUL, source, [("v", "string", ("a\0b", "\0"))], Taken((("a\0b",), ("\0",))))
    yield _case(
        "line_breaks",
        Hazard.LINE_BREAKS,
        source,
        [("v", "string", ("a\r\nb\rc\n", "\r"))],
        Taken((("a\r\nb\rc\n",), ("\r",))),
    )
    for name, hazard, text in (
        ("surrogate", Hazard.LONE_SURROGATE, b"a\xed\xa0\x80"),
        ("not_utf8", Hazard.ENCODING, b"caf\xe9"),
    ):
        stands_for = b"?" * len(text)
        code = {"parquet": "ENG-312", "orc": "SRC-321", "avro": "SRC-304"}[source]
        yield _case(
            name,
            hazard,
            source,
            [("v", "string", ("a", stands_for.decode()))],
            Refused(code),
            spoil=partial(_replaced, old=stands_for, new=text),
        )


def _of_columns(source: str) -> Iterator[FileCase]:
    columns: list[Column] = [(f"c{place}", "int64", (place, place + 1)) for place in range(_COLUMNS)]
    yield _case(
        "many_columns",
        Hazard.MANY_COLUMNS,
        source,
        columns,
        Taken((tuple(range(_COLUMNS)), tuple(range(1, _COLUMNS + 1)))),
        heavy=True,
    )
    yield _case(
        "no_columns",
        Hazard.NO_COLUMNS,
        source,
        [],
        Refused({"parquet": "SRC-140", "orc": "SRC-134", "avro": "SRC-303"}[source]),
    )
    yield _case(
        "names_in_two_cases",
        Hazard.DUPLICATE_HEADER,
        source,
        [("k", "int64", (1,)), ("K", "int64", (2,))],
        Refused("SRC-112"),
    )
    if source != "avro":  # whose writers know no such thing
        yield _case(
            "duplicate_header",
            Hazard.DUPLICATE_HEADER,
            source,
            [("k", "int64", (1,)), ("k", "int64", (2,))],
            Refused("DOC-410"),
        )
