"""The corpus of hostile files through whole runs: rows, rejects or a named error, exactly as each file's case says.

Cases whose rows are taken share a run per source, each in a branch of its own; a run that fails where it should not is
taken apart, so that the failure names its file.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pytest
from epochs import Hasty
from pyarrow import parquet

from penstock.document.assembly import Settings
from penstock.errors import PenstockError
from penstock.events import Events
from penstock.faults.points import Faults
from penstock.service.request import Request
from penstock.service.running import RunResult, run
from penstock.testing.compare import canonical
from penstock.testing.hostile_files import SOURCES, FileCase, Refused, Taken, corpus
from penstock.testing.hostile_files.independent import says

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from penstock.testing.hostile_files.cases import Row

SinkType = Literal["parquet", "csv"]


@dataclass(frozen=True, slots=True)
class Ran:
    folder: Path
    sink: SinkType
    codes: tuple[str, ...]
    result: RunResult | None

    def balance(self, node: str) -> dict[str, int]:
        assert self.result is not None
        entries = [entry for epoch in self.result.epochs for entry in epoch.account.balance if entry.node == node]
        return {"in": sum(sum(entry.into.values()) for entry in entries), "out": sum(entry.out for entry in entries)}

    def written(self, case: FileCase) -> int:
        assert self.result is not None
        return sum(epoch.receipts[f"to_{case.id}"].rows for epoch in self.result.epochs)

    def rejects(self, case: FileCase) -> list[tuple[dict[str, Any], set[tuple[str, str | None]]]]:
        """Position and causes of each, at the source or behind it."""
        assert self.result is not None
        found = []
        for epoch in self.result.epochs:
            for file in epoch.account.rejects:
                if file.node.partition(".")[0] == case.id:
                    rows = parquet.read_table(self.folder / ".penstock" / file.path).to_pylist()
                    found += [
                        (json.loads(row["position"]), {(c["code"], c["column"]) for c in row["causes"]}) for row in rows
                    ]
        return found

    def table(self, case: FileCase) -> pa.Table:
        files = sorted((self.folder / "out" / case.id).glob("*.parquet"))
        return pa.concat_tables([parquet.read_table(file) for file in files]) if files else pa.table({})

    def texts(self, case: FileCase) -> list[list[str]]:
        limit = csv.field_size_limit(2**28)
        found: list[list[str]] = []
        for file in sorted((self.folder / "out" / case.id).glob("*.csv")):
            with file.open(newline="", encoding="utf-8") as stream:
                found += list(csv.reader(stream))[1:]
        csv.field_size_limit(limit)
        return found


def ran(cases: Sequence[FileCase], folder: Path, sink: SinkType = "parquet") -> Ran:
    folder.mkdir()
    sources, sinks = {}, {}
    for case in cases:
        case.write(folder / case.file)
        schema = {} if case.columns is None else {"schema": {"columns": dict(case.columns)}}
        sources[case.id] = {"type": case.source, "path": case.file, **case.options, **schema}
        sinks[f"to_{case.id}"] = {"from": case.id, "type": sink, "path": f"out/{case.id}", "mode": "append"}
    sizes = {"memory": "4 GiB" if any(case.heavy for case in cases) else "512 MiB", "threads": 2}
    document = {"pipeline": "hostile", "sources": sources, "sinks": sinks, "run": sizes}
    (folder / "hostile.yml").write_text(json.dumps(document), "utf-8")
    faults = Faults()
    request = Request(folder / "hostile.yml", Settings({}), Hasty(), faults.reached)
    try:
        result = run(request, Events(level="error"), faults)
    except PenstockError as error:  # any other exception is a traceback, and fails the test
        return Ran(folder, sink, tuple(problem.code for problem in error.problems), None)
    return Ran(folder, sink, tuple(problem.code for problem in result.problems), result)


def check_taken(case: FileCase, expected: Taken, found: Ran) -> None:
    """``in = out + rejected``, the rejects' places and causes, and every value."""
    rejects = found.rejects(case)
    assert found.balance(case.id)["in"] == expected.records, case.id
    assert (found.written(case), len(rejects)) == (len(expected.rows), len(expected.rejects)), (case.id, rejects)
    for reject in expected.rejects:
        matching = [
            causes
            for position, causes in rejects
            if reject.record is None or position.get("record", position.get("row")) == reject.record
        ]
        wanted = (reject.cause, reject.column)
        assert any(
            wanted in causes or (reject.column is None and reject.cause in dict(causes)) for causes in matching
        ), (
            case.id,
            reject,
            rejects,
        )
    if found.sink == "csv":
        _check_texts(case, expected, found.texts(case))
    elif expected.rows:
        _check_values(case, expected, found.table(case))


def _check_values(case: FileCase, expected: Taken, table: pa.Table) -> None:
    kinds = [field.type for field in table.schema]
    columns = [_plain(column).to_pylist() for column in table.columns]
    rows = list(zip(*columns, strict=True))
    assert sorted(map(repr, _canonical(rows, kinds))) == sorted(map(repr, _canonical(expected.rows, kinds))), case.id


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Days and microseconds: Python's own dates end with the year 9999."""
    if pa.types.is_date(column.type):
        return column.cast(pa.int32())
    if isinstance(column.type, pa.JsonType | pa.UuidType):
        return column.cast(pa.string())
    return column.cast(pa.int64()) if pa.types.is_temporal(column.type) else column


def _canonical(rows: Sequence[Row], kinds: Sequence[pa.DataType]) -> list[tuple[object, ...]]:
    return [tuple(_same(value, kind) for value, kind in zip(row, kinds, strict=True)) for row in rows]


def _same(value: object, kind: pa.DataType) -> object:
    if isinstance(kind, pa.JsonType):
        return str(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else canonical(value, kind)


def _check_texts(case: FileCase, expected: Taken, texts: list[list[str]]) -> None:
    kinds = list((case.columns or {}).values()) or ["string"] * (len(texts[0]) if texts else 0)
    assert len(texts) == len(expected.rows), case.id
    for record, row in zip(texts, expected.rows, strict=True):
        for text, value, kind in zip(record, row, kinds, strict=True):
            assert says(text, value, kind), (case.id, text[:100], str(value)[:100])


Form = Literal["short", "long"]
FORMS = ["short", pytest.param("long", marks=pytest.mark.long)]


def _form(case: FileCase) -> Form:
    """Of the plain corpus once more in every codec, the short form has what meets the end of a record."""
    is_compressed = case.ending.endswith((".gz", ".zst"))
    is_own = case.name.startswith(("bomb_", "cut_gzip", "cut_zstd", "altered_"))
    meets_end = case.ending.endswith(".gz") and case.name.startswith(("too_long", "mixed_breaks", "cut_in"))
    return "short" if not is_compressed or is_own or meets_end else "long"


def _cases(source: str, kind: type[Taken | Refused], form: Form | None = None) -> list[FileCase]:
    found = [case for case in corpus(source) if isinstance(case.expected, kind) and not case.heavy]
    return [case for case in found if form in (None, _form(case))]


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("source", SOURCES)
def test_rows_of_a_hostile_file_are_taken_or_rejected_and_no_value_changes(
    source: str, form: Form, tmp_path: Path
) -> None:
    cases = _cases(source, Taken, form)
    if not cases:
        assert form == "long"
        return
    together = ran(cases, tmp_path / "together")
    if together.codes:
        for case in cases:
            alone = ran([case], tmp_path / case.id)
            assert alone.codes == (), (
                case.id,
                [problem.render() for problem in alone.result.problems] if alone.result else "",
            )
        pytest.fail(f"together: {together.codes}, each alone: none")
    for case in cases:
        assert isinstance(case.expected, Taken)
        check_taken(case, case.expected, together)


@pytest.mark.long
@pytest.mark.parametrize("source", ["csv", "ndjson", "xml"])
def test_a_csv_sink_changes_no_value_of_a_hostile_file(source: str, tmp_path: Path) -> None:
    cases = [case for case in _cases(source, Taken) if case.columns is not None]
    together = ran(cases, tmp_path / "together", "csv")
    assert together.codes == ()
    for case in cases:
        assert isinstance(case.expected, Taken)
        check_taken(case, case.expected, together)


REFUSED = [
    pytest.param(case, id=case.id, marks=[pytest.mark.long] if _form(case) == "long" else [])
    for source in SOURCES
    for case in _cases(source, Refused)
]


@pytest.mark.slow
@pytest.mark.parametrize("case", REFUSED)
def test_a_hostile_file_is_refused_by_name_and_nothing_of_it_is_written(case: FileCase, tmp_path: Path) -> None:
    assert isinstance(case.expected, Refused)
    found = ran([case], tmp_path / "alone")
    assert set(found.codes) == {case.expected.code}
    assert not list((found.folder / "out").rglob("*.parquet"))


HEAVY = [case for source in SOURCES for case in corpus(source) if case.heavy]


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("case", HEAVY, ids=[case.id for case in HEAVY])
def test_a_heavy_file_is_taken_whole(case: FileCase, tmp_path: Path) -> None:
    found = ran([case], tmp_path / "alone")
    assert found.codes == ()
    assert isinstance(case.expected, Taken)
    check_taken(case, case.expected, found)
