"""The conformance suite of sinks: subclass :class:`SinkSuite`, say how to make the sink and how to read it without it.

Every test writes through the contract of ``connectors/api.py`` and then reads the effect back by ``read_back``, which
must go to the system itself (its own client, a plain reader over the files) and never through the sink.
Tests of a write mode or a capability run for the modes and capabilities that the descriptor declares.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pyarrow as pa
import pytest

from penstock.connectors.api import Epoch, SinkId, Staged, WriteMode
from penstock.errors import ConfigError, DataError, FatalError
from penstock.registry import Capability
from penstock.testing import data
from penstock.testing.compare import assert_same
from penstock.testing.delivery import fill, pull
from penstock.testing.schemas import schema_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from penstock.connectors.api import Receipt, Sink
    from penstock.registry import Descriptor

INCARNATION = "11111111-1111-4111-8111-111111111111"
OTHER_INCARNATION = "22222222-2222-4222-8222-222222222222"
SINK_ID = SinkId("project", "prod", "pipe line", "sink/../x", INCARNATION)
PLANNED_AT = datetime(2024, 3, 31, 1, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SinkOptions:
    """What a test wants of the sink; the subclass turns it into the connector's parameters."""

    mode: WriteMode = WriteMode.APPEND
    keys: tuple[str, ...] = ()
    order_by: str | None = None
    partition_by: tuple[str, ...] = ()
    on_schema_change: Literal["fail", "evolve", "ignore"] = "fail"
    allow_empty: bool = False


APPEND = SinkOptions()
OVERWRITE = SinkOptions(mode=WriteMode.OVERWRITE)
BY_PART = SinkOptions(mode=WriteMode.OVERWRITE_PARTITIONS, partition_by=("part",))
MERGE = SinkOptions(mode=WriteMode.MERGE, keys=(data.ID,))
MERGE_NEWER = replace(MERGE, order_by="seen")


def epoch(number: int, *, fence: int = 1, attempt: str = "", incarnation: str = INCARNATION) -> Epoch:
    """An epoch as the runner makes it."""
    made = attempt or f"attempt-{number}-{fence}"
    return Epoch(replace(SINK_ID, incarnation=incarnation), number, made, fence, PLANNED_AT)


def rows(*values: tuple[Any, ...], names: tuple[str, ...] = (data.ID, "name")) -> pa.Table:
    """A small table; columns named id, seen, part, size are numbers or text as their values are, the rest text."""
    kinds = {data.ID: pa.int64(), "seen": pa.int64(), "size": pa.int64()}
    fields = [pa.field(n, kinds.get(n, pa.string()), nullable=n != data.ID) for n in names]
    columns = list(zip(*values, strict=True)) or [()] * len(names)
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, fields, strict=True)], schema=pa.schema(fields))


def over_the_wire(staged: Staged) -> Staged:
    """As it arrives where another process commits: through JSON."""
    return Staged(staged.rows, staged.bytes, json.loads(json.dumps(staged.payload)))


def stage(sink: Sink, at: Epoch, table: pa.Table) -> Staged:
    """One writer, all rows, staged."""
    writer = sink.writer(at, schema_of(table.schema))
    fill(writer, table)
    return over_the_wire(writer.stage())


def deliver(sink: Sink, at: Epoch, *tables: pa.Table) -> Receipt:
    """Prepare, one writer per table, commit: what a run does in an epoch."""
    sink.prepare(schema_of(tables[0].schema))
    return sink.commit(at, [stage(sink, at, table) for table in tables])


class SinkConformance(ABC):
    """What a subclass provides; the tests stand in the classes below."""

    descriptor: ClassVar[Descriptor]
    # Logical types (as in data.TYPES) that the sink refuses with SNK-110.
    refuses: ClassVar[Collection[str]] = ()
    # Whether columns whose names differ only in case may stand side by side; else they are refused with SNK-113.
    case_sensitive_names: ClassVar[bool] = False
    # Hostile names that the system cannot hold and the sink therefore refuses with SNK-110.
    refused_names: ClassVar[Collection[str]] = ()
    # Strings with NUL are refused by a DataError from the writer or the commit.
    refuses_nul: ClassVar[bool] = False
    # Whether a merge tells rows that it left as they were from updated ones.
    tells_unchanged: ClassVar[bool] = True
    # Whether on_schema_change: evolve can widen a column's type.
    widens: ClassVar[bool] = True

    @abstractmethod
    def make(self, options: SinkOptions) -> Sink:
        """A new handle, as after a restart, on the one target of the running test; the target is new for each test."""

    @abstractmethod
    def read_back(self, schema: pa.Schema) -> pa.Table | None:
        """What a reader of the system sees now, as columns of that schema (types as near as the system tells them,
        columns in the target's order); None where there is no target. Never through the sink.
        """

    @abstractmethod
    def leftovers(self) -> Collection[str]:
        """Names of whatever lies at the target that is neither committed rows nor markers: staging files, tables."""

    def as_stored(self, table: pa.Table) -> pa.Table:
        """The table as the system keeps it, where that is documented to differ (a type it lacks kept as text …)."""
        return table

    # -- for the tests

    @pytest.fixture(autouse=True)
    def _handles(self) -> Iterator[None]:
        self._made: list[Sink] = []
        yield
        for sink in self._made:
            sink.close()
            sink.close()

    def sink(self, options: SinkOptions = APPEND) -> Sink:
        """A handle that is closed after the test."""
        made = self.make(options)
        self._made.append(made)
        return made

    def needs(self, *wanted: Capability | WriteMode) -> None:
        """Skip the test unless the descriptor declares all of these."""
        declared = {*self.descriptor.capabilities, *map(WriteMode, self.descriptor.modes)}
        missing = [item.value for item in wanted if item not in declared]
        if missing:
            pytest.skip(f"{self.descriptor.name} does not declare {', '.join(missing)}")

    def usual(self) -> SinkOptions:
        """The first mode the descriptor names, with what that mode needs."""
        mode = WriteMode(self.descriptor.modes[0])
        return {
            WriteMode.APPEND: APPEND,
            WriteMode.OVERWRITE: replace(OVERWRITE, allow_empty=True),
            WriteMode.OVERWRITE_PARTITIONS: BY_PART,
            WriteMode.MERGE: MERGE,
        }[mode]

    def assert_holds(self, *tables: pa.Table) -> None:
        """The target holds exactly these rows."""
        expected = self.as_stored(pa.concat_tables(tables))
        assert_same(self.read_back(tables[0].schema), expected)

    def assert_refused_as_foreign(self, act: Callable[[], object]) -> None:
        with pytest.raises(FatalError) as caught:
            act()
        assert caught.value.code == "SNK-120"


class _Markers(SinkConformance):
    FIRST = rows((1, "one"), (2, None))
    SECOND = rows((3, ""), (4, "four"))

    def _second_state(self) -> tuple[pa.Table, ...]:
        return (self.SECOND,) if self.usual().mode is WriteMode.OVERWRITE else (self.FIRST, self.SECOND)

    def test_marker_is_none_before_the_first_commit(self) -> None:
        sink = self.sink(self.usual())
        assert sink.marker(SINK_ID) is None
        sink.prepare(schema_of(self.FIRST.schema))
        assert sink.marker(SINK_ID) is None

    def test_marker_names_the_committed_epoch_after_a_restart(self) -> None:
        receipt = deliver(self.sink(self.usual()), epoch(1, fence=3), self.FIRST)
        marker = self.sink(self.usual()).marker(SINK_ID)
        assert marker is not None
        assert (marker.epoch, marker.fence) == (1, 3)
        assert marker.receipt in (None, receipt)
        deliver(self.sink(self.usual()), epoch(2, fence=3), self.SECOND)
        again = self.sink(self.usual()).marker(SINK_ID)
        assert again is not None
        assert again.epoch == 2
        self.assert_holds(*self._second_state())

    def test_receipt_accounts_for_every_row(self) -> None:
        receipt = deliver(self.sink(self.usual()), epoch(1), self.FIRST)
        assert receipt.rows == receipt.inserted == 2
        assert (receipt.updated, receipt.unchanged, receipt.ignored_older) == (0, 0, 0)

    def test_committing_the_same_staged_rows_again_writes_once(self) -> None:
        sink = self.sink(self.usual())
        sink.prepare(schema_of(self.FIRST.schema))
        staged = stage(sink, epoch(1), self.FIRST)
        receipt = sink.commit(epoch(1), [staged])
        assert sink.commit(epoch(1), [staged]) == receipt
        assert self.sink(self.usual()).commit(epoch(1), [staged]) == receipt
        self.assert_holds(self.FIRST)

    def test_redoing_a_committed_epoch_with_another_attempt_writes_once(self) -> None:
        deliver(self.sink(self.usual()), epoch(1), self.FIRST)
        again = self.sink(self.usual())
        receipt = deliver(again, epoch(1, fence=2, attempt="other"), self.FIRST)
        assert receipt.rows == 2
        self.assert_holds(self.FIRST)
        again.marker(SINK_ID)
        assert not self.leftovers()

    def test_a_gap_is_refused_and_changes_nothing(self) -> None:
        sink = self.sink(self.usual())
        deliver(sink, epoch(1), self.FIRST)
        self.assert_refused_as_foreign(lambda: deliver(sink, epoch(3), self.SECOND))
        marker = self.sink(self.usual()).marker(SINK_ID)
        assert marker is not None
        assert marker.epoch == 1
        self.assert_holds(self.FIRST)

    def test_a_first_epoch_that_is_not_1_is_refused(self) -> None:
        self.assert_refused_as_foreign(lambda: deliver(self.sink(self.usual()), epoch(2), self.FIRST))
        assert self.sink(self.usual()).marker(SINK_ID) is None

    def test_an_epoch_behind_the_marker_is_refused(self) -> None:
        sink = self.sink(self.usual())
        deliver(sink, epoch(1), self.FIRST)
        deliver(sink, epoch(2), self.SECOND)
        self.assert_refused_as_foreign(lambda: deliver(sink, epoch(1), self.FIRST))
        self.assert_holds(*self._second_state())

    def test_a_stale_fence_is_refused_and_changes_nothing(self) -> None:
        sink = self.sink(self.usual())
        deliver(sink, epoch(1, fence=5), self.FIRST)
        self.assert_refused_as_foreign(lambda: deliver(sink, epoch(2, fence=4), self.SECOND))
        self.assert_holds(self.FIRST)

    def test_of_two_runners_only_one_commits_an_epoch(self) -> None:
        old, new = self.sink(self.usual()), self.sink(self.usual())
        old.prepare(schema_of(self.FIRST.schema))
        late = stage(old, epoch(1, fence=1), self.FIRST)
        new.marker(SINK_ID)
        deliver(new, epoch(1, fence=2), self.SECOND)
        try:
            old.commit(epoch(1, fence=1), [late])
        except FatalError as refused:
            assert refused.code == "SNK-120"  # noqa: PT017 -- returning the other's receipt is as good
        self.assert_holds(self.SECOND)

    def test_another_incarnation_has_a_history_of_its_own(self) -> None:
        sink = self.sink(self.usual())
        deliver(sink, epoch(1), self.FIRST)
        assert sink.marker(replace(SINK_ID, incarnation=OTHER_INCARNATION)) is None
        deliver(sink, epoch(1, incarnation=OTHER_INCARNATION), self.SECOND)
        self.assert_holds(*self._second_state())
        for incarnation in (INCARNATION, OTHER_INCARNATION):
            marker = self.sink(self.usual()).marker(replace(SINK_ID, incarnation=incarnation))
            assert marker is not None
            assert marker.epoch == 1
        self.assert_holds(*self._second_state())


class _Visibility(SinkConformance):
    BEFORE = rows((1, "one"))
    AFTER = rows((2, "two"), (3, "three"))

    def _committed(self) -> Sink:
        deliver(self.sink(self.usual()), epoch(1), self.BEFORE)
        return self.sink(self.usual())

    def _final(self) -> tuple[pa.Table, ...]:
        return (self.AFTER,) if self.usual().mode is WriteMode.OVERWRITE else (self.BEFORE, self.AFTER)

    def test_nothing_is_visible_before_the_commit(self) -> None:
        sink = self._committed()
        sink.prepare(schema_of(self.AFTER.schema))
        writer = sink.writer(epoch(2), schema_of(self.AFTER.schema))
        self.assert_holds(self.BEFORE)
        fill(writer, self.AFTER)
        self.assert_holds(self.BEFORE)
        staged = over_the_wire(writer.stage())
        assert staged.rows == 2
        self.assert_holds(self.BEFORE)
        sink.commit(epoch(2), [staged])
        self.assert_holds(*self._final())
        assert not self.leftovers()

    @pytest.mark.parametrize("when", ["at once", "after writing", "after staging"])
    def test_abort_leaves_nothing(self, when: str) -> None:
        sink = self._committed()
        writer = sink.writer(epoch(2), schema_of(self.AFTER.schema))
        if when != "at once":
            fill(writer, self.AFTER)
        if when == "after staging":
            writer.stage()
        writer.abort()
        writer.abort()
        assert not self.leftovers()
        self.assert_holds(self.BEFORE)

    @pytest.mark.parametrize("staged", [False, True])
    def test_what_a_crash_leaves_is_invisible_and_removed_by_marker(self, staged: bool) -> None:  # noqa: FBT001
        sink = self._committed()
        writer = sink.writer(epoch(2, attempt="crashed"), schema_of(self.AFTER.schema))
        fill(writer, self.AFTER)
        if staged:
            writer.stage()
        del writer
        self.assert_holds(self.BEFORE)
        restarted = self.sink(self.usual())
        marker = restarted.marker(SINK_ID)
        assert marker is not None
        assert marker.epoch == 1
        assert not self.leftovers()
        deliver(restarted, epoch(2, fence=2, attempt="redone"), self.AFTER)
        self.assert_holds(*self._final())

    def test_several_writers_share_one_commit(self) -> None:
        self.needs(Capability.PARALLEL)
        sink = self.sink(self.usual())
        sink.prepare(schema_of(self.AFTER.schema))
        parts = [rows((10 * n, f"part {n}"), (10 * n + 1, None)) for n in range(3)]
        writers = [self.sink(self.usual()).writer(epoch(1), schema_of(self.AFTER.schema)) for _ in parts]
        for writer, part in zip(writers, parts, strict=True):
            fill(writer, part)
        staged = [over_the_wire(writer.stage()) for writer in writers]
        receipt = sink.commit(epoch(1), staged)
        assert receipt.rows == receipt.inserted == 6
        self.assert_holds(*parts)

    def test_an_epoch_without_rows_moves_the_marker(self) -> None:
        sink = self.sink(self.usual())
        receipt = deliver(sink, epoch(1), rows())
        assert receipt.rows == 0
        marker = self.sink(self.usual()).marker(SINK_ID)
        assert marker is not None
        assert marker.epoch == 1
        self.assert_holds(rows())

    def test_an_epoch_without_writers_moves_the_marker(self) -> None:
        sink = self.sink(self.usual())
        sink.prepare(schema_of(rows().schema))
        assert sink.commit(epoch(1), []).rows == 0
        marker = self.sink(self.usual()).marker(SINK_ID)
        assert marker is not None
        assert marker.epoch == 1


class _Values(SinkConformance):
    @pytest.mark.parametrize("logical", data.TYPES)
    def test_every_value_of_a_type_survives_or_the_type_is_refused(self, logical: str) -> None:
        table = data.table_of(data.column(logical).values)
        if self.refuses_nul and logical == "string":
            table = data.table_of(pa.array([s for s in data.STRINGS if s not in data.NUL_STRINGS] + [None]))
        sink = self.sink(self.usual())
        if logical in self.refuses:
            for refused in (sink.preview, sink.prepare):
                with pytest.raises(ConfigError) as caught:
                    refused(schema_of(table.schema))
                assert caught.value.code == "SNK-110"
                assert '"value"' in str(caught.value)
            return
        deliver(sink, epoch(1), table)
        self.assert_holds(table)

    def test_nul_is_held_or_refused_and_never_cut(self) -> None:
        table = data.table_of(pa.array(data.NUL_STRINGS))
        if not self.refuses_nul:
            deliver(self.sink(self.usual()), epoch(1), table)
            self.assert_holds(table)
            return
        with pytest.raises(DataError):
            deliver(self.sink(self.usual()), epoch(1), table)
        self.assert_holds(table.slice(0, 0))

    def test_a_huge_string_survives(self) -> None:
        table = data.table_of(pa.array([data.HUGE_STRING, "", data.HUGE_STRING]))
        deliver(self.sink(self.usual()), epoch(1), table)
        self.assert_holds(table)

    @pytest.mark.parametrize("name", [*data.NAMES, data.LONG_NAME])
    def test_a_hostile_column_name_survives_or_is_refused(self, name: str) -> None:
        table = data.named_table([name])
        sink = self.sink(self.usual())
        if name in self.refused_names:
            with pytest.raises(ConfigError) as caught:
                sink.prepare(schema_of(table.schema))
            assert caught.value.code == "SNK-110"
            return
        deliver(sink, epoch(1), table)
        self.assert_holds(table)

    def test_names_that_differ_only_in_case_are_held_or_refused(self) -> None:
        table = data.named_table(data.CASE_COLLIDING)
        sink = self.sink(self.usual())
        if self.case_sensitive_names:
            deliver(sink, epoch(1), table)
            self.assert_holds(table)
            return
        with pytest.raises(ConfigError) as caught:
            sink.prepare(schema_of(table.schema))
        assert caught.value.code == "SNK-113"

    def test_one_column_is_enough(self) -> None:
        table = pa.table({data.ID: pa.array([3, 1, 2], pa.int64())})
        deliver(self.sink(self.usual()), epoch(1), table)
        self.assert_holds(table)


class _Schemas(SinkConformance):
    SMALL = rows((1, "one"))
    WIDER = rows((2, "two", 22), names=(data.ID, "name", "size"))

    def test_a_target_that_is_not_there_is_created(self) -> None:
        sink = self.sink(self.usual())
        schema = schema_of(self.SMALL.schema)
        assert sink.describe() is None
        assert sink.preview(schema).creates
        assert self.sink(self.usual()).describe() is None
        deliver(sink, epoch(1), self.SMALL)
        preparation = self.sink(self.usual()).preview(schema)
        assert (preparation.creates, preparation.adds, preparation.widens, preparation.ignores) == (False, (), (), ())
        described = self.sink(self.usual()).describe()
        assert described is not None
        assert [column.name for column in described] == [data.ID, "name"]

    def test_prepare_may_be_repeated(self) -> None:
        schema = schema_of(self.SMALL.schema)
        sink = self.sink(self.usual())
        sink.prepare(schema)
        sink.prepare(schema)
        deliver(sink, epoch(1), self.SMALL)
        self.sink(self.usual()).prepare(schema)
        self.assert_holds(self.SMALL)

    def test_a_new_column_fails_by_default_and_changes_nothing(self) -> None:
        options = replace(self.usual(), mode=self._keeping(), keys=self._keys())
        deliver(self.sink(options), epoch(1), self.SMALL)
        for refused in (self.sink(options).preview, self.sink(options).prepare):
            with pytest.raises(ConfigError) as caught:
                refused(schema_of(self.WIDER.schema))
            assert caught.value.code == "SNK-111"
            assert '"size"' in str(caught.value)
        self.assert_holds(self.SMALL)

    def test_a_new_column_is_added_when_the_policy_says_evolve(self) -> None:
        options = replace(self.usual(), mode=self._keeping(), keys=self._keys(), on_schema_change="evolve")
        deliver(self.sink(options), epoch(1), self.SMALL)
        sink = self.sink(options)
        assert [column.name for column in sink.preview(schema_of(self.WIDER.schema)).adds] == ["size"]
        self.assert_holds(self.SMALL)
        deliver(sink, epoch(2), self.WIDER)
        self.assert_holds(rows((1, "one", None), (2, "two", 22), names=(data.ID, "name", "size")))

    def test_a_new_column_is_left_out_when_the_policy_says_ignore(self) -> None:
        options = replace(self.usual(), mode=self._keeping(), keys=self._keys(), on_schema_change="ignore")
        deliver(self.sink(options), epoch(1), self.SMALL)
        sink = self.sink(options)
        assert [column.name for column in sink.preview(schema_of(self.WIDER.schema)).ignores] == ["size"]
        deliver(sink, epoch(2), self.WIDER)
        self.assert_holds(rows((1, "one"), (2, "two")))

    def test_a_wider_type_follows_the_policy(self) -> None:
        narrow = pa.table([pa.array([1], pa.int64()), pa.array([7], pa.int32())], names=[data.ID, "size"])
        wide = pa.table([pa.array([2], pa.int64()), pa.array([2**40], pa.int64())], names=[data.ID, "size"])
        options = replace(self.usual(), mode=self._keeping(), keys=self._keys())
        deliver(self.sink(options), epoch(1), narrow)
        with pytest.raises(ConfigError) as caught:
            self.sink(options).prepare(schema_of(wide.schema))
        assert caught.value.code == "SNK-111"
        if not self.widens:
            return
        evolving = self.sink(replace(options, on_schema_change="evolve"))
        assert [old.name for old, _ in evolving.preview(schema_of(wide.schema)).widens] == ["size"]
        deliver(evolving, epoch(2), wide)
        self.assert_holds(pa.concat_tables([narrow.cast(wide.schema), wide]))

    def test_a_column_of_another_kind_is_refused_whatever_the_policy(self) -> None:
        other = pa.table([pa.array([1], pa.int64()), pa.array([True])], names=[data.ID, "name"])
        options = replace(self.usual(), mode=self._keeping(), keys=self._keys(), on_schema_change="evolve")
        deliver(self.sink(options), epoch(1), self.SMALL)
        with pytest.raises(ConfigError) as caught:
            self.sink(options).prepare(schema_of(other.schema))
        assert caught.value.code in ("SNK-110", "SNK-111")
        assert '"name"' in str(caught.value)
        self.assert_holds(self.SMALL)

    def _keeping(self) -> WriteMode:
        """A declared mode that keeps the rows that are there."""
        for mode in (WriteMode.APPEND, WriteMode.MERGE):
            if mode.value in self.descriptor.modes:
                return mode
        pytest.skip(f"{self.descriptor.name} keeps no rows from one epoch to the next")

    def _keys(self) -> tuple[str, ...]:
        return (data.ID,) if self._keeping() is WriteMode.MERGE else ()


class _Append(SinkConformance):
    def test_append_adds_rows_and_keeps_equal_ones(self) -> None:
        self.needs(WriteMode.APPEND)
        first, second = rows((1, "a"), (1, "a")), rows((1, "a"), (2, "b"))
        sink = self.sink(APPEND)
        deliver(sink, epoch(1), first)
        receipt = deliver(sink, epoch(2), second)
        assert (receipt.rows, receipt.inserted) == (2, 2)
        self.assert_holds(first, second)

    def test_rows_without_a_column_that_may_be_null_get_null_there(self) -> None:
        self.needs(WriteMode.APPEND)
        sink = self.sink(APPEND)
        deliver(sink, epoch(1), rows((1, "a")))
        deliver(sink, epoch(2), rows((2,), names=(data.ID,)))
        self.assert_holds(rows((1, "a"), (2, None)))


class _Overwrite(SinkConformance):
    OLD = rows((1, "old"), (2, "old"), (3, "old"))
    NEW = rows((3, "new"), (4, "new"))

    def test_overwrite_replaces_the_whole_table(self) -> None:
        self.needs(WriteMode.OVERWRITE)
        deliver(self.sink(OVERWRITE), epoch(1), self.OLD)
        receipt = deliver(self.sink(OVERWRITE), epoch(2), self.NEW)
        assert (receipt.rows, receipt.inserted) == (2, 2)
        assert receipt.deleted in (None, 3)
        self.assert_holds(self.NEW)
        assert not self.leftovers()

    def test_an_empty_input_does_not_overwrite_unless_allowed(self) -> None:
        self.needs(WriteMode.OVERWRITE)
        deliver(self.sink(OVERWRITE), epoch(1), self.OLD)
        with pytest.raises(DataError) as caught:
            deliver(self.sink(OVERWRITE), epoch(2), self.OLD.slice(0, 0))
        assert caught.value.code == "SNK-114"
        self.assert_holds(self.OLD)
        deliver(self.sink(replace(OVERWRITE, allow_empty=True)), epoch(2), self.OLD.slice(0, 0))
        self.assert_holds(self.OLD.slice(0, 0))

    def test_overwrite_partitions_replaces_only_partitions_that_came(self) -> None:
        self.needs(WriteMode.OVERWRITE_PARTITIONS)
        names = (data.ID, "part")
        deliver(self.sink(BY_PART), epoch(1), rows((1, "a"), (2, "b"), (3, "b"), (4, None), names=names))
        receipt = deliver(self.sink(BY_PART), epoch(2), rows((5, "b"), (6, "c"), (7, None), names=names))
        assert (receipt.rows, receipt.inserted) == (3, 3)
        assert receipt.deleted in (None, 3)
        self.assert_holds(rows((1, "a"), (5, "b"), (6, "c"), (7, None), names=names))

    def test_hostile_partition_values_survive(self) -> None:
        self.needs(WriteMode.OVERWRITE_PARTITIONS)
        values = [(at, value) for at, value in enumerate(data.PARTITION_VALUES)]
        table = rows(*values, names=(data.ID, "part"))
        deliver(self.sink(BY_PART), epoch(1), table)
        self.assert_holds(table)
        again = rows(*[(100 + at, value) for at, value in values], names=(data.ID, "part"))
        deliver(self.sink(BY_PART), epoch(2), again)
        self.assert_holds(again)


class _Merge(SinkConformance):
    NAMES = (data.ID, "seen", "name")

    def _rows(self, *values: tuple[Any, ...]) -> pa.Table:
        return rows(*values, names=self.NAMES)

    def test_merge_inserts_updates_and_leaves_the_rest(self) -> None:
        self.needs(WriteMode.MERGE)
        sink = self.sink(MERGE)
        deliver(sink, epoch(1), self._rows((1, 1, "a"), (2, 1, "b"), (3, None, None)))
        receipt = deliver(sink, epoch(2), self._rows((2, 1, "B"), (3, None, None), (4, 1, "d")))
        assert (receipt.rows, receipt.inserted, receipt.ignored_older) == (3, 1, 0)
        assert receipt.updated + receipt.unchanged == 2
        if self.tells_unchanged:
            assert (receipt.updated, receipt.unchanged) == (1, 1)
        self.assert_holds(self._rows((1, 1, "a"), (2, 1, "B"), (3, None, None), (4, 1, "d")))

    def test_an_older_row_is_ignored_and_counted(self) -> None:
        self.needs(WriteMode.MERGE)
        sink = self.sink(MERGE_NEWER)
        deliver(sink, epoch(1), self._rows((1, 5, "a"), (2, 5, "b"), (3, 5, "c"), (4, None, "d"), (5, 5, "e")))
        sent = self._rows(
            (1, 4, "older"), (2, 5, "same"), (3, 6, "newer"), (4, 1, "first"), (5, None, "null"), (6, 1, "f")
        )
        receipt = deliver(sink, epoch(2), sent)
        assert (receipt.rows, receipt.inserted, receipt.updated, receipt.ignored_older) == (6, 1, 3, 2)
        assert receipt.unchanged == 0
        self.assert_holds(
            self._rows((1, 5, "a"), (2, 5, "same"), (3, 6, "newer"), (4, 1, "first"), (5, 5, "e"), (6, 1, "f"))
        )

    def test_only_sent_columns_change(self) -> None:
        self.needs(WriteMode.MERGE)
        deliver(self.sink(MERGE), epoch(1), self._rows((1, 1, "a"), (2, 1, "b")))
        deliver(self.sink(MERGE), epoch(2), rows((2, "B"), (3, "c")))
        self.assert_holds(self._rows((1, 1, "a"), (2, 1, "B"), (3, None, "c")))

    def test_a_composite_key_of_text_and_number_is_compared_exactly(self) -> None:
        self.needs(WriteMode.MERGE)
        names = (data.ID, "part", "name")
        options = replace(MERGE, keys=(data.ID, "part"))
        parts = ["a", "A", "a ", "", "e\u0301", "\u00e9", "'; DROP TABLE x;--"]
        deliver(self.sink(options), epoch(1), rows(*[(1, part, "old") for part in parts], names=names))
        receipt = deliver(self.sink(options), epoch(2), rows((1, "A", "new"), (2, "a", "new"), names=names))
        assert receipt.inserted == 1
        found = self.read_back(rows(names=names).schema)
        assert found is not None
        seen = {(row[data.ID], row["part"]): row["name"] for row in found.to_pylist()}
        assert seen == {**{(1, part): "old" for part in parts}, (1, "A"): "new", (2, "a"): "new"}

    def test_a_key_that_is_not_among_the_columns_is_refused(self) -> None:
        self.needs(WriteMode.MERGE)
        sink = self.sink(replace(MERGE, keys=(data.ID, "missing")))
        for refused in (sink.preview, sink.prepare):
            with pytest.raises(ConfigError) as caught:
                refused(schema_of(rows().schema))
            assert caught.value.code == "SNK-112"
            assert '"missing"' in str(caught.value)

    def test_merging_the_same_rows_again_changes_nothing(self) -> None:
        self.needs(WriteMode.MERGE)
        table = self._rows((1, 1, "a"), (2, None, None))
        deliver(self.sink(MERGE_NEWER), epoch(1), table)
        receipt = deliver(self.sink(MERGE_NEWER), epoch(2), table)
        assert (receipt.rows, receipt.inserted) == (2, 0)
        if self.tells_unchanged:
            assert (receipt.updated, receipt.unchanged) == (0, 2)
        self.assert_holds(table)


class _ReadBack(SinkConformance):
    def test_the_table_reads_what_was_committed(self) -> None:
        self.needs(Capability.READ_BACK)
        sink = self.sink(self.usual())
        table = rows((1, "one"), (2, None), (3, ""))
        deliver(sink, epoch(1), table)
        assert_same(read_table(sink), self.as_stored(table))

    def test_the_table_shows_only_committed_rows(self) -> None:
        self.needs(Capability.READ_BACK)
        sink = self.sink(self.usual())
        table = rows((1, "one"))
        deliver(sink, epoch(1), table)
        sink.prepare(schema_of(table.schema))
        stage(sink, epoch(2), rows((2, "two")))
        assert_same(read_table(sink), self.as_stored(table))

    def test_a_version_of_the_table_stays_readable_or_says_that_it_is_gone(self) -> None:
        self.needs(Capability.READ_BACK)
        from penstock.connectors.api import ScanRequest

        sink = self.sink(self.usual())
        first = rows((1, "one"))
        deliver(sink, epoch(1), first)
        source = sink.table()
        (partition,) = source.partitions()
        version = source.latest(partition)
        assert json.loads(json.dumps(version)) == version
        deliver(sink, epoch(2), rows((2, "two")))
        try:
            found, _ = pull(sink.table().scan(ScanRequest(partition, None, version)))
        except DataError as gone:
            assert gone.code == "SRC-110"  # noqa: PT017 -- either outcome is right, a changed answer is not
        else:
            assert_same(found, self.as_stored(first))


def read_table(sink: Sink) -> pa.Table:
    """All rows of the sink's table through ``table()``, partitions one after another."""
    from penstock.connectors.api import ScanRequest

    source = sink.table()
    parts = [pull(source.scan(ScanRequest(p, None, source.latest(p))))[0] for p in source.partitions()]
    source.close()
    return pa.concat_tables(parts)


class SinkSuite(_Markers, _Visibility, _Values, _Schemas, _Append, _Overwrite, _Merge, _ReadBack):
    """All of it. A subclass must be named ``Test…`` and set ``descriptor``."""
