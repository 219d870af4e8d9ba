"""What a workbook may do before a byte of it is parsed: the reader holds a sheet as one block of cells, so that a small
file with far-apart cells, or one that expands without bound, would end the process.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from typing import TYPE_CHECKING, Final

from penstock.connectors.files.listing import unreadable
from penstock.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES: Final = 8 * 2**30
MOST_CELLS: Final = 2**26
_BLOCK: Final = 2**20
_OVERLAP: Final = 256
_ZIP: Final = b"PK\x03\x04"
_COMPOUND: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")
_OTHERS: Final = {"content.xml": "an OpenDocument sheet", "xl/workbook.bin": "a binary workbook (xlsb)"}
# Cells right of column Z that are not empty, and rows; 26 columns are within the bound however many rows there are.
_FAR_CELL: Final = re.compile(rb"""r=["']([A-Z]{2,3})([0-9]{1,7})["'](?:[^>]*[^/>])?>""")
_ROW: Final = re.compile(rb"""row\s[^>]{0,200}?r=["']([0-9]{1,9})["']""")
_NEAR_COLUMNS: Final = 26


def check_workbook(path: Path, name: str) -> None:
    """Raises DataError SRC-310 (no workbook, or a broken one), SRC-311 (a password), SRC-312 (too large); ConfigError
    SRC-132.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(len(_COMPOUND))
        if head.startswith(_ZIP):
            _check_zip(path, name)
        elif head == _COMPOUND:
            _check_compound(path, name)
        else:
            raise DataError("SRC-310", f'"{name}" is no Excel workbook', detail="it does not begin as one does")
    except OSError as error:
        raise unreadable(path, error) from None


def _check_compound(path: Path, name: str) -> None:
    """The container of old workbooks, and of new ones that a password protects."""
    before = b""
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            if _ENCRYPTED in before + block:
                raise _locked(name)
            before = block[-len(_ENCRYPTED) :]


def _locked(name: str) -> DataError:
    return DataError(
        "SRC-311", f'"{name}" is protected by a password', hint="save it without one, or export the sheet as CSV"
    )


def _check_zip(path: Path, name: str) -> None:
    left = MOST_BYTES
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if entry.filename.lower() in _OTHERS:
                    detail = f"it is {_OTHERS[entry.filename.lower()]}; xlsx, xlsm and xls can be read"
                    raise DataError("SRC-310", f'"{name}" is no Excel workbook that can be read', detail=detail)
                if entry.flag_bits & 1:
                    raise _locked(name)
                left -= _expand(archive, entry, most=left, name=name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        raise DataError(
            "SRC-310", f'"{name}" is no Excel workbook, or is broken', detail=str(error)[:200] or type(error).__name__
        ) from None


def _expand(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, *, most: int, name: str) -> int:
    """How many bytes it truly has, whatever its entry says. Looks for cells everywhere: a sheet may have any name."""
    entry.file_size = most + 1
    extent = _Extent(name)
    size = 0
    del entry.CRC  # it is over the size that was said; the reader checks it
    with archive.open(entry) as content:
        while block := content.read(_BLOCK):
            size += len(block)
            if size > most:
                raise DataError("SRC-312", f'"{name}" expands to more than {MOST_BYTES} bytes')
            extent.see(block)
    return size


class _Extent:
    """How far the cells of a part reach, if it is a sheet, at least as far as the reader will think."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._before = b""
        self._rows = 0
        self._columns = _NEAR_COLUMNS

    def see(self, block: bytes) -> None:
        text = self._before + block
        self._rows = max(self._rows, *(int(row[1]) for row in _ROW.finditer(text)), 0)
        for cell in _FAR_CELL.finditer(text):
            self._columns = max(self._columns, column_number(cell[1].decode()))
            self._rows = max(self._rows, int(cell[2]))
        if self._columns > _NEAR_COLUMNS and self._rows * self._columns > MOST_CELLS:
            raise DataError(
                "SRC-312",
                f'a sheet of "{self._name}" reaches over {self._rows} rows and {self._columns} columns',
                detail=f"the reader holds {MOST_CELLS} cells at most, the empty ones between others too",
                hint="delete the cells that stand far from the others",
            )
        self._before = text[-_OVERLAP:]


def column_number(letters: str) -> int:
    """``A`` is 1."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number


def column_letters(number: int) -> str:
    """The inverse."""
    letters = ""
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
