"""What can go wrong between two boundaries of an epoch is seen there: nothing is sealed that does not balance."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from begun import Around, LosesARow, Wrapped, begun, epochs, go, is_sealed, with_engine, with_sink
from sqlglot import exp

from penstock.connectors.api import Batches, Receipt, Staged
from penstock.errors import DataError, FatalError, PenstockError, TransientError
from penstock.faults.points import Faults
from penstock.graph.nodes import Read
from penstock.structs import replace
from penstock.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from penstock.connectors.api import Chunk, Epoch, ScanRequest
    from penstock.engines.api import Outcome, Pass

_DOCUMENT = """
pipeline: bounds
sources:
  numbers: {type: csv, path: numbers.csv, schema: {columns: {k: int64, part: string, v: string}}}
  names: {type: csv, path: names.csv, schema: {columns: {part: string, title: string}}}
transforms:
  some:
    from: numbers
    steps:
      - cast: {v: "decimal(9,2)"}
      - filter: k % 3 <> 0
      - join: {to: names, kind: left, on: [part], add: [title]}
  totals:
    from: some
    steps:
      - aggregate: {by: [title], measures: {n: count(*)}}
  again: {from: kept, steps: [{select: [k, v]}]}
sinks:
  kept: {from: some, type: sqlite, path: out.db, table: kept, mode: merge, keys: [k]}
  summed: {from: totals, type: parquet, path: out/summed.parquet, mode: overwrite}
  copied: {from: again, type: sqlite, path: out.db, table: copied, mode: overwrite}
run: {memory: 256 MiB, threads: 1}
"""
_ROWS = 30


@pytest.fixture
def file(tmp_path: Path) -> Path:
    lines = [f"{number},{'abx'[number % 3]},{number}.25" for number in range(_ROWS)]
    lines[4] = "4,b,dear"
    lines.append(lines[7])  # identical rows of a key collapse
    (tmp_path / "numbers.csv").write_text("\n".join(["k,part,v", *lines]) + "\n", encoding="utf-8")
    (tmp_path / "names.csv").write_text("part,title\na,first\nb,second\nx,third\n", encoding="utf-8")
    (tmp_path / "bounds.yml").write_text(_DOCUMENT, encoding="utf-8")
    return tmp_path / "bounds.yml"


def _rows(folder: Path, table: str) -> list[Any]:
    with closing(sqlite3.connect(folder / "out.db")) as connection:
        known = connection.execute("select name from sqlite_master where name = ?", [table]).fetchall()
        return connection.execute(f"select k from {table} order by k").fetchall() if known else []


def _complete(folder: Path) -> None:
    good = [(number,) for number in range(_ROWS) if number % 3 and number != 4]
    assert _rows(folder, "kept") == _rows(folder, "copied") == good


def _then_completes(file: Path) -> None:
    """The next run, without the fault, leaves what an undisturbed one does."""
    with begun(file) as around:
        go(around)
    assert is_sealed(file.parent)
    _complete(file.parent)


# ---------------------------------------------------------------- lost rows

_EDGES = [
    ("numbers", "numbers.schema.check"),
    ("names", "names.schema.check"),
    ("numbers.schema.check", "some.cast.check"),
    ("some.cast.check", "some.cast"),
    ("some.cast", "some.filter"),
    ("some.filter", "some.join"),
    ("names.schema.check", "some.join"),
    ("some.join", "totals.aggregate"),
    ("some.join", "kept.repeated"),
    ("some.join", "kept.once"),
    ("kept.repeated", "kept.once"),
    ("some.join", "kept.several"),
    ("kept.repeated", "kept.several"),
    ("kept.several", "kept.rank"),
    ("kept.rank", "kept.bounds"),
    ("kept.bounds", "kept.ambiguous_keys"),
    ("kept.ambiguous_keys", "kept.one_per_key"),
    ("kept.one_per_key", "kept.chosen"),
    ("kept.once", "kept.rows"),
    ("kept.chosen", "kept.rows"),
    ("kept.rows", "kept"),
    ("kept.table", "again.select"),
    ("totals.aggregate", "summed"),
    ("again.select", "copied"),
]


def test_the_edges_are_those_of_the_plan(file: Path) -> None:
    with begun(file) as around:
        edges = {(source, node.id) for node in around.plan.graph.nodes for source in node.inputs}
    assert set(_EDGES) == edges


@pytest.mark.parametrize(("source", "into"), _EDGES, ids=[f"{source} to {into}" for source, into in _EDGES])
def test_a_row_that_is_lost_between_two_nodes_stops_the_epoch(file: Path, source: str, into: str) -> None:
    key = 8 if source == "kept.once" else 7  # of which there are two
    lost = exp.NEQ(this=exp.column("k", quoted=True), expression=exp.Literal.number(key))
    other = {"names": "part", "names.schema.check": "part", "totals.aggregate": "title"}.get(source)
    if other is not None:
        value = "a" if other == "part" else "second"
        lost = exp.NEQ(this=exp.column(other, quoted=True), expression=exp.Literal.string(value))
    with begun(file) as around, pytest.raises(FatalError) as caught:
        go(with_engine(around, LosesARow(around.engine, source, into, lost)))
    assert caught.value.code == "RUN-120"
    assert into in caught.value.problems[0].message
    assert f'"{source}" gave' in str(caught.value.problems[0].detail)
    assert not is_sealed(file.parent)
    _then_completes(file)


class _ForgetsRejects(Wrapped):
    def run(self, work: Pass, *, rejects: Any, **given: Any) -> Outcome:
        class Nothing(Around):
            def write(self, node: str, batch: object) -> None:
                """Kept nowhere."""

        return self.inner.run(work, rejects=Nothing(rejects), **given)


def test_a_reject_that_is_not_stored_stops_the_epoch(file: Path) -> None:
    with begun(file) as around, pytest.raises(FatalError) as caught:
        go(with_engine(around, _ForgetsRejects(around.engine)))
    assert (caught.value.code, is_sealed(file.parent)) == ("RUN-120", False)
    assert (
        caught.value.problems[0].detail
        == "1 rows were rejected, the reject store has 0; nothing of this epoch was sealed."
    )
    _then_completes(file)


class _LosesARowInStaging(Wrapped):
    """As a writer that stages one row less than it got."""

    def run(self, work: Pass, **given: Any) -> Outcome:
        outcome = self.inner.run(work, **given)
        staged = {
            name: (Staged(parts[0].rows - 1, parts[0].bytes, parts[0].payload), *parts[1:])
            for name, parts in outcome.staged.items()
        }
        return replace(outcome, staged=staged)


def test_a_row_that_a_writer_loses_stops_the_epoch(file: Path) -> None:
    with begun(file) as around, pytest.raises(FatalError) as caught:
        go(with_engine(around, _LosesARowInStaging(around.engine)))
    assert (caught.value.code, is_sealed(file.parent)) == ("RUN-120", False)
    assert "the sink staged" in str(caught.value.problems[0].detail)
    assert _rows(file.parent, "kept") == []
    _then_completes(file)


class _TellsLess(Around):
    """A sink whose receipt has one row less."""

    def commit(self, epoch: Epoch, staged: Sequence[Staged]) -> Receipt:
        receipt = self.inner.commit(epoch, staged)
        return replace(receipt, inserted=receipt.inserted - 1)


@pytest.mark.parametrize("sink", ["kept", "summed", "copied"])
def test_a_receipt_that_does_not_balance_is_not_sealed(file: Path, sink: str) -> None:
    with begun(file) as around, pytest.raises(FatalError) as caught:
        go(with_sink(around, sink, _TellsLess))
    assert (caught.value.code, is_sealed(file.parent)) == ("RUN-121", False)
    assert f'"{sink}"' in caught.value.problems[0].message
    _then_completes(file)


# ---------------------------------------------------------------- what is tried again


class _Unreachable(Wrapped):
    """Fails after its work, so that something was rejected and staged by then."""

    def __init__(self, inner: Any, times: int) -> None:
        super().__init__(inner)
        self.times = times

    def run(self, work: Pass, **given: Any) -> Outcome:
        outcome = self.inner.run(work, **given)
        if self.times:
            self.times -= 1
            raise TransientError("NET-101", "the system is away")
        return outcome


def test_a_pass_that_failed_for_a_moment_is_tried_again_and_counts_once(file: Path) -> None:
    clock = FakeClock()
    with begun(file, clock=clock) as around:
        (done,) = go(with_engine(around, _Unreachable(around.engine, 2))).epochs
        entries = around.ledger.rejects(around.key)
    assert len(clock.sleeps) == 2
    assert sum(entry.rejected for entry in done.account.balance) == sum(f.rows for f in done.account.rejects) == 1
    assert sorted(entry.status for entry in entries) == ["aborted", "aborted", "kept"]
    _complete(file.parent)


class _Bounded(Around):
    """A ledger that nobody asks for all that was ever rejected."""

    def rejects(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("all rejects are asked for")


def test_no_epoch_asks_for_all_that_was_ever_rejected(file: Path) -> None:
    for _ in range(2):
        with begun(file) as around:
            go(replace(around, ledger=cast("Any", _Bounded(around.ledger))))
    with begun(file) as around:
        assert [entry.status for entry in around.ledger.rejects(around.key)] == ["kept", "superseded"]


def test_a_pass_that_stays_unreachable_ends_the_run(file: Path) -> None:
    clock = FakeClock()
    with begun(file, clock=clock) as around, pytest.raises(TransientError):
        go(with_engine(around, _Unreachable(around.engine, 99)))
    assert len(clock.sleeps) == 4
    assert not is_sealed(file.parent)
    _then_completes(file)


def test_a_pass_that_worked_for_hours_is_tried_again_too(file: Path) -> None:
    clock = FakeClock()

    class Slow(_Unreachable):
        def run(self, work: Pass, **given: Any) -> Outcome:
            clock.advance(7 * 3600)
            return super().run(work, **given)

    with begun(file, clock=clock) as around:
        go(with_engine(around, Slow(around.engine, 1)))
    _complete(file.parent)


class _Counted(Around):
    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.calls: list[str] = []

    def writer(self, *given: Any) -> Any:
        self.calls.append("writer")
        return self.inner.writer(*given)

    def commit(self, *given: Any) -> Receipt:
        self.calls.append("commit")
        receipt: Receipt = self.inner.commit(*given)
        return receipt


class _Forgetful(_Counted):
    """As a service that holds no marker: whatever is sent to it again is there again."""

    remembers = False

    def marker(self, _: Any) -> None:
        return None


@pytest.mark.parametrize("kind", [_Counted, _Forgetful])
def test_a_sink_that_has_the_epoch_gets_nothing_again_where_another_ones_commit_failed(
    file: Path, kind: type[_Counted]
) -> None:
    with begun(file) as around:
        first = with_sink(around, "kept", kind)
        both = with_sink(first, "summed", lambda inner: _AnswerLost(_Counted(inner), done=False))
        (epoch,) = go(both).epochs
        entries = around.ledger.rejects(around.key)
    assert both.sinks["kept"].calls == ["writer", "commit"]  # type: ignore[attr-defined]
    assert both.sinks["summed"].inner.calls == ["writer", "writer", "commit"]  # type: ignore[attr-defined]
    assert [(entry.status, entry.file.rows) for entry in entries] == [("kept", 1)]
    files = [path for path in (file.parent / ".penstock" / "rejects").rglob("*") if path.is_file()]
    assert [str(path.relative_to(file.parent / ".penstock")) for path in files] == [entries[0].file.path]
    assert sum(entry.rejected for entry in epoch.account.balance) == 1
    _complete(file.parent)


class _AnswerLost(Around):
    """The commit is done (or is not), and nobody hears of it, once."""

    def __init__(self, inner: Any, *, done: bool) -> None:
        super().__init__(inner)
        self.done, self.calls = done, 0

    def commit(self, epoch: Epoch, staged: Sequence[Staged]) -> Receipt:
        self.calls += 1
        receipt = self.inner.commit(epoch, staged) if self.done or self.calls > 1 else None
        if self.calls == 1:
            raise TransientError("NET-101", "no answer")
        assert receipt is not None
        return receipt


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("sink", ["kept", "summed"])
def test_an_unclear_commit_is_settled_by_the_marker(file: Path, sink: str, *, done: bool) -> None:
    with begun(file) as around:
        wrapped = with_sink(around, sink, lambda inner: _AnswerLost(inner, done=done))
        (epoch,) = go(wrapped).epochs
        assert wrapped.sinks[sink].calls == (1 if done else 2)  # type: ignore[attr-defined]
    sent = {entry.node: entry.out for entry in epoch.account.balance}
    assert epoch.receipts[sink].rows == sent[sink]
    _complete(file.parent)


# ---------------------------------------------------------------- rejects of what failed


def test_an_epoch_that_does_not_balance_keeps_its_rejects_as_aborted(file: Path) -> None:
    with begun(file) as around:
        with pytest.raises(FatalError):
            go(with_engine(around, _LosesARowInStaging(around.engine)))
        (entry,) = around.ledger.rejects(around.key)
    assert (entry.status, entry.file.rows) == ("aborted", 1)


def test_an_epoch_that_failed_before_its_first_commit_keeps_its_rejects_as_aborted(file: Path) -> None:
    with begun(file, faults=Faults({("run.before_commit", 1): "raise"})) as around:
        with pytest.raises(FatalError):
            go(around)
        (entry,) = around.ledger.rejects(around.key)
    assert (entry.status, entry.file.rows) == ("aborted", 1)
    _then_completes(file)


def test_the_rejects_of_an_epoch_that_is_finished_later_are_told_once(file: Path) -> None:
    with begun(file, faults=Faults({("run.committed", 1): "raise"})) as around, pytest.raises(FatalError):
        go(around)
    with begun(file) as around:
        go(around)
        entries = around.ledger.rejects(around.key)
    assert [(entry.status, entry.file.rows) for entry in entries] == [("kept", 1)]


# ---------------------------------------------------------------- the lease, the sources


def test_a_run_that_lost_its_lease_seals_nothing(file: Path) -> None:
    clock = FakeClock()
    with begun(file, clock=clock) as around:

        class Stolen(Faults):
            def reached(self, point: str) -> None:
                if point == "run.before_seal":
                    clock.advance(3600)
                    around.ledger.take(around.key, "somebody else", duration=timedelta(hours=1))

        with pytest.raises(FatalError) as caught:
            go(replace(around, faults=Stolen()))
        assert caught.value.code == "LED-111"
        assert not is_sealed(file.parent)


class _Acknowledging(Around):
    def __init__(self, inner: Any, folder: Path, seen: list[bool]) -> None:
        super().__init__(inner)
        self.folder, self.seen = folder, seen

    def acknowledge(self, positions: Any) -> None:
        assert positions
        self.seen.append(is_sealed(self.folder))


@pytest.mark.parametrize(("point", "expected"), [(None, [True, True]), ("run.before_seal", []), ("run.sealed", [])])
def test_a_source_is_told_after_the_seal_and_never_before(file: Path, point: str | None, expected: list[bool]) -> None:
    seen: list[bool] = []
    faults = Faults({(point, 1): "raise"} if point else {})
    with begun(file, faults=faults) as around:
        sources: Any = {name: _Acknowledging(one, file.parent, seen) for name, one in around.sources.items()}
        feeds = replace(around.feeds, sources=sources)
        with suppress(FatalError):
            go(replace(around, sources=sources, feeds=feeds))
    assert seen == expected


@pytest.mark.parametrize("change", ["more", "gone"])
def test_a_file_that_changes_between_plan_and_read_stops_the_epoch(file: Path, change: str) -> None:
    numbers = file.parent / "numbers.csv"
    before = numbers.read_text(encoding="utf-8")
    with begun(file) as around:

        class Meanwhile(Faults):
            def reached(self, point: str) -> None:
                if point == "run.planned":
                    numbers.unlink()
                    if change == "more":
                        numbers.write_text(before + "99,a,1.00\n", encoding="utf-8")

        with pytest.raises(DataError) as caught:
            go(replace(around, faults=Meanwhile()))
    assert caught.value.code == "SRC-110"
    assert epochs(file.parent) == [(1, "planned")]
    numbers.write_text(before, encoding="utf-8")
    _then_completes(file)


# ---------------------------------------------------------------- spooled files

_SPOOLED = """
pipeline: spooled
sources:
  t: {type: sqlite, path: in.db, table: t}
sinks:
  one: {from: t, type: parquet, path: out/one.parquet, mode: overwrite}
  two: {from: t, type: parquet, path: out/two.parquet, mode: overwrite}
"""


@pytest.fixture
def spooled(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / "in.db")) as connection, connection:
        connection.execute("create table t (k integer, v text)")
        connection.executemany("insert into t values (?, ?)", [(1, "a"), (2, "b")])
    (tmp_path / "spooled.yml").write_text(_SPOOLED, encoding="utf-8")
    return tmp_path / "spooled.yml"


def _spool_files(folder: Path) -> list[Path]:
    return [path for path in (folder / ".penstock" / "spool").rglob("*") if path.is_file()]


def _half_done(file: Path) -> None:
    """One sink has the epoch; then the table changes."""
    with begun(file, faults=Faults({("run.committed", 1): "raise"})) as around, pytest.raises(FatalError):
        go(around)
    with closing(sqlite3.connect(file.parent / "in.db")) as connection, connection:
        connection.execute("insert into t values (3, 'c')")


def test_a_redone_epoch_reads_the_spooled_rows_and_removes_them_after_the_seal(spooled: Path) -> None:
    _half_done(spooled)
    assert _spool_files(spooled.parent)
    with begun(spooled) as around:
        assert [epoch.redone for epoch in go(around).epochs] == [True]
    assert [pq.read_table(spooled.parent / f"out/{name}.parquet").num_rows for name in ("one", "two")] == [2, 2]
    assert not _spool_files(spooled.parent)


class _AppliesConditions(Around):
    """As a source that takes conditions and columns into its read."""

    def scan(self, request: ScanRequest) -> Batches:
        assert request.predicate is not None
        rows = self.inner.scan(replace(request, predicate=None))

        def chunks() -> Iterator[Chunk]:
            for chunk in rows.open():
                yield replace(chunk, batch=chunk.batch.filter(pc.field("k") > 1))

        return Batches(rows.schema, chunks)


def test_what_was_pushed_into_a_spooled_read_is_applied_while_it_is_copied(spooled: Path) -> None:
    above = exp.GT(this=exp.column("k", quoted=True), expression=exp.Literal.number(1))
    with begun(spooled) as around:
        graph = around.plan.graph.map(lambda node: replace(node, predicate=above) if isinstance(node, Read) else node)
        plan = replace(around.plan, graph=graph)
        sources: Any = {"t": _AppliesConditions(around.sources["t"])}
        feeds = replace(around.feeds, plan=plan, sources=sources)
        go(replace(around, plan=plan, sources=sources, feeds=feeds))
    assert [pq.read_table(spooled.parent / f"out/{name}.parquet")["k"].to_pylist() for name in ("one", "two")] == [
        [2],
        [2],
    ]


@pytest.mark.parametrize("harm", ["altered", "gone"])
def test_spooled_rows_that_were_harmed_are_not_used(spooled: Path, harm: str) -> None:
    _half_done(spooled)
    (part,) = _spool_files(spooled.parent)
    if harm == "gone":
        part.unlink()
    else:
        part.write_bytes(part.read_bytes()[:-9] + b"x" * 9)
    with begun(spooled) as around, pytest.raises(DataError) as caught:
        go(around)
    assert caught.value.code == "SRC-110"
    assert not is_sealed(spooled.parent)


# ---------------------------------------------------------------- recorded schemas, empty inputs


def _one_source(folder: Path, text: str, more: str = "", sink: str = "") -> Path:
    (folder / "in.csv").write_text(text, encoding="utf-8")
    (folder / "one.yml").write_text(
        f"pipeline: one\nsources:\n  t: {{type: csv, path: in.csv{more}}}\n"
        f"sinks:\n  out: {{from: t, type: parquet, path: out.parquet, mode: overwrite{sink}}}\n",
        encoding="utf-8",
    )
    return folder / "one.yml"


def _names(folder: Path) -> list[str]:
    return pq.read_schema(folder / "out.parquet").names


def test_the_first_seal_records_the_columns_and_later_runs_hold_the_source_to_them(tmp_path: Path) -> None:
    file = _one_source(tmp_path, "k,v\n1,a\n")
    with begun(file, faults=Faults({("run.before_seal", 1): "raise"})) as around:
        with pytest.raises(FatalError):
            go(around)
        assert not around.ledger.schemas(around.key)
    with begun(file) as around:
        go(around)
        assert around.ledger.schemas(around.key)["t"].names == ("k", "v")
    _one_source(tmp_path, "k,v,new\n1,a,z\n")
    with begun(file) as around:
        go(around)
    assert _names(tmp_path) == ["k", "v"]


@pytest.mark.parametrize(
    ("text", "policy", "code"),
    [
        ("k,v,new\n1,a,z\n", "on_new_column: fail", "CMP-231"),
        ("k\n1\n", "", "CMP-230"),
    ],
)
def test_drift_of_a_recorded_source_is_refused_by_policy(tmp_path: Path, text: str, policy: str, code: str) -> None:
    file = _one_source(tmp_path, "k,v\n1,a\n")
    with begun(file) as around:
        go(around)
    _one_source(tmp_path, text, f", {policy}" if policy else "")
    with pytest.raises(PenstockError) as caught, begun(file) as around:
        go(around)
    assert [problem.code for problem in caught.value.problems] == [code]
    assert [status for _, status in epochs(tmp_path)] == ["sealed"]


def test_a_value_that_is_not_of_the_recorded_type_is_set_aside(tmp_path: Path) -> None:
    file = _one_source(tmp_path, "k,v\n1,a\n")
    with begun(file) as around:
        go(around)
    _one_source(tmp_path, "k,v\nmany,a\n2,b\n")
    with begun(file) as around:
        (epoch,) = go(around).epochs
    assert [file.rows for file in epoch.account.rejects] == [1]
    assert pq.read_table(tmp_path / "out.parquet").to_pylist() == [{"k": 2, "v": "b"}]


def test_another_type_than_the_recorded_one_is_refused(tmp_path: Path) -> None:
    file = _one_source(tmp_path, "")
    file.write_text(file.read_text(encoding="utf-8").replace("csv, path: in.csv", "parquet, path: in.parquet"), "utf-8")
    pq.write_table(pa.table({"k": pa.array([1], pa.int64())}), tmp_path / "in.parquet")
    with begun(file) as around:
        go(around)
    pq.write_table(pa.table({"k": pa.array([1.5], pa.float64())}), tmp_path / "in.parquet")
    with pytest.raises(PenstockError) as caught, begun(file) as around:
        go(around)
    assert [problem.code for problem in caught.value.problems] == ["CMP-232"]
    assert [status for _, status in epochs(tmp_path)] == ["sealed"]


def test_an_empty_source_does_not_empty_a_table_by_accident(tmp_path: Path) -> None:
    file = _one_source(tmp_path, "k,v\n1,a\n")
    with begun(file) as around:
        go(around)
    _one_source(tmp_path, "k,v\n")
    with begun(file) as around, pytest.raises(PenstockError) as caught:
        go(around)
    assert caught.value.code == "SNK-114"
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 1
    _one_source(tmp_path, "k,v\n", sink=", allow_empty: true")
    with begun(file) as around:
        go(around)
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 0
