"""A value is what the file says, or its record is a reject: nothing is rounded, cut or dropped in silence."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from passes import run
from sqlglot import exp

from penstock.connectors.api import CsvFormat, Files, JsonFormat
from penstock.engines.duckdb.careful import Workspace, careful_files
from penstock.engines.duckdb.careful import csv_records as records
from penstock.engines.duckdb.errors import translated
from penstock.engines.duckdb.readers import files_query
from penstock.errors import DataError
from penstock.types import Schema
from typed_values import BAD, TEXTS, VALUES, by_kind, plain

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def files_of(folder: Path, kind: str, texts: list[str], form: CsvFormat | JsonFormat) -> Files:
    path = folder / "x"
    if isinstance(form, CsvFormat):
        lines = ["a,b", *(f'"{text}",{place}' for place, text in enumerate(texts))]
    else:
        lines = [f'{{"a":{text},"b":{place}}}' for place, text in enumerate(texts)]
    path.write_text("\n".join(lines) + "\n")
    return Files(form, (str(path),), Schema.of({"a": f"{kind}?", "b": "int64?"}))


def read(files: Files, *, by_text: bool) -> Any:
    """The one value; BAD where the next way of reading is asked."""
    with duckdb.connect(config={"threads": 1}) as database:
        database.execute("SET TimeZone = 'UTC'")
        try:
            with translated("reading"):
                found = database.sql(files_query(files, by_text=by_text).sql(dialect="duckdb")).to_arrow_table()
        except DataError:
            return BAD
    return plain(found.column("a")[0].as_py())


def check(folder: Path, kind: str, cases: list[tuple[str, Any]], form: CsvFormat | JsonFormat) -> None:
    """Each fast way of reading gives the value or fails such that the next one is asked; the careful one decides."""
    for text, expected in cases:
        for by_text in (False, True):
            found = read(files_of(folder, kind, [text], form), by_text=by_text)
            assert found in (expected, BAD), (text, by_text)
    rows: dict[int, Any] = {}
    rejected: list[tuple[str, str]] = []
    for chunk in careful_files(files_of(folder, kind, [text for text, _ in cases], form), Workspace(folder)).open():
        rows |= {row["b"]: plain(row["a"]) for row in chunk.batch.to_pylist()}
        for reject in chunk.rejects.to_pylist() if chunk.rejects is not None else []:
            rejected += [(cause["code"], cause["column"]) for cause in reject["causes"]]
    good = {place: expected for place, (_, expected) in enumerate(cases) if expected is not BAD}
    assert rows == good
    assert rejected == [("bad_value", "a")] * (len(cases) - len(good))


@pytest.mark.parametrize(("kind", "cases"), by_kind(TEXTS))
def test_values_of_csv(kind: str, cases: list[tuple[str, Any]], tmp_path: Path) -> None:
    check(tmp_path, kind, cases, CsvFormat(header=True))


@pytest.mark.parametrize(("kind", "cases"), by_kind(VALUES))
def test_values_of_json(kind: str, cases: list[tuple[str, Any]], tmp_path: Path) -> None:
    check(tmp_path, kind, cases, JsonFormat())


@pytest.mark.parametrize(
    ("kind", "cases"),
    [
        ("decimal(10,2)", [("1,5", Decimal("1.50")), ("1.5", BAD), ("1,999", BAD)]),
        ("decimal(30,2)", [("1,5", Decimal("1.50")), ("1.5", BAD)]),
        ("float64", [("1,5", 1.5), ("1.5", BAD)]),
        ("int64", [("1,0", 1), ("1,5", BAD), ("1.5", BAD)]),
    ],
)
def test_numbers_with_a_comma(kind: str, cases: list[tuple[str, Any]], tmp_path: Path) -> None:
    check(tmp_path, kind, cases, CsvFormat(header=True, decimal_separator=","))


@pytest.mark.parametrize("kind", ["date", "timestamp"])
def test_moments_by_a_pattern(kind: str, tmp_path: Path) -> None:
    """What strptime takes, but for words and for years of other than four digits."""
    midnight = "" if kind == "date" else " 00:00:00"
    good = {"31.12.2024": "2024-12-31", "1.2.2024": "2024-02-01", "01.01.1900": "1900-01-01", "1.2.0024": "0024-02-01"}
    cases = [(text, day + midnight) for text, day in good.items()]
    cases += [(text, BAD) for text in ("2024-12-31", "1.2.24", "01.02.924", "epoch", " Epoch", "infinity", "-infinity")]
    pattern = "%d.%m.%Y"
    check(tmp_path, kind, cases, CsvFormat(header=True, date_format=pattern, timestamp_format=pattern))


@pytest.mark.parametrize("kind", ["date", "timestamp", "timestamptz"])
@pytest.mark.parametrize("form", [CsvFormat(header=True), JsonFormat()], ids=["csv", "json"])
def test_an_infinite_day_is_no_day(kind: str, form: CsvFormat | JsonFormat, tmp_path: Path) -> None:
    """Files keep it as a day in the year 5881580."""
    quote = "" if isinstance(form, CsvFormat) else '"'
    cases = [(f"{quote}{text}{quote}", BAD) for text in ("infinity", "-Infinity")]
    check(tmp_path, kind, cases, form)


def test_what_is_no_json_is_no_value_of_json(tmp_path: Path) -> None:
    good = [("[1]", "[1]"), ("null", "null"), ("1.10", "1.10")]
    bad = [(text, BAD) for text in ("{", "[[1]", "{a: 1}", "x")]
    check(tmp_path, "json", [*good, *bad], CsvFormat(header=True))


def test_a_year_of_two_digits_has_a_pattern_of_its_own(tmp_path: Path) -> None:
    check(tmp_path, "date", [("1.2.24", "2024-02-01")], CsvFormat(header=True, date_format="%d.%m.%y"))


def test_a_text_that_looks_like_a_long_number_stays_what_it_is(tmp_path: Path) -> None:
    """Long numbers are put in quotes before a line is parsed; texts are passed over, whatever stands in them."""
    long = "1234567890123456789.25"
    path = tmp_path / "x"
    path.write_text(json.dumps({"t": f'a": {long}, "b\\'})[:-1] + f', "n": {long}}}\n')
    files = Files(JsonFormat(), (str(path),), Schema.of({"t": "string?", "n": "decimal(30,2)?"}))
    [chunk] = list(careful_files(files, Workspace(tmp_path)).open())
    assert chunk.batch.to_pylist() == [{"t": f'a": {long}, "b\\', "n": Decimal(long)}]


def test_bad_values_are_null_where_that_is_asked_for(tmp_path: Path) -> None:
    for form, content in [
        (CsvFormat(header=True), "a,b\n1.5,1\n2,2\n"),
        (JsonFormat(), '{"a":1.5,"b":1}\n{"a":2,"b":2}\n'),
    ]:
        path = tmp_path / "x"
        path.write_text(content)
        schema = Schema.of({"a": "int64?", "b": "int64?"})
        chunks = list(careful_files(Files(form, (str(path),), schema, "null"), Workspace(tmp_path)).open())
        assert [row for chunk in chunks for row in chunk.batch.to_pylist()] == [{"a": None, "b": 1}, {"a": 2, "b": 2}]


@pytest.mark.parametrize(
    "content", ["a,b\n9007199254740993,1\n1,inf\n", '{"a":9007199254740993,"b":1}\n{"a":1,"b":"inf"}\n']
)
def test_what_cannot_be_told_fast_is_read_by_its_text_and_is_no_reject(content: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text(content)
    form = JsonFormat() if content.startswith("{") else CsvFormat(header=True)
    (tmp_path / "engine").mkdir()
    found = run(
        "pipeline: p\nsources:\n  s: {type: memory, schema: {columns: {a: int64?, b: float64?}}}\n"
        "sinks:\n  one: {from: s, type: memory}\n",
        {"s": Files(form, (str(path),), Schema.of({"a": "int64?", "b": "float64?"}))},
        tmp_path / "engine",
        readable=(tmp_path,),
    )
    assert found.rows["one"] == [{"a": 9007199254740993, "b": 1.0}, {"a": 1, "b": float("inf")}]
    assert found.rejects == {}


# ---------------------------------------------------------------- where a bad value of CSV stands


def located(
    content: bytes, schema: dict[str, str], folder: Path, form: CsvFormat | None = None
) -> list[tuple[int, bytes]]:
    """Record and text of every reject; the byte is where the text stands."""
    path = folder / "x.csv"
    path.write_bytes(content)
    files = Files(form or CsvFormat(header=True), (str(path),), Schema.of(schema))
    found = []
    for chunk in careful_files(files, Workspace(folder)).open():
        for reject in chunk.rejects.to_pylist() if chunk.rejects is not None else []:
            place, raw = json.loads(reject["position"]), reject["raw"].encode()
            assert content[place["byte"] :].startswith(raw)
            found.append((place["record"], raw))
    return found


@pytest.mark.parametrize("size", [24, 70, 1000])
def test_bad_values_are_found_piece_by_piece(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_PIECE_BYTES", size)
    lines, expected = [b"a,b"], []
    for number in range(2, 60):
        is_bad, is_short = number % 7 == 0, number % 11 == 0
        line = b"1.5," if is_bad else b"1,"
        line = b"x" if is_short else line + b'"q\n""' + b"y" * (number % 5) + b'"'
        lines.append(line)
        expected += [(number, line)] if is_bad or is_short else []
    content = b"\n".join(lines) + b"\n"
    assert located(content, {"a": "int64?", "b": "string?"}, tmp_path) == expected


@pytest.mark.parametrize("empty", [1, 2, 3, 7])
def test_empty_values_behind_the_last_column_hide_no_record(empty: int, tmp_path: Path) -> None:
    content = b"a,b\n" + b"".join(b"1,2" + b"," * count + b"\n" for count in range(empty + 1)) + b"x,2\n"
    assert located(content, {"a": "int64?", "b": "int64?"}, tmp_path) == [(empty + 3, b"x,2")]


def test_blank_lines_of_a_single_column_are_rows(tmp_path: Path) -> None:
    found = located(
        b'a\n1\n\n1.5\n""\n\nNA\nx\n', {"a": "int64?"}, tmp_path, CsvFormat(header=True, null_values=("", "NA"))
    )
    assert [raw for _, raw in found] == [b"1.5", b"x"]


def test_a_file_without_a_header_counts_from_its_first_record(tmp_path: Path) -> None:
    found = located(b"1,2\n1.5,2\n", {"a": "int64?", "b": "int64?"}, tmp_path, CsvFormat(header=False))
    assert found == [(2, b"1.5,2")]


def test_a_constant_hides_what_the_file_has(tmp_path: Path) -> None:
    path = str(tmp_path / "x")
    (tmp_path / "x").write_text("a,b\nx,1\n")
    constants = {path: {"a": exp.Literal.number(7)}}
    schema = Schema.of({"a": "int64?", "b": "int64?"})
    files = Files(CsvFormat(header=True), (path,), schema, constants=constants, layouts={path: ("a", "b")})
    assert read(files, by_text=False) == 7
    (chunk,) = careful_files(files, Workspace(tmp_path)).open()
    assert chunk.batch.to_pylist() == [{"a": 7, "b": 1}]
