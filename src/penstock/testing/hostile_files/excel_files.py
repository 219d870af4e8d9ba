"""Hostile Excel workbooks. Positions count rows of the sheet from 1, the header among them."""

from __future__ import annotations

import io
import re
import zipfile
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from penstock.testing.hostile_files.cases import Bad, FileCase, Hazard, Refused, Taken
from penstock.testing.hostile_files.values import TEXTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from penstock.testing.hostile_files.cases import Expected
    from penstock.testing.hostile_files.values import HostileTexts, Spelled

_PLAIN: Final = {"k": "int64", "v": "string?"}
_COLUMNS: Final = 10_000
_LONGEST: Final = 32_767  # characters that Excel keeps in a cell
_OTHERWISE: Final = ("1e3", "1_000")  # whole numbers that only SQL spells so
_SHEET: Final = "xl/worksheets/sheet1.xml"


Cells = list[tuple[str | float, ...]]


def excel_files() -> Iterator[FileCase]:
    yield from map(_values, TEXTS)
    yield from _shapes()
    yield from _characters()


def _case(
    name: str,
    hazard: Hazard,
    rows: Cells,
    expected: Expected,
    columns: Mapping[str, str] | None = _PLAIN,
    *,
    heavy: bool = False,
    spoil: Callable[[bytes], bytes] | None = None,
) -> FileCase:
    def write(path: Path) -> None:
        data = _workbook(rows)
        path.write_bytes(data if spoil is None else spoil(data))

    return FileCase(name, hazard, "excel", "xlsx", write, expected, columns, heavy=heavy)


def _workbook(rows: Cells) -> bytes:
    """Text and numbers as they are."""
    import xlsxwriter

    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        for row, cells in enumerate(rows):
            for column, value in enumerate(cells):
                if isinstance(value, str):
                    sheet.write_string(row, column, value)
                else:
                    sheet.write_number(row, column, value)
    return buffer.getvalue()


def _with_part(data: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """The workbook with one of its parts changed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.namelist():
            content = old.read(entry)
            new.writestr(entry, change(content) if entry == name else content)
    return buffer.getvalue()


def _values(texts: HostileTexts) -> FileCase:
    """Each value as a cell of text. Whole numbers are written as such; a decimal column rounds, as the source's notes say."""
    chosen = [
        one
        for one in texts.texts
        if not (texts.type == "int64" and one.text in _OTHERWISE) and not _is_rounded(texts, one)
    ]
    rows: Cells = [("k", "v"), *((place, one.text) for place, one in enumerate(chosen))]
    good = tuple((place, one.value) for place, one in enumerate(chosen) if not one.bad)
    rejects = tuple(Bad(place + 2, "bad_value", "v") for place, one in enumerate(chosen) if one.bad)
    return _case(texts.name, texts.hazard, rows, Taken(good, rejects), {"k": "int64", "v": texts.type})


def _is_rounded(texts: HostileTexts, one: Spelled) -> bool:
    """Whether it is no value of a decimal for its digits behind the point alone."""
    return texts.type.startswith("decimal") and one.bad and one.text.startswith("0.")


def _shapes() -> Iterator[FileCase]:
    plain: Cells = [("k", "v"), (1, "a"), (2, "b")]
    yield _case("cut", Hazard.TRUNCATED, plain, Refused("SRC-310"), spoil=lambda data: data[:-30])
    yield _case(
        "cut_sheet",
        Hazard.TRUNCATED,
        plain,
        Refused("SRC-310"),
        spoil=lambda data: _with_part(data, _SHEET, lambda part: part[: len(part) // 2]),
    )
    yield _case(
        "fraction",
        Hazard.WRONG_TYPE,
        [("k", "v"), (1, "a"), (1.5, "b"), ("x", "c")],
        Taken(((1, "a"),), (Bad(3, "bad_value", "k"), Bad(4, "bad_value", "k"))),
    )
    yield _case("another_format", Hazard.WRONG_TYPE, plain, Refused("SRC-310"), spoil=lambda _: b"k,v\n1,a\n")
    yield _case("empty", Hazard.EMPTY_FILE, [], Refused("SRC-310"), spoil=lambda _: b"")
    yield _case("empty_sheet", Hazard.EMPTY_FILE, [], Taken(()))
    yield _case("header_alone", Hazard.EMPTY_FILE, [("k", "v")], Taken(()))
    yield _case("no_columns", Hazard.NO_COLUMNS, [], Refused("SRC-134"), None)
    yield _case("duplicate_header", Hazard.DUPLICATE_HEADER, [("k", "v", "v"), (1, "a", "b")], Refused("SRC-314"))
    yield _case("header_in_two_cases", Hazard.DUPLICATE_HEADER, [("k", "K"), (1, 2)], Refused("SRC-112"), None)
    yield _case(
        "rounded",
        Hazard.DECIMAL_LIMIT,
        [("v",), (1.999,), (0.004,), (1e300,)],
        Taken(((Decimal("2.00"),), (Decimal("0.00"),)), (Bad(4, "bad_value", "v"),)),
        {"v": "decimal(9,2)"},
    )
    yield _case("far_cell", Hazard.BOMB, plain, Refused("SRC-312"), spoil=lambda data: _with_part(data, _SHEET, _far))
    wide: Cells = [
        tuple(f"c{place}" for place in range(_COLUMNS)),
        *(tuple(place + row for place in range(_COLUMNS)) for row in range(2)),
    ]
    rows = tuple(tuple(place + row for place in range(_COLUMNS)) for row in range(2))
    yield _case("many_columns", Hazard.MANY_COLUMNS, wide, Taken(rows), None, heavy=True)
    yield _case(
        "negative_zero_number",
        Hazard.NEGATIVE_ZERO,
        [("v",), (-0.0,), (0.0,)],
        Taken(((-0.0,), (0.0,))),
        {"v": "float64"},
    )


def _far(sheet: bytes) -> bytes:
    """One cell at the end of everything."""
    return sheet.replace(b"</sheetData>", b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>')


def _characters() -> Iterator[FileCase]:
    long = "\u00fcx" * (_LONGEST // 2)
    yield _case("huge_field", Hazard.HUGE_FIELD, [("k", "v"), (1, long)], Taken(((1, long),)))
    yield _case(
        "breaks", Hazard.LINE_BREAKS, [("k", "v"), (1, "a\nb"), (2, "c\r\nd\r")], Taken(((1, "a\nb"), (2, "c\r\nd\r")))
    )
    yield _case("escaped_nul", Hazard.NUL, [("k", "v"), (1, "a\0b")], Taken(((1, "a\0b"),)))
    yield _case(
        "raw_nul",
        Hazard.NUL,
        [("k", "v"), (1, "a?b")],
        Taken(((1, "a\0b"),)),
        spoil=lambda data: _with_part(data, "xl/sharedStrings.xml", lambda part: part.replace(b"a?b", b"a\0b")),
    )
    yield _case(
        "not_utf8",
        Hazard.ENCODING,
        [("k", "v"), (1, "caf?")],
        Refused("SRC-310"),
        spoil=lambda data: _with_part(data, "xl/sharedStrings.xml", lambda part: part.replace(b"caf?", b"caf\xe9")),
    )
    yield _case(
        "surrogate",
        Hazard.LONE_SURROGATE,
        [("k", "v"), (1, "a?b")],
        Refused("SRC-310"),
        spoil=lambda data: _with_part(data, "xl/sharedStrings.xml", lambda part: part.replace(b"a?b", b"a&#xD800;b")),
    )
    yield _case(
        "deep",
        Hazard.DEEP_NESTING,
        [("k", "v"), (1, "a?b")],
        Taken(((1, "a?b"),)),
        spoil=lambda data: _with_part(
            data,
            _SHEET,
            lambda part: re.sub(rb"</worksheet>", b"<extLst>" * 50_000 + b"</extLst>" * 50_000 + b"</worksheet>", part),
        ),
    )
