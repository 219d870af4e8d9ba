"""The conformance suite of sources: subclass :class:`SourceSuite`, say how to put rows into the system and how to make
the source. Rows are put there by the system's own means, never through a Penstock sink.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import pyarrow as pa
import pytest
from sqlglot import parse_one

from penstock.connectors.api import Batches, Files, Pipe, ScanRequest, Size
from penstock.errors import ConfigError, DataError, PenstockError, TransientError
from penstock.registry import Capability
from penstock.testing import data
from penstock.testing.compare import assert_same
from penstock.testing.delivery import pull
from penstock.trees import conjuncts
from penstock.types.arrow import from_arrow

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from penstock.connectors.api import Partition, Position, Rows, Source
    from penstock.registry import Descriptor


class SourceConformance(ABC):
    """What a subclass provides; the tests stand in the classes below."""

    descriptor: ClassVar[Descriptor]
    # Logical types (as in data.TYPES) that the system cannot hold, so that they cannot be asked of the source.
    lacks: ClassVar[Collection[str]] = ()
    # Hostile column names that the system cannot hold.
    lacks_names: ClassVar[Collection[str]] = ()
    # Whether the system holds columns whose names differ only in case.
    case_sensitive_names: ClassVar[bool] = False
    # Whether strings may hold NUL there.
    lacks_nul: ClassVar[bool] = False
    # Whether a scan may start after the position of any chunk (sources that declare REPLAYABLE and have a cursor).
    resumes: ClassVar[bool] = False

    @abstractmethod
    def load(self, table: pa.Table) -> None:
        """Put the table into the system, in place of what was there: types as near as it has them."""

    @abstractmethod
    def add(self, table: pa.Table) -> None:
        """Add rows of the loaded table's columns to it."""

    @abstractmethod
    def make(self) -> Source:
        """A new handle on the source that reads what ``load`` put there."""

    def make_missing(self) -> Source | None:
        """A source over something that is not there; None where that cannot be."""
        return None

    def as_read(self, table: pa.Table) -> pa.Table:
        """The table as the source documents to deliver it, where that differs from what was loaded."""
        return table

    # -- for the tests

    @pytest.fixture(autouse=True)
    def _handles(self) -> Iterator[None]:
        self._made: list[Source] = []
        yield
        for source in self._made:
            source.close()
            source.close()

    def source(self) -> Source:
        """A handle that is closed after the test."""
        made = self.make()
        self._made.append(made)
        return made

    def needs(self, *wanted: Capability) -> None:
        missing = [item.value for item in wanted if item not in self.descriptor.capabilities]
        if missing:
            pytest.skip(f"{self.descriptor.name} does not declare {', '.join(missing)}")

    def read(self, source: Source, *, columns: tuple[str, ...] | None = None) -> pa.Table:
        """Everything up to now, partition by partition."""
        parts = [
            pull(source.scan(ScanRequest(part, None, source.latest(part), columns)))[0] for part in source.partitions()
        ]
        return pa.concat_tables(parts)

    def ranges(self, source: Source) -> list[tuple[Partition, Position]]:
        """What would be written durably: through JSON."""
        return [(part, json.loads(json.dumps(source.latest(part)))) for part in source.partitions()]

    def scan(self, source: Source, ranges: list[tuple[Partition, Position]]) -> pa.Table:
        return pa.concat_tables([pull(source.scan(ScanRequest(part, None, upto)))[0] for part, upto in ranges])


ROWS = pa.table(
    [
        pa.array([1, 2, 3, 4, 5], pa.int64()),
        pa.array(["one", None, "", 'thr"ee', "new\nline"]),
        pa.array([1.5, None, -0.0, 2.25, 0.1], pa.float64()),
    ],
    schema=pa.schema([pa.field(data.ID, pa.int64()), pa.field("name", pa.string()), pa.field("size", pa.float64())]),
)


class _Description(SourceConformance):
    def test_describe_names_columns_and_types_in_order(self) -> None:
        self.load(ROWS)
        described = self.source().describe()
        expected = from_arrow(self.as_read(ROWS).schema)
        assert [(column.name, column.type) for column in described] == [(c.name, c.type) for c in expected]

    def test_a_scan_delivers_the_described_schema(self) -> None:
        self.load(ROWS)
        source = self.source()
        for part in source.partitions():
            scanned = source.scan(ScanRequest(part, None, source.latest(part)))
            assert [c.name for c in scanned.schema] == [c.name for c in source.describe()]

    def test_partitions_are_stable_and_differ(self) -> None:
        self.load(ROWS)
        first = [part.id for part in self.source().partitions()]
        assert first
        assert len(set(first)) == len(first)
        assert [part.id for part in self.source().partitions()] == first

    def test_what_is_not_there_is_a_named_error(self) -> None:
        missing = self.make_missing()
        if missing is None:
            pytest.skip("it is always there")
        with pytest.raises((ConfigError, TransientError, DataError)) as caught:
            missing.describe()
        assert caught.value.code.startswith(("SRC-", "NET-"))
        missing.close()


class _Reading(SourceConformance):
    def test_every_row_is_read_once(self) -> None:
        self.load(ROWS)
        assert_same(self.read(self.source()), self.as_read(ROWS))

    def test_a_source_without_rows_has_its_columns(self) -> None:
        self.load(ROWS.slice(0, 0))
        found = self.read(self.source())
        assert found.num_rows == 0
        assert found.column_names == ROWS.column_names

    def test_one_column_is_enough(self) -> None:
        table = ROWS.select([data.ID])
        self.load(table)
        assert_same(self.read(self.source()), self.as_read(table))

    @pytest.mark.parametrize("logical", data.TYPES)
    def test_every_value_of_a_type_is_read_as_it_is(self, logical: str) -> None:
        if logical in self.lacks:
            pytest.skip(f"the system has no {logical}")
        values = data.column(logical).values
        if logical == "string" and self.lacks_nul:
            values = pa.array([s for s in data.STRINGS if s not in data.NUL_STRINGS] + [None])
        table = data.table_of(values)
        self.load(table)
        assert_same(self.read(self.source()), self.as_read(table))

    @pytest.mark.parametrize("name", data.NAMES)
    def test_a_hostile_column_name_is_read_as_it_is(self, name: str) -> None:
        if name in self.lacks_names:
            pytest.skip("the system cannot hold that name")
        table = data.named_table([name])
        self.load(table)
        source = self.source()
        assert [column.name for column in source.describe()] == table.column_names
        assert_same(self.read(source), self.as_read(table))

    def test_names_that_differ_only_in_case_are_refused_by_name(self) -> None:
        if not self.case_sensitive_names:
            pytest.skip("the system cannot hold them")
        self.load(data.named_table(data.CASE_COLLIDING))
        with pytest.raises(ConfigError) as caught:
            self.source().describe()
        assert caught.value.code == "SRC-112"
        assert '"Name"' in str(caught.value)

    def test_a_huge_string_is_read_whole(self) -> None:
        table = data.table_of(pa.array([data.HUGE_STRING, "", data.HUGE_STRING]))
        self.load(table)
        assert_same(self.read(self.source()), self.as_read(table))


class _Ranges(SourceConformance):
    MORE = pa.table([pa.array([6]), pa.array(["six"]), pa.array([6.0])], schema=ROWS.schema)

    def test_positions_are_versioned_json(self) -> None:
        self.load(ROWS)
        for _, position in self.ranges(self.source()):
            assert "v" in position

    def test_a_range_read_again_gives_the_same_rows(self) -> None:
        self.needs(Capability.REPLAYABLE)
        self.load(ROWS)
        ranges = self.ranges(self.source())
        first = self.scan(self.source(), ranges)
        assert_same(self.scan(self.source(), ranges), first)
        assert_same(first, self.as_read(ROWS))

    def test_a_range_does_not_grow_with_rows_that_came_later(self) -> None:
        self.needs(Capability.REPLAYABLE)
        self.load(ROWS)
        ranges = self.ranges(self.source())
        self.add(self.MORE)
        try:
            found = self.scan(self.source(), ranges)
        except DataError as changed:
            assert changed.code == "SRC-110"  # noqa: PT017 -- saying so is as good as the old rows
        else:
            assert_same(found, self.as_read(ROWS))

    def test_latest_moves_with_new_rows(self) -> None:
        self.load(ROWS)
        source = self.source()
        before = self.ranges(source)
        self.add(self.MORE)
        fresh = self.source()
        assert_same(self.read(fresh), self.as_read(pa.concat_tables([ROWS, self.MORE])))
        if Capability.REPLAYABLE in self.descriptor.capabilities:
            assert self.ranges(fresh) != before

    def test_a_scan_resumes_after_any_chunk(self) -> None:
        if not self.resumes:
            pytest.skip(f"{self.descriptor.name} does not resume within a range")
        self.load(ROWS)
        source = self.source()
        for part, upto in self.ranges(source):
            scanned = source.scan(ScanRequest(part, None, upto))
            assert isinstance(scanned, Batches)
            chunks = list(scanned.open())
            for at, chunk in enumerate(chunks):
                rest, _ = pull(self.source().scan(ScanRequest(part, chunk.position, upto)))
                taken = [c.batch for c in chunks[: at + 1]]
                assert_same(
                    pa.concat_tables([pa.Table.from_batches(taken), rest]),
                    pa.Table.from_batches([c.batch for c in chunks]),
                )

    @pytest.mark.parametrize("size", [Size(rows=1), Size(rows=3), Size(bytes=1), Size(bytes=100, rows=2), Size()])
    def test_pieces_make_the_whole(self, size: Size) -> None:
        self.needs(Capability.DIVISIBLE)
        self.load(ROWS)
        found = []
        for part, upto in self.ranges(self.source()):
            after: Position | None = None
            while after != upto:
                source = self.source()
                end = source.cut(part, after, upto, size)
                assert end != after
                request = ScanRequest(part, after, end)
                piece, rejected = pull(source.scan(request))
                assert not rejected
                assert_same(pull(self.source().scan(request))[0], piece)
                source.recheck(request)
                found.append(piece)
                after = end
            assert source.cut(part, None, upto, Size()) == upto
        assert_same(pa.concat_tables(found), self.as_read(ROWS))

    def test_acknowledge_may_be_repeated(self) -> None:
        self.load(ROWS)
        source = self.source()
        positions = {part.id: position for part, position in self.ranges(source)}
        source.acknowledge(positions)
        source.acknowledge(positions)
        assert_same(self.read(source), self.as_read(ROWS))


class _Pushdown(SourceConformance):
    def test_columns_come_as_asked_and_in_that_order(self) -> None:
        self.needs(Capability.PROJECTION)
        self.load(ROWS)
        found = self.read(self.source(), columns=("size", data.ID))
        assert found.column_names == ["size", data.ID]
        assert_same(found, self.as_read(ROWS).select(["size", data.ID]))

    @pytest.mark.parametrize(
        ("predicate", "kept"),
        [
            ("id > 2", [3, 4, 5]),
            ("id = 3", [3]),
            ("name is null", [2]),
            ("name = ''", [3]),
            ("name = 'thr\"ee'", [4]),
            ("name <> ''", [1, 4, 5]),
            ("id in (1, 5, 9)", [1, 5]),
            ("id between 2 and 3", [2, 3]),
            ("name = 'x'' or 1=1 --'", []),
            ("size >= 1.5 and id < 4", [1]),
        ],
    )
    def test_a_predicate_that_is_taken_is_applied_exactly(self, predicate: str, kept: list[int]) -> None:
        self.needs(Capability.FILTER)
        self.load(ROWS)
        source = self.source()
        tree = parse_one(predicate, dialect="duckdb")
        exact = all(source.takes(conjunct) for conjunct in conjuncts(tree))
        parts = [
            pull(source.scan(ScanRequest(part, None, source.latest(part), predicate=tree)))[0]
            for part in source.partitions()
        ]
        found = sorted(pa.concat_tables(parts).column(data.ID).to_pylist())
        assert set(kept) <= set(found)
        if exact:
            assert found == kept

    def test_the_engine_can_read_it_natively(self) -> None:
        self.needs(Capability.NATIVE)
        self.load(ROWS)
        source = self.source()
        for part in source.partitions():
            scanned: Rows = source.scan(ScanRequest(part, None, source.latest(part)))
            assert isinstance(scanned, (Files, Pipe))


class _Errors(SourceConformance):
    def test_a_position_of_another_version_is_refused(self) -> None:
        self.needs(Capability.REPLAYABLE)
        self.load(ROWS)
        source = self.source()
        for part in source.partitions():
            with pytest.raises(PenstockError) as caught:
                pull(source.scan(ScanRequest(part, None, {"v": 999_999})))
            assert caught.value.code.startswith("SRC-")


class SourceSuite(_Description, _Reading, _Ranges, _Pushdown, _Errors):
    """All of it. A subclass must be named ``Test…`` and set ``descriptor``."""
