"""Excel workbooks as a source: sheets, ranges, headers, every kind of cell, and everything a hostile file may try."""

from __future__ import annotations

import base64
import json
import zipfile
import zlib
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import xlsxwriter
from file_sources import PART, columns, rows, source
from pydantic import ValidationError

from penstock.connectors.api import Batches, ScanRequest
from penstock.connectors.files import excel_cells, excel_guard
from penstock.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penstock.connectors.api import Source

pytestmark = pytest.mark.slow

OPTIONS = {"strings_to_numbers": False, "strings_to_formulas": False, "strings_to_urls": False}
# Written by Excel 97's own format: day, price, name, ok; two rows.
OLD_WORKBOOK = (
    "c-rk)O=wd=5dQY%KekO$Q?V6FC|I?&2le8mMnkoDNUb7NMbNZ)NJ&jf=%u|_tvL#UC&f#l9=ue&_=5`mfOrrpdJqI5(UW)*6g;$f"
    "&dhsHlZeoO7FymHc6N4lW_I#+cXr=<y$~tR-f1hL27BN_*$BW}AyZTWb|VbxHw<R&+E2xBu&NO7(?ohbc-Z*L$8*T@U4n+&?x#e7"
    "k5o=#90R$m9$P^qB!-mY7<!2+Tqj8rS|zGxp(8@q3%w<pkA&_O$t9t^q+3)cun-^U+HI}kV_JvwHG%!!6Px!U*?|_k<W+p`vNCl&"
    "*q0wojjghdc6S5jKoi=pXZ1X{L%4w;aGcPSO!oBk6%nP$p2K$|27I%3^^=$*Us<^V$$wPKeSeYrX%cJYS2Q;;4db+Ik^<IYqnmqN"
    "I5d`C#7^1KUJ)Rjn)CqU`Oy)bbh4?lIxYHKhSo_UuV*J>pGjxv=)oZ8dC3dms=UxB`=x<s8X@5$vTMQ=*y7EvZ<51<@lzt1mb1V-"
    "F*b96FmRqN$hZk+cnt385{vCZFNoJo!nX;H(vqgSbFjr?4$O$oMd|INadrvb#<x`PTZu1xIefpp@F~8H`1$_QRCNAbd=?#af~Cox"
    "e>3P--Rjy^#)G(BD=WKv5Zd}jrtxcGD|W*=7DHI#y+w!!HCz02)UTFiJu9>2qL$0@rD}XVrty{JxM$DV>dX}TVml>X_?dY$Keb#k"
    "0{hU!XSEMAPreWz31$1x#D|AZc&!<CS&8!HZv^4MfddB)95`^`U@b$*-PF8~%gxfd>-((lI!jc_&S#P}izCR<Z-QPb_ajSn9+P#g"
    "pAGOR+m~9Vjs3llF+`*1k-@OUk*RzA(tD1o{6EV!4F9_=RPXrZdgA=g<NpLc`PyX"
)


def workbook(path: Path, fill: Callable[[Any, Any], None], **options: Any) -> None:
    made = xlsxwriter.Workbook(str(path), {**OPTIONS, **options})
    fill(made, made.add_worksheet("Data"))
    made.close()


def table(path: Path, *lines: tuple[Any, ...], at: tuple[int, int] = (0, 0), **options: Any) -> None:
    """A workbook with these rows in its sheet ``Data``; days and moments are formatted as such."""

    def fill(made: Any, sheet: Any) -> None:
        formats = {
            date: made.add_format({"num_format": "yyyy-mm-dd"}),
            datetime: made.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"}),
            time: made.add_format({"num_format": "hh:mm:ss"}),
            timedelta: made.add_format({"num_format": "[h]:mm:ss"}),
        }
        for row, line in enumerate(lines, start=at[0]):
            for column, value in enumerate(line, start=at[1]):
                if type(value) in formats:
                    sheet.write_datetime(row, column, value, formats[type(value)])
                elif isinstance(value, str) and value.startswith("=error "):
                    sheet.write_formula(row, column, "=1", None, value.removeprefix("=error "))
                elif value is not None:
                    sheet.write(row, column, value)

    workbook(path, fill, **options)


def made(folder: Path, *lines: tuple[Any, ...], text: str = "", **options: Any) -> Source:
    table(folder / "a.xlsx", *lines, **options)
    return read(folder, text)


def read(folder: Path, text: str = "", contract: dict[str, str] | None = None, **policies: Any) -> Source:
    return source(folder, f"{{type: excel, path: a.xlsx{', ' if text else ''}{text}}}", contract, **policies)


def rejects(found: Source) -> list[dict[str, Any]]:
    scanned = found.scan(ScanRequest(PART, None, found.latest(PART)))
    assert isinstance(scanned, Batches)
    records = [record for chunk in scanned.open() if chunk.rejects for record in chunk.rejects.to_pylist()]
    return [{**one, "position": json.loads(one["position"]), "row": json.loads(one["row"])} for one in records]


# ---------------------------------------------------------------- types


def test_types_are_what_all_cells_are(tmp_path: Path) -> None:
    found = made(
        tmp_path,
        ("whole", "part", "text", "day", "moment", "time", "span", "flag", "digits", "empty"),
        (
            1,
            1.5,
            "a",
            date(2024, 2, 29),
            datetime(2024, 1, 1, 12, 30, 1),  # noqa: DTZ001
            time(6),
            timedelta(hours=30),
            True,
            "007",
            None,
        ),
        (-2, 3, "", date(1999, 1, 1), datetime(2024, 1, 2), time(23, 59, 59), timedelta(0), False, "1", None),  # noqa: DTZ001
    )
    assert columns(found) == {
        "whole": "int64",
        "part": "float64",
        "text": "string",
        "day": "date",
        "moment": "timestamp",
        "time": "time",
        "span": "interval",
        "flag": "boolean",
        "digits": "string",
        "empty": "string",
    }
    first, second = rows(found, *(name for name in columns(found) if name != "span"))
    assert first == {
        "whole": 1,
        "part": 1.5,
        "text": "a",
        "day": date(2024, 2, 29),
        "moment": datetime(2024, 1, 1, 12, 30, 1),  # noqa: DTZ001
        "time": time(6),
        "flag": True,
        "digits": "007",
        "empty": None,
    }
    assert second["time"] == time(23, 59, 59)
    assert [row["span"].nanoseconds for row in rows(found, "span")] == [30 * 3600 * 10**9, 0]


def test_columns_whose_cells_differ_in_kind_are_text_with_all_digits(tmp_path: Path) -> None:
    found = made(
        tmp_path,
        ("mixed", "flags", "days"),
        (0.1234567890123, True, date(2024, 1, 5)),
        ("abc", 2, "later"),
        (1e-300, 0, timedelta(hours=1)),
    )
    assert columns(found) == {"mixed": "string", "flags": "string", "days": "string"}
    assert [row["mixed"] for row in rows(found)] == ["0.1234567890123", "abc", "1e-300"]
    assert [row["flags"] for row in rows(found)] == ["true", "2", "0"]


def test_the_contract_says_the_types(tmp_path: Path) -> None:
    table(
        tmp_path / "a.xlsx",
        ("id", "price", "day", "at", "code", "key"),
        (1, 19.99, date(2024, 1, 5), datetime(2024, 1, 5, 1, 2, 3), 7, "6f2d1c1e-8a4b-4c9d-9b57-0a1b2c3d4e5f"),  # noqa: DTZ001
        ("2", "12345678901234567890.123456", "2024-01-06", "2024-01-06 04:05:06", "007", None),
    )
    contract = {
        "id": "int32",
        "price": "decimal(38,6)",
        "day": "date",
        "at": "timestamptz",
        "code": "string",
        "key": "uuid",
    }
    found = rows(read(tmp_path, contract=contract))
    assert [row["id"] for row in found] == [1, 2]
    assert [row["price"] for row in found] == [Decimal("19.99"), Decimal("12345678901234567890.123456")]
    assert [row["day"] for row in found] == [date(2024, 1, 5), date(2024, 1, 6)]
    assert [row["at"] for row in found] == [
        datetime(2024, 1, 5, 1, 2, 3, tzinfo=UTC),
        datetime(2024, 1, 6, 4, 5, 6, tzinfo=UTC),
    ]
    assert [row["code"] for row in found] == ["7", "007"]


def test_decimals_are_the_cells_floats_rounded_to_the_scale(tmp_path: Path) -> None:
    """Excel writes floats with 17 digits, the library of these tests fewer: they are put into the sheet as Excel has them."""
    written = [0.1 + 0.2, 19.99 * 3, 1.1 + 2.2, 0.285 * 100, 1.005, -(0.1 + 0.2)]
    table(tmp_path / "whole.xlsx", ("v",), *((770000 + place,) for place in range(len(written))))
    with zipfile.ZipFile(tmp_path / "whole.xlsx") as whole, zipfile.ZipFile(tmp_path / "a.xlsx", "w") as made:
        for name in whole.namelist():
            content = whole.read(name).decode()
            for place, value in enumerate(written):
                content = content.replace(f"<v>{770000 + place}</v>", f"<v>{value!r}</v>")
            made.writestr(name, content)
    (tmp_path / "whole.xlsx").unlink()
    assert repr(written[0]) == "0.30000000000000004"
    found = rows(read(tmp_path, contract={"v": "decimal(10,2)"}))
    assert [str(row["v"]) for row in found] == ["0.30", "59.97", "3.30", "28.50", "1.01", "-0.30"]


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("int64", 5, "abc"),
        ("int64", 5, 1.5),
        ("int64", 5, 1.0000000001),
        ("int64", 5, True),
        ("int64", 5, "5 apples"),
        ("int64", 5, 1e30),
        ("int8", 5, 300),
        ("float64", 0.5, "n/a"),
        ("float64", 0.5, date(2024, 1, 5)),
        ("float64", 0.5, False),
        ("float64", 0.5, "1e309"),
        ("date", date(2024, 1, 5), "infinity"),
        ("timestamp", date(2024, 1, 5), "epoch"),
        ("decimal(4,2)", 0.5, 100),
        ("date", date(2024, 1, 5), 45296),
        ("date", date(2024, 1, 5), "soon"),
        ("date", date(2024, 1, 5), datetime(2024, 1, 5, 12)),  # noqa: DTZ001
        ("timestamp", date(2024, 1, 5), 1.5),
        ("time", time(6), datetime(2024, 1, 5, 6)),  # noqa: DTZ001
        ("time", time(6), "25:00:00"),
        ("boolean", True, 2),
        ("boolean", True, "maybe"),
        ("uuid", "6f2d1c1e-8a4b-4c9d-9b57-0a1b2c3d4e5f", "6f2d"),
        ("json", '{"a": 1}', "{"),
        ("string", "text", "=error #N/A"),
        ("int64", 5, "=error #DIV/0!"),
    ],
)
def test_a_cell_that_its_type_cannot_take_is_a_reject_and_never_a_silent_null(
    tmp_path: Path, kind: str, good: Any, bad: Any
) -> None:
    table(tmp_path / "a.xlsx", ("n", "v"), (1, good), (2, bad), (3, None), (4, good))
    contract = {"n": "int64", "v": f"{kind}?"}
    assert [row["n"] for row in rows(read(tmp_path, contract=contract))] == [1, 3, 4]
    (record,) = rejects(read(tmp_path, contract=contract))
    assert record["position"] == {"file": str(tmp_path / "a.xlsx"), "sheet": "Data", "row": 3}
    assert record["row"]["n"] == "2"
    assert record["row"]["v"] is not None
    assert [(cause["code"], cause["column"]) for cause in record["causes"]] == [("bad_value", "v")]
    assert [row["v"] is None for row in rows(read(tmp_path, contract=contract, on_bad_value="null"))] == [
        False,
        True,
        True,
        False,
    ]
    with pytest.raises(DataError, match="B3") as caught:
        rows(read(tmp_path, contract=contract, on_bad_value="fail"))
    assert caught.value.code == "SRC-315"


def test_errors_are_rejects_without_a_contract_too(tmp_path: Path) -> None:
    found = made(tmp_path, ("n", "v"), (1, 0.5), (2, "=error #N/A"), (3, "=error #REF!"), (4, 1.5))
    assert columns(found) == {"n": "int64", "v": "float64"}
    assert [row["n"] for row in rows(found)] == [1, 4]
    assert [(record["row"]["v"], record["position"]["row"]) for record in rejects(found)] == [("#N/A", 3), ("#REF!", 4)]
    assert [row["v"] for row in rows(read(tmp_path, "on_bad_value: null"))] == [0.5, None, None, 1.5]


def test_a_row_with_several_bad_cells_is_one_reject_with_every_cause(tmp_path: Path) -> None:
    table(tmp_path / "a.xlsx", ("a", "b"), ("x", "y"), (1, 2))
    (record,) = rejects(read(tmp_path, contract={"a": "int64", "b": "date?"}, on_type_change="widen"))[:1]
    assert [cause["column"] for cause in record["causes"]] == ["a", "b"]


def test_rejects_name_their_row_in_every_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel_cells, "CHUNK_ROWS", 10)
    lines = [("bad" if n % 7 == 0 else n, "x") for n in range(2, 60)]
    table(tmp_path / "a.xlsx", ("n", "t"), *lines)
    found = read(tmp_path, contract={"n": "int64", "t": "string"})
    assert [record["position"]["row"] for record in rejects(found)] == [n for n in range(2, 60) if n % 7 == 0]
    assert [row["n"] for row in rows(found)] == [n for n in range(2, 60) if n % 7]


def test_days_of_1904_are_told_apart(tmp_path: Path) -> None:
    found = made(tmp_path, ("day", "t"), (date(2024, 2, 29), time(6)), (date(1904, 1, 2), time(1)), date_1904=True)
    assert columns(found) == {"day": "date", "t": "time"}
    assert rows(found) == [
        {"day": date(2024, 2, 29), "t": time(6)},
        {"day": date(1904, 1, 2), "t": time(1)},
    ]


def test_formulas_are_their_saved_values_and_merged_cells_have_one(tmp_path: Path) -> None:
    def fill(made: Any, sheet: Any) -> None:
        del made
        sheet.write_row(0, 0, ["sum", "word", "merged"])
        for row in (1, 2):
            sheet.write_formula(row, 0, "=1+1", None, 2)
            sheet.write_formula(row, 1, '="a"&"b"', None, "ab")
        sheet.merge_range(1, 2, 2, 2, "both")

    workbook(tmp_path / "a.xlsx", fill)
    assert rows(read(tmp_path)) == [
        {"sum": 2, "word": "ab", "merged": "both"},
        {"sum": 2, "word": "ab", "merged": None},
    ]


def test_text_is_as_it_is(tmp_path: Path) -> None:
    texts = ["=1+1", " pad ", "a\x00b", "return\r\nboth", "_x000D_", "\u2028", "\U0010ffff", "NULL", "#N/A"]
    found = made(tmp_path, ("t",), *[(text,) for text in texts])
    assert [row["t"] for row in rows(found)] == texts


# ---------------------------------------------------------------- sheets, ranges, headers


def sheets(made: Any, sheet: Any) -> None:
    sheet.hide()
    sheet.write_row(0, 0, ["hidden"])
    sheet.write_row(1, 0, [0])
    for name in ("Prices", "2024", "Empty"):
        other = made.add_worksheet(name)
        if name == "Prices":
            other.activate()
        if name != "Empty":
            other.write_row(0, 0, [name.lower()])
            other.write_row(1, 0, [1])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", "prices"),
        ("sheet: Prices", "prices"),
        ("sheet: Data", "hidden"),
        ("sheet: 1", "hidden"),
        ("sheet: 3", "2024"),
        ("sheet: '2024'", "2024"),
    ],
)
def test_a_sheet_is_chosen_by_name_or_number_else_the_first_that_is_seen(tmp_path: Path, text: str, name: str) -> None:
    workbook(tmp_path / "a.xlsx", sheets)
    assert list(columns(read(tmp_path, text))) == [name]


@pytest.mark.parametrize(
    ("text", "said"),
    [("sheet: Price", 'did you mean "Prices"'), ("sheet: 9", '"Empty"'), ("sheet: 2024", '"Empty"')],
)
def test_a_sheet_that_is_not_there_is_named_with_those_that_are(tmp_path: Path, text: str, said: str) -> None:
    workbook(tmp_path / "a.xlsx", sheets)
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text).describe()
    assert caught.value.code == "SRC-313"
    assert said in f"{caught.value.problems[0].detail} {caught.value.problems[0].hint}"


def test_an_empty_sheet_has_no_columns_unless_a_contract_names_them(tmp_path: Path) -> None:
    workbook(tmp_path / "a.xlsx", sheets)
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, "sheet: Empty").describe()
    assert caught.value.code == "SRC-134"
    found = read(tmp_path, "sheet: Empty", {"a": "int64"})
    assert columns(found) == {"a": "int64"}
    assert rows(found) == []


LINES = (
    ("Report of the day", None, None, None),
    (None, None, None, None),
    ("id", "name", None, "id2"),
    (1, "a", 5, 9),
    (None, None, None, None),
    (2, "b", None, 8),
    ("Total", None, 5, 17),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("range: 'A3:D6'", [{"id": 1, "name": "a", "C": 5, "id2": 9}, {"id": 2, "name": "b", "C": None, "id2": 8}]),
        ("range: 'A3:B6'", [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]),
        ("range: 'b3:b6'", [{"name": "a"}, {"name": "b"}]),
        ("range: 'B:B', header_row: 3", [{"name": "a"}, {"name": "b"}]),
        ("range: 'A4:B6', header_row: none", [{"A": 1, "B": "a"}, {"A": 2, "B": "b"}]),
        ("range: 'D3:F9'", [{"id2": 9}, {"id2": 8}, {"id2": 17}]),
        (
            "range: 'A3:B6', skip_empty_rows: false",
            [{"id": 1, "name": "a"}, {"id": None, "name": None}, {"id": 2, "name": "b"}],
        ),
    ],
)
def test_a_range_and_a_header_row_say_which_cells_count(
    tmp_path: Path, text: str, expected: list[dict[str, Any]]
) -> None:
    assert rows(made(tmp_path, *LINES, text=text)) == expected


def test_rows_and_columns_count_from_the_sheet_where_it_begins_empty(tmp_path: Path) -> None:
    table(tmp_path / "a.xlsx", ("id", "v"), (1, 2), ("x", 4), at=(4, 2))
    found = read(tmp_path, contract={"id": "int64", "v": "int64"})
    assert rows(found) == [{"id": 1, "v": 2}]
    assert [record["position"]["row"] for record in rejects(found)] == [7]
    assert rows(read(tmp_path, "range: 'D5:D6'")) == [{"v": 2}]
    assert rows(read(tmp_path, "range: 'A1:B9'", {"z": "int64"})) == []


def test_only_the_columns_asked_for_come_and_all_are_checked(tmp_path: Path) -> None:
    table(tmp_path / "a.xlsx", ("a", "b"), (1, "x"), (2, 5))
    found = read(tmp_path, contract={"a": "int64", "b": "int64"})
    assert rows(found, "a") == [{"a": 2}]


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        made(tmp_path, ("a", "b", "a"), (1, 2, 3)).describe()
    assert caught.value.code == "SRC-314"
    assert "A and C" in str(caught.value.problems[0].detail)


def test_a_header_outside_the_range_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        made(tmp_path, ("a",), (1,), text="range: 'A2:A9', header_row: 1").describe()
    assert caught.value.code == "SRC-316"


@pytest.mark.parametrize("text", ["A1", "1:2", "A0:B2", "B1:A2", "A5:B2", "A1:B2:C3", "", "AAAA1:B2", "A1:B12345678"])
def test_a_range_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValidationError):
        read(tmp_path, f"range: '{text}'")


@pytest.mark.parametrize("text", ["sheet: 0", "header_row: 0", "header_row: first", "sheet: [a]", "range: 7"])
def test_parameters_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValidationError):
        read(tmp_path, text)


# ---------------------------------------------------------------- several files


def test_several_workbooks_are_one_table(tmp_path: Path) -> None:
    table(tmp_path / "a.xlsx", ("n", "v"), (1, 1), (2, 2))
    table(tmp_path / "b.xlsx", ("v", "n"), (0.5, 3))
    found = source(tmp_path, "{type: excel, path: '*.xlsx'}")
    assert columns(found) == {"n": "int64", "v": "float64"}
    assert rows(found) == [{"n": 1, "v": 1.0}, {"n": 2, "v": 2.0}, {"n": 3, "v": 0.5}]


def test_a_column_that_a_workbook_lacks_is_an_error_or_null(tmp_path: Path) -> None:
    table(tmp_path / "a.xlsx", ("a", "b"), (1, 2))
    table(tmp_path / "b.xlsx", ("a",), (3,))
    with pytest.raises(DataError) as caught:
        source(tmp_path, "{type: excel, path: '*.xlsx'}").describe()
    assert caught.value.code == "SRC-135"
    found = source(tmp_path, "{type: excel, path: '*.xlsx', differing_columns: union}")
    assert rows(found) == [{"a": 1, "b": 2}, {"a": 3, "b": None}]


def test_old_workbooks_are_read(tmp_path: Path) -> None:
    (tmp_path / "old.xls").write_bytes(zlib.decompress(base64.b85decode("".join(OLD_WORKBOOK))))
    found = source(tmp_path, "{type: excel, path: old.xls}")
    assert columns(found) == {"day": "date", "price": "float64", "name": "string", "ok": "boolean"}
    assert rows(found) == [
        {"day": date(2024, 1, 5), "price": 78.33, "name": "Brent é", "ok": True},
        {"day": date(2024, 1, 6), "price": 80.0, "name": "WTI", "ok": None},
    ]


# ---------------------------------------------------------------- hostile files


def refused(folder: Path, content: bytes | None = None) -> str:
    if content is not None:
        (folder / "a.xlsx").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.xlsx") as caught:
        rows(read(folder))
    return caught.value.code


def good(folder: Path) -> bytes:
    table(folder / "a.xlsx", ("a", "b"), *[(n, f"text {n}") for n in range(200)])
    return (folder / "a.xlsx").read_bytes()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a,b\n1,2\n",
        b"PK\x03\x04 and nothing more",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
        b"<html><table><tr><td>1</td></tr></table></html>",
    ],
)
def test_what_is_no_workbook_is_named(tmp_path: Path, content: bytes) -> None:
    assert refused(tmp_path, content) == "SRC-310"


def test_a_workbook_that_is_cut_or_altered_is_named(tmp_path: Path) -> None:
    whole = good(tmp_path)
    assert refused(tmp_path, whole[: len(whole) // 2]) == "SRC-310"
    assert refused(tmp_path, whole[:-30]) == "SRC-310"
    at = whole.index(b"xl/worksheets/sheet1.xml") + 60
    assert refused(tmp_path, whole[:at] + bytes(40) + whole[at + 40 :]) == "SRC-310"


def test_an_archive_that_is_no_workbook_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as archive:
        archive.writestr("hello.txt", "x")
    assert refused(tmp_path) == "SRC-310"


@pytest.mark.parametrize(("entry", "said"), [("content.xml", "OpenDocument"), ("xl/workbook.bin", "xlsb")])
def test_other_kinds_of_workbooks_are_named(tmp_path: Path, entry: str, said: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as archive:
        archive.writestr(entry, "x")
    with pytest.raises(DataError) as caught:
        rows(read(tmp_path))
    assert caught.value.code == "SRC-310"
    assert said in str(caught.value.problems[0].detail)


def test_a_password_is_named(tmp_path: Path) -> None:
    content = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000) + "EncryptedPackage".encode("utf-16-le") + bytes(2000)
    assert refused(tmp_path, content) == "SRC-311"


def test_a_workbook_that_expands_without_bound_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel_guard, "MOST_BYTES", 1_000_000)
    good(tmp_path)
    with zipfile.ZipFile(tmp_path / "a.xlsx", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/bomb.bin", bytes(5_000_000))
    assert refused(tmp_path) == "SRC-312"


def test_a_workbook_that_lies_about_its_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel_guard, "MOST_BYTES", 1_000_000)
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(5_000_000))
    size = (5_000_000).to_bytes(4, "little")
    lying = (tmp_path / "a.xlsx").read_bytes().replace(size, (10).to_bytes(4, "little"))
    assert refused(tmp_path, lying) == "SRC-312"


def test_cells_that_stand_far_apart_are_refused_before_they_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(excel_guard, "MOST_CELLS", 1_000_000)

    def fill(made: Any, sheet: Any) -> None:
        del made
        sheet.write(0, 0, "a")
        sheet.write(100, 16_383, 1)

    workbook(tmp_path / "a.xlsx", fill)
    assert refused(tmp_path) == "SRC-312"


def test_a_sheet_under_another_name_is_looked_at_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel_guard, "MOST_CELLS", 1_000_000)
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as archive:
        archive.writestr(
            "xl/anything.dat", "<row r='1'><c r='A1'><v>1</v></c></row><row><c t='n' r='ZZ99999'><v>1</v></c>"
        )
    assert refused(tmp_path) == "SRC-312"


def test_far_cells_that_are_empty_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel_guard, "MOST_CELLS", 1_000_000)

    def fill(made: Any, sheet: Any) -> None:
        sheet.write(0, 0, "a")
        sheet.write(1, 0, 1)
        sheet.write_blank(100, 16_383, None, made.add_format({"bold": True}))

    workbook(tmp_path / "a.xlsx", fill)
    assert rows(read(tmp_path)) == [{"a": 1}]


def test_columns_have_letters() -> None:
    numbers = [1, 26, 27, 52, 53, 702, 703, 16_384]
    letters = ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA", "XFD"]
    assert [excel_guard.column_letters(number) for number in numbers] == letters
    assert [excel_guard.column_number(text) for text in letters] == numbers
