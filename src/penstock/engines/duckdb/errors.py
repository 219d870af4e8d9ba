"""DuckDB's exceptions, sorted into the five classes: the one table."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from penstock.errors import ConfigError, DataError, FatalError, InternalError, PenstockError

if TYPE_CHECKING:
    from collections.abc import Iterator

_TABLE: tuple[tuple[type[PenstockError], str, str, re.Pattern[str], str | None], ...] = (
    (FatalError, "ENG-301", "the disk is full", re.compile(r"No space left|disk full|max_temp_directory_size"),
     "make room, or give the run another place: its state is consistent and it resumes"),
    (FatalError, "ENG-302", "the memory limit is reached", re.compile(r"Out of Memory|could not allocate|failed to allocate"),
     "raise `run.memory`, or lower `run.threads`"),
    (ConfigError, "ENG-303", "a file may not be read", re.compile(r"Permission Error|Permission denied"), None),
    (FatalError, "ENG-304", "a file cannot be read", re.compile(r"IO Error|Input/output error|Could not read"), None),
    (DataError, "ENG-310", "a value cannot be converted",
     re.compile(r"Conversion Error|Could not convert|Could not parse|Invalid unicode"), None),
    (DataError, "ENG-311", "a number is out of range", re.compile(r"Out of Range|Overflow in|out of range"), None),
    (DataError, "ENG-312", "the data cannot be processed", re.compile(r"Invalid Input Error"), None),
)  # fmt: skip


def classified(error: Exception, doing: str) -> PenstockError:
    """The named error for one of DuckDB's; what it said stands in the detail, cut to what a person reads."""
    text = str(error)
    words = " ".join(line.strip() for line in text.splitlines() if line.strip())[:500]
    for kind, code, message, pattern, hint in _TABLE:
        if pattern.search(text):
            return kind(code, f"{message} while {doing}", detail=words, hint=hint)
    return InternalError("ENG-320", f"the engine failed while {doing}", detail=words)


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """No exception of the driver leaves this block; an interrupt is a KeyboardInterrupt."""
    import duckdb

    try:
        yield
    except duckdb.InterruptException:
        raise KeyboardInterrupt from None
    except duckdb.Error as error:
        raise classified(error, doing) from None
