"""Spark's exceptions as the five classes."""

from __future__ import annotations

import pytest

from penstock.engines.spark.errors import classified
from penstock.errors import DataError, FatalError, PenstockError, TransientError


class Java:
    """An exception of Java's, as its gateway hands it over."""

    def __init__(self, text: str, cause: Java | None = None) -> None:
        self._text, self._cause = text, cause

    def toString(self) -> str:  # noqa: N802 -- as Java calls it
        return self._text

    def getCause(self) -> Java | None:  # noqa: N802
        return self._cause


class FromJava(Exception):  # noqa: N818
    def __init__(self, java: Java) -> None:
        super().__init__("An error occurred while calling o1.parquet.")
        self.java_exception = java


@pytest.mark.parametrize(
    ("said", "kind", "code"),
    [
        ("[CAST_INVALID_INPUT] The value 'x' of the type \"STRING\"", DataError, "ENG-310"),
        ("[ARITHMETIC_OVERFLOW] long overflow.", DataError, "ENG-311"),
        ("java.lang.ArithmeticException: long overflow", DataError, "ENG-311"),
        ("java.io.IOException: No space left on device", FatalError, "ENG-301"),
        ("java.lang.OutOfMemoryError: Java heap space", FatalError, "ENG-302"),
        ("ExecutorLostFailure (executor 1 exited unrelated to the running tasks)", TransientError, "ENG-420"),
    ],
)
def test_an_exception_is_sorted_by_any_of_its_causes(said: str, kind: type[PenstockError], code: str) -> None:
    found = classified(FromJava(Java("org.apache.spark.SparkException: Job aborted", Java(said))), 'computing "t"')
    assert isinstance(found, kind)
    assert found.problems[0].code == code
    assert 'computing "t"' in found.problems[0].message


def test_of_an_unknown_one_the_last_cause_is_told() -> None:
    found = classified(FromJava(Java("Job aborted", Java("Bad.Thing: in a file\nwith more"))), "reading")
    assert (found.problems[0].code, found.problems[0].detail) == ("ENG-320", "Bad.Thing: in a file.")
