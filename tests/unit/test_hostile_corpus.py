"""The corpus of hostile files against Python's own readers: what it expects is what the files say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from penstock.testing.hostile_files import LACKING, SOURCES, FileCase, Hazard, Taken, corpus
from penstock.testing.hostile_files.independent import is_text, records, says
from penstock.testing.hostile_files.moments import day

if TYPE_CHECKING:
    from pathlib import Path

# What Python's readers do not take, or what the source documents to be otherwise than they have it.
OTHERWISE = {
    "ndjson_deep": "more levels than Python's parser has",
    "json_deep": "as above",
    "excel_raw_nul": "Python's parser takes no NUL",
    "excel_rounded": "a decimal column rounds the floats of Excel",
}


@pytest.mark.parametrize("source", SOURCES)
def test_every_hazard_has_a_file_or_a_reason_why_not(source: str) -> None:
    found = {case.hazard for case in corpus(source)}
    lacking = {hazard for (name, hazard) in LACKING if name == source}
    assert set(Hazard) - found - lacking == set(), "neither a file nor a reason"
    assert found & lacking == set()


@pytest.mark.parametrize("source", SOURCES)
def test_cases_are_told_apart_by_their_names(source: str) -> None:
    names = [case.id for case in corpus(source)]
    assert len(names) == len(set(names))
    assert all(name.isidentifier() and len(name) <= 63 for name in names)


@pytest.mark.slow
@pytest.mark.parametrize("source", [source for source in SOURCES if source not in ("parquet", "avro", "orc")])
def test_rows_and_rejects_are_what_the_standard_library_reads(source: str, tmp_path: Path) -> None:
    checked = 0
    for case in SOURCES[source]():
        if isinstance(case.expected, Taken) and is_text(case) and case.id not in OTHERWISE:
            _check(case, case.expected, tmp_path / case.file)
            checked += len(case.expected.rows)
    assert checked > 50


def _check(case: FileCase, expected: Taken, path: Path) -> None:
    case.write(path)
    found = records(case, path)
    assert len(found) == expected.records, case.id
    first = 2 if source_has_header(case) else 1
    bad = {reject.record for reject in expected.rejects}
    good = [record for place, record in enumerate(found) if place + first not in bad]
    for record, row in zip(good, expected.rows, strict=True):
        assert record is not None, case.id
        columns = case.columns or dict.fromkeys(record, "string" if case.source == "xml" else "int64")
        for (name, kind), value in zip(columns.items(), row, strict=True):
            assert says(record.get(name), value, kind), (case.id, name, str(record.get(name))[:100], str(value)[:100])


def source_has_header(case: FileCase) -> bool:
    return case.source in ("csv", "excel")


def test_an_oracle_that_agrees_with_everything_is_none() -> None:
    assert not says("1", 2, "int64")
    assert not says("0.0", -0.0, "float64")
    assert not says("1582-10-10", day(1582, 10, 11), "date")
    assert not says("2024-10-27 02:30:00+02:00", day(2024, 10, 27) * 86_400_000_000, "timestamptz")
    assert not says("a", None, "string?")
