"""What a hostile file is, and what may come of it."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

from penstock.structs import Frozen, Selective, field

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

# Dates are days and moments are microseconds since 1970-01-01 (``moments``): Python's own end with the year 9999.
Value: TypeAlias = str | bytes | bool | int | float | Decimal | None
Row: TypeAlias = tuple[Value, ...]


class Hazard(Enum):
    """What is wrong with a file, or rare in it."""

    TRUNCATED = "truncated"
    WRONG_TYPE = "wrong type"
    HUGE_FIELD = "huge field"
    DEEP_NESTING = "deep nesting"
    NAN = "NaN"
    INFINITY = "infinities"
    NEGATIVE_ZERO = "-0.0"
    DECIMAL_LIMIT = "decimals at the limit"
    BEFORE_1582 = "dates before 1582"
    AFTER_9999 = "dates after 9999"
    CLOCK_CHANGE = "DST gap and fold"
    LEAP_SECOND = "leap second"
    LONE_SURROGATE = "lone surrogates"
    NUL = "NUL"
    BIDI = "bidi"
    LINE_BREAKS = "CRLF mixtures"
    MANY_COLUMNS = "10,000 columns"
    NO_COLUMNS = "zero columns"
    DUPLICATE_HEADER = "duplicate header"
    EMPTY_FILE = "empty file"
    BOMB = "bomb"
    ENCODING = "misdeclared encoding"


class Bad(Frozen):
    """A record that must become a reject: its number as positions count it (None: rows of the format have none), and one
    of its causes.
    """

    record: int | None
    cause: str
    column: str | None = None


class Taken(Frozen):
    """The file's rows, in its order, and its rejects, exactly."""

    rows: tuple[Row, ...]
    rejects: tuple[Bad, ...] = ()

    @property
    def records(self) -> int:
        return len(self.rows) + len(self.rejects)


class Refused(Frozen):
    """The file as a whole is refused by this error, before a row of it is written."""

    code: str


Expected: TypeAlias = Taken | Refused


class FileCase(Selective):
    """One file for a source of files. ``columns`` are those of the document's schema, by name; None: no schema is stated.
    ``options`` are further parameters of the source. ``write`` makes the file;
    ``heavy``: that, or to run it, takes more than a few seconds or a few hundred MB.
    """

    name: str
    hazard: Hazard
    source: str
    ending: str
    write: Callable[[Path], None]
    unprinted = frozenset({"write"})
    expected: Expected
    columns: Mapping[str, str] | None = None
    options: Mapping[str, str | bool | int] = field(default_factory=dict)
    heavy: bool = False

    @property
    def id(self) -> str:
        """Unique over the corpus, and a node's name."""
        return f"{self.source}_{self.name}"

    @property
    def file(self) -> str:
        return f"{self.id}.{self.ending}"
