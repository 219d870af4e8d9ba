"""DuckDB's exceptions, sorted into the five classes: the one table."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from penstock.errors import ConfigError, DataError, FatalError, InternalError, PenstockError
from penstock.faithful import UNCERTAIN

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    import pyarrow as pa

# By what the text begins with: further on it may quote a record, which may say anything.
_TABLE: tuple[tuple[type[PenstockError], str, str, re.Pattern[str], str | None], ...] = (
    (FatalError, "ENG-301", "the disk is full",
     re.compile(r"IO Error:.*?(?:No space left|disk full)|Out of Memory Error:.*max_temp_directory_size", re.DOTALL),
     "make room, or give the run another place: its state is consistent and it resumes"),
    (FatalError, "ENG-302", "the memory limit is reached", re.compile(r"Out of Memory Error"),
     "raise `run.memory`, or lower `run.threads`"),
    (ConfigError, "ENG-303", "a file may not be read",
     re.compile(r"Permission Error|IO Error:.*?Permission denied", re.DOTALL), None),
    (FatalError, "ENG-304", "a file cannot be read", re.compile(r"IO Error"), None),
    (DataError, "ENG-310", "a value cannot be converted",
     re.compile(r"Conversion Error|Invalid Input Error:\s*(?:Could not (?:convert|parse)|Invalid unicode)"), None),
    (DataError, "ENG-311", "a number is out of range",
     re.compile(r"Out of Range Error|Invalid Input Error:\s*Overflow in"), None),
    (DataError, "ENG-312", "the data cannot be processed",
     re.compile(r"Invalid Input Error|Not implemented Error: The Parallel CSV Reader"), None),  # a record of 32 MB or more
)  # fmt: skip


# From here on the engine quotes our statement, of which the document knows nothing.
_STATEMENT = re.compile(r"\n\s*LINE \d+: ")
# What a user of DuckDB could do, and one of Penstock cannot.
_ADVICE = re.compile(r"\bSET \w+|\bPRAGMA\b|memory_limit|preserve_insertion_order")


class UncertainError(DataError):
    """A statement that read files fast met a value of which it could not tell whether it is what the file says."""


def classified(error: Exception, doing: str) -> PenstockError:
    """The named error for one of DuckDB's; what it said stands in the detail, cut to what a person reads."""
    text = str(error)
    if UNCERTAIN in text:
        return UncertainError("ENG-312", f"the data cannot be processed while {doing}", detail=text)
    said = _STATEMENT.split(text, maxsplit=1)[0].partition("\n\nPossible solutions")[0]
    lines = [line.strip() for line in said.splitlines()]
    words = " ".join(line for line in lines if line and not _ADVICE.search(line))[:500]
    for kind, code, message, pattern, hint in _TABLE:
        if pattern.match(text):
            limited = "raise `run.memory`" if code == "ENG-312" and "memory_limit" in text else hint
            return kind(code, f"{message} while {doing}", detail=words, hint=limited)
    return InternalError("ENG-320", f"the engine failed while {doing}", detail=words)


def batches_of(relation: duckdb.DuckDBPyRelation, rows: int) -> Iterator[pa.RecordBatch]:
    """The rows of a query by and by, ``rows`` of them at a time. What goes wrong after the first ones reaches Arrow as the
    text of a broken stream: it is raised as the driver's own, as what goes wrong before is.
    """
    import duckdb
    import pyarrow as pa

    reader = relation.to_arrow_reader(rows)
    while True:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            return
        except (OSError, pa.ArrowException) as error:
            raise (duckdb.InterruptException if "INTERRUPT" in str(error) else duckdb.Error)(str(error)) from None
        yield batch


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


@contextmanager
def files_are_whole(path: str) -> Iterator[None]:
    """Around what decompresses a file: raises FatalError ENG-304, as for DuckDB's own complaint, where the file is cut off
    or broken. Errors of the system are passed on.
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            raise
        raise FatalError("ENG-304", "a file cannot be read", detail=f"{error}: {path}") from None
