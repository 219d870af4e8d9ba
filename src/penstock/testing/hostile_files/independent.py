"""Files of the corpus read by Python's standard library alone, and whether a text says a value: the corpus' own oracle.

What is written in a format of types (Parquet, ORC, Avro) is written from the very values that are expected.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import zipfile
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

from penstock.testing.hostile_files.moments import day, moment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from penstock.testing.hostile_files.cases import FileCase, Value


_MAIN: Final = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_FIELD: Final = 2**27


def records(case: FileCase, path: Path) -> list[dict[str, str | None] | None]:
    """Every record that the file holds, in its order."""
    return _READERS[case.source](case, path.read_bytes())


def is_text(case: FileCase) -> bool:
    """Whether the standard library has a reader for it."""
    return case.source in _READERS


def _csv(case: FileCase, data: bytes) -> list[dict[str, str | None] | None]:
    encoding = str(case.options.get("encoding", "utf-8"))
    text = data.decode(encoding, "replace").removeprefix("\ufeff")
    limit = csv.field_size_limit(_FIELD)
    try:
        found = [record for record in csv.reader(io.StringIO(text, newline="")) if record]
    finally:
        csv.field_size_limit(limit)
    names = found[0] if found else []
    return [dict(zip(names, record, strict=False)) for record in found[1:]]


def _json_lines(case: FileCase, data: bytes) -> list[dict[str, str | None] | None]:
    return [_object(line, case) for line in data.split(b"\n") if line.strip(b" \r\t")]


def _object(line: bytes, case: FileCase) -> dict[str, str | None] | None:
    encoding = str(case.options.get("encoding", "utf-8"))
    try:
        return _texts(_parsed(line.decode(encoding)))
    except ValueError:
        return None


def _json(case: FileCase, data: bytes) -> list[dict[str, str | None] | None]:
    text = data.decode(str(case.options.get("encoding", "utf-8")))
    return [_texts(one) for one in _parsed(text)] if text else []


def _first_of(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        found.setdefault(name, value)
    return found


def _parsed(text: str) -> Any:
    """With numbers as their texts, and the first value of a key that stands twice."""
    return json.loads(text, parse_float=str, parse_int=str, parse_constant=str, object_pairs_hook=_first_of)


def _texts(value: object) -> dict[str, str | None] | None:
    return {name: _text(held) for name, held in value.items()} if isinstance(value, dict) else None


def _text(held: object) -> str | None:
    return held if isinstance(held, str) or held is None else json.dumps(held, separators=(",", ":"))


def _xml(case: FileCase, data: bytes) -> list[dict[str, str | None] | None]:
    del case
    found: list[dict[str, str | None] | None] = []
    for row in ET.fromstring(data):  # noqa: S314 -- files of our own; those with entities are refused before
        values: dict[str, list[str]] = {}
        for child in row:
            values.setdefault(child.tag, []).append((child.text or "").strip(" \t\r\n"))
        found.append({name: texts[0] if len(texts) == 1 else _text(texts) for name, texts in values.items()})
    return found


def _excel(case: FileCase, data: bytes) -> list[dict[str, str | None] | None]:
    del case
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        shared = [_joined(item) for item in _part(book, "xl/sharedStrings.xml").iter(f"{_MAIN}si")]
        sheet = _part(book, "xl/worksheets/sheet1.xml")
    rows = [[_cell(cell, shared) for cell in row.iter(f"{_MAIN}c")] for row in sheet.iter(f"{_MAIN}row")]
    names = [str(name) for name in rows[0]] if rows else []
    return [dict(zip(names, row, strict=True)) for row in rows[1:]]


def _part(book: zipfile.ZipFile, name: str) -> ET.Element:
    return ET.fromstring(book.read(name)) if name in book.namelist() else ET.Element("none")  # noqa: S314 -- as above


def _joined(item: ET.Element) -> str:
    text = "".join(part.text or "" for part in item.iter(f"{_MAIN}t"))
    return re.sub("_x([0-9A-F]{4})_", lambda found: chr(int(found[1], 16)), text)


def _cell(cell: ET.Element, shared: list[str]) -> str | None:
    value = cell.findtext(f"{_MAIN}v")
    return shared[int(value)] if cell.get("t") == "s" and value is not None else value


_READERS: Final[Mapping[str, Callable[[FileCase, bytes], list[dict[str, str | None] | None]]]] = {
    "csv": _csv,
    "ndjson": _json_lines,
    "json": _json,
    "xml": _xml,
    "excel": _excel,
}


# ---------------------------------------------------------------- values

_MOMENT: Final = re.compile(r"(\d+)-(\d+)-(\d+)(?:[ T](\d+):(\d+):(\d+(?:\.\d+)?))?(?:([+-])(\d\d)(?::(\d\d))?|Z)?")


def says(text: str | None, value: Value, kind: str) -> bool:
    """Whether the text, as Python reads it, is that value of that type (document.md's words)."""
    if text is None or value is None:
        return text is None and value is None
    try:
        return _says(text, value, kind.removesuffix("?").partition("(")[0])
    except (ValueError, InvalidOperation):
        return False


def _says(text: str, value: Value, kind: str) -> bool:
    match kind:
        case "float64":
            number = float(text)
            same = number == value and math.copysign(1, number) == math.copysign(1, float(str(value)))
            return same or (math.isnan(number) and isinstance(value, float) and math.isnan(value))
        case "decimal" | "int64":
            return isinstance(value, int | Decimal) and Decimal(text) == value
        case "boolean":
            return text == str(value).lower()
        case "date" | "timestamp" | "timestamptz":
            return _at(text, is_day=kind == "date") == value
        case "time":
            return _at(f"1970-01-01 {text}", is_day=False) == value
        case "json":
            return text == value or bool(json.loads(text) == json.loads(str(value)))
        case _:
            return text == value


def _at(text: str, *, is_day: bool) -> int | None:
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    date = (int(found[1]), int(found[2]), int(found[3]))
    if is_day:
        return day(*date)
    at = moment(*date, int(found[4] or 0), int(found[5] or 0), float(found[6] or 0))
    ahead = (int(found[8]) * 60 + int(found[9] or 0)) * 60_000_000 if found[7] else 0
    return at - ahead if found[7] == "+" else at + ahead
