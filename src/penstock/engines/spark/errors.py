"""Spark's exceptions, sorted into the five classes: the one table."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from penstock.errors import ConfigError, DataError, FatalError, InternalError, PenstockError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from penstock.engines.spark.refusal import Unportable
    from penstock.graph import Node

# By Spark's own conditions, of which the first one that the text names counts.
_TABLE: tuple[tuple[type[PenstockError], str, str, re.Pattern[str], str | None], ...] = (
    (DataError, "ENG-310", "a value cannot be converted",
     re.compile(r"\[(?:CAST_INVALID_INPUT|CANNOT_PARSE_\w+|CONVERSION_INVALID_INPUT|MALFORMED_\w+)"), None),
    (DataError, "ENG-311", "a number is out of range",
     re.compile(r"\[(?:ARITHMETIC_OVERFLOW|BINARY_ARITHMETIC_OVERFLOW|CAST_OVERFLOW|NUMERIC_VALUE_OUT_OF_RANGE|DIVIDE_BY_ZERO|"
                r"INTERVAL_ARITHMETIC_OVERFLOW|DATETIME_OVERFLOW|NUMERIC_OUT_OF_SUPPORTED_RANGE|REMAINDER_BY_ZERO)|ArithmeticException"), None),
    (DataError, "ENG-312", "the data cannot be processed",
     re.compile(r"\[(?:INVALID_ARRAY_INDEX|INVALID_PARAMETER_VALUE|SCALAR_SUBQUERY_TOO_MANY_ROWS|DUPLICATED_MAP_KEY|NULL_MAP_KEY|"
                r"INVALID_REGEXP_REPLACE|USER_RAISED_EXCEPTION)"), None),
    (FatalError, "ENG-301", "the disk is full", re.compile(r"No space left on device"),
     "make room, or give the run another place: its state is consistent and it resumes"),
    (FatalError, "ENG-302", "the memory limit is reached", re.compile(r"OutOfMemoryError|UNABLE_TO_ACQUIRE_MEMORY"), None),
    (TransientError, "ENG-420", "Spark lost a part of itself",
     re.compile(r"ExecutorLostFailure|FetchFailed|Connection refused|Connection reset|stopped SparkContext|"
                r"SparkContext was shut down|UNAVAILABLE|Answer from Java side is empty"), None),
)  # fmt: skip
_STOPPED: Final = re.compile(r"cancelled|OPERATION_CANCELED|SPARK_JOB_CANCELLED")
_MOST: Final = 500  # characters
_CAUSES: Final = 10


def classified(error: Exception, doing: str) -> PenstockError:
    """The named error for one of Spark's; what it said stands in the detail, cut to what a person reads."""
    words = _words(error)
    text = "\n".join(words)
    for kind, code, message, pattern, hint in _TABLE:
        if pattern.search(text):
            return kind(code, f"{message} while {doing}", detail=_shown(text, pattern), hint=hint)
    return InternalError("ENG-320", f"the engine failed while {doing}", detail=_line(words[-1]))


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """No exception of Spark or of its driver's gateway leaves this block; a cancelled job is a KeyboardInterrupt."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError, ConnectionError) as error:
        if _STOPPED.search("\n".join(_words(error))):
            raise KeyboardInterrupt from None
        raise classified(error, doing) from None


def refused(node: Node, parts: Sequence[Unportable]) -> ConfigError:
    """What is said of a node whose meaning on Spark is not proved to be DuckDB's."""
    return ConfigError(
        "ENG-421",
        f'"{node.id}" cannot be run on Spark',
        at=node.at,
        detail="; ".join(f"{part.expression}: {part.why}" for part in parts),
        hint="run the pipeline on DuckDB, or say it in another way",
    )


def _words(error: Exception) -> list[str]:
    """What each of the causes says that Java knows, the last of which says most; without Java what the error does."""
    java = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    causes: list[str] = []
    while java is not None and len(causes) < _CAUSES:
        causes.append(str(java.toString()))
        java = java.getCause()
    return causes or [str(error)]


def _shown(text: str, pattern: re.Pattern[str]) -> str:
    found = pattern.search(text)
    return _line(text[found.start() :] if found is not None else text)


def _line(text: str) -> str:
    return text.strip().split("\n", 1)[0][:_MOST]
